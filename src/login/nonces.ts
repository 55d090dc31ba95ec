/**
 * Stateless nonces: each proves the source it was given to and when, under a key that only this node knows. Nothing
 * is stored until one was used for a login. For datagrams, SIP and HTTP Digest alike.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { ADDRESS_BYTES, writeAddress } from '../base/address.ts';
import type { Address } from '../base/model.ts';

export const NONCE_VALID_MS = 30_000;
/** Characters of base64url. */
export const NONCE_LENGTH = 32;

const TIME_BYTES = 6;
/** Of base64url: 4 characters for 3 bytes. */
const TIME_CHARACTERS = 8;
const COUNTER_BYTES = 3;
const MAC_BYTES = 15;
const MAC_AT = TIME_BYTES + COUNTER_BYTES;

export interface Nonces {
  /** `source` must be numeric; give port 0 where the next request may come from another port (HTTP). */
  issue(source: Address, nowMs: number): string;
  /** `stale`: given out here to this source, but too long ago. */
  check(nonce: string, source: Address, nowMs: number): 'good' | 'stale' | 'forged';
}

/** `key`: 32 random bytes, new at each start of the node, and another one for each validity. */
export function createNonces(key: Buffer, validMs = NONCE_VALID_MS): Nonces {
  let counter = 0;
  // A hash of key and message is as good as HMAC where the message has one length and less than half of it is shown.
  const signed = Buffer.concat([key, Buffer.alloc(ADDRESS_BYTES + MAC_AT)]);
  const macOf = (source: Address, stamp: Buffer): Buffer => {
    writeAddress(signed, key.length, source);
    stamp.copy(signed, key.length + ADDRESS_BYTES, 0, MAC_AT);
    return hash('sha256', signed, 'buffer').subarray(0, MAC_BYTES);
  };
  return {
    issue(source, nowMs) {
      const bytes = Buffer.alloc(MAC_AT + MAC_BYTES);
      bytes.writeUIntBE(nowMs, 0, TIME_BYTES);
      // Two nonces of the same source and millisecond differ, since each is good for one login only.
      bytes.writeUIntBE(counter, TIME_BYTES, COUNTER_BYTES);
      counter = (counter + 1) % 2 ** (8 * COUNTER_BYTES);
      bytes.set(macOf(source, bytes), MAC_AT);
      return bytes.toString('base64url');
    },
    check(nonce, source, nowMs) {
      const bytes = Buffer.from(nonce, 'base64url');
      // The second comparison refuses other spellings of the same bytes, which the memory of used ones would not know.
      if (nonce.length !== NONCE_LENGTH || bytes.toString('base64url') !== nonce) return 'forged';
      if (!timingSafeEqual(bytes.subarray(MAC_AT), macOf(source, bytes))) return 'forged';
      const ageMs = nowMs - bytes.readUIntBE(0, TIME_BYTES);
      return ageMs >= 0 && ageMs <= validMs ? 'good' : 'stale';
    },
  };
}

/** When a good nonce was given out, epoch milliseconds. */
export function nonceIssuedMs(nonce: string): number {
  return Buffer.from(nonce.slice(0, TIME_CHARACTERS), 'base64url').readUIntBE(0, TIME_BYTES);
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
