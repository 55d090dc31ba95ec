import { describe, expect, it } from 'vitest';
import { coalesced } from '../../src/directory/coalesce.ts';
import type { Batches } from '../../src/directory/coalesce.ts';

/** Doubles numbers; keeps which batches and singles were asked, and holds batches until they are released. */
function doubler(
  options: Partial<Pick<Batches<number, number>, 'itemsMax' | 'batchesMax'>> & { poison?: number } = {},
) {
  const asked: (number | readonly number[])[] = [];
  const held: (() => void)[] = [];
  const double = coalesced<number, number>({
    itemsMax: options.itemsMax ?? 4,
    batchesMax: options.batchesMax ?? 1,
    single(item) {
      asked.push(item);
      return item === options.poison ? Promise.reject(new Error('poison')) : Promise.resolve(2 * item);
    },
    async batch(items) {
      asked.push(items);
      await new Promise<void>((resolve) => held.push(resolve));
      if (items.some((item) => item === options.poison)) throw new Error('one of them');
      return items.map((item) => 2 * item);
    },
  });
  return { double, asked, release: () => held.shift()?.() };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('operations that come together', () => {
  it('are one batch, and each gets its own answer', async () => {
    const { double, asked, release } = doubler();
    const answers = Promise.all([double(1), double(2), double(3)]);
    await turn();
    release();
    expect(await answers).toEqual([2, 4, 6]);
    expect(asked).toEqual([[1, 2, 3]]);
  });

  it('go by themselves where there is only one', async () => {
    const { double, asked } = doubler();
    expect(await double(7)).toBe(14);
    expect(asked).toEqual([7]);
  });

  it('wait for a batch that is under way, and then go together', async () => {
    const { double, asked, release } = doubler();
    const first = Promise.all([double(1), double(2)]);
    await turn();
    const later = [double(3)];
    await turn();
    later.push(double(4));
    await turn();
    expect(asked).toEqual([[1, 2]]);
    release();
    await first;
    await turn();
    expect(asked).toEqual([
      [1, 2],
      [3, 4],
    ]);
    release();
    expect(await Promise.all(later)).toEqual([6, 8]);
  });

  it('are no more than itemsMax in a batch and batchesMax batches under way', async () => {
    const { double, asked, release } = doubler({ itemsMax: 2, batchesMax: 2 });
    const answers = Promise.all([1, 2, 3, 4, 5, 6].map(double));
    await turn();
    expect(asked).toEqual([
      [1, 2],
      [3, 4],
    ]);
    release();
    await turn();
    await turn();
    expect(asked).toHaveLength(3);
    release();
    release();
    expect(await answers).toEqual([2, 4, 6, 8, 10, 12]);
  });

  it('fail alone: the others of a failed batch are done by themselves', async () => {
    const { double, asked, release } = doubler({ poison: 2 });
    const answers = Promise.allSettled([double(1), double(2), double(3)]);
    await turn();
    release();
    expect((await answers).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(asked).toEqual([[1, 2, 3], 1, 2, 3]);
  });

  it('are refused where more than a thousand wait', async () => {
    const { double } = doubler();
    const answers = Array.from({ length: 1_025 }, (_, i) => double(i));
    await expect(answers[1_024]).rejects.toMatchObject({ code: 'OVERLOADED' });
  });
});
