/** Users of other nodes as one node holds them, over other nodes that the test speaks for. */
import { expect, test } from 'vitest';
import { NOWHERE, userDefaults } from '../../src/base/model.ts';
import type { SeenStatus } from '../../src/presence/compose.ts';
import type { FarUsersDeps } from '../../src/presence/far-users.ts';
import { FarUsers } from '../../src/presence/far-users.ts';
import { manualTime } from '../support/clock.ts';
import { silentLog } from '../support/silent-log.ts';

test('a node that was started anew is believed, though its clock was set back', async () => {
  const { clock, timers } = manualTime();
  let owner = { name: 'b', startedAt: 1_000 };
  let said: { order: number; status: SeenStatus } = { order: 9_000_000, status: 'online' };
  const deps = {
    presence: { changed: () => undefined, admit: () => undefined, gone: () => undefined },
    table: { users: { find: () => -1 } },
    servers: { me: { name: 'a' }, others: () => [owner], other: () => owner },
    directory: {
      peek: () => Promise.resolve(new Map([['u', { server: 'b', epoch: 1, version: '1' }]])),
      find: () => Promise.resolve({ user: userDefaults('u'), location: NOWHERE, version: '1' }),
    },
    owners: {
      isUp: true,
      arrived: () => undefined,
      watch: () => {
        const seen = { status: said.status, note: '' };
        return Promise.resolve({ order: said.order, states: [{ uid: 'u', seen, version: 'v' }] });
      },
    },
    ...{ clock, timers, log: silentLog },
  };
  const far = new FarUsers(deps as unknown as FarUsersDeps);
  far.watched('u');
  await far.step();
  expect(far.state('u').status).toBe('online');

  said = { order: 5_000, status: 'busy' };
  far.told('b', { order: 5_000, states: [{ uid: 'u', seen: { status: 'busy', note: '' }, version: 'v' }] });
  expect(far.state('u').status).toBe('online');
  owner = { name: 'b', startedAt: 500 };
  await far.step();
  expect(far.state('u').status).toBe('busy');
  far.close();
});
