/** Records of other servers, with values that make sense and with others. */
import { expect, test } from 'vitest';
import { readServerRecord } from '../../src/redirect/server-record.ts';
import { flows, serverRecord } from '../support/flows.ts';

const good = serverRecord({ name: 'b', sip: { host: '::1', port: 5060 } }, 1_000);

test('a record is read as it was told, without what is no part of it', () => {
  expect(readServerRecord(JSON.parse(JSON.stringify({ ...good, more: 1 })))).toEqual(good);
});

test.each([
  null,
  'text',
  [],
  { ...good, name: '' },
  { ...good, name: 'a\nb' },
  { ...good, name: 'x'.repeat(300) },
  { ...good, udp: { host: 'example.org', port: 4321 } },
  { ...good, udp: { host: '127.0.0.1', port: 0 } },
  { ...good, udp: { host: '127.0.0.1', port: 70_000 } },
  { ...good, udp: undefined },
  { ...good, http: 'javascript:alert(1)' },
  { ...good, sip: { host: '127.0.0.1', port: '5060' } },
  { ...good, state: 'asleep' },
  { ...good, users: -1 },
  { ...good, users: 1.5 },
  { ...good, usersMax: 0 },
  { ...good, usersMax: Number.NaN },
  { ...good, seenAt: 'now' },
  { ...good, version: 7 },
])('nonsense is left out: %j', async (value) => {
  expect(readServerRecord(value)).toBeNull();
  if (typeof value !== 'object' || value === null || !('name' in value)) return;
  const f = flows();
  await f.directory.writeServer(value as never);
  await f.servers.look();
  expect(f.servers.others()).toEqual([]);
});
