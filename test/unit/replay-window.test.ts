import { expect, test } from 'vitest';
import fc from 'fast-check';
import { acceptSeq } from '../../src/heartbeat/replay-window.ts';

function createWindow() {
  const columns = [new Uint32Array(3), new Uint32Array(3), new Uint32Array(3)] as const;
  return { columns, accept: (seq: number) => acceptSeq(...columns, 1, seq) };
}

test.each([0, 1, 63, 64, 2 ** 31, 2 ** 32 - 1])('the first number may be %s, and counts once', (seq) => {
  const { accept } = createWindow();
  expect(accept(seq)).toBe('fresh');
  expect(accept(seq)).toBe('used');
});

test('63 behind the highest is taken once, 64 behind is too old', () => {
  const { accept } = createWindow();
  accept(1000);
  expect([accept(937), accept(937), accept(936)]).toEqual(['fresh', 'used', 'too old']);
});

test.each([1, 31, 32, 33, 63, 64, 65, 2 ** 31])('a leap by %s keeps what is still in the window', (by) => {
  const { accept } = createWindow();
  accept(100);
  expect(accept(100 + by)).toBe('fresh');
  expect(accept(100)).toBe(by < 64 ? 'used' : 'too old');
  expect(accept(99 + by)).toBe(by === 1 ? 'used' : 'fresh');
});

test('other rows stay as they are', () => {
  const { accept, columns } = createWindow();
  for (let seq = 0; seq < 200; seq += 3) accept(seq);
  for (const column of columns) expect([column[0], column[2]]).toEqual([0, 0]);
});

test('holds against a set of all numbers used', () => {
  const seqs = fc.oneof(fc.nat(200), fc.integer({ min: 2 ** 32 - 200, max: 2 ** 32 - 1 }), fc.nat(2 ** 31 - 1));
  fc.assert(
    fc.property(fc.array(seqs, { maxLength: 200 }), (list) => {
      const { accept } = createWindow();
      const used = new Set<number>();
      let highest = -1;
      for (const seq of list) {
        const wanted = highest - seq >= 64 ? 'too old' : used.has(seq) ? 'used' : 'fresh';
        expect(accept(seq)).toBe(wanted);
        used.add(seq);
        highest = Math.max(highest, seq);
      }
    }),
    { numRuns: 500 },
  );
});
