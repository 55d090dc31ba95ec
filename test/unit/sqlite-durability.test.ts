import { describe, expect, it } from 'vitest';
import { shared } from '../../src/directory/sqlite-durability.ts';

/** A sync that lasts until it is told to end. */
function heldSync() {
  const ends: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const synced = shared(() => new Promise<void>((resolve, reject) => ends.push({ resolve, reject })));
  return { synced, ends };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a shared sync', () => {
  it('is one for all who wait at the same time', async () => {
    const { synced, ends } = heldSync();
    const all = Promise.all([synced(), synced(), synced()]);
    await turn();
    expect(ends).toHaveLength(1);
    ends[0]?.resolve();
    await all;
  });

  it('that is running does not count for who comes later: he waits for the next one', async () => {
    const { synced, ends } = heldSync();
    const first = synced();
    await turn();
    let isDone = false;
    const later = Promise.all([synced(), synced()]).then(() => (isDone = true));
    ends[0]?.resolve();
    await first;
    await turn();
    expect(ends).toHaveLength(2);
    expect(isDone).toBe(false);
    ends[1]?.resolve();
    await later;
  });

  it('that fails is told to those who waited for it, and not to the next ones', async () => {
    const { synced, ends } = heldSync();
    const first = synced();
    await turn();
    const later = synced();
    ends[0]?.reject(new Error('the disk is full'));
    await expect(first).rejects.toThrow('the disk is full');
    await turn();
    ends[1]?.resolve();
    await later;
  });
});
