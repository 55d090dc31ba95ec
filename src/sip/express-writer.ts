/** Answers written straight as bytes, most of them copied from the request. */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf } from '../base/bytes.ts';
import { CALL_ID, CSEQ, FROM, TO, VIA } from './header-names.ts';
import type { ExpressHead } from './express-head.ts';
import { SlabWriter } from './slab-writer.ts';
import { TagHash } from './stateless-tag.ts';

const SLAB_BYTES = 64 * 1024;
/** What an answer holds beside the bytes copied from its request. */
const OWN_BYTES_MAX = 2_048;
const tag = new TagHash();

export class ExpressWriter extends SlabWriter {
  constructor() {
    super(SLAB_BYTES);
  }

  /** Begins an answer with the status line and what is copied (RFC 3261 8.2.6), as makeResponse() does. */
  begin(statusLine: Bytes, head: ExpressHead, host: string, port: number): void {
    this.start(head.length + OWN_BYTES_MAX);
    const { view } = head;
    this.put(statusLine);
    this.put(VIA_IS);
    this.copy(view, head.at(VIA), head.rportEnd);
    this.put(EQUALS);
    this.decimal(port);
    this.copy(view, head.rportEnd, head.end(VIA));
    this.put(RECEIVED_IS);
    this.text(host);
    this.put(FROM_IS);
    this.copy(view, head.at(FROM), head.end(FROM));
    this.put(TO_IS);
    this.copy(view, head.at(TO), head.end(TO));
    if (head.to.tagAt === 0) {
      this.put(TAG_IS);
      this.put(tagFor(head));
    }
    this.put(CALL_ID_IS);
    this.copy(view, head.at(CALL_ID), head.end(CALL_ID));
    this.put(CSEQ_IS);
    this.copy(view, head.at(CSEQ), head.end(CSEQ));
    this.put(END_OF_LINE);
  }

  /** Ends the head of an answer without body; its bytes. */
  end(): Buffer {
    this.put(END);
    return this.take();
  }
}

export const END_OF_LINE = bytesOf('\r\n');
const VIA_IS = bytesOf('Via: ');
const EQUALS = bytesOf('=');
const RECEIVED_IS = bytesOf(';received=');
const FROM_IS = bytesOf('\r\nFrom: ');
const TO_IS = bytesOf('\r\nTo: ');
const TAG_IS = bytesOf(';tag=');
const CALL_ID_IS = bytesOf('\r\nCall-ID: ');
const CSEQ_IS = bytesOf('\r\nCSeq: ');
export const END = bytesOf('Content-Length: 0\r\n\r\n');

/** As statelessTag() makes it of a parsed request; good until the next one. */
export function tagFor(head: ExpressHead): Bytes {
  const { bytes, branchAt, branchEnd, from, cseq } = head;
  tag.addAll(bytes, branchAt, branchEnd);
  tag.add(0x0a);
  tag.addAll(bytes, from.tagAt, from.tagEnd);
  tag.add(0x0a);
  tag.addAll(bytes, head.at(CALL_ID), head.end(CALL_ID));
  tag.add(0x0a);
  let power = 1;
  while (power * 10 <= cseq) power *= 10;
  for (let rest = cseq; power >= 1; power /= 10) {
    tag.add(0x30 + Math.floor(rest / power));
    rest %= power;
  }
  return tag.take();
}
