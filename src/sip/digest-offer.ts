/** Which Digest algorithms a challenge offers (docs/decisions/0006). */
import { bytesOf, standsAt } from '../base/bytes.ts';
import type { DigestAlgorithm } from '../login/digest.ts';
import { DIGEST_ALGORITHMS } from '../login/digest.ts';

/** `both`: MD5 alone for those who are known to give up at SHA-256 beside it. What is not offered is not taken either. */
export type DigestOffer = 'both' | 'md5' | 'sha-256';

const OFFERS: Readonly<Record<DigestOffer, readonly DigestAlgorithm[]>> = {
  both: DIGEST_ALGORITHMS,
  md5: ['MD5'],
  'sha-256': ['SHA-256'],
};

/**
 * User-Agents that look at one challenge only, the first or any that they don't know, where RFC 3261 22.1 has them
 * look for one that they know. An attacker gains nothing by calling himself so: MD5 is open to him anyhow.
 */
const GIVING_UP: readonly RegExp[] = [
  // Its libre ends with an error at any challenge that is not MD5; 3.12 knows SHA-256.
  /^baresip v(?:[0-2]|3\.(?:\d|1[01]))\./,
  /^sipsak /,
  /^SIPp/,
];
const FIRST_WORDS = ['baresip ', 'sipsak ', 'SIPp'].map(bytesOf);

export function offeredTo(userAgent: string, offer: DigestOffer): readonly DigestAlgorithm[] {
  return offer === 'both' && GIVING_UP.some((pattern) => pattern.test(userAgent)) ? OFFERS.md5 : OFFERS[offer];
}

/** The same of the User-Agent that stands in `at`–`end`, of which no text is made where its first word says enough. */
export function offeredToAgent(
  bytes: DataView,
  at: number,
  end: number,
  offer: DigestOffer,
): readonly DigestAlgorithm[] {
  for (const word of FIRST_WORDS) {
    if (at + word.length <= end && standsAt(bytes, at, word)) return offeredTo(textOf(bytes, at, end), offer);
  }
  return OFFERS[offer];
}

function textOf({ buffer, byteOffset }: DataView, at: number, end: number): string {
  return Buffer.from(buffer, byteOffset + at, end - at).toString('latin1');
}

export function isTaken(algorithm: DigestAlgorithm, offer: DigestOffer): boolean {
  return OFFERS[offer].includes(algorithm);
}
