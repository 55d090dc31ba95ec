/**
 * Three nodes in processes of their own over MariaDB and a real nats-server, while one thing after another dies.
 * CLUSTER_CLIENTS=3000 runs it with so many phones and prints what was measured, CLUSTER_DIRECTORY=OpenLDAP over that.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import type { Owned } from '../../src/directory/directory.ts';
import type { NatsServer } from '../support/nats.ts';
import { startNats } from '../support/nats.ts';
import { ensureBuilt } from './support-cli.ts';
import { NodeProcess, pause, Phone, PHONES } from './support-cluster.ts';
import type { DirectoryServer } from './support-directories.ts';
import { DIRECTORY_SERVERS } from './support-directories.ts';
import { openClient, PASSWORD, removeFolders } from './support-node.ts';
import type { TestClient } from './support-node.ts';

const DIRECTORY = process.env['CLUSTER_DIRECTORY'] === 'OpenLDAP' ? 'OpenLDAP' : 'MariaDB';
const STOPPED_MS = Number(process.env['CLUSTER_STOPPED_MS'] ?? '12000');
/** Phones a socket: replies of many fit into its buffer. */
const PHONES_A_SOCKET = 250;
const BACK_MS_MAX = 90_000;
/** The sweep looks at everybody within 45 s. */
const RECONCILED_MS_MAX = 90_000;

let directory: DirectoryServer;
let nats: NatsServer;
let nodes: NodeProcess[] = [];
const clients: TestClient[] = [];
let phones: Phone[] = [];
const measured: string[] = [];

beforeAll(async () => {
  ensureBuilt();
  [directory, nats] = await Promise.all([DIRECTORY_SERVERS[DIRECTORY](), startNats()]);
  for (let i = 0; i < PHONES; i++) {
    const user = userDefaults(`p${i}`);
    const secret = { ...user.secret, password: PASSWORD };
    await directory.eye.create({ ...user, secret, service: { ...user.service, devicesMax: i % 2 === 0 ? 1 : 5 } });
  }
  const settings = {
    ...directory.settings,
    ...{ VSERVER_NATS: nats.url, VSERVER_CLUSTER_KEY: 'one key for all of them', VSERVER_RATE_LIMIT: '0' },
    ...{ VSERVER_HEARTBEAT: '2', VSERVER_EXPIRES: '30' },
  };
  nodes = ['a', 'b', 'c'].map((name) => new NodeProcess(name, settings));
  for (const node of nodes) await node.start();
  for (let i = 0; i < PHONES; i += PHONES_A_SOCKET) clients.push(await openClient());
  phones = Array.from({ length: PHONES }, (_, i) => {
    const client = clients[Math.floor(i / PHONES_A_SOCKET)];
    if (client === undefined) throw new Error('no socket');
    return new Phone(client, `p${i}`, nodes, i);
  });
  phones.forEach((phone, i) => phone.begin(`p${(i * 7) % PHONES}`));
  await allBack('the first login', Date.now());
}, 300_000);

afterAll(async () => {
  await Promise.all(phones.map((phone) => phone.end()));
  await Promise.all(nodes.map((node) => node.end()));
  await Promise.all(clients.map((client) => client.close()));
  await nats.stop();
  await directory.stop();
  removeFolders();
  if (PHONES > 60) console.log(measured.join('\n'));
}, 120_000);

/** Waits until a node has confirmed every phone's session since `sinceMs`, when one of them died. */
async function allBack(what: string, sinceMs: number): Promise<void> {
  const before = locates();
  while (phones.some(({ confirmedAtMs }) => confirmedAtMs < sinceMs)) {
    if (Date.now() - sinceMs > BACK_MS_MAX) {
      const left = phones.filter(({ confirmedAtMs }) => confirmedAtMs < sinceMs).map(({ uid }) => uid);
      throw new Error(`${what}: ${left.length} phones are not back: ${left.slice(0, 5).join()}`);
    }
    await pause(50);
  }
  const after = locates();
  const asked = after.asked - before.asked;
  const failed = after.unanswered - before.unanswered + after.refused - before.refused;
  measured.push(
    `${what}: all ${PHONES} back after ${((Date.now() - sinceMs) / 1000).toFixed(1)} s; ${failed} of ${asked} Locates failed`,
  );
}

function locates(): Phone['locates'] {
  const sum = (field: keyof Phone['locates']): number =>
    phones.reduce((total, phone) => total + phone.locates[field], 0);
  return { asked: sum('asked'), unanswered: sum('unanswered'), refused: sum('refused') };
}

/** Connections of the eye that died with the directory fail once. */
async function namedBy(name: string): Promise<readonly Owned[]> {
  for (let tries = 1; ; tries++) {
    try {
      return await directory.eye.owned(name, 100_000);
    } catch (error) {
      if (tries === 20) throw error;
      await pause(250);
    }
  }
}

/** Every user is in the memory of one node, which is the one that the directory names. */
async function oneOwner(what: string): Promise<void> {
  const startMs = Date.now();
  for (;;) {
    const owners = new Map<string, string[]>();
    for (const node of nodes) {
      for (const uid of await node.online()) owners.set(uid, [...(owners.get(uid) ?? []), node.name]);
    }
    const wrong: string[] = [];
    for (const node of nodes) {
      for (const { uid } of await namedBy(node.name)) {
        if (owners.get(uid)?.join() !== node.name) wrong.push(`${uid} ${node.name}/${String(owners.get(uid))}`);
        owners.delete(uid);
      }
    }
    wrong.push(...[...owners].map(([uid, names]) => `${uid} /${names.join()}`));
    if (wrong.length === 0) break;
    if (Date.now() - startMs > RECONCILED_MS_MAX)
      throw new Error(`${what}: ${wrong.length} wrong: ${wrong.slice(0, 5).join('; ')}`);
    await pause(500);
  }
  measured.push(`${what}: memory and directory agree after ${((Date.now() - startMs) / 1000).toFixed(1)} s`);
}

const node = (i: number): NodeProcess => nodes[i] ?? (undefined as never);

it('kill -9 of a node, and its return', async () => {
  const atMs = Date.now();
  await node(0).end();
  await allBack('kill -9 of a node', atMs);
  await node(0).start();
  await oneOwner('kill -9 of a node');
}, 300_000);

it('kill -9 of nats-server: nobody notices; a node dies meanwhile; both come back', async () => {
  await nats.kill('SIGKILL');
  const atMs = Date.now();
  await node(1).end();
  await allBack('kill -9 of a node without nats-server', atMs);
  await nats.start();
  await node(1).start();
  await oneOwner('kill -9 of nats-server');
}, 300_000);

it('SIGSTOP of a node, and back', async () => {
  const atMs = Date.now();
  node(2).signal('SIGSTOP');
  await allBack('SIGSTOP of a node', atMs);
  await pause(STOPPED_MS);
  node(2).signal('SIGCONT');
  await oneOwner('SIGSTOP of a node, and back');
}, 300_000);

it('kill -9 of the directory: those who are online stay', async () => {
  await directory.kill();
  const atMs = Date.now();
  await allBack('kill -9 of the directory', atMs);
  await directory.back();
  await oneOwner('kill -9 of the directory');
}, 300_000);

it('a rolling restart: drained, stopped, started, one after the other', async () => {
  for (const one of nodes) {
    await one.admin('drain', { rate: 1_000 });
    await expect.poll(() => one.admin('drain'), { timeout: BACK_MS_MAX }).toMatchObject({ users: 0 });
    const atMs = Date.now();
    await one.end('SIGTERM');
    await one.start();
    await allBack(`a drained restart of ${one.name}`, atMs);
  }
  await oneOwner('a rolling restart');
}, 300_000);
