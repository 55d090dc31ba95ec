/** A world in which time passes more quickly, for what a whole node does only after a while. */
import type { Clock, Timers } from '../../src/base/ports.ts';
import { systemClock, systemTimers } from '../../src/base/system.ts';

/** Clock and timers of a node that lives `factor` seconds in each of ours. */
export function fastTime(factor: number): { readonly clock: Clock; readonly timers: Timers } {
  const startMs = systemClock.now();
  return {
    clock: { now: () => startMs + (systemClock.now() - startMs) * factor },
    timers: {
      after: (delayMs, run) => systemTimers.after(delayMs / factor, run),
      every: (periodMs, run) => systemTimers.every(periodMs / factor, run),
      now: () => systemTimers.now() * factor,
    },
  };
}
