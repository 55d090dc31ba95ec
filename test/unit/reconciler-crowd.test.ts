/** Locations that a crash has left behind, while their users come back in a crowd. */
import { expect, it } from 'vitest';
import { Reconciler } from '../../src/cluster/reconciler.ts';
import { NOWHERE } from '../../src/base/model.ts';
import { settle } from '../support/clock.ts';
import { flows } from '../support/flows.ts';

it('waits while many log in: they are not cleared and written again at once', async () => {
  const { directory, table, servers, locks, clock, counters } = flows();
  directory.put({ uid: 'gone' });
  const { name, udp } = servers.me;
  await directory.writeLocation('gone', { ...NOWHERE, server: { name, address: udp }, epoch: 1 }, 0);
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const reconciler = new Reconciler({ directory, table, servers, locks, clock, log, counters });
  const ends: (() => void)[] = [];
  for (let i = 0; i < 64; i++) void locks.run(`u${i}`, () => new Promise<void>((resolve) => ends.push(resolve)));
  await settle();

  await reconciler.step();
  expect(directory.row('gone')?.location.server?.name).toBe(name);

  for (const end of ends) end();
  await settle();
  await reconciler.step();
  expect(directory.row('gone')?.location.server).toBeNull();
});
