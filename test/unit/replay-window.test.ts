import { expect, test } from 'vitest';
import fc from 'fast-check';
import { acceptSeq, takenOf, WINDOW_WORDS } from '../../src/heartbeat/replay-window.ts';

function createWindow() {
  const windows = new Uint32Array(3 * WINDOW_WORDS);
  return { windows, accept: (seq: number) => acceptSeq(windows, WINDOW_WORDS, seq) };
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
  const { accept, windows } = createWindow();
  for (let seq = 0; seq < 200; seq += 3) accept(seq);
  expect([...windows.subarray(0, WINDOW_WORDS), ...windows.subarray(2 * WINDOW_WORDS)]).toEqual(Array(8).fill(0));
});

test('holds against a set of all numbers used', () => {
  const seqs = fc.oneof(fc.nat(200), fc.integer({ min: 2 ** 32 - 200, max: 2 ** 32 - 1 }), fc.nat(2 ** 31 - 1));
  fc.assert(
    fc.property(fc.array(seqs, { maxLength: 200 }), (list) => {
      const { accept, windows } = createWindow();
      const used = new Set<number>();
      let highest = -1;
      let fresh = 0;
      for (const seq of list) {
        const wanted = highest - seq >= 64 ? 'too old' : used.has(seq) ? 'used' : 'fresh';
        expect(accept(seq)).toBe(wanted);
        if (wanted === 'fresh') fresh++;
        used.add(seq);
        highest = Math.max(highest, seq);
      }
      expect(takenOf(windows, WINDOW_WORDS)).toBe(fresh);
    }),
    { numRuns: 500 },
  );
});
