/**
 * Telephones at two nodes in processes of their own, over MariaDB and a real nats-server: the devices of one user are on
 * one node, wherever they register, and a call rings at all of them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { Address } from '../../src/base/model.ts';
import type { NatsServer } from '../support/nats.ts';
import { startNats } from '../support/nats.ts';
import { startBaresip, startLinphone } from '../support/phones.ts';
import type { PhoneTransport } from '../support/phones.ts';
import { endPrograms } from '../support/programs.ts';
import { writeTone } from '../support/tones.ts';
import { ensureBuilt } from './support-cli.ts';
import { NodeProcess } from './support-cluster.ts';
import type { DirectoryServer } from './support-directories.ts';
import { DIRECTORY_SERVERS } from './support-directories.ts';
import { PASSWORD, removeFolders } from './support-node.ts';

const [BOB, CAROL] = ['10017676', '10043939'] as const;
const POLL = { timeout: 40_000, interval: 200 };
const EXPIRES_S = 12;

let directory: DirectoryServer;
let nats: NatsServer;
let nodes: NodeProcess[] = [];

beforeAll(async () => {
  ensureBuilt();
  writeTone(join(folder, 'tone.wav'), 440, 30);
  directory = await DIRECTORY_SERVERS.MariaDB();
}, 120_000);
beforeEach(async () => {
  nats = await startNats();
  const settings = {
    ...directory.settings,
    ...{ VSERVER_NATS: nats.url, VSERVER_CLUSTER_KEY: 'one key for all of them', VSERVER_RATE_LIMIT: '0' },
    ...{ VSERVER_SIP_EXPIRES_MIN: '2', VSERVER_SIP_EXPIRES_MAX: String(EXPIRES_S) },
  };
  nodes = ['a', 'b'].map((name) => new NodeProcess(name, settings));
  for (const one of nodes) await one.start();
  await vi.waitFor(async () => {
    for (const one of nodes) expect(await one.admin('drain')).toMatchObject({ elsewhere: 1 });
  }, POLL);
});
afterEach(async () => {
  await endPrograms();
  await Promise.all(nodes.map((one) => one.end()));
  await nats.stop();
});
afterAll(async () => {
  await directory.stop();
  removeFolders();
  rmSync(folder, { recursive: true, force: true });
});

const node = (i: number): NodeProcess => nodes[i] ?? (undefined as never);

const folder = mkdtempSync(join(tmpdir(), 'vserver-cluster-phones-'));

async function account(at: NodeProcess, uid: string, transport: PhoneTransport) {
  const sip: Address | null = (await directory.eye.servers()).find(({ name }) => name === at.name)?.sip ?? null;
  if (sip === null) throw new Error(`${at.name} has no address of SIP`);
  const audio = { play: join(folder, 'tone.wav'), record: mkdtempSync(join(folder, 'heard-')) };
  return { server: sip, uid, password: PASSWORD, transport, expiresS: EXPIRES_S, audio };
}

/** How many devices of this user the node has. */
async function devices(at: NodeProcess, uid: string): Promise<number> {
  const { sessions = [], server } = (await at.admin(`sessions/${uid}`)) as { sessions?: unknown[]; server?: string };
  return server === at.name ? sessions.length : 0;
}

it('two telephones at two nodes are at one owner, and a call from a third user rings both', async () => {
  const first = await startBaresip(await account(node(0), BOB, 'udp'));
  await vi.waitFor(async () => expect(await devices(node(0), BOB)).toBe(1), POLL);
  const second = await startLinphone(await account(node(1), BOB, 'tcp'));
  await vi.waitFor(async () => expect(await devices(node(0), BOB)).toBe(2), POLL);
  expect(await devices(node(1), BOB)).toBe(0);

  const caller = await startBaresip(await account(node(1), CAROL, 'udp'));
  await vi.waitFor(async () => expect(await devices(node(1), CAROL)).toBe(1), POLL);
  caller.call(BOB);
  await vi.waitFor(() => {
    expect(first.output()).toContain('answering call');
    expect(second.output()).toMatch(/INVITE sip:[^\r\n]* SIP\/2\.0/);
    expect(caller.output()).toContain('Call established');
  }, POLL);
}, 120_000);

it('a telephone at the other node is taken away by its word, and taken over by that node where its owner dies', async () => {
  const first = await startBaresip(await account(node(0), BOB, 'udp'));
  await vi.waitFor(async () => expect(await devices(node(0), BOB)).toBe(1), POLL);
  const second = await startBaresip(await account(node(1), BOB, 'tcp'));
  await vi.waitFor(async () => expect(await devices(node(0), BOB)).toBe(2), POLL);
  await second.quit();
  await vi.waitFor(async () => expect(await devices(node(0), BOB)).toBe(1), POLL);
  const third = await startLinphone(await account(node(1), BOB, 'tcp'));
  await vi.waitFor(async () => expect(await devices(node(0), BOB)).toBe(2), POLL);
  await node(0).end();
  await vi.waitFor(async () => expect(await devices(node(1), BOB)).toBe(1), POLL);
  expect(first.output() + third.output()).not.toContain('Forbidden');
}, 120_000);

it('a drained node hands its telephones over, and is the way to them until it stops', async () => {
  const phone = await startBaresip(await account(node(0), BOB, 'tcp'));
  await vi.waitFor(async () => expect(await devices(node(0), BOB)).toBe(1), POLL);
  expect(await node(0).admin('drain', { rate: 100 })).toMatchObject({ state: 'draining', users: 1 });
  await vi.waitFor(async () => expect(await node(0).admin('drain')).toMatchObject({ users: 0, usersAtStart: 1 }), POLL);
  expect(await devices(node(1), BOB)).toBe(1);
  const caller = await startBaresip(await account(node(1), CAROL, 'udp'));
  await vi.waitFor(async () => expect(await devices(node(1), CAROL)).toBe(1), POLL);
  caller.call(BOB);
  await vi.waitFor(() => {
    expect(phone.output()).toContain('answering call');
    expect(caller.output()).toContain('Call established');
  }, POLL);
}, 120_000);
