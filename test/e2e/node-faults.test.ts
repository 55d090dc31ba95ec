/** What a node does while its directory server is killed, hangs or is slow, and when it is back: both real servers. */
import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runFilePath } from '../../src/run-file.ts';
import { startMariadb } from '../support/mariadb.ts';
import type { DirectoryServer } from './support-directories.ts';
import { DIRECTORY_SERVERS, IMPATIENT } from './support-directories.ts';
import type { TestClient, TestNode } from './support-node.ts';
import { http, isSession, openClient, PASSWORD, removeFolders, startNode, stopNodes } from './support-node.ts';

const [ONE, TWO, THREE, FOUR] = ['10017676', '10043939', '10066502', '10099999'] as const;
/** Issue 2: service is back within 5 s of the server's return; a busy machine takes longer. */
const BACK_MS_MAX = 15_000;

let client: TestClient;
beforeEach(async () => {
  client = await openClient();
});
afterEach(async () => {
  await stopNodes();
  await client.close();
});
afterAll(removeFolders);

/** Logs in until it is welcome; how long that took. */
async function backAfterMs(node: TestNode, uid: string): Promise<number> {
  const before = performance.now();
  await expect.poll(async () => isSession(await client.login(node.udp, uid))).toBe(true);
  return performance.now() - before;
}

async function expectLoginsRefused(node: TestNode): Promise<void> {
  const refused = await client.login(node.udp, FOUR);
  if (isSession(refused)) throw new Error('welcome without a directory');
  expect(refused).toMatchObject({ verb: 'Error', argument: expect.stringMatching(/^503/) as string });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  const overHttp = await http(`${node.http}/v1/login`, { body: { uid: FOUR, password: PASSWORD } });
  expect(overHttp).toMatchObject({ status: 503, json: { status: 503, code: 'DIRECTORY_UNAVAILABLE' } });
  expect(Number(overHttp.headers.get('retry-after'))).toBeGreaterThan(0);
}

async function expectNotReady(node: TestNode): Promise<void> {
  await expect
    .poll(async () => http(`${node.http}/readyz`))
    .toMatchObject({ status: 503, json: { dependencies: [{ dependency: 'directory', ok: false }] } });
  expect(await http(`${node.http}/healthz`)).toMatchObject({ status: 200 });
}

describe.each(Object.entries(DIRECTORY_SERVERS))('a node over %s', (_kind, startServer) => {
  let server: DirectoryServer;
  let node: TestNode;

  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    node = await startNode({ ...server.settings, ...IMPATIENT });
  });
  afterEach(() => {
    server.resume();
  });

  /** Whether the directory has the logout of who was on `node`. */
  async function expectLoggedOut(uid: string, sinceMs: number): Promise<void> {
    await expect.poll(async () => (await server.eye.find(uid))?.location).toMatchObject({ server: null });
    const written = await server.eye.find(uid);
    expect(written?.location.logoutAt).toBeGreaterThanOrEqual(Math.floor(sinceMs / 1000) * 1000);
  }

  it('whose server is killed serves those who are logged in, refuses logins, and forgets no logout', async () => {
    const one = await client.welcome(node.udp, ONE);
    const two = await client.welcome(node.udp, TWO);
    const three = await client.welcome(node.udp, THREE);
    await server.kill();
    const sinceMs = Date.now();

    expect(await one.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    expect(await one.ask('Status', 'busy')).toMatchObject({ verb: 'Ok' });
    expect(await one.ask('Locate', TWO)).toMatchObject({ verb: 'User', argument: TWO });
    await expectLoginsRefused(node);
    expect(await one.ask('Locate', FOUR)).toMatchObject({
      verb: 'Error',
      argument: expect.stringMatching(/^503/) as string,
    });
    await expectNotReady(node);
    expect(await three.ask('Logout')).toMatchObject({ verb: 'Ok' });
    expect(await three.ask('Heartbeat')).toMatchObject({
      verb: 'Error',
      argument: expect.stringMatching(/^401/) as string,
    });
    expect(node.core.outbox.waiting()).toBe(1);

    await server.back();
    expect(await backAfterMs(node, FOUR)).toBeLessThan(BACK_MS_MAX);
    await expectLoggedOut(THREE, sinceMs);
    await expect.poll(() => node.core.outbox.waiting()).toBe(0);
    expect(await http(`${node.http}/readyz`)).toMatchObject({ status: 200 });
    expect(await two.ask('Locate', ONE)).toMatchObject({ verb: 'User', argument: ONE });
  });

  it('that is stopped and started while its server is away keeps its sessions and the logouts to be written', async () => {
    const one = await client.welcome(node.udp, ONE);
    const three = await client.welcome(node.udp, THREE);
    await server.kill();
    const sinceMs = Date.now();
    expect(await three.ask('Logout')).toMatchObject({ verb: 'Ok' });
    await node.stop(false);

    const second = await startNode({
      ...server.settings,
      ...IMPATIENT,
      VSERVER_DATA: node.config.data,
      VSERVER_UDP_PORT: String(node.udp.port),
    });
    expect(second.core.outbox.waiting()).toBe(1);
    expect(await one.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    await expectLoginsRefused(second);

    await server.back();
    expect(await backAfterMs(second, TWO)).toBeLessThan(BACK_MS_MAX);
    await expectLoggedOut(THREE, sinceMs);
    expect(await one.ask('Locate', THREE)).toMatchObject({ verb: 'Offline' });
  });

  it('whose server hangs answers heartbeat, status and Locate while a login waits for it', async () => {
    const one = await client.welcome(node.udp, ONE);
    const two = await client.welcome(node.udp, TWO);
    await server.pause();
    const login = client.login(node.udp, FOUR);
    expect(await one.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    expect(await one.ask('Status', 'away')).toMatchObject({ verb: 'Ok' });
    expect(await two.ask('Locate', ONE)).toMatchObject({ verb: 'User', argument: ONE });
    const sinceMs = Date.now();
    expect(await two.ask('Logout')).toMatchObject({ verb: 'Ok' });
    expect(await login).toMatchObject({ verb: 'Error', argument: expect.stringMatching(/^503/) as string });
    await expectLoginsRefused(node);
    await expectNotReady(node);

    server.resume();
    expect(await backAfterMs(node, FOUR)).toBeLessThan(BACK_MS_MAX);
    await expectLoggedOut(TWO, sinceMs);
    await node.core.sweep.step();
    expect(await one.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
  });

  it('whose server is slow lets a login wait and nobody else', async () => {
    const slow = await startNode(server.settings);
    const one = await client.welcome(slow.udp, ONE);
    await server.pause();
    let waiting = true;
    const login = client.welcome(slow.udp, TWO).finally(() => {
      waiting = false;
    });
    for (let beats = 0; beats < 10; beats++) expect(await one.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    expect(waiting).toBe(true);
    server.resume();
    await login;
    expect(await one.ask('Locate', TWO)).toMatchObject({ verb: 'User', argument: TWO });
  });

  it('can be stopped while its server hangs, and writes the logouts after its next start', async () => {
    await client.welcome(node.udp, ONE);
    await server.pause();
    const sinceMs = Date.now();
    await node.stop(true);
    expect(Date.now() - sinceMs).toBeLessThan(30_000);
    expect(existsSync(runFilePath(node.config.data))).toBe(false);
    server.resume();
    const next = await startNode({ ...server.settings, ...IMPATIENT, VSERVER_DATA: node.config.data });
    await expectLoggedOut(ONE, sinceMs);
    expect(next.core.table.count).toBe(0);
  });

  it('may be started while its server is away, and serves logins once it is there', async () => {
    await server.kill();
    const late = await startNode({ ...server.settings, ...IMPATIENT });
    await expectLoginsRefused(late);
    await server.back();
    expect(await backAfterMs(late, ONE)).toBeLessThan(BACK_MS_MAX);
  });
});

describe('a node over an empty database of a server that is away', () => {
  it('makes the tables once the server is there, and serves logins', async () => {
    const server = await startMariadb();
    try {
      const url = await server.url('fresh');
      await server.kill();
      const node = await startNode({ VSERVER_DIRECTORY: url, ...IMPATIENT });
      await server.start();
      const create = { token: node.adminToken, body: { uid: 'first', password: PASSWORD } };
      await expect
        .poll(async () => (await http(`${node.http}/v1/admin/users`, create)).status, {
          interval: 100,
        })
        .toBe(201);
      await client.welcome(node.udp, 'first');
      await node.stop(true);
    } finally {
      await server.stop();
    }
  });
});
