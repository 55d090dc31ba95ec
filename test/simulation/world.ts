/** Time, chance and messages of a simulation: everything comes out of one seed. */
import type { Random, Timer, Timers } from '../../src/base/ports.ts';

export interface Chance {
  /** 0 ≤ x < 1. */
  next(): number;
  /** An integer, both ends included. */
  between(min: number, max: number): number;
  happens(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
}

/** sfc32, seeded with one number. */
export function chanceOf(seed: number): Chance {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, seed >>> 0, 1];
  const next = (): number => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return (t >>> 0) / 4_294_967_296;
  };
  for (let i = 0; i < 15; i++) next();
  const chance: Chance = {
    next,
    between: (min, max) => min + Math.floor(next() * (max - min + 1)),
    happens: (probability) => next() < probability,
    pick(from) {
      const picked = from[Math.floor(next() * from.length)];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
  };
  return chance;
}

export function randomOf(chance: Chance): Random {
  return { bytes: (length) => Buffer.from(Array.from({ length }, () => chance.between(0, 255))) };
}

interface Due {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null;
}

/** Time that jumps from one thing to the next. */
export class SimTime {
  now = 1_700_000_000_000;
  #order = 0;
  /** A binary heap by time, then in the order in which they were asked for. */
  readonly #heap: Due[] = [];

  after(delayMs: number, run: () => void): Timer {
    const due: Due = { at: this.now + Math.max(0, delayMs), order: this.#order++, run };
    this.#push(due);
    return { cancel: () => void (due.run = null) };
  }

  readonly timers: Timers = {
    after: (delayMs, run) => this.after(delayMs, run),
    every: (periodMs, run) => {
      let timer: Timer;
      const again = (): void => {
        timer = this.after(periodMs, again);
        run();
      };
      timer = this.after(periodMs, again);
      return { cancel: () => timer.cancel() };
    },
    now: () => this.now,
  };

  /** Runs all that falls due within `ms`; promises settle between one moment and the next. */
  async advance(ms: number): Promise<void> {
    const until = this.now + ms;
    await settle();
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.now = next.at;
      let ran = false;
      while (this.#heap[0]?.at === this.now) {
        const { run } = this.#pop();
        ran ||= run !== null;
        run?.();
      }
      if (ran) await settle();
    }
    this.now = until;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let i = heap.push(due) - 1;
    while (i > 0) {
      const above = (i - 1) >> 1;
      if (isBefore(heap[above], due)) break;
      heap[i] = heap[above] ?? due;
      i = above;
    }
    heap[i] = due;
  }

  #pop(): Due {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) throw new Error('nothing is due');
    if (heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let below = 2 * i + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1], heap[below])) below++;
      if (isBefore(last, heap[below])) break;
      heap[i] = heap[below] ?? last;
      i = below;
    }
    heap[i] = last;
    return first;
  }
}

function isBefore(a: Due | undefined, b: Due | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined;
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}

function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
