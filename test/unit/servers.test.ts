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

test('clocks of servers may differ: what counts is that they go on writing', async () => {
  const f = await seen();
  const written = (ms: number) =>
    f.directory.writeServer(serverRecord({ name: 'slow', seenAt: f.clock.now() - 3_600_000 + ms }, f.clock.now()));
  await written(0);
  await f.servers.look();
  expect(f.servers.others()).toEqual([]);
  await written(1);
  await f.servers.look();
  expect(f.servers.others()).toMatchObject([{ name: 'slow', seenAt: f.clock.now() }]);
  await f.time.advance(15_001);
  await f.servers.look();
  expect(f.servers.others()).toEqual([]);
});

test('what was told over the bus holds until the directory knows something younger', async () => {
  const f = await seen({ name: 'b', users: 1 });
  const at = f.clock.now();
  await f.time.advance(1_000);
  f.servers.hear(serverRecord({ name: 'b', users: 7, startedAt: at }, f.clock.now()));
  await f.servers.look();
  expect(f.servers.other('b')).toMatchObject({ users: 7 });
  // It overtook this one, which says less.
  f.servers.hear(serverRecord({ name: 'b', users: 6, startedAt: at }, at + 500));
  expect(f.servers.other('b')).toMatchObject({ users: 7 });
  await f.time.advance(1_000);
  await f.directory.writeServer(serverRecord({ name: 'b', users: 8, startedAt: at, seenAt: f.clock.now() }, at));
  await f.servers.look();
  expect(f.servers.other('b')).toMatchObject({ users: 8 });
  f.servers.hear(serverRecord({ name: 'b', state: 'off', startedAt: at }, f.clock.now() + 1));
  expect(f.servers.other('b')).toBeUndefined();
});

test('who did not answer counts as off until he is heard of again', async () => {
  const f = await seen({ name: 'b' });
  f.servers.suspect('b');
  await f.servers.look();
  expect([f.servers.other('b'), f.servers.withRoom()]).toEqual([undefined, []]);
  expect(f.servers.all()[1]).toMatchObject({ name: 'b', state: 'off' });
  await f.time.advance(1);
  f.servers.hear(serverRecord({ name: 'b' }, f.clock.now()));
  expect(f.servers.other('b')).toMatchObject({ name: 'b' });
});

test('clients that were sent somewhere count there before that server says so itself', async () => {
  const f = await seen({ name: 'b', users: 10 }, { name: 'c', users: 11 });
  const firsts: (string | undefined)[] = [];
  for (let i = 0; i < 4; i++) {
    const name = f.servers.withRoom()[0]?.name;
    firsts.push(name);
    f.servers.sentTo(name ?? '');
  }
  expect(firsts).toEqual(['b', 'b', 'c', 'b']);
  await f.time.advance(1);
  f.servers.hear(serverRecord({ name: 'b', users: 12 }, f.clock.now()));
  expect(f.servers.other('b')?.users).toBe(12);
});

test('the gone are those who were silent or off for long, if this node has run as long', async () => {
  const f = await seen({ name: 'old', seenAt: 0 }, { name: 'b' });
  expect(f.servers.gone(60_000)).toEqual([]);
  await f.time.advance(60_000);
  f.servers.hear(serverRecord({ name: 'b' }, f.clock.now()));
  expect(f.servers.gone(60_000)).toEqual([{ name: 'old', heardAtMs: 0 }]);
});

test('a draining server sends on so many users a second, in turn to whoever has the least, and stops when undrained', async () => {
  const f = await seen({ name: 'b', users: 10 }, { name: 'c', users: 11 });
  expect(f.servers.successor()).toBeUndefined();
  f.servers.drain(2);
  expect(f.servers.drained).toMatchObject({ usersAtStart: 0, rate: 2 });
  const sentTo = () => f.servers.successor()?.name;
  expect([sentTo(), sentTo(), sentTo()]).toEqual(['b', 'b', undefined]);
  await f.time.advance(500);
  expect([sentTo(), sentTo()]).toEqual(['c', undefined]);
  f.servers.setState('on');
  await f.time.advance(1_000);
  expect([sentTo(), f.servers.drained]).toEqual([undefined, null]);
});
