/** How many logins go to the directory at once, and when the others are told to come. */
import { describe, expect, it } from 'vitest';
import { createIntake } from '../../src/login/intake.ts';

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

  it('forgets after a calm time how slow the directory was', async () => {
    const intake = createIntake();
    const nowMs = (await busySeconds(intake, 100, 10)) + 20_000;
    expect(countOf(appointments(intake, 8_000, nowMs), 1)).toBe(8_000);
  });
});
