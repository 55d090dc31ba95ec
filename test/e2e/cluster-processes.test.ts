/**
 * Three nodes in processes of their own, over MariaDB and then over OpenLDAP, with a real nats-server, while one thing after
 * another dies or is cut off. A third of the phones speaks SIP.
 * CLUSTER_CLIENTS=3000 runs it with so many phones and prints what was measured; CLUSTER_DIRECTORY names one directory.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import type { Owned } from '../../src/directory/directory.ts';
import type { NatsServer } from '../support/nats.ts';
import { startNats } from '../support/nats.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { ensureBuilt } from './support-cli.ts';
import type { ClusterPhone } from './support-cluster.ts';
import { NodeProcess, pause, Phone, PHONES } from './support-cluster.ts';
import { openSipSocket, SipPhone } from './support-cluster-sip.ts';
import type { DirectoryServer } from './support-directories.ts';
import { DIRECTORY_SERVERS, IMPATIENT } from './support-directories.ts';
import { openClient, PASSWORD, removeFolders } from './support-node.ts';

const DIRECTORIES = (['MariaDB', 'OpenLDAP'] as const).filter(
  (kind) => (process.env['CLUSTER_DIRECTORY'] ?? kind) === kind,
);
const STOPPED_MS = Number(process.env['CLUSTER_STOPPED_MS'] ?? '12000');
/** Phones a socket: replies of many fit into its buffer. */
const PHONES_A_SOCKET = 250;
const BACK_MS_MAX = 90_000;
/** The sweep looks at everybody within 45 s. */
const RECONCILED_MS_MAX = 90_000;

let directory: DirectoryServer;
let nats: NatsServer;
let nodes: NodeProcess[] = [];
/** Of each node, to the directory and to the bus. */
let cables: (readonly [TcpProxy, TcpProxy])[] = [];
let sockets: { close(): Promise<void> }[] = [];
let phones: ClusterPhone[] = [];
let measured: string[] = [];

async function startAll(kind: keyof typeof DIRECTORY_SERVERS): Promise<void> {
  ensureBuilt();
  [directory, nats] = await Promise.all([DIRECTORY_SERVERS[kind](), startNats()]);
  [cables, sockets, measured] = [[], [], [`Over ${kind}:`]];
  for (let i = 0; i < PHONES; i++) {
    const user = userDefaults(`p${i}`);
    const secret = { ...user.secret, password: PASSWORD };
    await directory.eye.create({ ...user, secret, service: { ...user.service, devicesMax: i % 2 === 0 ? 1 : 5 } });
  }
  nodes = [];
  for (const name of ['a', 'b', 'c']) nodes.push(new NodeProcess(name, await settingsByCables()));
  for (const node of nodes) await node.start();
  phones = [];
  for (let i = 0; i < PHONES; i += PHONES_A_SOCKET) {
    const [client, sip] = [await openClient(), await openSipSocket()];
    sockets.push(client, sip);
    for (let k = i; k < Math.min(i + PHONES_A_SOCKET, PHONES); k++) {
      phones.push(k % 3 === 2 ? new SipPhone(sip, `p${k}`, nodes, k) : new Phone(client, `p${k}`, nodes, k));
    }
  }
  phones.forEach((phone, i) => phone.begin(`p${(i * 7) % PHONES}`));
  await allBack('the first login', Date.now());
}

/** Of a node that reaches the directory and NATS by cables of its own. */
async function settingsByCables(): Promise<Record<string, string>> {
  const url = directory.settings['VSERVER_DIRECTORY'] ?? '';
  const [directoryPort = '', natsPort = ''] = [url, nats.url].map((at) => /:(\d+)(?:\/[^/]*)?$/.exec(at)?.[1]);
  const pair = [await startTcpProxy(Number(directoryPort)), await startTcpProxy(Number(natsPort))] as const;
  cables.push(pair);
  return {
    ...directory.settings,
    ...IMPATIENT,
    VSERVER_DIRECTORY: url.replace(`:${directoryPort}/`, `:${pair[0].port}/`),
    VSERVER_NATS: `nats://127.0.0.1:${pair[1].port}`,
    ...{ VSERVER_CLUSTER_KEY: 'one key for all of them', VSERVER_RATE_LIMIT: '0' },
    ...{ VSERVER_HEARTBEAT: '2', VSERVER_EXPIRES: '30' },
    ...{ VSERVER_SIP_EXPIRES_MIN: '10', VSERVER_SIP_EXPIRES_MAX: '30', VSERVER_SIP_DIGEST: 'md5' },
  };
}

async function stopAll(): Promise<void> {
  await Promise.all(phones.map((phone) => phone.end()));
  await Promise.all(nodes.map((node) => node.end()));
  await Promise.all(sockets.map((socket) => socket.close()));
  await Promise.all(cables.flat().map((cable) => cable.close()));
  await nats.stop();
  await directory.stop();
  removeFolders();
  if (PHONES > 60) console.log(measured.join('\n'));
}

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

describe.each(DIRECTORIES)('three nodes over %s', (kind) => {
  beforeAll(() => startAll(kind), 300_000);
  afterAll(stopAll, 120_000);

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

  it('a partition: a node without NATS and directory keeps who is there, and gives up who logs in elsewhere', async () => {
    // The one with most users, since whom the tests before drove away stays where he is.
    const online = await Promise.all(nodes.map((one) => one.online()));
    const fullest = online.reduce((best, uids, i) => (uids.length > (online[best]?.length ?? 0) ? i : best), 0);
    const cut = cables[fullest] ?? [];
    // Those with one device are taken over without asking its node.
    const moved = new Set(online[fullest]?.filter((uid) => Number(uid.slice(1)) % 2 === 0));
    for (const cable of cut) cable.cut();
    const atMs = Date.now();
    for (const phone of phones) if (moved.has(phone.uid)) phone.move();
    await allBack('a node without NATS and directory', atMs);
    // Nobody could tell the node that was cut off.
    const held = new Set(await node(fullest).online());
    const named = new Set((await namedBy(node(fullest).name)).map(({ uid }) => uid));
    const twice = [...moved].filter((uid) => held.has(uid) && !named.has(uid));
    expect(twice).not.toEqual([]);
    measured.push(`a node without NATS and directory: ${twice.length} were taken over without its knowing`);
    const mendedAtMs = Date.now();
    for (const cable of cut) cable.mend();
    await oneOwner('a node without NATS and directory');
    await allBack('the same, mended', mendedAtMs);
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
});
