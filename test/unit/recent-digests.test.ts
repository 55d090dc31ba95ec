import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRecentDigests } from '../../src/base/recent-digests.ts';

const MAX = 5;

describe('recent digests', () => {
  it('hold the last ones, each with what was said of it last', () => {
    const key = fc.nat(20).map((number) => hash('sha256', String(number), 'base64url').slice(0, 22));
    fc.assert(
      fc.property(fc.array(fc.record({ key, value: fc.integer({ min: 1, max: 255 }) })), (all) => {
        const table = createRecentDigests(MAX);
        const said = new Map<string, number>();
        for (const one of all) {
          table.set(one.key, one.value);
          // The one that was set last stands last.
          said.delete(one.key);
          said.set(one.key, one.value);
          const lastFirst = [...said].reverse();
          lastFirst.forEach(([known, value], i) => {
            const found = table.get(known);
            if (i < MAX) expect(found).toBe(value);
            else expect([0, value]).toContain(found);
          });
        }
        expect(table.get(hash('sha256', 'another', 'base64url').slice(0, 22))).toBe(0);
      }),
    );
  });

  it('tells keys apart that begin alike, and takes none that is too long', () => {
    const table = createRecentDigests(MAX);
    table.set('a', 1);
    table.set('ab', 2);
    expect([table.get('a'), table.get('ab'), table.get('abc')]).toEqual([1, 2, 0]);
    expect(() => table.get('x'.repeat(25))).toThrow('no digest');
  });

  it('forgets: no more than twice as many are held', () => {
    const table = createRecentDigests(MAX);
    for (let i = 0; i < 100; i++) table.set(String(i), 1);
    expect(Array.from({ length: 100 }, (_, i) => table.get(String(i))).filter((value) => value === 1).length).toBe(10);
  });
});
