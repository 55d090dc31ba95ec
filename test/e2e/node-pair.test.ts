/** Two nodes with one directory and one cluster key, over both real directory servers. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import type { Reply } from '../../src/udp/client-message.ts';
import { freePort } from '../support/programs.ts';
import type { DirectoryServer } from './support-directories.ts';
import { DIRECTORY_SERVERS } from './support-directories.ts';
import type { TestClient, TestNode } from './support-node.ts';
import {
  addressOf,
  http,
  httpLogin,
  isSession,
  openClient,
  PASSWORD,
  removeFolders,
  startNode,
  stopNodes,
} from './support-node.ts';

const [ONE, TWO, THREE] = ['10017676', '10043939', '10066502'] as const;
const CLUSTER_KEY = 'one key for both of them';
/** More than a whole pass takes. */
const SWEEP_STEPS = 50;

let client: TestClient;
beforeEach(async () => {
  client = await openClient();
});
afterEach(async () => {
  await stopNodes();
  await client.close();
});
afterAll(removeFolders);

async function sweepAll(node: TestNode): Promise<void> {
  for (let step = 0; step < SWEEP_STEPS; step++) await node.core.sweep.step();
}

function ticketOf(reply: Reply): string {
  const ticket = reply.headers.get('ticket');
  if (ticket === undefined) throw new Error(`no ticket in ${reply.verb}`);
  return ticket;
}

describe.each(Object.entries(DIRECTORY_SERVERS))('two nodes over %s', (_kind, startServer) => {
  let server: DirectoryServer;
  let a: TestNode;
  let b: TestNode;

  const startNamed = (name: string, more: Record<string, string> = {}): Promise<TestNode> =>
    startNode({ ...server.settings, VSERVER_NAME: name, VSERVER_CLUSTER_KEY: CLUSTER_KEY, ...more });
  /** Each has seen the record of the other. */
  const meet = async (...nodes: TestNode[]): Promise<void> => {
    for (const node of [...nodes, ...nodes]) await node.core.servers.renew();
  };

  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    [a, b] = [await startNamed('a'), await startNamed('b')];
    await meet(a, b);
  });
  afterEach(async () => {
    // Nobody is left online for the next test.
    for (const node of [a, b]) await node.stop(true);
  });

  it('tell each other apart in the server list, and the client of whom else to try', async () => {
    const one = await client.welcome(a.udp, ONE);
    expect(one.welcome?.headers.get('servers')).toBe(formatAddress(b.udp));
    const { body } = await one.ask('Servers');
    expect(body.split('\r\n').map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      `a ${formatAddress(a.udp)} on`,
      `b ${formatAddress(b.udp)} on`,
      '',
    ]);
    expect((await httpLogin(b, TWO)).servers).toEqual([formatAddress(a.udp)]);
  });

  it('answer a Locate for a user of the other one with SeeAlso and a ticket that the other one honours', async () => {
    const one = await client.welcome(a.udp, ONE);
    const two = await client.welcome(b.udp, TWO);
    await two.ask('Status', 'on-phone');

    const see = await one.ask('Locate', TWO);
    expect([see.verb, addressOf(see)]).toEqual(['SeeAlso', b.udp]);
    const ticket = ticketOf(see);
    const found = await client.unsigned(addressOf(see), 'Locate', TWO, { ticket });
    expect([found.verb, found.argument, found.headers.get('status')]).toEqual(['User', TWO, 'on-phone']);
    expect(found.headers.get('wan')).toMatch(/^127\.0\.0\.1:/);
    expect(await client.unsigned(b.udp, 'Servers', '', { ticket })).toMatchObject({ verb: 'Servers', argument: '2' });

    // Good for that user at that server only.
    expect(await client.unsigned(b.udp, 'Locate', ONE, { ticket })).toMatchObject({ verb: 'Error' });
    await two.ask('Logout');
    await expect.poll(async () => one.ask('Locate', TWO)).toMatchObject({ verb: 'Offline' });
  });

  it('answer the same over HTTP with 303 and a Location that works', async () => {
    const { token } = await httpLogin(a, ONE);
    await client.welcome(b.udp, TWO);
    const see = await http(`${a.http}/v1/locate/${TWO}`, { token });
    expect(see.status).toBe(303);
    const location = see.headers.get('location') ?? '';
    expect(location.startsWith(`${b.http}/v1/locate/${TWO}?ticket=`)).toBe(true);
    expect(await http(location)).toMatchObject({ status: 200, json: { uid: TWO, status: 'online' } });
  });

  it('show a user who is invisible or blocks the asker as offline, wherever he is', async () => {
    const one = await client.welcome(a.udp, ONE);
    const two = await client.welcome(b.udp, TWO, { headers: { status: 'invisible' } });
    expect(await one.ask('Locate', TWO)).toMatchObject({ verb: 'Offline', argument: TWO });
    await two.ask('Status', 'online');
    await expect.poll(async () => one.ask('Locate', TWO)).toMatchObject({ verb: 'SeeAlso' });
    await two.ask('Status', 'invisible');
    await expect.poll(async () => one.ask('Locate', TWO)).toMatchObject({ verb: 'Offline' });
  });

  it('send a second device to the node of the first, with a ticket', async () => {
    const first = await client.welcome(b.udp, ONE, { headers: { instance: 'desk' } });
    const redirect = await client.login(a.udp, ONE, { headers: { instance: 'pocket' } });
    if (isSession(redirect)) throw new Error('welcome at two nodes');
    expect([redirect.verb, addressOf(redirect)]).toEqual(['Redirect', b.udp]);
    expect(redirect.headers.get('mac')).toMatch(/^[0-9a-f]{32}$/);
    const headers = { instance: 'pocket', ticket: ticketOf(redirect) };
    await client.welcome(addressOf(redirect), ONE, { headers });
    const both = await first.ask('Locate', ONE);
    expect(both.body.split('\r\n').filter((line) => line !== '')).toHaveLength(2);

    const body = { uid: ONE, password: PASSWORD, instance: 'browser' };
    const overHttp = await http(`${a.http}/v1/login`, { body });
    expect(overHttp.status).toBe(307);
    const location = overHttp.headers.get('location') ?? '';
    expect(location.startsWith(`${b.http}/v1/login?ticket=`)).toBe(true);
    expect(await http(location, { body })).toMatchObject({ status: 200, json: { server: 'b' } });
    expect(b.core.table.count).toBe(3);
  });

  it('let the newest login of a user with one device win, and end the older one within a sweep', async () => {
    await server.change(TWO, 'one-device');
    const older = await client.welcome(a.udp, TWO);
    const newer = await client.welcome(b.udp, TWO);
    await sweepAll(a);
    expect(await older.ask('Heartbeat')).toMatchObject({
      verb: 'Error',
      argument: expect.stringMatching(/^401/) as string,
    });
    await expect.poll(() => client.notices.map((notice) => notice.argument)).toContain('409 logged in elsewhere');
    await sweepAll(b);
    expect(await newer.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    // The older session's end wiped nothing out.
    await a.core.outbox.flush();
    expect((await server.eye.find(TWO))?.location.server?.name).toBe('b');
  });

  it('take over the user of a node that is not heard of any more', async () => {
    await client.welcome(a.udp, ONE, { headers: { instance: 'desk' } });
    await a.stop(false);
    await meet(b);
    const session = await client.welcome(b.udp, ONE, { headers: { instance: 'desk' } });
    expect(await session.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
    const again = await startNamed('a', { VSERVER_DATA: a.config.data, VSERVER_UDP_PORT: String(a.udp.port) });
    // Its snapshot was overtaken by the login at the other one.
    expect(again.core.table.count).toBe(0);
    await again.stop(true);
    expect((await server.eye.find(ONE))?.location.server?.name).toBe('b');
  });

  it('redirect from a full node to one with room', async () => {
    const full = await startNamed('full', { VSERVER_MAX_USERS: '1' });
    await meet(a, b, full);
    await client.welcome(full.udp, ONE);
    const redirect = await client.login(full.udp, TWO);
    if (isSession(redirect)) throw new Error('welcome at a full node');
    expect(redirect.verb).toBe('Redirect');
    expect([formatAddress(a.udp), formatAddress(b.udp)]).toContain(redirect.argument);
    const session = await client.welcome(addressOf(redirect), TWO, { headers: { ticket: ticketOf(redirect) } });
    expect(await session.ask('Locate', ONE)).toMatchObject({ verb: 'SeeAlso', argument: formatAddress(full.udp) });
    await full.stop(true);
  });

  it('answer 503 where no node has room', async () => {
    await Promise.all([a.stop(true), b.stop(true)]);
    const full = await startNamed('full', { VSERVER_MAX_USERS: '1' });
    await client.welcome(full.udp, ONE);
    const refused = await client.login(full.udp, THREE);
    expect(refused).toMatchObject({ verb: 'Error', argument: expect.stringMatching(/^503/) as string });
    await full.stop(true);
  });

  it('let no third node in that has no cluster key, and none of them hears of it', async () => {
    await expect(startNode({ ...server.settings, VSERVER_NAME: 'stranger' })).rejects.toMatchObject({
      code: 'SETTINGS',
      message: expect.stringMatching(/VSERVER_CLUSTER_KEY/) as string,
    });
    expect((await server.eye.servers()).map(({ name }) => name)).not.toContain('stranger');
  });

  it('let no third node in that has the name of one of them', async () => {
    await expect(startNamed('a', { VSERVER_UDP_PORT: String(await freePort()) })).rejects.toMatchObject({
      code: 'SETTINGS',
      message: expect.stringMatching(/VSERVER_NAME/) as string,
    });
    expect(await server.eye.servers()).toContainEqual(expect.objectContaining({ name: 'a', udp: a.udp }));
  });

  it('are left alone by a node without their key that started while the directory was away', async () => {
    await server.kill();
    const stranger = await startNode({ ...server.settings, VSERVER_NAME: 'stranger' });
    await server.back();
    await stranger.stopped;
    const names = async (): Promise<string[]> => (await server.eye.servers()).map(({ name }) => name);
    await expect.poll(names).toContain('a');
    expect(await names()).not.toContain('stranger');
  });
});
