/**
 * Stateless nonces: each proves the source it was given to and when, under a key that only this node knows. Nothing
 * is stored until one was used for a login. For datagrams, SIP and HTTP Digest alike.
 */
import { ADDRESS_BYTES, writeAddress } from '../base/address.ts';
import { viewOn } from '../base/bytes.ts';
import { createHashRoom } from '../base/hashes.ts';
import type { Address } from '../base/model.ts';

export const NONCE_VALID_MS = 30_000;
/** Characters of base64url. */
export const NONCE_LENGTH = 32;

const TIME_BYTES = 6;
const COUNTER_BYTES = 3;
const COUNTERS = 2 ** (8 * COUNTER_BYTES);
const STAMP_BYTES = TIME_BYTES + COUNTER_BYTES;
/** So many that all of what is signed is one block of SHA-256. */
const KEY_BYTES = 28;
const STAMP_AT = KEY_BYTES + ADDRESS_BYTES;
const SIGNED_BYTES = STAMP_AT + STAMP_BYTES;
const MAC_BYTES = 15;
/** Characters of base64url: 4 for 3 bytes, so that the stamp ends with a character, and each nonce has one spelling. */
const STAMP_CHARACTERS = 12;
const WELL_FORMED = /^[\w-]{32}$/;

export interface Nonces {
  /** `source` must be numeric; give port 0 where the next request may come from another port (HTTP). */
  issue(source: Address, nowMs: number): string;
  /** The same as the NONCE_LENGTH bytes of `to` at `at`. */
  write(to: DataView, at: number, source: Address, nowMs: number): void;
  /** `stale`: given out here to this source, but too long ago. */
  check(nonce: string, source: Address, nowMs: number): 'good' | 'stale' | 'forged';
  /** When the nonce was given out, where check() calls it good; else -1. */
  since(nonce: string, source: Address, nowMs: number): number;
  /** When the nonce of NONCE_LENGTH bytes at `at` was given out, where check() would call it good; else -1. */
  goodSince(bytes: Uint8Array, at: number, source: Address, nowMs: number): number;
}

/** `key`: 32 random bytes, new at each start of the node, and another one for each validity. */
export function createNonces(key: Buffer, validMs = NONCE_VALID_MS): Nonces {
  let counter = 0;
  // A hash of key and message is as good as HMAC where the message has one length and less than half of it is shown.
  const room = createHashRoom(SIGNED_BYTES);
  const { bytes: signed, view, digest } = room;
  signed.set(key.subarray(0, KEY_BYTES));
  let host = '';
  let port = -1;
  /** Of the stamp that stands in `signed`: its first MAC_BYTES count. */
  const makeMac = (source: Address): void => {
    // Mostly the same one comes again.
    if (source.host !== host || source.port !== port) writeAddress(signed, KEY_BYTES, source);
    ({ host, port } = source);
    room.sha256(0, SIGNED_BYTES);
  };
  /** Reads the stamp, whose mac is to follow. */
  const isOurs = (nonce: Uint8Array, at: number, source: Address): boolean => {
    let digits = 0;
    for (let i = 0, to = STAMP_AT; i < STAMP_CHARACTERS; i += 4) {
      const bits = fourDigits(nonce, at + i);
      digits |= bits;
      signed[to++] = bits >> 16;
      signed[to++] = bits >> 8;
      signed[to++] = bits;
    }
    if (digits < 0) return false;
    makeMac(source);
    // In the same time wherever they differ.
    let difference = 0;
    for (let i = 0; i < MAC_BYTES; i += 3) {
      const expected = (digest.getUint16(i) << 8) | digest.getUint8(i + 2);
      difference |= expected ^ fourDigits(nonce, at + STAMP_CHARACTERS + (i / 3) * 4);
    }
    return difference === 0;
  };
  const issuedMs = (): number => view.getUint16(STAMP_AT) * 2 ** 32 + view.getUint32(STAMP_AT + 2);
  const isTimely = (nowMs: number): boolean => {
    const ageMs = nowMs - issuedMs();
    return ageMs >= 0 && ageMs <= validMs;
  };
  const written = Buffer.alloc(NONCE_LENGTH);
  const writtenView = viewOn(written);
  const isNonce = (nonce: string, source: Address): boolean => {
    if (!WELL_FORMED.test(nonce)) return false;
    written.write(nonce, 'latin1');
    return isOurs(written, 0, source);
  };
  const write = (to: DataView, at: number, source: Address, nowMs: number): void => {
    view.setUint16(STAMP_AT, nowMs / 2 ** 32);
    view.setUint32(STAMP_AT + 2, nowMs);
    // Two nonces of the same source and millisecond differ, since each is good for one login only.
    counter = (counter + 1) % COUNTERS;
    view.setUint16(STAMP_AT + TIME_BYTES, counter >> 8);
    view.setUint8(STAMP_AT + TIME_BYTES + 2, counter);
    makeMac(source);
    const macAt = writeDigits(to, at, view, STAMP_AT, STAMP_BYTES);
    writeDigits(to, macAt, digest, 0, MAC_BYTES);
  };
  return {
    issue(source, nowMs) {
      write(writtenView, 0, source, nowMs);
      return written.toString('latin1');
    },
    write,
    check(nonce, source, nowMs) {
      if (!isNonce(nonce, source)) return 'forged';
      return isTimely(nowMs) ? 'good' : 'stale';
    },
    since(nonce, source, nowMs) {
      return isNonce(nonce, source) && isTimely(nowMs) ? issuedMs() : -1;
    },
    goodSince(bytes, at, source, nowMs) {
      return isOurs(bytes, at, source) && isTimely(nowMs) ? issuedMs() : -1;
    },
  };
}

/** Of base64url. */
const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', 'latin1');
const NO_DIGIT = 64;
const DIGITS = new Uint8Array(256).fill(NO_DIGIT);
ALPHABET.forEach((digit, value) => (DIGITS[digit] = value));
/** The two characters of 12 bits, as the 16 bits that setUint16(…, true) writes. */
const PAIRS = Uint16Array.from({ length: 4_096 }, (_, bits) => {
  const [high = 0, low = 0] = [ALPHABET[bits >> 6], ALPHABET[bits & 63]];
  return high | (low << 8);
});

/** Writes `length` bytes, three by three, as four characters each; where they end. */
function writeDigits(to: DataView, toAt: number, from: DataView, at: number, length: number): number {
  let end = toAt;
  for (let i = at; i < at + length; i += 3, end += 4) {
    const high = from.getUint16(i);
    to.setUint16(end, PAIRS[high >> 4] ?? 0, true);
    to.setUint16(end + 2, PAIRS[((high & 15) << 8) | from.getUint8(i + 2)] ?? 0, true);
  }
  return end;
}

/** The 24 bits of four characters; negative where one is none of base64url. */
function fourDigits(bytes: Uint8Array, at: number): number {
  const a = DIGITS[bytes[at] ?? 0] ?? NO_DIGIT;
  const b = DIGITS[bytes[at + 1] ?? 0] ?? NO_DIGIT;
  const c = DIGITS[bytes[at + 2] ?? 0] ?? NO_DIGIT;
  const d = DIGITS[bytes[at + 3] ?? 0] ?? NO_DIGIT;
  return (a << 18) | (b << 12) | (c << 6) | d | -((a | b | c | d) & NO_DIGIT);
}

export interface UsedNonces {
  /** Marks a good nonce as used by a successful login; false where it was before, or where there is no room to know. */
  use(nonce: string, nowMs: number): boolean;
  /** Whether use() would answer false; marks nothing. */
  isUsed(nonce: string, nowMs: number): boolean;
}

/** At most 2 × `halfMax` nonces are kept: two halves of one validity each, the older one is dropped as a whole. */
export function createUsedNonces(halfMax: number): UsedNonces {
  let current = new Set<string>();
  let former = new Set<string>();
  let currentSinceMs = 0;
  const turn = (nowMs: number): void => {
    const ageMs = nowMs - currentSinceMs;
    if (ageMs <= NONCE_VALID_MS) return;
    former = ageMs > 2 * NONCE_VALID_MS ? new Set() : current;
    current = new Set();
    currentSinceMs = nowMs;
  };
  const isUsed = (nonce: string, nowMs: number): boolean => {
    turn(nowMs);
    return current.has(nonce) || former.has(nonce) || current.size >= halfMax;
  };
  return {
    isUsed,
    use(nonce, nowMs) {
      if (isUsed(nonce, nowMs)) return false;
      current.add(nonce);
      return true;
    },
  };
}
