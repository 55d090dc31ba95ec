/**
 * How many logins, of all edges, go to the directory at once, who waits for a place there, and when those come back for whom there is
 * no room: a storm of them (all phones of a node that was away) is told to come one after the other, as fast as the
 * directory has taken them lately. Who waits fills the time between those who come back, who know whole seconds only.
 */

import { VserverError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';

export type Leave = (nowMs: number) => void;

export interface Intake {
  /** Nobody else may enter. */
  readonly isFull: boolean;
  /** Who enters now waits for his turn. */
  readonly hasLine: boolean;
  /** Resolves when the login may go to the directory; what it gives is to be called once, when that has answered. */
  enter(): Promise<Leave>;
  /** Seconds after which somebody who is refused shall come back: each call takes a place in the line. */
  appointment(nowMs: number): number;
}

/** Two batches of reads and of writes that are under way in SQL, and as many that wait to fill the next ones. */
export const UNDER_WAY_MAX = 512;
/** Who waits is repeated by his phone, and is taken in all the same: no more than are taken in soon. */
export const WAITING_MAX = 2_048;
const WAITING_S_MAX = 2;
/**
 * Logins a second, until it is known. Rather too many: who comes too early is refused again, which costs little, but
 * nobody can be called who comes too late.
 */
const RATE_FIRST = 8_000;
const RATE_MIN = 50;
/**
 * While nobody waits more are asked to come than were taken lately, so that it is found out whether more can be taken;
 * while as many wait as may, fewer, or the line would never end.
 */
const MORE = 1.25;
const LESS = 0.75;
/** A single slow second, as the first one of a storm, tells little. */
const FALL = 0.8;
const SECOND_MS = 1_000;
/** Nobody is sent away for longer; the places behind are given anew, from the middle on. */
const WAIT_MS_MAX = 30_000;
const CALM_MS = 10_000;

/** The login, when it is its turn. Rejects with OVERLOADED where there is no room, and says when to come back. */
export async function inTurn<T>(intake: Intake, clock: Clock, login: () => Promise<T>): Promise<T> {
  if (intake.isFull) {
    throw new VserverError('OVERLOADED', undefined, { retryAfter: intake.appointment(clock.now()) });
  }
  const leave = await intake.enter();
  try {
    return await login();
  } finally {
    leave(clock.now());
  }
}

export function createIntake(underWayMax = UNDER_WAY_MAX, waitingMax = WAITING_MAX): Intake {
  let underWay = 0;
  const waiting: ((leave: Leave) => void)[] = [];
  let rate = RATE_FIRST;
  /** The last place that was given. */
  let lastMs = 0;
  let refusedMs = -Infinity;
  let sinceMs = -Infinity;
  let taken = 0;
  /** Sum of how many waited, whenever one was taken. */
  let waited = 0;
  const lineMax = (): number => Math.min(waitingMax, WAITING_S_MAX * rate);
  const turn = (nowMs: number): void => {
    // The clock was set back.
    if (nowMs < sinceMs) sinceMs = refusedMs = lastMs = -Infinity;
    const spanMs = nowMs - sinceMs;
    if (spanMs < SECOND_MS) return;
    const pace = (taken * SECOND_MS) / spanMs;
    const line = taken === 0 ? 0 : Math.min(1, waited / taken / lineMax());
    const wanted = pace * (MORE - line * (MORE - LESS));
    if (nowMs - refusedMs > CALM_MS) rate = RATE_FIRST;
    // Who was not refused did not come: that says nothing of what could have been taken.
    else if (refusedMs < sinceMs) rate = Math.max(rate, wanted);
    else rate = Math.max(wanted, FALL * rate, RATE_MIN);
    sinceMs = nowMs;
    taken = waited = 0;
  };
  const leave: Leave = (nowMs) => {
    turn(nowMs);
    taken++;
    waited += waiting.length;
    const next = waiting.shift();
    // The place goes to him.
    if (next === undefined) underWay--;
    else next(leave);
  };
  return {
    get hasLine() {
      return underWay >= underWayMax;
    },
    get isFull() {
      return underWay >= underWayMax && waiting.length >= lineMax();
    },
    enter() {
      if (underWay >= underWayMax) return new Promise((resolve) => waiting.push(resolve));
      underWay++;
      return Promise.resolve(leave);
    },
    appointment(nowMs) {
      turn(nowMs);
      refusedMs = nowMs;
      lastMs = Math.max(lastMs, nowMs) + SECOND_MS / rate;
      if (lastMs > nowMs + WAIT_MS_MAX) lastMs = nowMs + WAIT_MS_MAX / 2;
      return Math.max(1, Math.ceil((lastMs - nowMs) / SECOND_MS));
    },
  };
}
