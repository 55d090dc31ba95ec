/** Reading bytes without making strings of them. */
import { ADDRESS_BYTES, isIPv4At } from '../base/address.ts';
import { equalBytes, viewOn, writeDecimal } from '../base/bytes.ts';

const DOT = 0x2e;
const COLON = 0x3a;

/** As equalsText() of base/bytes.ts, for a text that is not known beforehand. */
export function equalsString(bytes: DataView, at: number, end: number, text: string): boolean {
  if (end - at !== text.length || end > bytes.byteLength) return false;
  for (let i = 0; i < text.length; i++) if (bytes.getUint8(at + i) !== text.charCodeAt(i)) return false;
  return true;
}

/** The decimal number of at most 10 digits that fills `at`–`end`; -1 where it is none, or more than `max`. */
export function readDecimal(bytes: Uint8Array, at: number, end: number, max: number): number {
  if (at >= end || end - at > 10) return -1;
  let number = 0;
  for (let i = at; i < end; i++) {
    const digit = (bytes[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number <= max ? number : -1;
}

/** The offset behind the IPv4 address that begins at `at`; -1 where none does. */
export function ipv4End(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && (i >= end || bytes[i++] !== DOT)) return -1;
    const partAt = i;
    let number = 0;
    for (; i < end && i < partAt + 4; i++) {
      const digit = (bytes[i] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
    }
    if (i === partAt || number > 255 || (bytes[partAt] === 0x30 && i > partAt + 1)) return -1;
  }
  return i;
}

/** Whether `at`–`end` says `a.b.c.d:port` of the IPv4 address that stands at `formAt` of `forms`, as writeAddress() has it. */
export function isAddress(bytes: DataView, at: number, end: number, forms: Uint8Array, formAt: number): boolean {
  if (!isIPv4At(forms, formAt)) return false;
  const portAt = formAt + ADDRESS_BYTES - 2;
  let length = 0;
  for (let i = portAt - 4; i < portAt; i++) {
    length = writeDecimal(text, length, forms[i] ?? 0);
    text[length++] = i + 1 < portAt ? DOT : COLON;
  }
  length = writeDecimal(text, length, ((forms[portAt] ?? 0) << 8) | (forms[portAt + 1] ?? 0));
  return equalBytes(bytes, at, end, textView, 0, length);
}

const text = Buffer.alloc('255.255.255.255:65535'.length);
const textView = viewOn(text);
