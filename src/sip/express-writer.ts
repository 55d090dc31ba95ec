/**
 * Answers written straight as bytes, in the memory of the reader, because most of them is copied from the request. Nothing
 * is made to write one: it goes out from where it stands.
 */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, copyBytes, writeDecimal } from '../base/bytes.ts';
import { viewsOf } from '../base/views.ts';
import { ANSWER, HOST_BYTES_MAX, SOURCE_HOST } from './express-layout.ts';
import { reader } from './express-reader.ts';
import type { Flow } from './flow.ts';

const { bytes, view } = reader;
const answerOf = viewsOf(bytes, ANSWER);

/** What stands in SOURCE_HOST; mostly the same host comes again. */
let source = '';
let sourceLength = 0;

/** Puts the host to SOURCE_HOST; its length. */
export function putSource({ remote }: Flow): number {
  if (remote.host !== source) {
    sourceLength = bytes.write(remote.host, SOURCE_HOST, HOST_BYTES_MAX, 'latin1');
    source = remote.host;
  }
  return sourceLength;
}

export class ExpressWriter {
  /** Where the next byte goes. */
  #at = ANSWER;

  /** Begins an answer with the status line and what is copied (RFC 3261 8.2.6), as makeResponse() does. */
  begin(statusLine: Bytes, flow: Flow): void {
    const length = putSource(flow);
    this.#at = ANSWER;
    this.put(statusLine);
    this.#at = reader.writeCopied(this.#at, flow.remote.port, length);
  }

  /** What is known beforehand. */
  put({ view, length }: Bytes): void {
    this.copy(view, 0, length);
  }

  /** ASCII. */
  text(text: string): void {
    for (let i = 0; i < text.length; i++) bytes[this.#at++] = text.charCodeAt(i);
  }

  copy(from: DataView, at: number, end: number): void {
    this.#at = copyBytes(view, this.#at, from, at, end);
  }

  decimal(number: number): void {
    this.#at = writeDecimal(bytes, this.#at, number);
  }

  /** Ends the head of an answer without body; its bytes, good until the next one is begun. */
  end(): Buffer {
    this.put(END);
    return answerOf(this.#at - ANSWER);
  }

  /** The same, and sends it. */
  send(flow: Flow): void {
    const answer = this.end();
    // A connection keeps what it can't write at once.
    flow.send(flow.isReliable ? Buffer.from(answer) : answer);
  }
}

export const END_OF_LINE = bytesOf('\r\n');
export const END = bytesOf('Content-Length: 0\r\n\r\n');
