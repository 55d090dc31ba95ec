/** The image of the server list (DIRECTORY.md section 4). */
import { expect, test } from 'vitest';
import type { ServerRecord } from '../../src/base/model.ts';
import { flows, serverRecord } from '../support/flows.ts';

const HERE = { host: '127.0.0.1', port: 4321 };

async function seen(...records: (Partial<ServerRecord> & { name: string })[]) {
  const f = flows({ name: 'here', udp: HERE });
  for (const record of records) await f.directory.writeServer(serverRecord(record, f.clock.now()));
  await f.servers.look();
  return f;
}

test('those with room are the running ones below their maximum, by their load and then by name', async () => {
  const f = await seen(
    { name: 'half', users: 50 },
    { name: 'large', users: 60, usersMax: 1_000 },
    { name: 'full', users: 100 },
    { name: 'leaving', state: 'draining' },
    { name: 'gone', state: 'off' },
    { name: 'b', users: 10 },
    { name: 'a', users: 10 },
    { name: 'here' },
  );
  expect(f.servers.withRoom().map(({ name }) => name)).toEqual(['large', 'a', 'b', 'half']);
  await f.time.advance(15_001);
  expect(f.servers.withRoom()).toEqual([]);
});

test('a running server of the same name at another address is another one', async () => {
  const f = await seen({ name: 'here' });
  expect(f.servers.namesake()).toMatchObject({ name: 'here', udp: { host: '127.0.0.9' } });
});

test('an earlier run of this server is none: after kill -9 its record still stands', async () => {
  const f = await seen({ name: 'here', udp: HERE, startedAt: 1 });
  expect(f.servers.namesake()).toBeUndefined();
});

test('nor is one that has stopped, or was silent for 15 s, or has another name', async () => {
  expect((await seen({ name: 'here', state: 'off' })).servers.namesake()).toBeUndefined();
  expect((await seen({ name: 'other' })).servers.namesake()).toBeUndefined();
  const f = await seen({ name: 'here' });
  await f.time.advance(15_001);
  expect(f.servers.namesake()).toBeUndefined();
});

test('the own record is no namesake once it is written', async () => {
  const f = await seen();
  await f.servers.renew();
  await f.servers.renew();
  expect(f.servers.namesake()).toBeUndefined();
  expect(f.servers.others()).toEqual([]);
});
