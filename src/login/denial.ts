/** When a failed login is answered. */
import type { Clock, Timers } from '../base/ports.ts';

/** Failed logins are answered at multiples of this after they came: the time tells nothing of the reason. */
const GRID_MS = 200;

/** Resolves when the denial of what came at `cameMs` may go out. */
export function denialTime({ clock, timers }: { clock: Clock; timers: Timers }, cameMs: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(GRID_MS - ((clock.now() - cameMs) % GRID_MS), resolve);
  });
}
