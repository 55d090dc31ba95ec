/**
 * The header lines of an ordinary message, found in one pass over its bytes, and what requests and responses have in
 * common. What is out of the ordinary in any way (folded lines, a header twice, a control character, what is malformed)
 * is left to parseMessage(), which knows all of RFC 3261.
 */
import { bytesOf, standsAt, viewOn } from '../base/bytes.ts';
import { readDecimal } from './express-bytes.ts';
import { CALL_ID, HEADER_NUMBERS, headerNumberIn } from './header-names.ts';
import { CALL_ID_WORD } from './required-headers.ts';
import { DIGIT, PLAIN_USER, skipBytes, TOKEN } from './syntax.ts';

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const DELETE = 0x7f;
const COLON = 0x3a;
const QUOTE = 0x22;
const AT_SIGN = 0x40;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const OPEN = 0x3c;
const CLOSE = 0x3e;
const TAG = bytesOf(';tag=');
const SIP = bytesOf('sip:');
const MESSAGE_BYTES_MAX = 2_048;
/** Behind a message, so that a text may be looked for at its very end; none is longer. */
const ROOM_BYTES = 64;
/** Bytes that are no control characters; the end of the message (0) is one. */
const IN_LINE = Uint8Array.from({ length: 256 }, (_, byte) => (byte < SPACE || byte === DELETE ? 0 : 1));
const IN_CALL_ID = Uint8Array.from({ length: 256 }, (_, byte) =>
  CALL_ID_WORD.test(String.fromCharCode(byte)) ? 1 : 0,
);

/** Offsets of `sip:user@host` or `sip:host`, a port behind it left out. */
export interface UriPlace {
  /** Both 0 where it names only a host. */
  userAt: number;
  userEnd: number;
  hostAt: number;
  hostEnd: number;
}

/** Offsets in a From or To; `tagAt` 0 where there is no tag. */
export interface PersonPlace extends UriPlace {
  tagAt: number;
  tagEnd: number;
}

export class ExpressLines {
  /** The message, and nothing of use behind `length`; valid until the next one is read. */
  readonly bytes = Buffer.from(new ArrayBuffer(MESSAGE_BYTES_MAX + ROOM_BYTES));
  /** The same. */
  readonly view = viewOn(this.bytes);
  /** The same, four a word. */
  readonly #words = new Int32Array(this.bytes.buffer);
  length = 0;
  /** Of the value of each header by its number; start 0 where there is none. */
  readonly at = new Int32Array(HEADER_NUMBERS);
  readonly end = new Int32Array(HEADER_NUMBERS);
  readonly from: PersonPlace = nowhere();
  readonly to: PersonPlace = nowhere();
  branchAt = 0;
  branchEnd = 0;

  /** False where the message is longer than ordinary ones are. */
  protected load(message: Buffer): boolean {
    if (message.length > MESSAGE_BYTES_MAX) return false;
    this.bytes.set(message);
    // Ends every line.
    this.bytes[message.length] = 0;
    this.length = message.length;
    return true;
  }

  /** Finds the header lines from `linesAt` on; the offset of the body, -1 where a line is out of the ordinary. */
  protected readLines(linesAt: number): number {
    const { bytes, view, length, at: starts, end: ends } = this;
    clear(starts);
    let i = linesAt;
    while (i < length && bytes[i] !== CR) {
      const nameEnd = skipBytes(bytes, i, length, TOKEN);
      if (nameEnd === i || bytes[nameEnd] !== COLON) return -1;
      const number = headerNumberIn(view, i, nameEnd);
      i = nameEnd + 1;
      while (bytes[i] === SPACE) i++;
      const valueAt = i;
      i = this.lineEnd(i);
      if (i + 2 >= length || bytes[i] !== CR || bytes[i + 1] !== LF) return -1;
      const next = bytes[i + 2];
      if (next === SPACE || next === TAB || bytes[i - 1] === SPACE) return -1;
      if (number !== 0) {
        if (starts[number] !== 0) return -1;
        starts[number] = valueAt;
        ends[number] = i;
      }
      i += 2;
    }
    return i + 1 < length && bytes[i + 1] === LF ? i + 2 : -1;
  }

  /** The first byte from `at` on that can't stand in a line. Four at a time: most of a message is looked at here only. */
  protected lineEnd(at: number): number {
    const { bytes } = this;
    const words = this.#words;
    let i = at;
    for (; (i & 3) !== 0; i++) if (IN_LINE[bytes[i] ?? 0] === 0) return i;
    for (let word = i >> 2; ; word++) {
      const four = words[word] ?? 0;
      const likeDelete = four ^ 0x7f7f7f7f;
      // The highest bit of a byte is set where it is below 0x20, or is 0x7f; above such a byte it may be set, too.
      const hits = ((four - 0x20202020) & ~four) | ((likeDelete - 0x01010101) & ~likeDelete);
      if ((hits & 0x80808080) === 0) continue;
      i = word << 2;
      while (IN_LINE[bytes[i] ?? 0] === 1) i++;
      return i;
    }
  }

  protected readCallId(): boolean {
    const at = this.at[CALL_ID] ?? 0;
    const end = this.end[CALL_ID] ?? 0;
    let i = at;
    while (i < end && IN_CALL_ID[this.bytes[i] ?? 0] === 1) i++;
    return at !== 0 && at < end && i === end;
  }

  /** `"Name" <sip:user@host>;tag=token`; name and tag may be missing. */
  protected readPerson(number: number, into: PersonPlace): boolean {
    const { bytes, view } = this;
    const end = this.end[number] ?? 0;
    let i = this.at[number] ?? 0;
    if (i === 0) return false;
    if (bytes[i] === QUOTE) {
      i++;
      while (i < end && bytes[i] !== QUOTE && bytes[i] !== BACKSLASH) i++;
      if (bytes[i] !== QUOTE || bytes[i + 1] !== SPACE) return false;
      i += 2;
    }
    if (bytes[i] !== OPEN) return false;
    i = readUri(this, i + 1, end, into);
    into.tagAt = into.tagEnd = 0;
    if (i < 0 || i >= end || bytes[i] !== CLOSE) return false;
    if (++i === end) return true;
    if (!standsAt(view, i, TAG)) return false;
    into.tagAt = i + TAG.length;
    into.tagEnd = skipBytes(bytes, into.tagAt, end, TOKEN);
    return into.tagEnd === end && into.tagAt < end;
  }
}

function nowhere(): PersonPlace {
  return { userAt: 0, userEnd: 0, hostAt: 0, hostEnd: 0, tagAt: 0, tagEnd: 0 };
}

/** Some dozens of stores take less time than one call of fill(). */
export function clear(numbers: Int32Array): void {
  for (let i = 0; i < numbers.length; i++) numbers[i] = 0;
}

/** Reads `sip:user@host:port` without escapes, password and parameters; the offset behind it, or -1. */
export function readUri(
  { bytes, view }: Pick<ExpressLines, 'bytes' | 'view'>,
  at: number,
  end: number,
  into: UriPlace,
): number {
  if (!standsAt(view, at, SIP)) return -1;
  let i = at + SIP.length;
  const userEnd = skipBytes(bytes, i, end, PLAIN_USER);
  into.userAt = into.userEnd = 0;
  if (userEnd < end && bytes[userEnd] === AT_SIGN) {
    if (userEnd === i) return -1;
    into.userAt = i;
    into.userEnd = userEnd;
    i = userEnd + 1;
  }
  into.hostAt = i;
  while (i < end && isHostByte(bytes[i] ?? 0)) i++;
  into.hostEnd = i;
  return into.hostEnd === into.hostAt ? -1 : skipPort(bytes, i, end);
}

/** Of a name in lower case, or an IPv4 address. */
function isHostByte(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x2d && byte <= 0x39 && byte !== 0x2f);
}

/** The offset behind `:port` where it stands at `at`, else `at`; -1 where it is none or has a leading zero, or `at` is -1. */
export function skipPort(bytes: Uint8Array, at: number, end: number): number {
  if (at < 0 || at >= end || bytes[at] !== COLON) return at;
  const portEnd = skipBytes(bytes, at + 1, end, DIGIT);
  return bytes[at + 1] === ZERO || readDecimal(bytes, at + 1, portEnd, 65_535) < 0 ? -1 : portEnd;
}
