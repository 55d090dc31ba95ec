/** Values of headers, read from bytes: each from `from` up to `to`. */
import { nameByte } from './names.ts';

export function memberOf<T extends string>(values: readonly T[], value: string): T | null {
  return values.find((member) => member === value) ?? null;
}

/** ASCII without spaces, 1 to `max` characters; else null. */
export function visible(bytes: Buffer, from: number, to: number, max: number): string | null {
  if (to === from || to - from > max) return null;
  for (let at = from; at < to; at++) if (bytes[at] === 32 || (bytes[at] ?? 0) > 126) return null;
  return bytes.toString('latin1', from, to);
}

export function isId(bytes: Buffer, from: number, to: number): boolean {
  if (to === from || to - from > 32) return false;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0;
    if (nameByte[byte] === 0 && byte !== 46 && byte !== 95) return false;
  }
  return true;
}

export function isHex32(bytes: Buffer, from: number, to: number): boolean {
  if (to - from !== 32) return false;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0;
    const letter = byte | 32;
    if ((byte < 48 || byte > 57) && (letter < 97 || letter > 102)) return false;
  }
  return true;
}

/** -1 where it is no decimal number of 32 bits. */
export function decimal32(bytes: Buffer, from: number, to: number): number {
  if (to === from || to - from > 10) return -1;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value > 0xffffffff ? -1 : value;
}

/** The 128 bits that the 32 hex digits at `at` stand for, as four words, into `words`. */
export function readHex32(bytes: Buffer, at: number, words: Uint32Array): void {
  for (let word = 0; word < 4; word++) {
    let value = 0;
    for (let i = at + word * 8; i < at + word * 8 + 8; i++) {
      const code = bytes[i] ?? 0;
      value = (value << 4) | ((code & 15) + (code > 57 ? 9 : 0));
    }
    words[word] = value;
  }
}
