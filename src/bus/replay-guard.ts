/** Tells which messages are fresh: neither too old (or too new, by the clock of its sender) nor heard before. */

/** More than this in one span are not taken: then nobody could tell a replay any more. */
const MESSAGES_MAX = 1_000_000;

export interface ReplayGuard {
  /** `atMs`: the sender's clock. A fresh one is remembered. */
  check(nonce: string, atMs: number, nowMs: number): 'fresh' | 'stale' | 'replayed';
}

/** Nonces are kept in two halves of one span each; the older half is dropped as a whole. */
export function createReplayGuard(ageMsMax: number, messagesMax = MESSAGES_MAX): ReplayGuard {
  // One that comes as early as it may is good for twice the age.
  const spanMs = 2 * ageMsMax;
  let current = new Set<string>();
  let former = new Set<string>();
  let currentSinceMs = -Infinity;
  return {
    check(nonce, atMs, nowMs) {
      if (!(Math.abs(nowMs - atMs) <= ageMsMax)) return 'stale';
      const sinceMs = nowMs - currentSinceMs;
      if (sinceMs > spanMs) {
        former = sinceMs > 2 * spanMs ? new Set() : current;
        current = new Set();
        currentSinceMs = nowMs;
      }
      if (current.has(nonce) || former.has(nonce) || current.size >= messagesMax) return 'replayed';
      current.add(nonce);
      return 'fresh';
    },
  };
}
