import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LinkedRows } from '../../src/heartbeat/wheel.ts';
import { LINK_WORDS, Wheel } from '../../src/heartbeat/wheel.ts';

const linked = (rows: number): LinkedRows => ({
  words: new Uint32Array(rows * LINK_WORDS),
  linksAt: (row) => row * LINK_WORDS,
});

describe('timing wheel', () => {
  it('offers a row in the second of its deadline, not before', () => {
    const wheel = new Wheel(90, linked(4), 1000);
    wheel.add(2, 1030);
    const seen: number[] = [];
    wheel.turn(1029, (row) => (seen.push(row), 0));
    expect(seen).toEqual([]);
    wheel.turn(1030, (row) => (seen.push(row), 0));
    expect(seen).toEqual([2]);
  });

  it('looks early at a deadline beyond its span, and puts it back', () => {
    const wheel = new Wheel(10, linked(4), 0);
    wheel.add(1, 500);
    const due: number[] = [];
    for (let second = 1; second <= 500; second++)
      wheel.turn(second, () => (second < 500 ? 500 : (due.push(second), 0)));
    expect(due).toEqual([500]);
  });

  it('turns nothing when the clock is set back, and catches up when it jumps far ahead', () => {
    const wheel = new Wheel(60, linked(4), 10_000);
    wheel.add(0, 10_050);
    const seen: number[] = [];
    wheel.turn(500, (row) => (seen.push(row), 0));
    expect(seen).toEqual([]);
    wheel.turn(10_000_000, (row) => (seen.push(row), 0));
    expect(seen).toEqual([0]);
  });

  it('agrees with a plain list of deadlines whatever is added, removed and turned', () => {
    const action = fc.oneof(
      fc.record({ type: fc.constant('add' as const), row: fc.nat(15), after: fc.integer({ min: 1, max: 100 }) }),
      fc.record({ type: fc.constant('remove' as const), row: fc.nat(15) }),
      fc.record({ type: fc.constant('turn' as const), by: fc.integer({ min: 0, max: 150 }) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const wheel = new Wheel(40, linked(16), 0);
        const deadlines = new Map<number, number>();
        let now = 0;
        for (const step of actions) {
          if (step.type === 'add' && !deadlines.has(step.row)) {
            deadlines.set(step.row, now + step.after);
            wheel.add(step.row, now + step.after);
          } else if (step.type === 'remove' && deadlines.delete(step.row)) wheel.remove(step.row);
          else if (step.type === 'turn') {
            now += step.by;
            const due: number[] = [];
            wheel.turn(now, (row) => {
              const deadline = deadlines.get(row) ?? -1;
              if (deadline > now) return deadline;
              due.push(row);
              return 0;
            });
            const expected = [...deadlines].filter(([, at]) => at <= now).map(([row]) => row);
            expect(due.sort()).toEqual(expected.sort());
            for (const row of due) deadlines.delete(row);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
