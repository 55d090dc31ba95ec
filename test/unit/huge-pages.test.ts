import { afterEach, expect, it, vi } from 'vitest';

const KOFFI = '../../src/base/koffi.ts';

afterEach(() => {
  vi.doUnmock(KOFFI);
  vi.resetModules();
});

it('asks once for koffi where it is missing, and gives memory all the same', async () => {
  const loadKoffi = vi.fn(() => {
    throw new Error('not installed');
  });
  vi.doMock(KOFFI, () => ({ loadKoffi }));
  const { zeros } = await import('../../src/base/huge-pages.ts');
  for (let i = 0; i < 3; i++) expect(zeros(4 * 1024 * 1024).at(-1)).toBe(0);
  expect(loadKoffi.mock.calls.length).toBeLessThanOrEqual(1);
});

it.runIf(process.platform === 'linux')(
  'begins with a line of the cache, and large memory with a huge page',
  async () => {
    const HUGE = 2 * 1024 * 1024;
    const advised: unknown[][] = [];
    // malloc's addresses end like this.
    const start = 5 * HUGE + 16;
    const func =
      () =>
      (...args: unknown[]) =>
        advised.push(args);
    vi.doMock(KOFFI, () => ({ loadKoffi: () => ({ load: () => ({ func }), address: () => BigInt(start) }) }));
    const { zeros } = await import('../../src/base/huge-pages.ts');
    const small = zeros(1_000);
    expect([small.length, (start + small.byteOffset) % 128]).toEqual([1_000, 0]);
    expect(advised).toEqual([]);
    const large = zeros(3 * HUGE + 5);
    expect([large.length, (start + large.byteOffset) % HUGE]).toEqual([3 * HUGE + 5, 0]);
    expect(advised.map((args) => args.slice(0, 2))).toEqual([[6 * HUGE, 3 * HUGE]]);
  },
);
