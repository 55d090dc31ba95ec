/** How fast one sender may send: a token bucket each (the generic cell rate algorithm). */
import { createRecentMap } from '../base/recent-map.ts';

const TOKEN_MS = 100;
const BURST = 100;
const SENDERS_MAX = 50_000;

/** Seconds to wait, 0 where he may send; then a token is spent. `isOn` false: no limit. */
export function createSenderLimit(isOn: boolean): (uid: string, nowMs: number) => number {
  if (!isOn) return () => 0;
  /** When the bucket is full again. */
  const fullAtMs = createRecentMap<number>(SENDERS_MAX);
  return (uid, nowMs) => {
    const fromMs = Math.max(fullAtMs.get(uid) ?? 0, nowMs);
    const excessMs = fromMs - nowMs - (BURST - 1) * TOKEN_MS;
    if (excessMs > 0) return Math.ceil(excessMs / 1000);
    fullAtMs.set(uid, fromMs + TOKEN_MS);
    return 0;
  };
}
