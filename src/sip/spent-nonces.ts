/**
 * Which nonces of a user are spent (RFC 7616 3.4.5 and 5.5: a nonce-count comes once). His registrations remember the
 * nonce they were last made with, and its count; an older nonce is refused, for it would have to be remembered too. What is
 * kept here is the newest nonce that they used otherwise, by its time and count: for their calls over datagrams, and of those
 * whose registration has ended.
 */
import type { OnlineTable } from '../heartbeat/online.ts';
import { hashOfUid } from '../heartbeat/user-rows.ts';

/** SIP's nonces are good for so long. */
export const SIP_NONCE_VALID_MS = 300_000;
const HALF_MAX = 250_000;
/** Bits of a half, by the hash of a uid: of a user whose bit is not set nothing is kept. */
const MARKS = 2 ** 20;

/** A nonce stands here for all that were issued in its millisecond. */
export interface UsedNonce {
  readonly issuedMs: number;
  /** The highest count that came with it; Infinity: none is good any more. */
  readonly count: number;
}

export interface SpentNonces {
  /** The user needs a higher count of this nonce, or a newer one, from now on. */
  use(uid: string, issuedMs: number, count: number, nowMs: number): void;
  /** The user needs a newer nonce than this one. */
  spend(uid: string, issuedMs: number, nowMs: number): void;
  /** The same by what a session keeps of it. */
  spendKept(uid: string, kept: number, nowMs: number): void;
  newest(uid: string, nowMs: number): UsedNonce | undefined;
  /** The same of the user of a session: mostly nothing is kept of him, and then no text is made to find that out. */
  newestOf(table: OnlineTable, row: number, nowMs: number): UsedNonce | undefined;
}

/** At most 2 × 250,000 users are kept: two halves, the older one is dropped as a whole. */
export function createSpentNonces(): SpentNonces {
  let current = new Half();
  let former = new Half();
  let currentSinceMs = 0;
  const turn = (nowMs: number): void => {
    if (nowMs - currentSinceMs <= SIP_NONCE_VALID_MS && current.size < HALF_MAX) return;
    former = nowMs - currentSinceMs > 2 * SIP_NONCE_VALID_MS ? new Half() : current;
    current = new Half();
    currentSinceMs = nowMs;
  };
  const newest = (uid: string, nowMs: number): UsedNonce | undefined => {
    turn(nowMs);
    return current.get(uid) ?? former.get(uid);
  };
  const use = (uid: string, issuedMs: number, count: number, nowMs: number): void => {
    if (isBeyond(newest(uid, nowMs), issuedMs, count)) current.set(uid, { issuedMs, count });
  };
  const spend = (uid: string, issuedMs: number, nowMs: number): void => {
    use(uid, issuedMs, Infinity, nowMs);
  };
  return {
    newest,
    newestOf(table, row, nowMs) {
      turn(nowMs);
      const hash = table.users.hash(table.sessions.user(row));
      return current.mayHave(hash) || former.mayHave(hash) ? newest(table.uidOf(row), nowMs) : undefined;
    },
    use,
    spend,
    spendKept(uid, kept, nowMs) {
      const ageMs = (nowMs - kept) | 0;
      if (ageMs >= 0 && ageMs <= SIP_NONCE_VALID_MS) spend(uid, nowMs - ageMs, nowMs);
    },
  };
}

class Half extends Map<string, UsedNonce> {
  readonly #marks = new Uint32Array(MARKS / 32);

  override set(uid: string, used: UsedNonce): this {
    const hash = hashOfUid(uid);
    this.#marks[(hash % MARKS) >>> 5] = (this.#marks[(hash % MARKS) >>> 5] ?? 0) | (1 << (hash & 31));
    return super.set(uid, used);
  }

  /** False: it has nobody of this hash. */
  mayHave(hash: number): boolean {
    return this.size > 0 && ((this.#marks[(hash % MARKS) >>> 5] ?? 0) & (1 << (hash & 31))) !== 0;
  }
}

/** Whether the user has not used this nonce with so high a count yet, and none that is newer. */
export function isBeyond(newest: UsedNonce | undefined, issuedMs: number, count: number): boolean {
  if (newest === undefined || issuedMs > newest.issuedMs) return true;
  return issuedMs === newest.issuedMs && count > newest.count;
}

/** `repeat`: the very count that came last; `spent`: an older count, or an older nonce. */
export type NonceUse = 'fresh' | 'repeat' | 'spent';

/**
 * What this nonce-count is to the user. A session keeps the time of its nonce (mod 2^32 ms, which stands for the nonce
 * itself: of two that one user got in the same millisecond the second counts as spent) and the count.
 */
export function nonceUse(
  { sessions }: OnlineTable,
  rows: readonly number[],
  newest: UsedNonce | undefined,
  issuedMs: number,
  count: number,
): NonceUse {
  const isNewest = issuedMs === newest?.issuedMs;
  let isOlder = newest !== undefined && issuedMs < newest.issuedMs;
  for (const row of rows) {
    const kept = sessions.nonceMs(row);
    const keptCount = sessions.nonceCount(row);
    const sinceMs = (issuedMs - kept) | 0;
    if (sinceMs === 0 && keptCount > 0) return useOfCount(count, keptCount);
    if (sinceMs < 0 && keptCount > 0) isOlder = true;
  }
  if (isOlder) return 'spent';
  return isNewest ? useOfCount(count, newest.count) : 'fresh';
}

/** Whether nonceUse() is 'fresh' where this is the user's only session. */
export function isFresh(
  spent: SpentNonces,
  table: OnlineTable,
  row: number,
  issuedMs: number,
  count: number,
  nowMs: number,
): boolean {
  const { sessions } = table;
  const keptCount = sessions.nonceCount(row);
  const sinceMs = (issuedMs - sessions.nonceMs(row)) | 0;
  if (sinceMs === 0 && keptCount > 0) return count > keptCount;
  if (sinceMs < 0 && keptCount > 0) return false;
  return isBeyond(spent.newestOf(table, row, nowMs), issuedMs, count);
}

function useOfCount(count: number, highest: number): NonceUse {
  return count > highest ? 'fresh' : count === highest ? 'repeat' : 'spent';
}
