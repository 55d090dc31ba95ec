/** Messages written straight as bytes, piece by piece. */
import type { Bytes } from '../base/bytes.ts';
import { copyBytes, viewOn, writeDecimal } from '../base/bytes.ts';

/** Messages are cut from slabs, so that whoever sends one may keep it; a slab goes with the last of its messages. */
export class SlabWriter {
  readonly #slabBytes: number;
  #bytes = Buffer.alloc(0);
  #view = viewOn(this.#bytes);
  #start = 0;
  #at = 0;

  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes;
  }

  /** Begins a message of at most so many bytes. */
  start(bytesMax: number): void {
    if (this.#at + bytesMax > this.#bytes.length) {
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(this.#slabBytes, bytesMax));
      this.#view = viewOn(this.#bytes);
      this.#at = 0;
    }
    this.#start = this.#at;
  }

  /** What is known beforehand. */
  put({ view, length }: Bytes): void {
    this.copy(view, 0, length);
  }

  /** ASCII. */
  text(text: string): void {
    const slab = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) slab[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  utf8(text: string): void {
    this.#at += this.#bytes.write(text, this.#at);
  }

  copy(bytes: DataView, from: number, to: number): void {
    this.#at = copyBytes(this.#view, this.#at, bytes, from, to);
  }

  decimal(number: number): void {
    this.#at = writeDecimal(this.#bytes, this.#at, number);
  }

  /** The message. */
  take(): Buffer {
    return this.#bytes.subarray(this.#start, this.#at);
  }
}
