/** Datagrams that wait for their turn, in memory that goes round. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeName } from '../../src/base/batch-arena.ts';
import { createBacklog } from '../../src/base/batch-backlog.ts';

const DATAGRAMS = 7;
const BYTES = 40;

function nameOf(number: number): Int32Array {
  const names = new Int32Array(16);
  // In the second slot.
  writeName(names, 1, { host: '192.0.2.1', port: number + 1 }, false);
  return names;
}

describe('what waits', () => {
  it('comes out whole, in its order, with its address; what does not fit is lost, and that alone', () => {
    const step = fc.oneof(
      fc.integer({ min: 0, max: 15 }).map((length) => ({ length })),
      fc.constant('take' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const backlog = createBacklog(DATAGRAMS, BYTES);
        const kept: { bytes: Buffer; name: Int32Array }[] = [];
        for (const [number, one] of steps.entries()) {
          if (one === 'take') {
            if (kept.length === 0) continue;
            const { bytes, name } = kept.shift() ?? { bytes: Buffer.alloc(0), name: new Int32Array(0) };
            expect(backlog.first()).toEqual(bytes);
            const at = backlog.firstSlot * 8;
            expect(backlog.names.subarray(at, at + 8)).toEqual(name);
            backlog.drop();
          } else {
            const bytes = Buffer.alloc(one.length, number + 1);
            const inside = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('behind')]);
            const names = nameOf(number);
            const isKept = backlog.add(inside, 6, 6 + bytes.length, names, 1);
            // Of those that wait the oldest stands in between at worst.
            if (kept.length === 0 || (kept.length === 1 && one.length <= 12)) expect(isKept).toBe(true);
            if (isKept) kept.push({ bytes, name: names.subarray(8) });
          }
          expect(backlog.count).toBe(kept.length);
          expect(backlog.hasRoom(2)).toBe(kept.length + 2 <= DATAGRAMS);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('is no longer than all the room', () => {
    const backlog = createBacklog(DATAGRAMS, BYTES);
    expect(backlog.add(Buffer.alloc(BYTES + 1), 0, BYTES + 1, nameOf(0), 1)).toBe(false);
    expect(backlog.add(Buffer.alloc(BYTES), 0, BYTES, nameOf(0), 1)).toBe(true);
    expect(backlog.count).toBe(1);
  });
});
