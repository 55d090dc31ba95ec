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
  for (let i = 0; i < 3; i++) expect(new Uint8Array(zeros(4 * 1024 * 1024)).at(-1)).toBe(0);
  expect(loadKoffi.mock.calls.length).toBeLessThanOrEqual(1);
});
