/** The answer to a Digest challenge (RFC 7616 3.4), checked on the bytes of the request. */
import { hash } from 'node:crypto';
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, copyBytes, equalBytes, equalsText, HEX_PAIRS } from '../base/bytes.ts';
import { createHashRoom } from '../base/hashes.ts';
import type { SessionRows } from '../heartbeat/session-rows.ts';
import { KEY_BYTES } from '../heartbeat/session-layout.ts';
import type { ExpressHead } from './express-head.ts';
import { DIGEST_COUNT, DIGEST_PARAMS, MESSAGE_BYTES_MAX } from './express-layout.ts';
import { reader } from './express-reader.ts';
import { AUTHORIZATION } from './header-names.ts';

/** Numbers of the parameters. */
export const USERNAME = 0;
export const REALM = 1;
export const NONCE = 2;
export const DIGEST_URI = 3;
const RESPONSE = 4;
const CNONCE = 5;
const NC = 6;
const QOP = 7;
const ALGORITHM = 8;

const MD5_KEY_BYTES = 16;
const CNONCE_BYTES_MAX = 128;
/** HA1 : nonce : nc : cnonce : auth : HA2, the hexadecimal ones of SHA-256 at most. */
const room = createHashRoom(64 + 1 + 64 + 1 + 8 + 1 + CNONCE_BYTES_MAX + 1 + 4 + 1 + 64);
const input = room.view;
/** Method : URI. */
const ha2Room = createHashRoom(16 + MESSAGE_BYTES_MAX);
const COLON = 0x3a;
const AUTH = bytesOf(':auth:');
const IS_AUTH = bytesOf('auth');
const IS_MD5 = bytesOf('MD5');
const IS_SHA_256 = bytesOf('SHA-256');
const URIS_MAX = 16;

const { bytes, view, places } = reader;

export class ExpressDigest {
  isMd5 = true;
  /** HA2 of the Request-URIs that came last; phones know few. */
  readonly #known: Ha2[] = [];
  #oldest = 0;

  /** Whether the request has an ordinary answer with qop=auth, and nothing in it that is not known here. */
  read(head: ExpressHead, header = AUTHORIZATION): boolean {
    if (reader.readDigest(head.at(header), head.end(header)) === 0) return false;
    this.isMd5 = this.at(ALGORITHM) === 0 || this.#is(ALGORITHM, IS_MD5);
    return (
      this.#is(QOP, IS_AUTH) &&
      (this.isMd5 || this.#is(ALGORITHM, IS_SHA_256)) &&
      this.#length(RESPONSE) === (this.isMd5 ? 32 : 64) &&
      this.#length(NONCE) <= 64 &&
      this.#length(CNONCE) <= CNONCE_BYTES_MAX
    );
  }

  /** Where the value of the parameter begins, without quotes; 0 where there is none. */
  at(param: number): number {
    return places[DIGEST_PARAMS + param * 2] ?? 0;
  }
  end(param: number): number {
    return places[DIGEST_PARAMS + param * 2 + 1] ?? 0;
  }

  /** The nonce-count. */
  get count(): number {
    return (places[DIGEST_COUNT] ?? 0) >>> 0;
  }

  #is(param: number, text: Bytes): boolean {
    return equalsText(view, this.at(param), this.end(param), text);
  }

  #length(param: number): number {
    return this.end(param) - this.at(param);
  }

  /** Whether the value is what stands in `at`–`end` of the same message. */
  isSame(param: number, at: number, end: number): boolean {
    return equalBytes(view, this.at(param), this.end(param), view, at, end);
  }

  /** Section 3.4.1 for a request of this method, with the HA1 that the session keeps as its key (see ha1Of). */
  isGood(sessions: SessionRows, row: number, method = 'REGISTER'): boolean {
    const { bytes: keys } = sessions;
    const keyAt = sessions.keyAt(row);
    let isMd5Key = true;
    for (let i = MD5_KEY_BYTES; i < KEY_BYTES; i++) if (keys[keyAt + i] !== 0) isMd5Key = false;
    if (isMd5Key !== this.isMd5) return false;
    let to = 0;
    const hashBytes = isMd5Key ? MD5_KEY_BYTES : KEY_BYTES;
    for (let i = 0; i < hashBytes; i++, to += 2) input.setUint16(to, HEX_PAIRS[keys[keyAt + i] ?? 0] ?? 0, true);
    for (const param of IN_ORDER) {
      input.setUint8(to++, COLON);
      to = copyBytes(input, to, view, this.at(param), this.end(param));
    }
    to = copyBytes(input, to, AUTH.view, 0, AUTH.length);
    to = method === 'REGISTER' ? this.#putHa2(to) : this.#putHa2Of(method, to);
    room[isMd5Key ? 'md5' : 'sha256'](0, to);
    return this.#isResponse(room.digest, hashBytes);
  }

  /** The same for the HA1 that is given, whatever the bytes of the message are by then. */
  later(): (ha1: string) => boolean {
    const text = (param: number): string => bytes.toString('utf8', this.at(param), this.end(param));
    const [algorithm, known] = [this.isMd5 ? 'md5' : 'sha256', this.#ha2()];
    const ha2 = this.isMd5 ? known.md5Text : known.sha256Text;
    const rest = `:${text(NONCE)}:${text(NC)}:${text(CNONCE)}:auth:${ha2}`;
    const response = text(RESPONSE).toLowerCase();
    return (ha1) => isSame(hash(algorithm, ha1 + rest, 'hex'), response);
  }

  /** In a time that tells nothing of where they differ. */
  #isResponse(expected: DataView, length: number): boolean {
    const at = this.at(RESPONSE);
    let difference = 0;
    for (let i = 0; i < length; i++) {
      difference |= (HEX_PAIRS[expected.getUint8(i)] ?? 0) ^ view.getUint16(at + 2 * i, true);
    }
    return difference === 0;
  }

  #putHa2(to: number): number {
    const known = this.#ha2();
    const ha2 = this.isMd5 ? known.md5 : known.sha256;
    return copyBytes(input, to, ha2.view, 0, ha2.length);
  }

  /** Of another method: those are sent to many. */
  #putHa2Of(method: string, to: number): number {
    let end = 0;
    while (end < method.length) ha2Room.view.setUint8(end, method.charCodeAt(end++));
    ha2Room.view.setUint8(end++, COLON);
    end = copyBytes(ha2Room.view, end, view, this.at(DIGEST_URI), this.end(DIGEST_URI));
    ha2Room[this.isMd5 ? 'md5' : 'sha256'](0, end);
    const length = this.isMd5 ? MD5_KEY_BYTES : KEY_BYTES;
    for (let i = 0; i < length; i++) {
      input.setUint16(to + 2 * i, HEX_PAIRS[ha2Room.digest.getUint8(i)] ?? 0, true);
    }
    return to + 2 * length;
  }

  #ha2(): Ha2 {
    const at = this.at(DIGEST_URI);
    const end = this.end(DIGEST_URI);
    for (const known of this.#known) if (equalsText(view, at, end, known.uri)) return known;
    const uri = bytes.toString('latin1', at, end);
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
