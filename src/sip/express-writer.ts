/** Answers written straight as bytes, most of them copied from the request. */
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
  #start = 0;
  #at = 0;

  /** Begins an answer with the status line and what is copied (RFC 3261 8.2.6), as makeResponse() does. */
  begin(statusLine: string, head: ExpressHead, host: string, port: number): void {
    if (this.#at + head.length + OWN_BYTES_MAX > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#at = 0;
    }
    this.#start = this.#at;
    const { bytes, at, end } = head;
    this.text(statusLine);
    this.text('Via: ');
    this.copy(bytes, at[VIA] ?? 0, head.rportEnd);
    this.text('=');
    this.decimal(port);
    this.copy(bytes, head.rportEnd, end[VIA] ?? 0);
    this.text(';received=');
    this.text(host);
    this.text('\r\nFrom: ');
    this.copy(bytes, at[FROM] ?? 0, end[FROM] ?? 0);
    this.text('\r\nTo: ');
    this.copy(bytes, at[TO] ?? 0, end[TO] ?? 0);
    if (head.to.tagAt === 0) {
      this.text(';tag=');
      this.text(tagFor(head));
    }
    this.text('\r\nCall-ID: ');
    this.copy(bytes, at[CALL_ID] ?? 0, end[CALL_ID] ?? 0);
    this.text('\r\nCSeq: ');
    this.copy(bytes, at[CSEQ] ?? 0, end[CSEQ] ?? 0);
    this.text('\r\n');
  }

  /** ASCII. */
  text(text: string): void {
    const slab = this.#slab;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) slab[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  copy(bytes: Uint8Array, from: number, to: number): void {
    const slab = this.#slab;
    let at = this.#at;
    for (let i = from; i < to; i++) slab[at++] = bytes[i] ?? 0;
    this.#at = at;
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
    this.text('Content-Length: 0\r\n\r\n');
    return this.#slab.subarray(this.#start, this.#at);
  }
}

/** As statelessTag() makes it of a parsed request. */
export function tagFor({ bytes, at, end, branchAt, branchEnd, from, cseq }: ExpressHead): string {
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
