/** The cluster key is changed on one node after the other, as docs/operations.md says: a real nats-server, one MariaDB. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { NatsServer } from '../support/nats.ts';
import { startNats } from '../support/nats.ts';
import { freePort } from '../support/programs.ts';
import type { DirectoryServer } from './support-directories.ts';
import { DIRECTORY_SERVERS } from './support-directories.ts';
import type { TestClient, TestNode, TestSession } from './support-node.ts';
import {
  addressOf,
  http,
  isSession,
  openClient,
  removeFolders,
  startNode,
  stopNodes,
  temporaryFolder,
} from './support-node.ts';

const NAMES = ['a', 'b', 'c'] as const;
const UIDS = ['10017676', '10043939', '10066502'] as const;
const OLD = { VSERVER_CLUSTER_KEY: 'the key that somebody has seen' };
const NEW = { VSERVER_CLUSTER_KEY: 'the key that nobody else knows' };
const CHANGE = { VSERVER_CLUSTER_KEY_CHANGE: 'on' };

let server: DirectoryServer;
let nats: NatsServer;
let client: TestClient;
const nodes = new Map<string, TestNode>();
const places = new Map<string, Record<string, string>>();

beforeAll(async () => {
  [server, nats, client] = await Promise.all([DIRECTORY_SERVERS.MariaDB(), startNats(), openClient()]);
  for (const name of NAMES) {
    const [data, port] = [temporaryFolder(), String(await freePort())];
    places.set(name, { VSERVER_NAME: name, VSERVER_DATA: data, VSERVER_UDP_PORT: port });
  }
});
afterEach(stopNodes);
afterAll(async () => {
  await client.close();
  await nats.stop();
  await server.stop();
  removeFolders();
});

const node = (name: string): TestNode => nodes.get(name) ?? (undefined as never);

async function start(name: string, more: Record<string, string>): Promise<void> {
  const settings = { ...server.settings, VSERVER_NATS: nats.url, VSERVER_RATE_LIMIT: '0' };
  nodes.set(name, await startNode({ ...settings, ...places.get(name), ...more }));
}

/** As `vserver drain && vserver stop` does. */
async function drainAndStop(name: string): Promise<void> {
  const draining = node(name);
  const { http: url, adminToken: token } = draining;
  expect(await http(`${url}/v1/admin/drain`, { token, body: { rate: 1_000 } })).toMatchObject({ status: 200 });
  const users = async (): Promise<unknown> => {
    await keepOnline();
    return (await http(`${url}/v1/admin/drain`, { token })).json['users'];
  };
  await expect.poll(users).toBe(0);
  await draining.stop(false);
}

const sessions = new Map<string, TestSession>();

/** What clients do: a heartbeat, and where it redirects them or tells them to, a login, at whatever node takes it. */
async function keepOnline(): Promise<void> {
  for (const [uid, session] of sessions) {
    const reply = await session.ask('Heartbeat');
    if (reply.verb === 'Ok') continue;
    expect([uid, reply.verb]).toEqual([uid, 'Redirect']);
    let at = addressOf(reply);
    let ticket = reply.headers.get('ticket') ?? '';
    for (let hops = 0; sessions.get(uid) === session; hops++) {
      if (hops > 3) throw new Error(`${uid} is sent in circles`);
      const answer = await client.login(at, uid, { headers: { ticket, instance: uid } });
      if (isSession(answer)) sessions.set(uid, answer);
      else {
        expect([uid, answer.verb, answer.argument]).toEqual([uid, 'Redirect', answer.argument]);
        at = addressOf(answer);
        ticket = answer.headers.get('ticket') ?? '';
      }
    }
  }
}

/** Each hears the others over the bus. */
async function areOne(...names: string[]): Promise<void> {
  for (const name of names) {
    for (const other of names.filter((one) => one !== name)) {
      await expect.poll(() => node(name).core.bus.ask(other, 'join', {}, 5_000)).toMatchObject({ body: {} });
    }
  }
}

it('users stay online all the time, and at the end all have the new key', async () => {
  for (const name of NAMES) await start(name, OLD);
  await areOne(...NAMES);
  for (const name of NAMES) await node(name).core.servers.renew();
  for (const [i, uid] of UIDS.entries()) {
    const { udp } = node(NAMES[i] ?? '');
    sessions.set(uid, await client.welcome(udp, uid, { headers: { instance: uid } }));
  }

  await drainAndStop('a');
  await expect(start('a', NEW)).rejects.toMatchObject({
    code: 'SETTINGS',
    message: expect.stringMatching(/^the server [bc] .* another cluster key: .*VSERVER_CLUSTER_KEY_CHANGE/) as string,
  });
  await start('a', { ...NEW, ...CHANGE });
  await keepOnline();
  await areOne('b', 'c');
  expect(await node('a').core.bus.ask('b', 'join', {}, 5_000)).toBe('nobody');

  await drainAndStop('b');
  await start('b', { ...NEW, ...CHANGE });
  await keepOnline();
  await areOne('a', 'b');

  await drainAndStop('c');
  await start('c', NEW);
  await keepOnline();
  await areOne(...NAMES);

  // The setting is taken away at the end, which is a restart like any other.
  for (const name of ['a', 'b']) {
    await drainAndStop(name);
    await start(name, NEW);
    await keepOnline();
  }
  await areOne(...NAMES);
  expect([...nodes.values()].reduce((sum, { core }) => sum + core.table.count, 0)).toBe(UIDS.length);
});
