/** The order in which subscriptions are looked at: at once or when their pause is over, so many a turn. */
import type { Timer, Timers } from '../base/ports.ts';

export const TENTH_MS = 100;
/** Changes within it are one. */
const TURN_MS = 10;
/** So many subscriptions are looked at a turn: the process stays free for calls and heartbeats. */
const ROWS_A_TURN = 200;

export interface Turns {
  /** This user has changed: in the next turn all of his watchers are added. However often, it is done once. */
  mark(uid: string): void;
  /** To be looked at when it is `dueAt` (tenths of a second). The caller adds no row that stands here already. */
  add(row: number, dueAt: number): void;
  close(): void;
}

export interface TurnsOptions {
  readonly timers: Timers;
  /** Tenths of a second. */
  readonly now: () => number;
  /** The user's watchers are to be added. */
  readonly onMarked: (uid: string) => void;
  /** It is the turn of these. */
  readonly onTurn: (rows: readonly number[]) => void;
}

export function createTurns({ timers, now, onMarked, onTurn }: TurnsOptions): Turns {
  const marked = new Set<string>();
  let ready: number[] = [];
  /** Of `ready`, these are done. */
  let done = 0;
  /** By the tenth of a second in which they are due. */
  const later = new Map<number, number[]>();
  let timer: Timer | null = null;
  let wakesAt = Infinity;
  let isClosed = false;

  /** `at` in tenths; now or earlier: in the next turn. */
  const wake = (at: number): void => {
    if (isClosed || at >= wakesAt) return;
    timer?.cancel();
    wakesAt = at;
    timer = timers.after(Math.max(TURN_MS, (at - now()) * TENTH_MS), turn);
  };

  const turn = (): void => {
    timer = null;
    wakesAt = Infinity;
    const uids = [...marked];
    marked.clear();
    for (const uid of uids) onMarked(uid);
    const at = now();
    for (const [dueAt, rows] of later) {
      if (dueAt > at) continue;
      later.delete(dueAt);
      for (const row of rows) ready.push(row);
    }
    const rows = ready.slice(done, done + ROWS_A_TURN);
    done += rows.length;
    if (done === ready.length) [ready, done] = [[], 0];
    onTurn(rows);
    if (ready.length > 0 || marked.size > 0) wake(at);
    else if (later.size > 0) wake(Math.min(...later.keys()));
  };

  return {
    mark(uid) {
      marked.add(uid);
      wake(0);
    },
    add(row, dueAt) {
      const rows = later.get(dueAt);
      if (dueAt <= now()) ready.push(row);
      else if (rows === undefined) later.set(dueAt, [row]);
      else rows.push(row);
      wake(dueAt);
    },
    close() {
      isClosed = true;
      timer?.cancel();
    },
  };
}
