/** Answers written straight as bytes, most of them copied from the request. */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, copyBytes, viewOn } from '../base/bytes.ts';
import { CALL_ID, CSEQ, FROM, TO, VIA } from './header-names.ts';
import type { ExpressHead } from './express-head.ts';
import { TagHash } from './stateless-tag.ts';

/** Answers are cut from slabs, so that whoever sends one may keep it; a slab goes with the last of its answers. */
const SLAB_BYTES = 64 * 1024;
/** What an answer holds beside the bytes copied from its request. */
const OWN_BYTES_MAX = 2_048;
const tag = new TagHash();

export class ExpressWriter {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #view = viewOn(this.#slab);
  #start = 0;
  #at = 0;

  /** Begins an answer with the status line and what is copied (RFC 3261 8.2.6), as makeResponse() does. */
  begin(statusLine: Bytes, head: ExpressHead, host: string, port: number): void {
    if (this.#at + head.length + OWN_BYTES_MAX > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#view = viewOn(this.#slab);
      this.#at = 0;
    }
    this.#start = this.#at;
    const { view, at, end } = head;
    this.put(statusLine);
    this.put(VIA_IS);
    this.copy(view, at[VIA] ?? 0, head.rportEnd);
    this.put(EQUALS);
    this.decimal(port);
    this.copy(view, head.rportEnd, end[VIA] ?? 0);
    this.put(RECEIVED_IS);
    this.text(host);
    this.put(FROM_IS);
    this.copy(view, at[FROM] ?? 0, end[FROM] ?? 0);
    this.put(TO_IS);
    this.copy(view, at[TO] ?? 0, end[TO] ?? 0);
    if (head.to.tagAt === 0) {
      this.put(TAG_IS);
      this.put(tagFor(head));
    }
    this.put(CALL_ID_IS);
    this.copy(view, at[CALL_ID] ?? 0, end[CALL_ID] ?? 0);
    this.put(CSEQ_IS);
    this.copy(view, at[CSEQ] ?? 0, end[CSEQ] ?? 0);
    this.put(END_OF_LINE);
  }

  /** What is known beforehand. */
  put({ view, length }: Bytes): void {
    this.copy(view, 0, length);
  }

  /** ASCII. */
  text(text: string): void {
    const slab = this.#slab;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) slab[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  copy(bytes: DataView, from: number, to: number): void {
    this.#at = copyBytes(this.#view, this.#at, bytes, from, to);
  }

  decimal(number: number): void {
    let digits = 1;
    for (let power = 10; power <= number; power *= 10) digits++;
    let rest = number;
    for (let at = this.#at + digits - 1; at >= this.#at; at--) {
      this.#slab[at] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    this.#at += digits;
  }

  /** Ends the head of an answer without body; its bytes. */
  end(): Buffer {
    this.put(END);
    return this.#slab.subarray(this.#start, this.#at);
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
const END = bytesOf('Content-Length: 0\r\n\r\n');

/** As statelessTag() makes it of a parsed request; good until the next one. */
export function tagFor({ bytes, at, end, branchAt, branchEnd, from, cseq }: ExpressHead): Bytes {
  tag.addAll(bytes, branchAt, branchEnd);
  tag.add(0x0a);
  tag.addAll(bytes, from.tagAt, from.tagEnd);
  tag.add(0x0a);
  tag.addAll(bytes, at[CALL_ID] ?? 0, end[CALL_ID] ?? 0);
  tag.add(0x0a);
  let power = 1;
  while (power * 10 <= cseq) power *= 10;
  for (let rest = cseq; power >= 1; power /= 10) {
    tag.add(0x30 + Math.floor(rest / power));
    rest %= power;
  }
  return tag.take();
}
