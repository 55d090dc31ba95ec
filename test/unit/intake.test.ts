/** How many logins go to the directory at once, and when the others are told to come. */
import { describe, expect, it } from 'vitest';
import { createIntake, inTurn, UNDER_WAY_MAX, WAITING_MAX } from '../../src/login/intake.ts';
import type { Intake } from '../../src/login/intake.ts';

/** What so many who come at once are told, seconds. */
function appointments(intake: ReturnType<typeof createIntake>, count: number, nowMs: number): number[] {
  return Array.from({ length: count }, () => intake.appointment(nowMs));
}

function countOf(list: readonly number[], value: number): number {
  return list.filter((one) => one === value).length;
}

function nothing(): void {
  // Whose turn it is does nothing.
}

/**
 * Seconds in each of which so many logins are taken in, while there is no room at the directory for one more, and
 * somebody is refused; the time after them. `fill`: the line is kept as full as it may be.
 */
function busySeconds(intake: Intake, seconds: number, rate: number, fill = false): number {
  for (let ms = 0; ms < seconds * 1_000; ms += 10) {
    while (fill ? !intake.isFull : !intake.hasLine) intake.enter(nothing, ms);
    for (let i = 0; i < rate / 100; i++) {
      // He who comes next is there before this one has left.
      if (!fill) intake.enter(nothing, ms);
      intake.leave(ms);
    }
    if (ms % 1_000 === 0) intake.appointment(ms);
  }
  return seconds * 1_000;
}

/** How many of so many are told to come in the first, second and third second, in hundreds. */
function hundreds(intake: Intake, count: number, nowMs: number): number[] {
  const seconds = appointments(intake, count, nowMs);
  return [1, 2, 3].map((second) => Math.round(countOf(seconds, second) / 100));
}

describe('the intake of logins', () => {
  it('is full while as many as it takes are at the directory and as many as may wait are waiting', () => {
    const intake = createIntake(2, 1);
    let begun = 0;
    const enter = (): void => {
      intake.enter(() => begun++, 0);
    };
    enter();
    enter();
    expect([intake.isFull, intake.hasLine, begun]).toEqual([false, true, 2]);
    enter();
    expect([intake.isFull, intake.hasLine, begun]).toEqual([true, true, 2]);
    intake.leave(0);
    expect([intake.isFull, intake.hasLine, begun]).toEqual([false, true, 3]);
    intake.leave(0);
    expect([intake.isFull, intake.hasLine, begun]).toEqual([false, false, 3]);
  });

  it('takes in who waits in the order in which they came', () => {
    const intake = createIntake(1);
    const taken: number[] = [];
    const enter = (number: number): void => {
      intake.enter(() => taken.push(number), 0);
    };
    [1, 2, 3].forEach(enter);
    intake.leave(0);
    [4, 5].forEach(enter);
    for (let i = 0; i < 4; i++) intake.leave(0);
    expect(taken).toEqual([1, 2, 3, 4, 5]);
    expect(intake.hasLine).toBe(false);
  });

  it('lets no more wait than a slow directory takes in within two seconds', () => {
    const intake = createIntake(1);
    const nowMs = busySeconds(intake, 200, 100, true);
    for (let i = 0; i < 200; i++) if (!intake.isFull) intake.enter(nothing, nowMs);
    expect(intake.isFull).toBe(true);
  });

  it('tells those who come at once to come back one after the other', () => {
    const seconds = appointments(createIntake(), 24_000, 5_000);
    expect([1, 2, 3].map((second) => countOf(seconds, second))).toEqual([8_000, 8_000, 8_000]);
  });

  it('gives no place twice to those who come later', () => {
    const intake = createIntake();
    appointments(intake, 16_000, 5_000);
    // Of the two seconds in which the first ones come, one is over.
    expect(appointments(intake, 7_000, 6_000)).toEqual(expect.not.arrayContaining([1]));
  });

  it('sends nobody away for more than half a minute, and spreads those who are too many', () => {
    const seconds = appointments(createIntake(), 600_000, 5_000);
    const perSecond = Array.from({ length: 30 }, (_, i) => countOf(seconds, i + 1));
    expect(perSecond.reduce((sum, count) => sum + count)).toBe(600_000);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(32_000);
  });

  it('asks for twice as many as the directory takes while it has something to do, so that it always has', () => {
    const intake = createIntake(1);
    const nowMs = busySeconds(intake, 60, 400);
    expect(hundreds(intake, 2_500, nowMs)).toEqual([8, 8, 8]);
  });

  it('asks for as many as it takes while the line is as long as it may be', () => {
    const intake = createIntake(1, 100);
    const nowMs = busySeconds(intake, 60, 400, true);
    expect(hundreds(intake, 1_300, nowMs)).toEqual([4, 4, 4]);
  });

  it('does not take those for taken in who give up when it is their turn', () => {
    const intake = createIntake(1);
    const nowMs = busySeconds(intake, 60, 400);
    for (let ms = nowMs; ms < nowMs + 2_000; ms += 10) {
      for (let i = 0; i < 104; i++) {
        intake.enter(nothing, ms);
        if (i < 4) intake.leave(ms);
        else intake.giveUp(ms);
      }
    }
    expect(hundreds(intake, 2_500, nowMs + 2_000)).toEqual([8, 8, 8]);
  });

  it('is not misled by one slow second', () => {
    const intake = createIntake(1);
    busySeconds(intake, 1, 100);
    expect(countOf(appointments(intake, 7_000, 1_000), 1)).toBeGreaterThan(6_000);
  });

  it('takes a directory that answers nothing for slower each second', () => {
    const intake = createIntake(1);
    intake.enter(nothing, 0);
    for (let second = 1; second <= 60; second++) intake.appointment(second * 1_000);
    expect(hundreds(intake, 200, 61_000)).toEqual([1, 1, 1]);
  });

  it('does not take the directory for slow because nobody came', () => {
    const intake = createIntake(1);
    let nowMs = busySeconds(intake, 30, 4_000);
    intake.leave(nowMs);
    for (const end = nowMs + 5_000; nowMs < end; nowMs += 1_000) {
      intake.enter(nothing, nowMs);
      intake.leave(nowMs + 1);
      intake.appointment(nowMs + 1);
    }
    expect(countOf(appointments(intake, 9_000, nowMs), 1)).toBeGreaterThan(7_500);
  });

  it('forgets it also where the clock was set back', () => {
    const intake = createIntake(1);
    const slow = busySeconds(intake, 200, 100) + 1_000;
    const spread = appointments(intake, 1_000, slow).at(-1) ?? 0;
    const hourBack = slow - 3_600_000;
    expect(appointments(intake, 1, hourBack)).toHaveLength(1);
    expect(appointments(intake, 1_000, hourBack + 600_000).at(-1)).toBeLessThan(spread);
  });

  it('forgets after a calm time how slow the directory was', () => {
    const intake = createIntake(1);
    const nowMs = busySeconds(intake, 100, 100) + 20_000;
    expect(countOf(appointments(intake, 8_000, nowMs), 1)).toBe(8_000);
  });
});

/**
 * `phones` that all come within a second to a directory that takes so many a second, and come back when they are told to,
 * to the millisecond.
 */
function storm(phones: number, aSecond: number) {
  const STEP_MS = 10;
  const intake = createIntake();
  let underWay = 0;
  const due = new Map<number, number[]>();
  for (let one = 0; one < phones; one++) {
    const atMs = (one % 100) * STEP_MS;
    due.set(atMs, [...(due.get(atMs) ?? []), one]);
  }
  const refusals = new Uint8Array(phones);
  const retryAfterS: number[] = [];
  let [nowMs, done, line, lineMax, idleMs] = [0, 0, 0, 0, 0];
  for (; done < phones && nowMs < 600_000; nowMs += STEP_MS) {
    for (const one of due.get(nowMs) ?? []) {
      if (intake.isFull) {
        const waitS = intake.appointment(nowMs);
        retryAfterS.push(waitS);
        refusals[one] = (refusals[one] ?? 0) + 1;
        const backMs = nowMs + waitS * 1_000;
        due.set(backMs, [...(due.get(backMs) ?? []), one]);
      } else {
        line++;
        intake.enter(() => {
          line--;
          underWay++;
        }, nowMs);
      }
    }
    lineMax = Math.max(lineMax, line + underWay);
    const answered = Math.min(underWay, (aSecond * STEP_MS) / 1_000);
    if (answered < (aSecond * STEP_MS) / 1_000) idleMs += STEP_MS;
    underWay -= answered;
    done += answered;
    for (let i = 0; i < answered; i++) intake.leave(nowMs);
  }
  return { seconds: nowMs / 1_000, done, idleMs, lineMax, refusals: [...refusals], retryAfterS };
}

describe('a login in its turn', () => {
  const clock = { now: () => 5_000 };

  it('is refused at once where there is no room, and told when to come back', async () => {
    const intake = createIntake(1, 0);
    intake.enter(nothing, 5_000);
    const login = (): Promise<string> => Promise.reject(new Error('not asked'));
    await expect(inTurn(intake, clock, login)).rejects.toMatchObject({ code: 'OVERLOADED', retryAfter: 1 });
  });

  it('that comes when nobody waits for the answer any more is refused, and leaves its place', async () => {
    const intake = createIntake(1);
    let nowMs = 5_000;
    intake.enter(nothing, nowMs);
    const login = inTurn(intake, { now: () => nowMs }, () => Promise.resolve('welcome'));
    nowMs += 32_001;
    intake.leave(nowMs);
    await expect(login).rejects.toMatchObject({ code: 'OVERLOADED', retryAfter: 1 });
    expect(intake.hasLine).toBe(false);
  });

  it('gives its place to the next one, also where it fails', async () => {
    const intake = createIntake(1);
    const failed = inTurn(intake, clock, () => Promise.reject(new Error('the directory is away')));
    const next = inTurn(intake, clock, () => Promise.resolve('welcome'));
    await expect(failed).rejects.toThrow('the directory is away');
    expect(await next).toBe('welcome');
    expect(intake.hasLine).toBe(false);
  });
});

describe('a storm', () => {
  it.each([
    [20_000, 2_000],
    [20_000, 8_000],
    [30_000, 500],
  ])('of %i phones at a directory that takes %i a second is over soon, and nobody starves', (phones, aSecond) => {
    const { seconds, done, idleMs, lineMax, refusals, retryAfterS } = storm(phones, aSecond);
    expect(done).toBe(phones);
    expect(seconds).toBeLessThan((1.1 * phones) / aSecond + 2);
    // But for its begin and its end.
    expect(idleMs).toBeLessThan(1_000);
    expect(lineMax).toBeLessThanOrEqual(UNDER_WAY_MAX + WAITING_MAX);
    expect(Math.min(...retryAfterS)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...retryAfterS)).toBeLessThanOrEqual(30);
    expect(Math.max(...refusals)).toBeLessThanOrEqual(8);
  });
});
