/** Who watches whom across three nodes in processes of their own, a real nats-server between them and one MariaDB behind. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { NatsServer } from '../support/nats.ts';
import { startNats } from '../support/nats.ts';
import { ensureBuilt } from './support-cli.ts';
import { NodeProcess, pause } from './support-cluster.ts';
import type { DirectoryServer } from './support-directories.ts';
import { DIRECTORY_SERVERS } from './support-directories.ts';
import type { TestClient, TestSession } from './support-node.ts';
import { openClient, removeFolders } from './support-node.ts';
import type { Seen, Watcher } from './support-watchers.ts';
import { native, sipJs } from './support-watchers.ts';

const [PHONE, CLIENT, THIRD] = ['10017676', '10043939', '10066502'] as const;
/** A dead node counts as off after 15 s. */
const POLL = { timeout: 40_000, interval: 50 };

let directory: DirectoryServer;
let nats: NatsServer;
let nodes: NodeProcess[];
let client: TestClient;
const open: Watcher[] = [];
const node = (i: number): NodeProcess => nodes[i] ?? (undefined as never);

vi.stubGlobal('WebSocket', WebSocket);
beforeAll(async () => {
  ensureBuilt();
  [directory, nats] = await Promise.all([DIRECTORY_SERVERS.MariaDB(), startNats()]);
  // Some of the sample users ask for consent.
  for (const uid of [PHONE, CLIENT, THIRD]) await directory.eye.change(uid, { service: { privacy: 'all' } });
  const settings = {
    ...directory.settings,
    ...{ VSERVER_NATS: nats.url, VSERVER_CLUSTER_KEY: 'one key for all of them', VSERVER_RATE_LIMIT: '0' },
    ...{ VSERVER_HEARTBEAT: '2', VSERVER_EXPIRES: '30' },
  };
  nodes = ['a', 'b', 'c'].map((name) => new NodeProcess(name, settings));
  for (const one of nodes) await one.start();
  client = await openClient();
}, 120_000);
afterEach(async () => {
  // Those on a node that was killed can't say goodbye.
  await Promise.allSettled(open.splice(0).map((one) => Promise.race([one.close(), pause(10_000)])));
});
afterAll(async () => {
  await Promise.all(nodes.map((one) => one.end()));
  await client.close();
  await nats.stop();
  await directory.stop();
  removeFolders();
  vi.unstubAllGlobals();
});

async function opened(watcher: Promise<Watcher>): Promise<Watcher> {
  const one = await watcher;
  open.push(one);
  return one;
}
const sees = (watcher: Watcher, uid: string, what: Seen): Promise<void> =>
  vi.waitFor(() => {
    expect([uid, watcher.sees(uid)]).toEqual([uid, what]);
  }, POLL);

/** A client that stays where it is, whatever becomes of its node. */
const login = (at: NodeProcess): Promise<TestSession> =>
  client.welcome(at.udp, THIRD, { headers: { instance: 'desk' } });

describe('a phone on one node and a client on another', () => {
  it.each([
    ['a', 'b', 0, 1],
    ['b', 'a', 1, 0],
  ])('see each other: the phone on %s, the client on %s', async (_phone, _client, phoneAt, clientAt) => {
    const phone = await opened(sipJs(node(phoneAt), PHONE, [CLIENT, THIRD]));
    const softphone = await opened(native(node(clientAt), CLIENT, [PHONE, THIRD]));
    await sees(phone, CLIENT, 'online');
    await sees(softphone, PHONE, 'online');
    await softphone.say('busy');
    await sees(phone, CLIENT, 'busy');
    await phone.say('busy');
    await sees(softphone, PHONE, 'busy');
    await softphone.say('offline');
    await sees(phone, CLIENT, 'offline');
    await softphone.say('online');
    await sees(phone, CLIENT, 'online');
    await phone.say('online');
    await sees(softphone, PHONE, 'online');
    expect(phone.sees(THIRD)).toBe('offline');
    await softphone.close();
    await sees(phone, CLIENT, 'offline');
  });

  it('and who is blocked sees a logout, whatever the other one does', async () => {
    const phone = await opened(sipJs(node(0), PHONE, [CLIENT]));
    const softphone = await opened(native(node(1), CLIENT, []));
    await sees(phone, CLIENT, 'online');
    await node(1).admin(`users/${CLIENT}`, { lists: { blocked: [PHONE] } }, 'PATCH');
    await sees(phone, CLIENT, 'offline');
    await softphone.say('busy');
    await pause(7_000);
    expect(phone.sees(CLIENT)).toBe('offline');
    await node(1).admin(`users/${CLIENT}`, { lists: { blocked: [] } }, 'PATCH');
    await sees(phone, CLIENT, 'busy');
  });
});

it('nats-server is killed and comes back: what happened meanwhile is seen', async () => {
  const phone = await opened(sipJs(node(0), PHONE, [CLIENT]));
  const softphone = await opened(native(node(1), CLIENT, []));
  await sees(phone, CLIENT, 'online');
  await nats.kill('SIGKILL');
  await softphone.say('busy');
  await pause(2_000);
  expect(phone.sees(CLIENT)).toBe('online');
  await nats.start();
  await sees(phone, CLIENT, 'busy');
});

it('kill -9 of the node that has the user: offline, until he logs in at the third', async () => {
  const phone = await opened(sipJs(node(0), PHONE, [THIRD]));
  const softphone = await opened(native(node(0), CLIENT, [THIRD]));
  await login(node(1));
  for (const one of [phone, softphone]) await sees(one, THIRD, 'online');
  await node(1).end('SIGKILL');
  for (const one of [phone, softphone]) await sees(one, THIRD, 'offline');
  const session = await login(node(2));
  await session.ask('Status', 'busy');
  for (const one of [phone, softphone]) await sees(one, THIRD, 'busy');
  await node(1).start();
}, 120_000);
