/** PROTOCOL.md section 2: `/v1/admin/…`. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AS_ADMIN, httpApp, type HttpApp, NUMBERS } from '../support/http-app.ts';

let app: HttpApp;
beforeEach(async () => {
  app = await httpApp();
});
afterEach(() => app.http.close());

const admin = (method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, payload?: object) =>
  app.ask({ method, url: `/v1/admin/${path}`, headers: AS_ADMIN, ...(payload === undefined ? {} : { payload }) });

const ACCOUNT = { type: 'SIP', e164: '123', servers: '10.0.0.1', password: 'voip-secret' };

describe('the admin token', () => {
  test('is asked for by every route below /v1/admin', async () => {
    const { paths } = (await app.ask({ url: '/openapi.json' })).json<{ paths: Record<string, object> }>();
    const routes = Object.entries(paths)
      .filter(([path]) => path.startsWith('/v1/admin/'))
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ method, path })));
    expect(routes.length).toBeGreaterThan(14);
    for (const { method, path } of routes) {
      const url = path.replace(/\{\w+\}/, 'x');
      const none = await app.ask({ method: method.toUpperCase(), url });
      expect(none.statusCode, `${method} ${path}`).toBe(401);
    }
  });

  test('a wrong one is logged and answered as slowly as a failed login', async () => {
    const headers = { authorization: 'Bearer wrong' };
    expect((await app.ask({ url: '/v1/admin/status', headers })).statusCode).toBe(401);
    expect(app.waitedMs).toEqual([200]);
    expect(app.logged).toMatchObject([{ source: '127.0.0.1', reason: 'wrong-admin-token' }]);
  });

  test('opens nothing where none is set', async () => {
    const open = await httpApp({ settings: { adminToken: '' } });
    for (const authorization of ['Bearer ', 'Bearer']) {
      expect((await open.ask({ url: '/v1/admin/status', headers: { authorization } })).statusCode).toBe(401);
    }
    await open.http.close();
  });

  test('is refused on an open wire', async () => {
    const reply = await app.ask({ url: '/v1/admin/status', headers: AS_ADMIN, remoteAddress: '203.0.113.5' });
    expect(reply.json()).toMatchObject({ status: 403, code: 'INSECURE' });
  });

  test('a session token opens no admin route', async () => {
    app.directory.put({ uid: 'u' });
    const headers = await app.loggedIn('u');
    expect((await app.ask({ url: '/v1/admin/status', headers })).statusCode).toBe(401);
  });
});

describe('users', () => {
  test('created, shown, changed, removed; no answer ever holds a secret', async () => {
    const created = await admin('POST', 'users', {
      uid: 'a/b',
      password: 'hunter2',
      region: 'china',
      countryCode: '86',
      basic: { alias: 'Anna' },
      voip: [ACCOUNT],
    });
    expect(created.statusCode).toBe(201);
    expect(created.headers.location).toBe('/v1/admin/users/a%2Fb');
    const shown = await admin('GET', 'users/a%2Fb');
    expect(shown.json()).toMatchObject({
      uid: 'a/b',
      region: 'china',
      hasPassword: true,
      scheme: 'ARGON2',
      hasVerifiers: true,
      basic: { alias: 'Anna', age: null },
      service: { enabled: true, expiresAt: null },
      voip: [{ type: 'SIP', e164: '123', enabled: true, hasPassword: true }],
    });
    const { secret } = app.directory.row('a/b')?.user ?? { secret: null };
    for (const reply of [created, shown]) {
      for (const hidden of ['voip-secret', 'hunter2', secret?.password, secret?.ha1Md5, secret?.ha1Sha256]) {
        expect(reply.body).not.toContain(hidden);
      }
    }
    const changed = await admin('PATCH', 'users/a%2Fb', { basic: { city: 'Köln' }, service: { enabled: false } });
    expect(changed.json()).toMatchObject({ basic: { alias: 'Anna', city: 'Köln' }, service: { enabled: false } });
    expect((await admin('DELETE', 'users/a%2Fb')).statusCode).toBe(200);
    expect((await admin('GET', 'users/a%2Fb')).statusCode).toBe(404);
    expect((await admin('DELETE', 'users/a%2Fb')).statusCode).toBe(404);
    expect((await admin('PATCH', 'users/a%2Fb', {})).statusCode).toBe(404);
  });

  test('a VOIP password that a change does not name stays', async () => {
    await admin('POST', 'users', { uid: 'u', voip: [ACCOUNT] });
    await admin('PATCH', 'users/u', { voip: [{ type: 'H323' }, { type: 'SIP', e164: '123', ttl: '60' }] });
    expect(app.directory.row('u')?.user.voip).toMatchObject([
      { type: 'H323', password: '' },
      { type: 'SIP', e164: '123', ttl: '60', password: 'voip-secret' },
    ]);
  });

  test('two telephone numbers in one entry are refused', async () => {
    const contact = { telephones: ['+1', '+2;+3'] };
    const refused = (await admin('POST', 'users', { uid: 'u', contact })).json<{ status: number; detail: string }>();
    expect(refused.status).toBe(400);
    expect(refused.detail).toContain('telephones/1');
    expect((await admin('POST', 'users', { uid: 'u', contact: { telephones: ['+1', '+2'] } })).statusCode).toBe(201);
  });

  test('a user is there only once', async () => {
    app.directory.put({ uid: 'u' });
    expect((await admin('POST', 'users', { uid: 'u' })).json()).toMatchObject({ status: 409, code: 'CONFLICT' });
  });

  test('a new password ends the sessions at once', async () => {
    app.directory.put({ uid: 'u' });
    await app.loggedIn('u');
    expect((await admin('PUT', 'users/u/password', { password: 'other' })).statusCode).toBe(200);
    expect(app.table.count).toBe(0);
    const bad = await admin('PUT', 'users/u/password', { password: 'a\nb' });
    expect(bad.json()).toMatchObject({ status: 422, code: 'INVALID_RECORD' });
  });

  test('searched by field and prefix, in pages', async () => {
    for (const uid of ['a1', 'a2', 'a3', 'b1']) app.directory.put({ uid });
    const first = (await admin('GET', 'users?prefix=a&limit=2')).json<{ users: { uid: string }[]; next: string }>();
    expect(first.users.map((user) => user.uid)).toEqual(['a1', 'a2']);
    const rest = (await admin('GET', `users?field=uid&prefix=a&limit=2&after=${first.next}`)).json<typeof first>();
    expect(rest.users.map((user) => user.uid)).toEqual(['a3']);
    expect(rest.next).toBeNull();
  });

  test.each(['limit=0', 'limit=1001', 'limit=x', 'field=password', 'unknown=1', 'limit=1&limit=2'])(
    'refuses the search %s',
    async (query) => {
      expect((await admin('GET', `users?${query}`)).statusCode).toBe(400);
    },
  );

  test('kicked: all sessions end', async () => {
    app.directory.put({ uid: 'u' });
    await app.loggedIn('u', { instance: 'a' });
    await app.loggedIn('u', { instance: 'b' });
    expect((await admin('POST', 'users/u/kick')).json()).toEqual({ sessions: 2, server: 'here' });
    expect((await admin('POST', 'users/u/kick')).json()).toEqual({ sessions: 0, server: null });
  });

  test('bodies that are none are refused', async () => {
    for (const payload of [
      {},
      { uid: 'a b' },
      { uid: 'u', secret: { password: 'x' } },
      { uid: 'u', voip: Array<object>(9).fill({ type: 'SIP' }) },
      { uid: 'u', service: { devicesMax: '5' } },
    ]) {
      expect((await admin('POST', 'users', payload)).statusCode).toBe(400);
    }
    expect((await admin('POST', 'users', { uid: 'u', xmlext: 'x'.repeat(300_000) })).statusCode).toBe(413);
  });
});

describe('the node', () => {
  test('system variables are set, read and unset', async () => {
    expect((await admin('GET', 'variables/MAIN_URL')).statusCode).toBe(404);
    await admin('PUT', 'variables/MAIN_URL', { value: 'http://x' });
    expect((await admin('GET', 'variables/MAIN_URL')).json()).toEqual({ name: 'MAIN_URL', value: 'http://x' });
    await admin('DELETE', 'variables/MAIN_URL');
    expect((await admin('GET', 'variables/MAIN_URL')).statusCode).toBe(404);
    expect((await admin('GET', 'variables/a%20b')).statusCode).toBe(400);
  });

  test('sessions in pages, and those of one user, without cookies', async () => {
    for (const uid of ['a', 'b', 'c']) {
      app.directory.put({ uid });
      await app.loggedIn(uid, { instance: `i-${uid}` });
    }
    const seen: string[] = [];
    let next: string | null = '';
    while (next !== null) {
      const reply = await admin('GET', `sessions?limit=2${next === '' ? '' : `&after=${next}`}`);
      const page = reply.json<{ sessions: { uid: string }[]; next: string | null }>();
      seen.push(...page.sessions.map((session) => session.uid));
      next = page.next;
    }
    expect(seen).toEqual(['a', 'b', 'c']);
    const one = await admin('GET', 'sessions/b');
    expect(one.json()).toMatchObject({ sessions: [{ uid: 'b', instance: 'i-b', wan: '127.0.0.1:0' }], next: null });
    expect(one.body).not.toContain('cookie');
    expect((await admin('GET', 'sessions/nobody')).json()).toEqual({ sessions: [], next: null, server: null });
  });

  test('status, servers and stop', async () => {
    app.state.readiness = [{ dependency: 'directory', ok: true, needed: true, detail: '' }];
    expect((await admin('GET', 'status')).json()).toMatchObject({
      name: 'here',
      version: 'test',
      state: 'on',
      dependencies: [{ dependency: 'directory', ok: true, needed: true }],
      numbers: NUMBERS,
    });
    expect((await admin('GET', 'servers')).json()).toMatchObject({ servers: [{ name: 'here', version: 'test' }] });
    expect((await admin('POST', 'stop', { logout: true })).statusCode).toBe(202);
    expect((await admin('POST', 'stop')).statusCode).toBe(202);
    expect(app.stopped).toEqual([true, false]);
  });
});
