/**
 * How many logins, of all edges, go to the directory at once, who waits for a place there, and when those come back for whom there is
 * no room: a storm of them (all phones of a node that was away) is told to come one after the other, as fast as the
 * directory has taken them lately. Who waits fills the time between those who come back, who know whole seconds only.
 */

import { VserverError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';

export interface Intake {
  /** Nobody else may enter. */
  readonly isFull: boolean;
  /** Who enters now waits for his turn. */
  readonly hasLine: boolean;
  /** Calls `begin` when the login may go to the directory: at once, or later in its turn. */
  enter(begin: () => void, nowMs: number): void;
  /** The directory has answered: to be called once for each that has begun. */
  leave(nowMs: number): void;
  /** Instead of leave(), of one that has begun and then did not go to the directory: it tells nothing of its pace. */
  giveUp(nowMs: number): void;
  /** Seconds after which somebody who is refused shall come back: each call takes a place in the line. */
  appointment(nowMs: number): number;
}

/** Two batches of reads and of writes that are under way in SQL, and as many that wait to fill the next ones. */
export const UNDER_WAY_MAX = 512;
/** Who waits is repeated by his phone, and is taken in all the same: no more than are taken in soon. */
export const WAITING_MAX = 16_384;
const WAITING_S_MAX = 2;
/**
 * Logins a second, until it is known. Rather too many: who comes too early is refused again, which costs little, but
 * nobody can be called who comes too late.
 */
const RATE_FIRST = 8_000;
const RATE_MIN = 50;
/**
 * Where nobody waits, so many times as many are asked to come as the directory takes; where as many wait as may, just
 * those. A place that nobody fills is lost for good.
 */
const MORE = 2;
/** A single slow second, as the first one of a storm, tells little. */
const FALL = 0.8;
const SECOND_MS = 1_000;
/** In less time the directory shows nothing of its pace. */
const BUSY_MS_MIN = 100;
/** Nobody is sent away for longer; the places behind are given anew, from the middle on. */
const WAIT_MS_MAX = 30_000;
const CALM_MS = 10_000;

/** After so long a phone has given its REGISTER up (64·T1, RFC 3261 17.1.2.2), and whoever else logs in too. */
const PATIENCE_MS = 32_000;

/** Whether nobody waits any more for the answer to a login that came then. */
export function isTooLate(cameMs: number, nowMs: number): boolean {
  return nowMs - cameMs > PATIENCE_MS;
}

/** The login, when it is its turn. Rejects with OVERLOADED where there is no room or it comes too late, and says when to come back. */
export async function inTurn<T>(intake: Intake, clock: Clock, login: () => Promise<T>): Promise<T> {
  const cameMs = clock.now();
  const refusal = (): VserverError =>
    new VserverError('OVERLOADED', undefined, { retryAfter: intake.appointment(clock.now()) });
  if (intake.isFull) throw refusal();
  await entered(intake, clock);
  if (isTooLate(cameMs, clock.now())) {
    const refused = refusal();
    intake.giveUp(clock.now());
    throw refused;
  }
  try {
    return await login();
  } finally {
    intake.leave(clock.now());
  }
}

/** Resolves when it is his turn. */
export function entered(intake: Intake, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    intake.enter(resolve, clock.now());
  });
}

export function createIntake(underWayMax = UNDER_WAY_MAX, waitingMax = WAITING_MAX): Intake {
  const line = createLine();
  let underWay = 0;
  let rate = RATE_FIRST;
  /** The last place that was given. */
  let lastMs = 0;
  let refusedMs = -Infinity;
  /** Of the second that is counted: its begin, and how long and since when there was no room at the directory. */
  let sinceMs = -Infinity;
  let busyMs = 0;
  let busySinceMs = 0;
  /** How many were taken in then, and the sum of how many waited whenever one was. */
  let taken = 0;
  let waited = 0;
  const lineMax = (): number => Math.min(waitingMax, WAITING_S_MAX * rate);
  const isBusy = (): boolean => underWay >= underWayMax;
  const countBusy = (nowMs: number): void => {
    busyMs += nowMs - busySinceMs;
    busySinceMs = nowMs;
  };
  const turn = (nowMs: number): void => {
    // The clock was set back.
    if (nowMs < sinceMs) {
      sinceMs = refusedMs = lastMs = -Infinity;
      busyMs = 0;
      busySinceMs = nowMs;
    }
    if (nowMs - sinceMs < SECOND_MS) return;
    if (isBusy()) countBusy(nowMs);
    if (nowMs - refusedMs > CALM_MS) rate = RATE_FIRST;
    else if (busyMs >= BUSY_MS_MIN) {
      const pace = (taken * SECOND_MS) / busyMs;
      const fill = taken === 0 ? 1 : Math.min(1, waited / taken / lineMax());
      rate = Math.max(pace * (MORE - (MORE - 1) * fill), FALL * rate, RATE_MIN);
    }
    sinceMs = nowMs;
    busyMs = taken = waited = 0;
  };
  /** The place goes to him who waits longest. */
  const passOn = (nowMs: number): void => {
    const next = line.take();
    if (next !== undefined) {
      next();
      return;
    }
    if (isBusy()) countBusy(nowMs);
    underWay--;
  };
  return {
    get hasLine() {
      return isBusy();
    },
    get isFull() {
      return isBusy() && line.count >= lineMax();
    },
    enter(begin, nowMs) {
      if (isBusy()) {
        line.add(begin);
        return;
      }
      underWay++;
      busySinceMs = nowMs;
      begin();
    },
    leave(nowMs) {
      turn(nowMs);
      if (isBusy()) {
        taken++;
        waited += line.count;
      }
      passOn(nowMs);
    },
    giveUp(nowMs) {
      turn(nowMs);
      passOn(nowMs);
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

/** Who waits, in their order: an array of thousands that loses its first is moved as a whole. */
function createLine() {
  let coming: (() => void)[] = [];
  let going: (() => void)[] = [];
  return {
    get count() {
      return coming.length + going.length;
    },
    add(begin: () => void): void {
      coming.push(begin);
    },
    take(): (() => void) | undefined {
      if (going.length === 0) [coming, going] = [going, coming.reverse()];
      return going.pop();
    },
  };
}
