/** PROTOCOL.md section 2: what clients do over HTTP. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkTicket, issueTicket } from '../../src/redirect/tickets.ts';
import { userDefaults } from '../../src/base/model.ts';
import { CLUSTER_KEY, httpApp, type HttpApp } from '../support/http-app.ts';
import { serverRecord } from '../support/flows.ts';
import { httpToken } from '../../src/login/proof.ts';

const UID = '10017676';
const GIVEN = { uid: UID, password: 'secret' };

let app: HttpApp;
beforeEach(async () => {
  app = await httpApp();
  app.directory.put({ uid: UID });
});
afterEach(() => app.http.close());

const login = (payload: object, more: object = {}) =>
  app.ask({ method: 'POST', url: '/v1/login', payload: payload, ...more });

describe('POST /v1/login', () => {
  test('answers cookie, key, token, the times, the address seen and the servers', async () => {
    const reply = await login({ ...GIVEN, local: '127.0.0.1:5062', device: 'cpu=2', instance: 'a', note: 'hi' });
    expect(reply.statusCode).toBe(200);
    const body = reply.json<Record<string, string>>();
    expect(body).toMatchObject({ heartbeat: 30, expires: 90, wan: '127.0.0.1:0', network: 'wan', server: 'here' });
    expect(body.cookie).toMatch(/^[0-9a-f]{32}$/);
    expect(body.key).toMatch(/^[0-9a-f]{64}$/);
    expect(body.token).toBe(httpToken(body.cookie ?? '', body.key ?? ''));
    expect(reply.headers['cache-control']).toBe('no-store');
  });

  test('answers a wrong password and an unknown uid alike, on a grid of 200 ms', async () => {
    const wrong = await login({ uid: UID, password: 'wrong' });
    const unknown = await login({ uid: 'nobody', password: 'wrong' });
    const noUid = await login({ uid: 'no uid', password: 'wrong' });
    for (const reply of [wrong, unknown, noUid]) {
      expect(reply.statusCode).toBe(401);
      expect(reply.headers['content-type']).toBe('application/problem+json');
      expect({ ...reply.json<object>(), requestId: '' }).toEqual({ ...wrong.json<object>(), requestId: '' });
    }
    expect(app.waitedMs).toEqual([200, 200, 200]);
  });

  test('what took a while is answered at the next multiple of 200 ms', async () => {
    app.directory.held = true;
    const pending = login({ uid: UID, password: 'wrong' });
    await until(() => app.directory.waiting() > 0);
    await app.time.advance(450);
    app.directory.held = false;
    app.directory.release();
    expect((await pending).statusCode).toBe(401);
    expect(app.waitedMs).toEqual([150]);
  });

  test('logs a failed login with source, uid and reason, and never with the secret', async () => {
    await login({ uid: UID, password: 'hunter2' });
    await login({ uid: 'nobody', password: 'hunter2' }, { headers: { 'x-request-id': 'r-1' } });
    expect(app.logged).toMatchObject([
      { source: '127.0.0.1', uid: UID, reason: 'wrong-secret' },
      { source: '127.0.0.1', uid: 'nobody', reason: 'unknown-user', requestId: 'r-1' },
    ]);
    expect(JSON.stringify(app.logged)).not.toContain('hunter2');
  });

  test('403: the right password of somebody who is not permitted', async () => {
    const { service } = userDefaults(UID);
    app.directory.put({ uid: 'off', service: { ...service, enabled: false } });
    app.directory.put({ uid: 'old', service: { ...service, expiresAt: app.clock.now() } });
    expect((await login({ uid: 'off', password: 'secret' })).statusCode).toBe(403);
    expect((await login({ uid: 'old', password: 'secret' })).statusCode).toBe(403);
    expect((await login({ uid: 'off', password: 'wrong' })).statusCode).toBe(401);
  });

  test('503 with Retry-After while the directory is down', async () => {
    app.directory.down = true;
    const reply = await login(GIVEN);
    expect(reply.statusCode).toBe(503);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    expect(reply.json()).toMatchObject({ status: 503, code: 'DIRECTORY_UNAVAILABLE' });
  });

  test('307 to the other server with a ticket that is good there', async () => {
    await app.directory.writeServer(serverRecord({ name: 'other', http: 'http://127.0.0.9:8080' }, app.clock.now()));
    await app.servers.renew();
    app.servers.setState('draining');
    const reply = await login(GIVEN);
    expect(reply.statusCode).toBe(307);
    const location = new URL(String(reply.headers.location));
    expect(location.origin + location.pathname).toBe('http://127.0.0.9:8080/v1/login');
    const ticket = location.searchParams.get('ticket') ?? '';
    const expected = { purpose: 'login', server: 'other', target: UID } as const;
    const check = checkTicket(CLUSTER_KEY, ticket, expected, app.clock.now());
    expect(check).toMatchObject({ outcome: 'good', asker: { kind: 'uid', uid: UID }, hops: 1 });
    expect(check.outcome === 'good' && check.isFrom('here')).toBe(true);
  });

  test('a client that was sent here is not sent back', async () => {
    await app.directory.writeServer(serverRecord({ name: 'other' }, app.clock.now()));
    await app.servers.renew();
    app.servers.setState('draining');
    const ticket = issueTicket(
      CLUSTER_KEY,
      { purpose: 'login', asker: UID, target: UID, server: 'here', issuer: 'other', hops: 1 },
      app.clock.now(),
    );
    const reply = await login(GIVEN, { query: { ticket } });
    expect(reply.statusCode).toBe(503);
    expect(reply.json()).toMatchObject({ code: 'NO_ROOM' });
  });

  test.each([
    ['no password', { uid: UID }, 400],
    ['a number for a uid', { uid: 10017676, password: 'secret' }, 400],
    ['a uid of 10,000 characters', { uid: 'u'.repeat(10_000), password: 'secret' }, 400],
    ['an unknown property', { ...GIVEN, admin: true }, 400],
    ['a prototype', JSON.parse('{"uid":"1","password":"2","__proto__":{"a":1}}') as object, 400],
    ['an unknown status', { ...GIVEN, status: 'asleep' }, 400],
    ['an address that is none', { ...GIVEN, local: 'localhost:1' }, 400],
    ['a control character in the instance', { ...GIVEN, instance: 'a\u001fb' }, 400],
    ['an instance of 65 characters', { ...GIVEN, instance: 'i'.repeat(65) }, 400],
    ['a note of 97 characters', { ...GIVEN, note: 'n'.repeat(97) }, 400],
    ['a device line of more than 512 bytes', { ...GIVEN, device: 'ü'.repeat(300) }, 413],
  ])('refuses %s', async (_what, payload, status) => {
    const reply = await login(payload);
    expect(reply.statusCode).toBe(status);
    expect(reply.headers['content-type']).toBe('application/problem+json');
    expect(app.table.count).toBe(0);
  });

  test('refuses broken JSON, other media types and long bodies without a look at them', async () => {
    const headers = { 'content-type': 'application/json' };
    const broken = await app.ask({ method: 'POST', url: '/v1/login', headers, payload: '{"password":"hunter2' });
    expect(broken.statusCode).toBe(400);
    expect(broken.body).not.toContain('hunter2');
    const xml = { 'content-type': 'application/xml' };
    const wrongMedia = await app.ask({ method: 'POST', url: '/v1/login', headers: xml, payload: '<a/>' });
    expect(wrongMedia.json()).toMatchObject({ status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' });
    const text = { 'content-type': 'text/plain' };
    expect((await app.ask({ method: 'POST', url: '/v1/login', headers: text, payload: '{}' })).statusCode).toBe(415);
    expect((await app.ask({ method: 'POST', url: '/v1/login', headers, payload: '' })).statusCode).toBe(400);
    const long = await login({ ...GIVEN, note: 'n'.repeat(65 * 1024) });
    expect(long.statusCode).toBe(413);
    expect(long.json()).toMatchObject({ status: 413, code: 'TOO_LONG' });
  });

  test('uids are taken as they are, whatever they look like to LDAP or SQL', async () => {
    for (const uid of ['*', '*)(uid=*', "x'--", 'a\\b', '"', '\u202eabc']) {
      expect((await login({ uid, password: 'secret' })).statusCode).toBe(401);
      app.directory.put({ uid });
      expect((await login({ uid, password: 'secret' })).statusCode).toBe(200);
    }
  });
});

describe('sessions', () => {
  test('need the token: neither the cookie alone nor another mac opens anything', async () => {
    const { authorization } = await app.loggedIn(UID);
    const cookie = authorization.slice('Bearer '.length, 'Bearer '.length + 32);
    const wrong = `${authorization.slice(0, -1)}${authorization.endsWith('0') ? '1' : '0'}`;
    const tokens = [
      undefined,
      `Bearer ${cookie}`,
      `Bearer ${cookie}.`,
      wrong,
      'Bearer ',
      'Basic x',
      `Bearer ${'ü'.repeat(97)}`,
    ];
    for (const token of tokens) {
      const headers = token === undefined ? {} : { authorization: token };
      const reply = await app.ask({ method: 'POST', url: '/v1/heartbeat', headers });
      expect(reply.statusCode).toBe(401);
      expect(reply.headers['www-authenticate']).toBe('Bearer');
    }
  });

  test('a heartbeat keeps the session alive and says anew what has changed', async () => {
    const headers = await app.loggedIn(UID);
    await app.time.advance(60_000);
    const payload = { local: '10.1.1.1:5', firewall: 'weak', status: 'busy', device: 'cpu=9', note: 'n' };
    const reply = await app.ask({ method: 'POST', url: '/v1/heartbeat', headers, payload });
    expect(reply.json()).toEqual({ wan: '127.0.0.1:0', heartbeat: 30, expires: 90 });
    const [device] = app.table.devices(app.table.users.find(UID));
    expect(device).toMatchObject({ firewall: 'weak', status: 'busy', device: 'cpu=9', note: 'n', seenS: app.nowS() });
    expect(device?.local).toEqual({ host: '10.1.1.1', port: 5 });
  });

  test('wan stays that of the datagrams; without any it is the address HTTP comes from', async () => {
    const headers = await app.loggedIn(UID);
    const heartbeat = (remoteAddress: string) =>
      app.ask({ method: 'POST', url: '/v1/heartbeat', headers, remoteAddress });
    expect((await heartbeat('127.0.0.7')).json()).toMatchObject({ wan: '127.0.0.7:0' });
    const row = app.table.rowsOf(app.table.users.find(UID))[0] ?? -1;
    app.table.move(row, { host: '10.9.9.9', port: 777 });
    expect((await heartbeat('127.0.0.8')).json()).toMatchObject({ wan: '10.9.9.9:777' });
  });

  test('a heartbeat to a server that is being drained names another one, which takes the login', async () => {
    const headers = await app.loggedIn(UID);
    const beat = async () =>
      (await app.ask({ method: 'POST', url: '/v1/heartbeat', headers })).json<{ redirect?: string }>();
    await app.directory.writeServer(serverRecord({ name: 'other', http: 'http://127.0.0.9:8080' }, app.clock.now()));
    await app.servers.renew();
    expect((await beat()).redirect).toBeUndefined();
    app.servers.setState('draining');
    const ticket = new URL((await beat()).redirect ?? '').searchParams.get('ticket') ?? '';
    const expected = { purpose: 'login', server: 'other', target: UID } as const;
    expect(checkTicket(CLUSTER_KEY, ticket, expected, app.clock.now()).outcome).toBe('good');
  });

  test('PUT /v1/status sets status and note; without one it clears it, as over datagrams', async () => {
    const headers = await app.loggedIn(UID);
    const put = (payload: object) => app.ask({ method: 'PUT', url: '/v1/status', headers, payload });
    expect((await put({ status: 'away', note: 'lunch' })).json()).toEqual({ status: 'away', note: 'lunch' });
    expect((await put({ status: 'online' })).json()).toEqual({ status: 'online', note: '' });
    expect((await put({ note: 'x' })).statusCode).toBe(400);
    expect((await put({ status: 'gone' })).statusCode).toBe(400);
  });

  test('POST /v1/logout ends the session', async () => {
    const headers = { ...(await app.loggedIn(UID)), 'content-type': 'application/json' };
    expect((await app.ask({ method: 'POST', url: '/v1/logout', headers })).statusCode).toBe(200);
    expect(app.table.count).toBe(0);
    expect((await app.ask({ method: 'POST', url: '/v1/logout', headers })).statusCode).toBe(401);
  });

  test('GET /v1/servers by session or ticket', async () => {
    const headers = await app.loggedIn(UID);
    const reply = await app.ask({ url: '/v1/servers', headers });
    // Without the build metadata, which tells other nodes of the cluster key.
    const mine = { name: 'here', udp: '127.0.0.1:4321', state: 'on', version: 'test' };
    expect(reply.json()).toMatchObject({ servers: [mine] });
    const ticket = issueTicket(
      CLUSTER_KEY,
      { purpose: 'locate', asker: 'a', target: 'b', server: 'here', issuer: 'other', hops: 1 },
      app.clock.now(),
    );
    expect((await app.ask({ url: '/v1/servers', query: { ticket } })).statusCode).toBe(200);
    expect((await app.ask({ url: '/v1/servers', query: { ticket: 'x' } })).statusCode).toBe(401);
    expect((await app.ask({ url: '/v1/servers' })).statusCode).toBe(401);
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
