import { hash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { HashRoom } from '../../src/base/hashes.ts';
import type { Koffi } from '../../src/base/koffi.ts';

const KOFFI = '../../src/base/koffi.ts';

afterEach(() => {
  vi.doUnmock(KOFFI);
  vi.resetModules();
});

async function roomWith(loadKoffi?: () => Omit<Koffi, 'node'>): Promise<HashRoom> {
  if (loadKoffi !== undefined) vi.doMock(KOFFI, () => ({ loadKoffi }));
  const { createHashRoom } = await import('../../src/base/hashes.ts');
  return createHashRoom(400);
}

function expectRight(room: HashRoom): void {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300, size: 'max' }),
      fc.nat({ max: 100 }),
      fc.boolean(),
      (bytes, at, md5) => {
        room.bytes.set(bytes, at);
        const [algorithm, length] = md5 ? (['md5', 16] as const) : (['sha256', 32] as const);
        room[algorithm](at, at + bytes.length);
        const digest = Buffer.from(room.digest.buffer).subarray(0, length).toString('hex');
        expect(digest).toBe(hash(algorithm, bytes, 'hex'));
      },
    ),
  );
}

describe('hashes of bytes where they stand are those of crypto.hash', () => {
  it('by the functions of OpenSSL, where koffi is installed', async () => {
    const found = vi.fn();
    const { loadKoffi } = await import('../../src/base/koffi.ts');
    const room = await roomWith(() => {
      const koffi = loadKoffi();
      return {
        errno: () => koffi.errno(),
        address: (memory) => koffi.address(memory),
        load: (name) => {
          const library = koffi.load(name);
          return {
            func: (declaration) => {
              const call = library.func(declaration);
              found(declaration);
              return call;
            },
          };
        },
      };
    });
    expectRight(room);
    expect(found).toHaveBeenCalledTimes(2);
  });

  it('without koffi', async () => {
    const room = await roomWith(() => {
      throw new Error('not installed');
    });
    expectRight(room);
  });

  it('where the functions are missing', async () => {
    const func = (): never => {
      throw new Error('Cannot find function');
    };
    expectRight(await roomWith(() => ({ errno: () => 0, address: () => 0n, load: () => ({ func }) })));
  });

  it('where the functions do something else', async () => {
    const func = (): (() => number) => () => 0;
    expectRight(await roomWith(() => ({ errno: () => 0, address: () => 0n, load: () => ({ func }) })));
  });
});

it('of a text, as hexadecimal digits, they are those of crypto.hash', async () => {
  const { hexHash } = await import('../../src/base/hashes.ts');
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 500 }), fc.constant('\ud800')), (text) => {
      for (const name of ['md5', 'sha256'] as const) expect(hexHash(name, text)).toBe(hash(name, text, 'hex'));
    }),
  );
});
