/** The real clock, timers and randomness; only the system-*.ts files beside it touch the real world too. */
import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { canonicalHost } from './address.ts';
import type { Clock, Random, Timer, Timers } from './ports.ts';

export const systemClock: Clock = { now: () => Date.now() };

/** Timers that don't keep the process alive by themselves. */
export const systemTimers: Timers = {
  after(delayMs, run): Timer {
    const handle = setTimeout(run, delayMs).unref();
    return {
      cancel: () => {
        clearTimeout(handle);
      },
    };
  },
  every(periodMs, run): Timer {
    const handle = setInterval(run, periodMs).unref();
    return {
      cancel: () => {
        clearInterval(handle);
      },
    };
  },
  now: () => performance.now(),
};

const RANDOM_POOL_BYTES = 8 * 1024;

/** By the pool: one call to the system for many cookies. What was given out is never given out again. */
export const systemRandom: Random = (() => {
  let pool = Buffer.alloc(0);
  return {
    bytes(length) {
      if (length > RANDOM_POOL_BYTES) return randomBytes(length);
      if (pool.length < length) pool = randomBytes(RANDOM_POOL_BYTES);
      const bytes = Buffer.from(pool.subarray(0, length));
      // A secret stands in one place only.
      pool.fill(0, 0, length);
      pool = pool.subarray(length);
      return bytes;
    },
  };
})();

/** The addresses that this machine has now, loopback among them; those of one link only (with a zone) are left out. */
export function systemAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((interfaces) => interfaces ?? [])
    .filter((one) => one.family === 'IPv4' || one.scopeid === 0)
    .map(({ address }) => canonicalHost(address));
}
