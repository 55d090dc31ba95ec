/**
 * The head of an ordinary request, found in one pass over its bytes: where the values stand that the express lane
 * reads. What is out of the ordinary in any way (folded lines, a header twice, a control character, what is malformed)
 * is left to parseMessage(), which knows all of RFC 3261.
 */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, equalsText, standsAt, viewOn } from '../base/bytes.ts';
import {
  CALL_ID,
  CONTENT_LENGTH,
  CSEQ,
  FROM,
  HEADER_NUMBERS,
  headerNumberIn,
  MAX_FORWARDS,
  TO,
  VIA,
} from './header-names.ts';
import { ipv4End, readDecimal } from './express-bytes.ts';
import { CSEQ_MAX } from './required-headers.ts';
import type { Flow } from './flow.ts';
import { DIGIT, isClass, PLAIN_USER, skipBytes, TOKEN } from './syntax.ts';

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const DELETE = 0x7f;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
const QUOTE = 0x22;
const METHODS = ['REGISTER', 'OPTIONS', 'INVITE', 'ACK'] as const;
const METHOD_BEGINS = METHODS.map((name) => bytesOf(`${name} `));
const METHOD_NAMES = METHODS.map(bytesOf);
const MESSAGE_BYTES_MAX = 2_048;
/** Behind a message, so that a text may be looked for at its very end; none is longer. */
const ROOM_BYTES = 64;
const VERSION = bytesOf(' SIP/2.0\r\n');
/** Bytes that are no control characters; the end of the message (0) is one. */
const IN_LINE = Uint8Array.from({ length: 256 }, (_, byte) => (byte < SPACE || byte === DELETE ? 0 : 1));

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

export class ExpressHead {
  /** The message, and nothing of use behind `length`; valid until the next read(). */
  readonly bytes = Buffer.from(new ArrayBuffer(MESSAGE_BYTES_MAX + ROOM_BYTES));
  /** The same. */
  readonly view = viewOn(this.bytes);
  /** The same, four a word. */
  readonly #words = new Int32Array(this.bytes.buffer);
  length = 0;
  method: (typeof METHODS)[number] = 'REGISTER';
  /** The Request-URI. */
  uriAt = 0;
  uriEnd = 0;
  /** Of the value of each header by its number; start 0 where there is none. */
  readonly at = new Int32Array(HEADER_NUMBERS);
  readonly end = new Int32Array(HEADER_NUMBERS);
  readonly from: PersonPlace = nowhere();
  readonly to: PersonPlace = nowhere();
  cseq = 0;
  /** The first Via: its host, where a port behind it ends, and where `rport` ends. */
  viaHostAt = 0;
  viaHostEnd = 0;
  viaPortEnd = 0;
  rportEnd = 0;
  branchAt = 0;
  branchEnd = 0;

  /** Whether this is an ordinary request of one of METHODS. False: nothing is known of it. */
  read(message: Buffer): boolean {
    if (message.length > MESSAGE_BYTES_MAX) return false;
    const { bytes, view } = this;
    bytes.set(message);
    // Ends every line.
    bytes[message.length] = 0;
    this.length = message.length;
    const number = METHOD_BEGINS.findIndex((text) => standsAt(view, 0, text));
    const method = METHODS[number];
    const name = METHOD_NAMES[number];
    if (method === undefined || name === undefined) return false;
    this.method = method;
    this.uriAt = name.length + 1;
    const bodyAt = this.#readLines(this.uriAt);
    if (bodyAt < 0) return false;
    const { at, end } = this;
    const length = readDecimal(bytes, at[CONTENT_LENGTH] ?? 0, end[CONTENT_LENGTH] ?? 0, MESSAGE_BYTES_MAX);
    const forwards = readDecimal(bytes, at[MAX_FORWARDS] ?? 0, end[MAX_FORWARDS] ?? 0, 255);
    return (
      length === message.length - bodyAt &&
      forwards > 0 &&
      this.#readCSeq(name) &&
      this.#readCallId() &&
      this.#readVia() &&
      this.#readPerson(FROM, this.from) &&
      this.#readPerson(TO, this.to)
    );
  }

  /** The offset of the body, -1 where a line is out of the ordinary. */
  #readLines(uriAt: number): number {
    const { bytes, view, length, at: starts, end: ends } = this;
    clear(starts);
    let i = uriAt;
    while (i < length && (bytes[i] ?? 0) > SPACE && bytes[i] !== DELETE) i++;
    this.uriEnd = i;
    if (!standsAt(view, i, VERSION)) return -1;
    i += VERSION.length;
    while (i < length && bytes[i] !== CR) {
      const nameEnd = skipBytes(bytes, i, length, TOKEN);
      if (nameEnd === i || bytes[nameEnd] !== COLON) return -1;
      const number = headerNumberIn(view, i, nameEnd);
      i = nameEnd + 1;
      while (bytes[i] === SPACE) i++;
      const valueAt = i;
      i = this.#lineEnd(i);
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
  #lineEnd(at: number): number {
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

  #readCSeq(method: Bytes): boolean {
    const { bytes, view } = this;
    const at = this.at[CSEQ] ?? 0;
    const end = this.end[CSEQ] ?? 0;
    const digitsEnd = end - method.length - 1;
    this.cseq = readDecimal(bytes, at, digitsEnd, CSEQ_MAX);
    return this.cseq >= 0 && bytes[digitsEnd] === SPACE && equalsText(view, digitsEnd + 1, end, method);
  }

  /** A Call-ID of the characters that nearly all are made of. */
  #readCallId(): boolean {
    const at = this.at[CALL_ID] ?? 0;
    const end = this.end[CALL_ID] ?? 0;
    let i = at;
    while (i < end && IN_CALL_ID[this.bytes[i] ?? 0] === 1) i++;
    return at !== 0 && at < end && i === end;
  }

  /** `SIP/2.0/UDP 192.0.2.1:5060` with `branch` and `rport`, in either order, and nothing else. */
  #readVia(): boolean {
    const { bytes, view } = this;
    const at = this.at[VIA] ?? 0;
    const end = this.end[VIA] ?? 0;
    if (!standsAt(view, at, PROTOCOL)) return false;
    this.viaHostAt = at + PROTOCOL.length + UDP.length;
    if (!isTransport(view, at + PROTOCOL.length)) return false;
    this.viaHostEnd = ipv4End(bytes, this.viaHostAt, end);
    let i = (this.viaPortEnd = skipPort(bytes, this.viaHostEnd, end));
    this.rportEnd = this.branchAt = 0;
    while (i > 0 && i < end) {
      if (bytes[i] !== SEMICOLON) return false;
      const nameAt = i + 1;
      if (this.rportEnd === 0 && standsAt(view, nameAt, RPORT)) {
        i = this.rportEnd = nameAt + RPORT.length;
      } else if (this.branchAt === 0 && standsAt(view, nameAt, BRANCH)) {
        this.branchAt = nameAt + BRANCH.length;
        i = this.branchEnd = skipBytes(bytes, this.branchAt, end, TOKEN);
        if (this.branchEnd === this.branchAt) return false;
      } else return false;
    }
    return i === end && this.rportEnd !== 0 && this.branchAt !== 0;
  }

  /** `"Name" <sip:user@host>;tag=token`; name and tag may be missing. */
  #readPerson(number: number, into: PersonPlace): boolean {
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

const AT_SIGN = 0x40;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const OPEN = 0x3c;
const CLOSE = 0x3e;
const PROTOCOL = bytesOf('SIP/2.0/');
const UDP = bytesOf('UDP ');
const TCP = bytesOf('TCP ');
const TLS = bytesOf('TLS ');
const RPORT = bytesOf('rport');
const BRANCH = bytesOf('branch=');
const TAG = bytesOf(';tag=');
const SIP = bytesOf('sip:');
/** The characters that nearly all Call-IDs are made of. */
const IN_CALL_ID = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === AT_SIGN || isClass(String.fromCharCode(byte), 0, TOKEN) ? 1 : 0,
);

/** Answers the request, or says false and has done nothing. */
export type ExpressLane = (head: ExpressHead, flow: Flow, nowMs: number) => boolean;

/** Whether the bytes from `at` to `end` name this node. */
export type IsOurs = (bytes: DataView, at: number, end: number) => boolean;

function nowhere(): PersonPlace {
  return { userAt: 0, userEnd: 0, hostAt: 0, hostEnd: 0, tagAt: 0, tagEnd: 0 };
}

/** `UDP `, `TCP ` or `TLS `, in upper case as the answer has it. */
function isTransport(view: DataView, at: number): boolean {
  return standsAt(view, at, UDP) || standsAt(view, at, TCP) || standsAt(view, at, TLS);
}

/** Some dozens of stores take less time than one call of fill(). */
export function clear(numbers: Int32Array): void {
  for (let i = 0; i < numbers.length; i++) numbers[i] = 0;
}

/** Reads `sip:user@host:port` without escapes, password and parameters; the offset behind it, or -1. */
export function readUri(
  { bytes, view }: Pick<ExpressHead, 'bytes' | 'view'>,
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
function skipPort(bytes: Uint8Array, at: number, end: number): number {
  if (at < 0 || at >= end || bytes[at] !== COLON) return at;
  const portEnd = skipBytes(bytes, at + 1, end, DIGIT);
  return bytes[at + 1] === ZERO || readDecimal(bytes, at + 1, portEnd, 65_535) < 0 ? -1 : portEnd;
}
