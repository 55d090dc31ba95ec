/** How many logins go to the directory at once, and when the others are told to come. */
import { describe, expect, it } from 'vitest';
import { createIntake, inTurn, UNDER_WAY_MAX, WAITING_MAX } from '../../src/login/intake.ts';
import type { Leave } from '../../src/login/intake.ts';

/** What so many who come at once are told, seconds. */
function appointments(intake: ReturnType<typeof createIntake>, count: number, nowMs: number): number[] {
  return Array.from({ length: count }, () => intake.appointment(nowMs));
}

function countOf(list: readonly number[], value: number): number {
  return list.filter((one) => one === value).length;
}

/** Seconds in which `rate` logins each are taken in, and somebody is refused. */
async function busySeconds(intake: ReturnType<typeof createIntake>, seconds: number, rate: number): Promise<number> {
  for (let second = 1; second <= seconds; second++) {
    for (let i = 0; i < rate; i++) (await intake.enter())(second * 1_000);
    intake.appointment(second * 1_000);
  }
  return (seconds + 1) * 1_000;
}

describe('the intake of logins', () => {
  it('is full while as many as it takes are at the directory and as many as may wait are waiting', async () => {
    const intake = createIntake(2, 1);
    const leave = await intake.enter();
    await intake.enter();
    expect(intake.isFull).toBe(false);
    const third = intake.enter();
    expect(intake.isFull).toBe(true);
    leave(0);
    expect(intake.isFull).toBe(false);
    (await third)(0);
    await intake.enter();
    expect(intake.isFull).toBe(false);
  });

  it('takes in who waits in the order in which they came', async () => {
    const intake = createIntake(1);
    const leave = await intake.enter();
    const taken: number[] = [];
    const others = [1, 2, 3].map(async (number) => {
      const leaveLater = await intake.enter();
      taken.push(number);
      leaveLater(0);
    });
    leave(0);
    await Promise.all(others);
    expect(taken).toEqual([1, 2, 3]);
  });

  it('lets no more wait than a slow directory takes in soon', async () => {
    const intake = createIntake(1);
    await busySeconds(intake, 200, 40);
    void intake.enter();
    for (let i = 0; i < 100; i++) void intake.enter();
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

  it('asks for a quarter more than the directory has taken lately', async () => {
    const intake = createIntake();
    const nowMs = await busySeconds(intake, 60, 400);
    const seconds = appointments(intake, 1_500, nowMs);
    expect([1, 2, 3].map((second) => Math.round(countOf(seconds, second) / 100))).toEqual([5, 5, 5]);
  });

  it('is not misled by one slow second', async () => {
    const intake = createIntake();
    const nowMs = await busySeconds(intake, 1, 10);
    expect(countOf(appointments(intake, 7_000, nowMs), 1)).toBeGreaterThan(6_000);
  });

  it('asks fewer to come while the line is as long as it may be', async () => {
    const intake = createIntake(1, 100);
    let leave = await intake.enter();
    const line: Promise<typeof leave>[] = [];
    const fill = (): void => {
      while (!intake.isFull) line.push(intake.enter());
    };
    for (let second = 1; second <= 60; second++) {
      for (let i = 0; i < 400; i++) {
        fill();
        leave(second * 1_000);
        leave = (await line.shift()) ?? leave;
      }
      intake.appointment(second * 1_000);
    }
    const seconds = appointments(intake, 900, 61_000);
    expect([1, 2, 3].map((second) => Math.round(countOf(seconds, second) / 100))).toEqual([3, 3, 3]);
  });

  it('does not take the directory for slow because nobody came', async () => {
    const intake = createIntake();
    const nowMs = await busySeconds(intake, 30, 4_000);
    for (let second = 0; second < 5; second++) (await intake.enter())(nowMs + second * 1_000);
    expect(countOf(appointments(intake, 5_000, nowMs + 5_000), 1)).toBeGreaterThan(4_500);
  });

  it('forgets it also where the clock was set back', async () => {
    const intake = createIntake(1);
    const slow = (await busySeconds(intake, 200, 40)) + 1_000;
    const spread = appointments(intake, 1_000, slow).at(-1) ?? 0;
    const hourBack = slow - 3_600_000;
    expect(appointments(intake, 1, hourBack)).toHaveLength(1);
    expect(appointments(intake, 1_000, hourBack + 600_000).at(-1)).toBeLessThan(spread);
  });

  it('forgets after a calm time how slow the directory was', async () => {
    const intake = createIntake();
    const nowMs = (await busySeconds(intake, 100, 10)) + 20_000;
    expect(countOf(appointments(intake, 8_000, nowMs), 1)).toBe(8_000);
  });
});

/**
 * `phones` that all come within a second to a directory that takes so many a second, and come back when they are told to,
 * to the millisecond.
 */
async function storm(phones: number, aSecond: number) {
  const STEP_MS = 10;
  const intake = createIntake();
  const underWay: Leave[] = [];
  const due = new Map<number, number[]>();
  for (let one = 0; one < phones; one++) {
    const atMs = (one % 100) * STEP_MS;
    due.set(atMs, [...(due.get(atMs) ?? []), one]);
  }
  const refusals = new Uint8Array(phones);
  const retryAfterS: number[] = [];
  let [nowMs, done, line, lineMax] = [0, 0, 0, 0];
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
        void intake.enter().then((leave) => {
          line--;
          underWay.push(leave);
        });
      }
    }
    await Promise.resolve();
    lineMax = Math.max(lineMax, line + underWay.length);
    for (const leave of underWay.splice(0, (aSecond * STEP_MS) / 1_000)) {
      done++;
      leave(nowMs);
    }
    await Promise.resolve();
  }
  return { seconds: nowMs / 1_000, done, lineMax, refusals: [...refusals], retryAfterS };
}

describe('a login in its turn', () => {
  const clock = { now: () => 5_000 };

  it('is refused at once where there is no room, and told when to come back', async () => {
    const intake = createIntake(1, 0);
    await intake.enter();
    const login = (): Promise<string> => Promise.reject(new Error('not asked'));
    await expect(inTurn(intake, clock, login)).rejects.toMatchObject({ code: 'OVERLOADED', retryAfter: 1 });
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
  ])('of %i phones at a directory that takes %i a second is over soon, and nobody starves', async (phones, aSecond) => {
    const { seconds, done, lineMax, refusals, retryAfterS } = await storm(phones, aSecond);
    expect(done).toBe(phones);
    expect(seconds).toBeLessThan((1.25 * phones) / aSecond + 2);
    expect(lineMax).toBeLessThanOrEqual(UNDER_WAY_MAX + WAITING_MAX);
    expect(Math.min(...retryAfterS)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...retryAfterS)).toBeLessThanOrEqual(30);
    expect(Math.max(...refusals)).toBeLessThanOrEqual(8);
  });
});
