import type { Timer, Timers } from './ports.ts';

/**
 * Timers of a few lengths, of which very many run: all of one length share one timer of `timers`, for they fall due in
 * the order in which they began. To begin one or to cancel it is to link it into a list, or out of it.
 */
export function sharedTimers(timers: Timers): Timers {
  const lengths = new Map<number, SameLength>();
  return {
    after(delayMs, run) {
      let list = lengths.get(delayMs);
      if (list === undefined) {
        list = new SameLength(timers, delayMs, () => lengths.delete(delayMs));
        lengths.set(delayMs, list);
      }
      return list.add(run);
    },
    every: (periodMs, run) => timers.every(periodMs, run),
    now: () => timers.now(),
  };
}

/** Those of one length, the one that falls due first in front. */
class SameLength {
  readonly #timers: Timers;
  readonly #lengthMs: number;
  readonly #onEmpty: () => void;
  #first: SharedTimer | undefined;
  #last: SharedTimer | undefined;
  /** Goes off when the first one falls due, or earlier. */
  #alarm: Timer | undefined;
  #isRunning = false;

  constructor(timers: Timers, lengthMs: number, onEmpty: () => void) {
    this.#timers = timers;
    this.#lengthMs = lengthMs;
    this.#onEmpty = onEmpty;
  }

  add(run: () => void): Timer {
    const timer = new SharedTimer(this, this.#timers.now() + this.#lengthMs, run);
    timer.before = this.#last;
    if (this.#last === undefined) this.#first = timer;
    else this.#last.behind = timer;
    this.#last = timer;
    if (!this.#isRunning) this.#alarm ??= this.#timers.after(this.#lengthMs, this.#onAlarm);
    return timer;
  }

  remove(timer: SharedTimer): void {
    const { before, behind } = timer;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    timer.list = timer.before = timer.behind = undefined;
    if (this.#first === undefined && !this.#isRunning) this.#settle(0);
  }

  readonly #onAlarm = (): void => {
    this.#alarm = undefined;
    this.#isRunning = true;
    const nowMs = this.#timers.now();
    try {
      for (let due = this.#first; due !== undefined && due.dueMs - nowMs < CLOCK_STEP_MS; due = this.#first) {
        this.remove(due);
        due.run();
      }
    } finally {
      this.#isRunning = false;
      this.#settle(nowMs);
    }
  };

  #settle(nowMs: number): void {
    if (this.#first !== undefined) {
      this.#alarm = this.#timers.after(Math.max(0, this.#first.dueMs - nowMs), this.#onAlarm);
      return;
    }
    this.#alarm?.cancel();
    this.#alarm = undefined;
    this.#onEmpty();
  }
}

/** The timers of the system count whole milliseconds, and go off as much early. */
const CLOCK_STEP_MS = 1;

class SharedTimer implements Timer {
  list: SameLength | undefined;
  before: SharedTimer | undefined;
  behind: SharedTimer | undefined;
  readonly dueMs: number;
  readonly run: () => void;

  constructor(list: SameLength, dueMs: number, run: () => void) {
    this.list = list;
    this.before = this.behind = undefined;
    this.dueMs = dueMs;
    this.run = run;
  }

  cancel(): void {
    this.list?.remove(this);
  }
}
