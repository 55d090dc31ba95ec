/** Nodes of one cluster: a real nats-server between them, one MariaDB behind them. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '@nats-io/transport-node';
import { systemClock } from '../../src/base/system.ts';
import type { NatsServer } from '../support/nats.ts';
import { startNats } from '../support/nats.ts';
import { silentLog } from '../support/silent-log.ts';
import type { DirectoryServer } from './support-directories.ts';
import { DIRECTORY_SERVERS } from './support-directories.ts';
import type { TestClient, TestNode } from './support-node.ts';
import { addressOf, http, isSession, openClient, removeFolders, startNode, stopNodes } from './support-node.ts';

const [ONE, TWO, THREE] = ['10017676', '10043939', '10066502'] as const;
const CLUSTER_KEY = 'one key for all of them';

let server: DirectoryServer;
let nats: NatsServer;
let client: TestClient;

beforeAll(async () => {
  server = await DIRECTORY_SERVERS.MariaDB();
  await server.change(TWO, 'one-device');
});
afterAll(async () => {
  await server.stop();
  removeFolders();
});
beforeEach(async () => {
  nats = await startNats();
  client = await openClient();
});
afterEach(async () => {
  await stopNodes();
  await client.close();
  await nats.stop();
});

const settingsOf = (name: string, more: Record<string, string> = {}): Record<string, string> => ({
  ...server.settings,
  VSERVER_NATS: nats.url,
  VSERVER_NAME: name,
  VSERVER_CLUSTER_KEY: CLUSTER_KEY,
  ...more,
});
const start = (name: string, more?: Record<string, string>): Promise<TestNode> => startNode(settingsOf(name, more));

/** Nodes that know of each other; nobody is left online from the test before. */
async function cluster(...names: string[]): Promise<TestNode[]> {
  const nodes: TestNode[] = [];
  for (const name of names) nodes.push(await start(name));
  for (const node of nodes) {
    await expect.poll(() => node.core.bus.isUp).toBe(true);
    await node.core.servers.renew();
  }
  for (const node of nodes) await expect.poll(() => node.core.servers.others().length).toBe(names.length - 1);
  return nodes;
}
const pair = async (): Promise<[TestNode, TestNode]> => (await cluster('a', 'b')) as [TestNode, TestNode];

describe('one owner', () => {
  it('is told at once that a user with one device logged in elsewhere, and tells the older client', async () => {
    const [a, b] = await pair();
    const older = await client.welcome(a.udp, TWO);
    const newer = await client.welcome(b.udp, TWO);
    await expect.poll(() => a.core.table.count).toBe(0);
    expect(await older.ask('Heartbeat')).toMatchObject({
      verb: 'Error',
      argument: expect.stringMatching(/^401/) as string,
    });
    expect(await newer.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    expect(a.core.counters.driftDropped).toBe(0);
  });

  it('keeps a second device, unless he has lost the user or does not answer', async () => {
    const [a, b] = await pair();
    await client.welcome(a.udp, ONE, { headers: { instance: 'desk' } });
    const redirect = await client.login(b.udp, ONE, { headers: { instance: 'pocket' } });
    if (isSession(redirect)) throw new Error('welcome at two nodes');
    expect([redirect.verb, addressOf(redirect)]).toEqual(['Redirect', a.udp]);
    // The node forgets him, as in a crash, and the directory still names it.
    const row = a.core.table.openRows()[0] ?? -1;
    a.core.ends.end(row, 'moved');
    await client.welcome(b.udp, ONE, { headers: { instance: 'pocket' } });
    expect(a.core.servers.other('b')?.name).toBe('b');
    // Gone without a word: NATS knows at once.
    await b.core.bus.close();
    await client.welcome(a.udp, ONE, { headers: { instance: 'desk' } });
    expect(a.core.table.count).toBe(1);
    expect(a.core.servers.other('b')).toBeUndefined();
  });

  it('is cleared where a node that crashed left its name behind', async () => {
    const a = await start('a');
    const location = (await server.eye.find(THREE))?.location;
    if (location === undefined) throw new Error('no such user');
    const ghost = { ...location, server: { name: 'a', address: a.udp }, loginAt: 1, epoch: location.epoch + 1 };
    await server.eye.writeLocation(THREE, ghost, location.epoch);
    const reborn = (await stopNodes(), await start('a'));
    await expect.poll(async () => (await server.eye.find(THREE))?.location.server).toBeNull();
    // It is counted when the node, too, knows that it is written.
    await expect.poll(() => reborn.core.counters.driftCleared).toBeGreaterThanOrEqual(1);
    expect((await http(`${reborn.http}/metrics`)).text).toMatch(/vserver_drift_total\{kind="cleared"\} [1-9]/);
  });
});

it('a node that answers in full asks the owner, and says so when it is explained', async () => {
  const a = await start('a');
  const c = await start('c', { VSERVER_LOCATE_MODE: 'full' });
  await expect.poll(() => c.core.bus.isUp && c.core.servers.other('a') !== undefined).toBe(true);
  const two = await client.welcome(a.udp, TWO);
  await two.ask('Status', 'on-phone');
  const one = await client.welcome(c.udp, ONE);
  const found = await one.ask('Locate', TWO);
  expect([found.verb, found.argument, found.headers.get('status')]).toEqual(['User', TWO, 'on-phone']);
  const url = `${c.http}/v1/locate/${TWO}?explain=1&as=${ONE}`;
  const { json } = await http(url, { token: c.adminToken });
  expect(json).toMatchObject({
    status: 'on-phone',
    steps: expect.arrayContaining([expect.stringMatching(/^bus: a answered/)]) as unknown,
  });
  expect(await http(`${c.http}/readyz`)).toMatchObject({ status: 200, json: { status: 'ready' } });
  await nats.kill('SIGKILL');
  await expect.poll(() => c.core.bus.isUp).toBe(false);
  const readiness = await http(`${c.http}/readyz`);
  expect(readiness).toMatchObject({ status: 200, json: { status: 'degraded' } });
  expect(readiness.json).toMatchObject({ dependencies: [{ ok: true }, { dependency: 'nats', ok: false }] });
  expect(await one.ask('Locate', TWO)).toMatchObject({ verb: 'SeeAlso' });
});

it('a drained node sends its users to the others, who find each other all the same, and takes them again', async () => {
  const [a, b] = await pair();
  const sessions = [await client.welcome(a.udp, ONE), await client.welcome(a.udp, TWO)];
  const admin = (path: string, body?: object) =>
    http(`${a.http}/v1/admin/${path}`, { token: a.adminToken, ...(body && { body }) });
  expect(await admin('drain', { rate: 1_000 })).toMatchObject({ status: 200, json: { state: 'draining', users: 2 } });
  await expect.poll(() => b.core.servers.other('a')?.state).toBe('draining');
  for (const session of sessions) {
    const redirect = await session.ask('Heartbeat');
    expect([redirect.verb, addressOf(redirect)]).toEqual(['Redirect', b.udp]);
    const headers = { ticket: redirect.headers.get('ticket') ?? '' };
    await client.welcome(addressOf(redirect), session.uid, { headers });
  }
  await expect.poll(async () => (await admin('drain')).json).toMatchObject({ users: 0, usersAtStart: 2 });
  const fresh = await client.login(a.udp, THREE);
  expect(fresh).toMatchObject({ verb: 'Redirect' });
  expect(await admin('undrain', {})).toMatchObject({ status: 200, json: { state: 'on' } });
  await client.welcome(a.udp, THREE);
});

describe('warns at the start', () => {
  const warningsOf = async (name: string, more: Record<string, string>): Promise<readonly string[]> => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (_fields: object, message: string) => void warnings.push(message) };
    await startNode(settingsOf(name, more), { log });
    return warnings;
  };

  it('of a server that is not heard over NATS', async () => {
    const a = await start('a');
    await a.core.bus.close();
    expect(await warningsOf('b', {})).toContainEqual(expect.stringMatching(/not heard on NATS: .*VSERVER_NATS/));
  });

  it('of one with another key, while that is changed on one after the other', async () => {
    await start('a');
    const more = { VSERVER_CLUSTER_KEY: 'another key than theirs', VSERVER_CLUSTER_KEY_CHANGE: 'on' };
    expect(await warningsOf('b', more)).toContainEqual(expect.stringMatching(/^the server a .* another cluster key/));
  });
});

it('joins, whatever somebody without the key says on NATS', async () => {
  const a = await start('a');
  await a.core.bus.close();
  const stranger = await connect({ servers: nats.url.replace('nats://', '') });
  try {
    const heard: string[] = [];
    stranger.subscribe('vserver.>', {
      callback(_error, message) {
        heard.push(message.subject);
        message.respond('here I am');
      },
    });
    await stranger.flush();
    const b = await start('b');
    expect(heard).not.toEqual([]);
    expect((await server.eye.servers()).map(({ name }) => name)).toContain(b.core.servers.me.name);
  } finally {
    await stranger.close();
  }
});

describe('does not join, and says why,', () => {
  const refusal = async (name: string, more: Record<string, string>, aheadMs = 0): Promise<string> => {
    const clock = { now: () => systemClock.now() + aheadMs };
    const node = startNode(settingsOf(name, more), { clock });
    return node.then(
      () => 'it runs',
      (error: unknown) => (error as Error).message,
    );
  };
  beforeEach(() => start('a'));

  it('a node of another cluster key', async () => {
    expect(await refusal('b', { VSERVER_CLUSTER_KEY: 'another key than theirs' })).toMatch(
      /^the server a \(127\.0\.0\.1:\d+\) runs on this directory with another cluster key: set VSERVER_CLUSTER_KEY/,
    );
  });

  it('a node of another realm', async () => {
    expect(await refusal('b', { VSERVER_REALM: 'elsewhere' })).toMatch(
      /realm here is elsewhere, that of the server a is/,
    );
  });
  it.each([-60_000, 3_600_000])('a node whose clock is wrong by %i ms', async (aheadMs) => {
    expect(await refusal('b', {}, aheadMs)).toMatch(/^the clock here is \d+ s (ahead of|behind) that of the server a/);
  });
  it('a second node of one name', async () => {
    expect(await refusal('a', {})).toMatch(/^a server of the name a /);
  });
});
