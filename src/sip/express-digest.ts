/** The answer to a Digest challenge (RFC 7616 3.4), read and checked on the bytes of the request. */
import { hash } from 'node:crypto';
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, copyBytes, equalBytes, equalsText, HEX_PAIRS, standsAt, viewOn } from '../base/bytes.ts';
import { viewsOf } from '../base/views.ts';
import type { SessionRows } from '../heartbeat/session-rows.ts';
import { KEY_BYTES } from '../heartbeat/session-rows.ts';
import { hexValue } from './express-bytes.ts';
import type { ExpressHead } from './express-head.ts';
import { clear } from './express-lines.ts';
import { skipBytes, TOKEN } from './syntax.ts';

const NAMES = ['username', 'realm', 'nonce', 'uri', 'response', 'cnonce', 'nc', 'qop', 'algorithm'] as const;
export const USERNAME = 0;
export const REALM = 1;
export const NONCE = 2;
export const DIGEST_URI = 3;
const RESPONSE = 4;
const CNONCE = 5;
const NC = 6;
const QOP = 7;
const ALGORITHM = 8;

const NAME_BYTES = NAMES.map(bytesOf);

const SCHEME = bytesOf('Digest ');
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/** Which of NAMES has this length and first letter (no two have both), +1. */
const BY_SHAPE = new Uint8Array(16 * 32);
NAMES.forEach((name, i) => (BY_SHAPE[shapeOf(name.length, name.charCodeAt(0))] = i + 1));

function shapeOf(length: number, first: number): number {
  return ((length & 15) << 5) | (first & 31);
}

const MD5_KEY_BYTES = 16;
const CNONCE_BYTES_MAX = 128;
/** HA1 : nonce : nc : cnonce : auth : HA2, the hexadecimal ones of SHA-256 at most. */
const input = Buffer.alloc(64 + 1 + 64 + 1 + 8 + 1 + CNONCE_BYTES_MAX + 1 + 4 + 1 + 64);
const inputUpTo = viewsOf(input);
const inputView = viewOn(input);
const AUTH = bytesOf(':auth:');
const IS_AUTH = bytesOf('auth');
const IS_MD5 = bytesOf('MD5');
const IS_SHA_256 = bytesOf('SHA-256');
const COLON = 0x3a;
const URIS_MAX = 16;

export class ExpressDigest {
  #bytes = Buffer.alloc(0);
  #view = viewOn(this.#bytes);
  /** Of the value of each of NAMES, without quotes; start 0 where there is none. */
  readonly at = new Int32Array(NAMES.length);
  readonly end = new Int32Array(NAMES.length);
  /** The nonce-count. */
  count = 0;
  isMd5 = true;
  /** HA2 of the Request-URIs that came last; phones know few. */
  readonly #known: Ha2[] = [];
  #oldest = 0;

  /** Whether in `at`–`end` stands an ordinary answer with qop=auth, and nothing in it that is not known here. */
  read({ bytes, view }: ExpressHead, at: number, end: number): boolean {
    this.#bytes = bytes;
    this.#view = view;
    clear(this.at);
    if (!standsAt(view, at, SCHEME)) return false;
    let i = at + SCHEME.length;
    while (i < end) {
      while (bytes[i] === SPACE) i++;
      const nameEnd = skipBytes(bytes, i, end, TOKEN);
      const name = (BY_SHAPE[shapeOf(nameEnd - i, bytes[i] ?? 0)] ?? 0) - 1;
      if (name < 0 || this.at[name] !== 0 || bytes[nameEnd] !== EQUALS) return false;
      if (!standsAt(view, i, NAME_BYTES[name] ?? SCHEME)) return false;
      const isQuoted = bytes[nameEnd + 1] === QUOTE;
      i = nameEnd + (isQuoted ? 2 : 1);
      this.at[name] = i;
      if (isQuoted) while (i < end && bytes[i] !== QUOTE && bytes[i] !== BACKSLASH) i++;
      else i = skipBytes(bytes, i, end, TOKEN);
      this.end[name] = i;
      if (isQuoted && bytes[i++] !== QUOTE) return false;
      if (i < end && bytes[i++] !== COMMA) return false;
    }
    return i === end && this.#isWhole();
  }

  #isWhole(): boolean {
    for (let name = 0; name < ALGORITHM; name++) if (this.at[name] === 0) return false;
    this.isMd5 = this.at[ALGORITHM] === 0 || this.#is(ALGORITHM, IS_MD5);
    this.count = 0;
    const ncAt = this.at[NC] ?? 0;
    for (let i = ncAt; i < ncAt + 8; i++) {
      const digit = hexValue(this.#bytes[i] ?? 0);
      if (digit < 0) return false;
      this.count = this.count * 16 + digit;
    }
    return (
      this.#length(NC) === 8 &&
      this.#is(QOP, IS_AUTH) &&
      (this.isMd5 || this.#is(ALGORITHM, IS_SHA_256)) &&
      this.#length(RESPONSE) === (this.isMd5 ? 32 : 64) &&
      this.#length(NONCE) <= 64 &&
      this.#length(CNONCE) <= CNONCE_BYTES_MAX
    );
  }

  #is(name: number, text: Bytes): boolean {
    return equalsText(this.#view, this.at[name] ?? 0, this.end[name] ?? 0, text);
  }

  #length(name: number): number {
    return (this.end[name] ?? 0) - (this.at[name] ?? 0);
  }

  /** Whether the value is what stands in `at`–`end` of the same message. */
  isSame(name: number, at: number, end: number): boolean {
    return equalBytes(this.#view, this.at[name] ?? 0, this.end[name] ?? 0, this.#view, at, end);
  }

  /** Section 3.4.1 for a REGISTER, with the HA1 that the session keeps as its key (see ha1Of). */
  isGood({ keys }: SessionRows, row: number): boolean {
    const keyAt = row * KEY_BYTES;
    let isMd5Key = true;
    for (let i = MD5_KEY_BYTES; i < KEY_BYTES; i++) if (keys[keyAt + i] !== 0) isMd5Key = false;
    if (isMd5Key !== this.isMd5) return false;
    let to = 0;
    for (let i = 0; i < (isMd5Key ? MD5_KEY_BYTES : KEY_BYTES); i++, to += 2)
      inputView.setUint16(to, HEX_PAIRS[keys[keyAt + i] ?? 0] ?? 0, true);
    for (const name of IN_ORDER) {
      inputView.setUint8(to++, COLON);
      to = copyBytes(inputView, to, this.#view, this.at[name] ?? 0, this.end[name] ?? 0);
    }
    const known = this.#ha2();
    const ha2 = this.isMd5 ? known.md5 : known.sha256;
    to = copyBytes(inputView, to, AUTH.view, 0, AUTH.length);
    to = copyBytes(inputView, to, ha2.view, 0, ha2.length);
    return this.#isResponse(hash(isMd5Key ? 'md5' : 'sha256', inputUpTo(to), 'hex'));
  }

  /** The same for the HA1 that is given, whatever the bytes of the message are by then. */
  later(): (ha1: string) => boolean {
    const text = (name: number): string => this.#bytes.toString('utf8', this.at[name], this.end[name]);
    const [algorithm, known] = [this.isMd5 ? 'md5' : 'sha256', this.#ha2()];
    const ha2 = this.isMd5 ? known.md5Text : known.sha256Text;
    const rest = `:${text(NONCE)}:${text(NC)}:${text(CNONCE)}:auth:${ha2}`;
    const response = text(RESPONSE).toLowerCase();
    return (ha1) => isSame(hash(algorithm, ha1 + rest, 'hex'), response);
  }

  /** In a time that tells nothing of where they differ. */
  #isResponse(expected: string): boolean {
    const at = this.at[RESPONSE] ?? 0;
    let difference = 0;
    for (let i = 0; i < expected.length; i++) difference |= expected.charCodeAt(i) ^ (this.#bytes[at + i] ?? 0);
    return difference === 0;
  }

  #ha2(): Ha2 {
    const at = this.at[DIGEST_URI] ?? 0;
    const end = this.end[DIGEST_URI] ?? 0;
    for (const known of this.#known) if (equalsText(this.#view, at, end, known.uri)) return known;
    const uri = this.#bytes.toString('latin1', at, end);
    const text = Buffer.from(`REGISTER:${uri}`, 'latin1');
    const [md5Text, sha256Text] = [hash('md5', text, 'hex'), hash('sha256', text, 'hex')];
    const made = { uri: bytesOf(uri), md5: bytesOf(md5Text), sha256: bytesOf(sha256Text), md5Text, sha256Text };
    this.#known[this.#oldest] = made;
    this.#oldest = (this.#oldest + 1) % URIS_MAX;
    return made;
  }
}

/** HA2 of a REGISTER to this URI. */
interface Ha2 {
  readonly uri: Bytes;
  readonly md5: Bytes;
  readonly sha256: Bytes;
  readonly md5Text: string;
  readonly sha256Text: string;
}

/** Of texts of the same length, as #isResponse(). */
function isSame(expected: string, given: string): boolean {
  let difference = 0;
  for (let i = 0; i < expected.length; i++) difference |= expected.charCodeAt(i) ^ given.charCodeAt(i);
  return difference === 0;
}

const IN_ORDER = [NONCE, NC, CNONCE] as const;
