/** By what the server transaction of a request is found, as bytes. */
import type { Bytes } from '../base/bytes.ts';
import { copyBytes, viewOn } from '../base/bytes.ts';
import { hexHash } from '../base/hashes.ts';

export const KEY_BYTES_MAX = 256;

/** To be made once, and set anew. */
export class RequestKey {
  readonly bytes = Buffer.alloc(KEY_BYTES_MAX);
  /** The same. */
  readonly view = viewOn(this.bytes);
  length = 0;

  /** Of a text of any length. */
  set(text: string): this {
    this.length = this.bytes.write(text.length <= KEY_BYTES_MAX ? text : hexHash('sha256', text), 'latin1');
    return this;
  }

  /** Begins anew with this. */
  start({ view, length }: Bytes): void {
    this.length = copyBytes(this.view, 0, view, 0, length);
  }

  /** False: there is no room for it. */
  add(view: DataView, at: number, end: number): boolean {
    if (this.length + end - at > KEY_BYTES_MAX) return false;
    this.length = copyBytes(this.view, this.length, view, at, end);
    return true;
  }

  get text(): string {
    return this.bytes.toString('latin1', 0, this.length);
  }
}
