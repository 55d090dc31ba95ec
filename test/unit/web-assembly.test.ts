import { afterEach, expect, it, vi } from 'vitest';

afterEach(() => {
  vi.doUnmock('node:os');
  vi.resetModules();
});

/** An empty module (WebAssembly 5.5). */
const EMPTY = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]).toString('base64');

it('runs code', async () => {
  const { instantiate } = await import('../../src/base/web-assembly.ts');
  expect(instantiate(EMPTY)).toEqual({});
});

it('is refused where numbers stand the other way round in memory: offsets would be read wrongly', async () => {
  vi.doMock('node:os', async (original) => ({ ...(await original<object>()), endianness: () => 'BE' }));
  const { instantiate } = await import('../../src/base/web-assembly.ts');
  expect(() => instantiate(EMPTY)).toThrow('little-endian');
});

it('says what is missing where the engine refuses the code', async () => {
  const { instantiate } = await import('../../src/base/web-assembly.ts');
  // An instruction that no engine knows.
  const unknown = Buffer.from([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 5, 1, 3, 0, 0xff, 0x0b,
  ]);
  expect(() => instantiate(unknown.toString('base64'))).toThrow('SIMD');
});
