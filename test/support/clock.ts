/** Time that only moves when a test says so. */
import type { Clock, Timer, Timers } from '../../src/base/ports.ts';

export interface ManualTime {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Moves time forward, runs what falls due in its order, and lets promises settle after each step. */
  advance(ms: number): Promise<void>;
  /** How many timers still run. */
  running(): number;
}

interface Pending {
  dueAt: number;
  readonly periodMs: number | null;
  readonly run: () => void;
}

/** Clock and timers that begin at `startMs` (epoch milliseconds). */
export function manualTime(startMs = 1_700_000_000_000): ManualTime {
  let now = startMs;
  const pending = new Set<Pending>();

  const start = (delayMs: number, periodMs: number | null, run: () => void): Timer => {
    const timer: Pending = { dueAt: now + delayMs, periodMs, run };
    pending.add(timer);
    return { cancel: () => void pending.delete(timer) };
  };

  const fire = (timer: Pending): void => {
    now = Math.max(now, timer.dueAt);
    if (timer.periodMs === null) pending.delete(timer);
    else timer.dueAt += Math.max(1, timer.periodMs);
    timer.run();
  };

  return {
    clock: { now: () => now },
    timers: {
      after: (delayMs, run) => start(delayMs, null, run),
      every: (periodMs, run) => start(periodMs, periodMs, run),
      now: () => now,
    },
    async advance(ms) {
      const until = now + ms;
      await settle();
      for (let next = earliest(pending); next !== null && next.dueAt <= until; next = earliest(pending)) {
        fire(next);
        await settle();
      }
      now = until;
    },
    running: () => pending.size,
  };
}

/** Lets every promise that can settle without input from outside do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Of timers due at the same moment the one started first, as in Node. */
function earliest(pending: ReadonlySet<Pending>): Pending | null {
  let first: Pending | null = null;
  for (const timer of pending) if (first === null || timer.dueAt < first.dueAt) first = timer;
  return first;
}
