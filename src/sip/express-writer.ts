/** Answers written straight as bytes, most of them copied from the request. */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf } from '../base/bytes.ts';
import type { ExpressHead } from './express-head.ts';
import { COPIED, HOST_BYTES_MAX, SOURCE_HOST } from './express-layout.ts';
import { reader } from './express-reader.ts';
import { SlabWriter } from './slab-writer.ts';

const SLAB_BYTES = 64 * 1024;
/** What an answer holds beside the bytes copied from its request. */
const OWN_BYTES_MAX = 2_048;

/** What stands in SOURCE_HOST; mostly the same host comes again. */
let source = '';
let sourceLength = 0;

export class ExpressWriter extends SlabWriter {
  constructor() {
    super(SLAB_BYTES);
  }

  /** Begins an answer with the status line and what is copied (RFC 3261 8.2.6), as makeResponse() does. */
  begin(statusLine: Bytes, head: ExpressHead, host: string, port: number): void {
    if (host !== source) {
      sourceLength = reader.bytes.write(host, SOURCE_HOST, HOST_BYTES_MAX, 'latin1');
      source = host;
    }
    this.start(head.length + OWN_BYTES_MAX);
    this.put(statusLine);
    this.copy(reader.view, COPIED, reader.writeCopied(COPIED, port, sourceLength));
  }

  /** Ends the head of an answer without body; its bytes. */
  end(): Buffer {
    this.put(END);
    return this.take();
  }
}

export const END_OF_LINE = bytesOf('\r\n');
export const END = bytesOf('Content-Length: 0\r\n\r\n');
