/** What is changed in the directory takes effect for those who are online: after a pass of the sweep, or at once. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DirectoryServer } from './support-directories.ts';
import { BLOCKED_BY_CHANGE, DIRECTORY_SERVERS, PASSWORD_BY_CHANGE } from './support-directories.ts';
import type { TestClient, TestNode, TestSession } from './support-node.ts';
import { http, isSession, openClient, removeFolders, startNode, stopNodes } from './support-node.ts';

/** The user whose record changes, and two who look at him: a buddy of his, and a stranger. */
const [TARGET, BUDDY, STRANGER] = ['10017676', BLOCKED_BY_CHANGE, '10066502'] as const;
/** The whole table takes 45 steps of a second each. */
const STEPS_A_PASS = 45;

const GONE = { verb: 'Error', argument: expect.stringMatching(/^401/) as string };

let client: TestClient;
let node: TestNode;

beforeEach(async () => {
  client = await openClient();
});
afterEach(async () => {
  await stopNodes();
  await client.close();
});
afterAll(removeFolders);

async function sweepOnce(): Promise<void> {
  for (let step = 0; step < STEPS_A_PASS; step++) await node.core.sweep.step();
}

describe.each(Object.entries(DIRECTORY_SERVERS))('what is changed in %s behind the node', (_kind, startServer) => {
  let server: DirectoryServer;
  let target: TestSession;

  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    node = await startNode(server.settings);
  });

  it('takes effect within a pass of the sweep: blocked, private, new password, disabled', async () => {
    target = await client.welcome(node.udp, TARGET);
    const buddy = await client.welcome(node.udp, BUDDY);
    const stranger = await client.welcome(node.udp, STRANGER);
    expect(await buddy.ask('Locate', TARGET)).toMatchObject({ verb: 'User' });
    const seen = await stranger.ask('Locate', TARGET);
    expect([...seen.headers.keys()]).toEqual(expect.arrayContaining(['wan', 'telephone']));

    await server.change(TARGET, 'block');
    await server.change(TARGET, 'privacy');
    await sweepOnce();
    expect(await buddy.ask('Locate', TARGET)).toMatchObject({ verb: 'Offline' });
    const hidden = await stranger.ask('Locate', TARGET);
    expect(hidden.verb).toBe('User');
    expect([...hidden.headers.keys()]).not.toContain('wan');
    expect([...hidden.headers.keys()]).not.toContain('telephone');
    expect(await target.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });

    await server.change(TARGET, 'password');
    await sweepOnce();
    expect(await target.ask('Heartbeat')).toMatchObject(GONE);
    expect(await client.login(node.udp, TARGET)).toMatchObject({ verb: 'Error', argument: '403 refused' });
    await client.welcome(node.udp, TARGET, { password: PASSWORD_BY_CHANGE });

    await server.change(TARGET, 'disable');
    await sweepOnce();
    expect(node.core.table.users.find(TARGET)).toBe(-1);
    expect(isSession(await client.login(node.udp, TARGET, { password: PASSWORD_BY_CHANGE }))).toBe(false);
    await node.core.outbox.flush();
    expect((await server.eye.find(TARGET))?.location).toMatchObject({ server: null });
    expect(await stranger.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });

    await server.change(TARGET, 'enable');
    await client.welcome(node.udp, TARGET, { password: PASSWORD_BY_CHANGE });
  });
});

describe('what is changed through the node', () => {
  const admin = (path: string, method: string, body?: object) =>
    http(`${node.http}/v1/admin/users/${TARGET}${path}`, {
      method,
      token: node.adminToken,
      ...(body === undefined ? {} : { body }),
    });
  let target: TestSession;
  let stranger: TestSession;

  beforeEach(async () => {
    node = await startNode();
    target = await client.welcome(node.udp, TARGET);
    stranger = await client.welcome(node.udp, STRANGER);
  });

  it('takes effect at once: lists and privacy', async () => {
    expect((await stranger.ask('Locate', TARGET)).headers.has('wan')).toBe(true);
    expect(await admin('', 'PATCH', { service: { privacy: 'buddies' } })).toMatchObject({ status: 200 });
    expect((await stranger.ask('Locate', TARGET)).headers.has('wan')).toBe(false);
    expect(await admin('', 'PATCH', { lists: { buddies: [STRANGER] } })).toMatchObject({ status: 200 });
    expect((await stranger.ask('Locate', TARGET)).headers.has('wan')).toBe(true);
    expect(await admin('', 'PATCH', { lists: { blocked: [STRANGER] } })).toMatchObject({ status: 200 });
    expect(await stranger.ask('Locate', TARGET)).toMatchObject({ verb: 'Offline' });
    expect(await target.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
  });

  it('takes effect at once: the CONFIG', async () => {
    const before = await target.ask('Config');
    expect(await admin('', 'PATCH', { xmlext: '<theme name="forest"/>' })).toMatchObject({ status: 200 });
    const after = await target.ask('Config', '', { etag: before.headers.get('etag') });
    expect(after.verb).toBe('Config');
    expect(after.body).toContain('<EXT><theme name="forest"/></EXT>');

    const variable = await http(`${node.http}/v1/admin/variables/MAIN_URL`, {
      method: 'PUT',
      token: node.adminToken,
      body: { value: 'http://www.example.org' },
    });
    expect(variable.status).toBeLessThan(300);
    expect((await target.ask('Config')).body).toContain('VALUE="http://www.example.org"');
  });

  it('takes effect at once: a new password ends the sessions, and only the new one is good', async () => {
    expect(await admin('/password', 'PUT', { password: 'fresh' })).toMatchObject({ status: 200 });
    expect(await target.ask('Heartbeat')).toMatchObject(GONE);
    expect(await client.login(node.udp, TARGET)).toMatchObject({ verb: 'Error', argument: '403 refused' });
    await client.welcome(node.udp, TARGET, { password: 'fresh' });
  });

  it('takes effect at once: a disabled account', async () => {
    expect(await admin('', 'PATCH', { service: { enabled: false } })).toMatchObject({ status: 200 });
    expect(await target.ask('Heartbeat')).toMatchObject(GONE);
    expect(await stranger.ask('Locate', TARGET)).toMatchObject({ verb: 'Offline', argument: TARGET });
  });

  it('takes effect at once: a kick, after which he may log in again', async () => {
    expect(await admin('/kick', 'POST')).toMatchObject({ status: 200, json: { sessions: 1 } });
    expect(await target.ask('Heartbeat')).toMatchObject(GONE);
    await client.welcome(node.udp, TARGET);
  });

  it('takes effect at once: a user who is removed', async () => {
    expect(await admin('', 'DELETE')).toMatchObject({ status: 200 });
    expect(await target.ask('Heartbeat')).toMatchObject(GONE);
    expect(await stranger.ask('Locate', TARGET)).toMatchObject({ verb: 'Error', argument: '404 no such user' });
  });
});
