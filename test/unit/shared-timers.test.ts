/** Shared timers do what plain ones do, at the same moments: by a model of plain ones, and by how many really run. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Timer, Timers } from '../../src/base/ports.ts';
import { sharedTimers } from '../../src/base/shared-timers.ts';
import { manualTime } from '../support/clock.ts';

type Step =
  | { readonly kind: 'start'; readonly lengthMs: number; readonly again: boolean; readonly ends: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'wait'; readonly ms: number };

const length = fc.constantFrom(0, 5, 20, 100);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('start' as const),
    lengthMs: length,
    again: fc.boolean(),
    /** Which other one it cancels when it runs. */
    ends: fc.nat(30),
  }),
  fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(30) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(60) }),
);

/** What ran at which moment; what is due at the same moment in the order of its start. */
async function run(steps: readonly Step[], timersOf: (timers: Timers) => Timers): Promise<[string[], number]> {
  const time = manualTime(0);
  const timers = timersOf(time.timers);
  const ran: [at: number, name: number][] = [];
  const started: Timer[] = [];
  for (const one of steps) {
    if (one.kind === 'wait') await time.advance(one.ms);
    else if (one.kind === 'cancel') started[one.which]?.cancel();
    else {
      const name = started.length;
      started.push(
        timers.after(one.lengthMs, () => {
          ran.push([time.clock.now(), name]);
          // Nothing that is due now: of different lengths their order is not told.
          const other = one.ends > name ? undefined : started[one.ends];
          if (one.lengthMs === 100) other?.cancel();
          if (one.again) started.push(timers.after(one.lengthMs + 1, () => ran.push([time.clock.now(), -name])));
        }),
      );
    }
  }
  await time.advance(1_000);
  ran.sort(([a, x], [b, y]) => a - b || x - y);
  return [ran.map(([at, name]) => `${at} ${name}`), time.running()];
}

test('shared timers run when plain ones would, and leave none behind', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      expect(await run(steps, sharedTimers)).toEqual(await run(steps, (timers) => timers));
    }),
  );
});

test('all of one length share one timer', async () => {
  const time = manualTime();
  const timers = sharedTimers(time.timers);
  const ran: number[] = [];
  const some = [1, 2, 3].map((name) => timers.after(500, () => ran.push(name)));
  timers.after(700, () => ran.push(4));
  expect(time.running()).toBe(2);
  some[0]?.cancel();
  some[0]?.cancel();
  await time.advance(499);
  expect(ran).toEqual([]);
  await time.advance(1);
  expect([ran, time.running()]).toEqual([[2, 3], 1]);
  await time.advance(200);
  expect([ran, time.running()]).toEqual([[2, 3, 4], 0]);
});

test('one that throws keeps the others of its length from nothing', async () => {
  const time = manualTime();
  const timers = sharedTimers(time.timers);
  let ran = 0;
  timers.after(5, () => {
    throw new Error('broken');
  });
  timers.after(5, () => ran++);
  await expect(time.advance(5)).rejects.toThrow('broken');
  await time.advance(5);
  expect([ran, time.running()]).toEqual([1, 0]);
});
