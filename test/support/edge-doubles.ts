/** What the tests of each edge give it: limits of requests a source, and a log that can be read. */
import type { Log } from '../../src/base/ports.ts';
import type { RateLimit } from '../../src/login/rate-limit.ts';
import { createRateLimit } from '../../src/login/rate-limit.ts';

export interface LimitOptions {
  /** Unauthenticated requests a second; 0 = no limit. */
  readonly requestsASecond?: number;
  /** Failed logins a minute; 0 = no limit. */
  readonly failuresAMinute?: number;
}

export function limits({ requestsASecond = 0, failuresAMinute = 0 }: LimitOptions) {
  const limit = (tokens: number, periodMs: number): RateLimit =>
    createRateLimit({ tokens, periodMs, burst: Math.max(tokens, 1), sourcesMax: 64, seed: 1 });
  return { requests: limit(requestsASecond, 1_000), failedLogins: limit(failuresAMinute, 60_000) };
}

export function readableLog(): { readonly log: Log; readonly logged: object[] } {
  const logged: object[] = [];
  const keep = (fields: object, message: string): void => void logged.push({ ...fields, message });
  return { log: { debug: keep, info: keep, warn: keep, error: keep }, logged };
}
