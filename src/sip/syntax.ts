/**
 * The lexical ground of SIP (RFC 3261 25.1): character classes, parameters, lists.
 *
 * All functions work on text in which a character is a byte (latin1), so that the bytes of a message and the
 * characters of its text have the same offsets; UTF-8 is decoded only where a value is read.
 */
import { isUtf8 } from 'node:buffer';

export const TOKEN = 1;
export const SPACE = 2;
export const DIGIT = 4;
/** What a host or an IPv6 reference may hold. */
export const HOST = 8;
/** What the user part of a SIP URI may hold unescaped (`%` included, it is checked apart). */
export const USER = 16;
/** What a value of a header parameter may hold unquoted: a token or a host. */
export const VALUE = 32;
/** What a parameter of a URI may hold. */
export const URI_PARAM = 64;
/** What the user part of a SIP URI may hold that stands for itself. */
export const PLAIN_USER = 128;

const ALPHANUM = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const MARK = "-_.!~*'()";

const CLASSES = new Uint8Array(256);
function assign(bit: number, characters: string): void {
  for (let i = 0; i < characters.length; i++) {
    const code = characters.charCodeAt(i);
    CLASSES[code] = (CLASSES[code] ?? 0) | bit;
  }
}
assign(TOKEN | VALUE, `${ALPHANUM}-.!%*_+\`'~`);
assign(VALUE, '[]:');
// CR and LF count as space: the scan has made sure that only folds hold them.
assign(SPACE, ' \t\r\n');
assign(DIGIT, '0123456789');
assign(HOST, `${ALPHANUM}-.`);
assign(USER, `${ALPHANUM}${MARK}%&=+$,;?/`);
assign(PLAIN_USER, `${ALPHANUM}${MARK}&=+$,;?/`);
assign(URI_PARAM, `${ALPHANUM}${MARK}%[]/:&+$`);

/** All classes of a character. */
export function classesOf(byte: number): number {
  return CLASSES[byte] ?? 0;
}

/** Whether the character at `at` is of one of the classes; false past the end. */
export function isClass(text: string, at: number, classes: number): boolean {
  return ((CLASSES[text.charCodeAt(at)] ?? 0) & classes) !== 0;
}

/** The first offset from `at` on whose character is of none of the classes. */
export function skip(text: string, at: number, end: number, classes: number): number {
  let i = at;
  while (i < end && ((CLASSES[text.charCodeAt(i)] ?? 0) & classes) !== 0) i++;
  return i;
}

/** The offset behind the last character of `at`–`end` that is no space. */
export function trimEnd(text: string, at: number, end: number): number {
  let i = end;
  while (i > at && ((CLASSES[text.charCodeAt(i - 1)] ?? 0) & SPACE) !== 0) i--;
  return i;
}

/** The text in `at`–`end` in lower case. */
export function lowerCase(text: string, at: number, end: number): string {
  const part = text.slice(at, end);
  // Most names are in lower case already, and to see that costs less than to make a copy.
  for (let i = at; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x41 && code <= 0x5a) return part.toLowerCase();
  }
  return part;
}

export function isToken(text: string): boolean {
  return text !== '' && skip(text, 0, text.length, TOKEN) === text.length;
}

/** `at` is the offset of a `"`. The offset behind the closing quote, or -1 where there is none. */
export function quotedEnd(text: string, at: number, end: number): number {
  let i = at + 1;
  for (;;) {
    const quote = text.indexOf('"', i);
    if (quote < 0 || quote >= end) return -1;
    // The quote counts where an even number of backslashes stands before it.
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === 0x5c && quote - 1 - backslashes > at) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
    i = quote + 1;
  }
}

/** What a quoted string (with its quotes) says. */
export function unquote(quoted: string): string {
  const text = quoted.slice(1, -1);
  return text.includes('\\') ? text.replace(/\\([^])/g, '$1') : text;
}

export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/**
 * Latin1 text that holds UTF-8 bytes, as the text that they say. Bytes that are no UTF-8 stay as they are (old phones
 * send Latin-1), and so does text that has been decoded before.
 */
export function decodeUtf8(text: string): string {
  if (!NOT_ASCII.test(text) || NOT_LATIN1.test(text)) return text;
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : text;
}
const NOT_LATIN1 = /[^\0-\xff]/;

/** The reverse of decodeUtf8: text as latin1 that holds its UTF-8 bytes. */
export function encodeUtf8(text: string): string {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}
const NOT_ASCII = /[^\0-\x7f]/;

/** A value on one line: each fold becomes one space (RFC 3261 7.3.1). */
export function unfold(text: string): string {
  return text.includes('\r') || text.includes('\n') ? text.replace(/[\r\n]+[ \t]*/g, ' ') : text;
}

/** Parameters by lower-case name, values unquoted; '' where a parameter has no value. */
export type Params = ReadonlyMap<string, string>;
export const NO_PARAMS: Params = new Map();

/**
 * Reads `;name=value;name…` of a header from `at` to `end`, LWS allowed everywhere; null where it is something else
 * or a name comes twice (RFC 3261 7.3.1).
 */
export function parseParams(text: string, at: number, end: number): Params | null {
  let i = skip(text, at, end, SPACE);
  if (i === end) return NO_PARAMS;
  const params = new Map<string, string>();
  while (i < end) {
    if (text.charCodeAt(i) !== 0x3b) return null;
    const nameAt = skip(text, i + 1, end, SPACE);
    const nameEnd = skip(text, nameAt, end, TOKEN);
    if (nameEnd === nameAt) return null;
    const name = lowerCase(text, nameAt, nameEnd);
    if (params.has(name)) return null;
    i = skip(text, nameEnd, end, SPACE);
    if (text.charCodeAt(i) !== 0x3d || i >= end) {
      params.set(name, '');
      continue;
    }
    const valueAt = skip(text, i + 1, end, SPACE);
    const quoted = text.charCodeAt(valueAt) === 0x22;
    const valueEnd = quoted ? quotedEnd(text, valueAt, end) : skip(text, valueAt, end, VALUE);
    if (valueEnd <= valueAt) return null;
    const value = text.slice(valueAt, valueEnd);
    params.set(name, quoted ? decodeUtf8(unquote(unfold(value))) : value);
    i = skip(text, valueEnd, end, SPACE);
  }
  return params;
}

/** The reverse of parseParams; a value that is neither token nor host is quoted. */
export function formatParams(params: Params): string {
  let text = '';
  for (const [name, value] of params) {
    if (value === '') text += `;${name}`;
    else text += `;${name}=${skip(value, 0, value.length, VALUE) === value.length ? value : quote(value)}`;
  }
  return text;
}

/** Where the list item that begins at `at` ends: at the next comma outside quotes and angle brackets, or at `end`. */
export function itemEnd(text: string, at: number, end: number): number {
  const comma = text.indexOf(',', at);
  if (comma < 0 || comma >= end) return end;
  let angle = false;
  for (let i = at; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22 && !angle) {
      i = quotedEnd(text, i, end) - 1;
      if (i < 0) return end;
    } else if (code === 0x3c) angle = true;
    else if (code === 0x3e) angle = false;
    else if (code === 0x2c && !angle) return i;
  }
  return end;
}

/** The decimal number in `at`–`end`, or -1 where there are no digits, others, or more than `max` says. */
export function parseNumber(text: string, at: number, end: number, max: number): number {
  if (at >= end) return -1;
  let number = 0;
  for (let i = at; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
    if (number > max) return -1;
  }
  return number;
}
