/**
 * Which nonces of a user are spent (RFC 7616 3.4.5 and 5.5: a nonce-count comes once). His registrations remember the
 * nonce they were last made with, and its count; an older nonce is refused, for it would have to be remembered too. What is
 * kept here is for those whose registration has ended: the time of the newest nonce that they used.
 */
import type { OnlineTable } from '../heartbeat/online.ts';

/** SIP's nonces are good for so long. */
export const SIP_NONCE_VALID_MS = 300_000;
const HALF_MAX = 250_000;

export interface SpentNonces {
  /** The user needs a newer nonce than this one from now on. */
  spend(uid: string, issuedMs: number, nowMs: number): void;
  /** The same by what a session keeps of it. */
  spendKept(uid: string, kept: number, nowMs: number): void;
  /** When the newest one was issued; 0 where none is known. */
  newest(uid: string, nowMs: number): number;
}

/** At most 2 × 250,000 users are kept: two halves, the older one is dropped as a whole. */
export function createSpentNonces(): SpentNonces {
  let current = new Map<string, number>();
  let former = new Map<string, number>();
  let currentSinceMs = 0;
  const turn = (nowMs: number): void => {
    if (nowMs - currentSinceMs <= SIP_NONCE_VALID_MS && current.size < HALF_MAX) return;
    former = nowMs - currentSinceMs > 2 * SIP_NONCE_VALID_MS ? new Map<string, number>() : current;
    current = new Map();
    currentSinceMs = nowMs;
  };
  const newest = (uid: string, nowMs: number): number => {
    turn(nowMs);
    return current.get(uid) ?? former.get(uid) ?? 0;
  };
  const spend = (uid: string, issuedMs: number, nowMs: number): void => {
    if (issuedMs > newest(uid, nowMs)) current.set(uid, issuedMs);
  };
  return {
    newest,
    spend,
    spendKept(uid, kept, nowMs) {
      const ageMs = (nowMs - kept) | 0;
      if (ageMs >= 0 && ageMs <= SIP_NONCE_VALID_MS) spend(uid, nowMs - ageMs, nowMs);
    },
  };
}

/** `repeat`: the very count that came last; `spent`: an older count, or an older nonce. */
export type NonceUse = 'fresh' | 'repeat' | 'spent';

/**
 * What this nonce-count is to the user. A session keeps the time of its nonce (mod 2^32 ms, which stands for the nonce
 * itself: of two that one user got in the same millisecond the second counts as spent) in seqMaskLow and the count in
 * seqMaskHigh.
 */
export function nonceUse(
  { sessions }: OnlineTable,
  rows: readonly number[],
  spentMs: number,
  issuedMs: number,
  count: number,
): NonceUse {
  let isOlder = issuedMs <= spentMs;
  for (const row of rows) {
    const kept = sessions.seqMaskLow[row] ?? 0;
    const keptCount = sessions.seqMaskHigh[row] ?? 0;
    const sinceMs = (issuedMs - kept) | 0;
    if (sinceMs === 0 && keptCount > 0) return count > keptCount ? 'fresh' : count === keptCount ? 'repeat' : 'spent';
    if (sinceMs < 0 && keptCount > 0) isOlder = true;
  }
  return isOlder ? 'spent' : 'fresh';
}
