/** The HTTP edge for those who run it: operations, limits, proxies, TLS, and errors as problem documents. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { CERTIFICATES } from '../support/certificates.ts';
import { AS_ADMIN, httpApp, type HttpApp, type HttpAppOptions } from '../support/http-app.ts';

const open: HttpApp[] = [];
async function started(options: HttpAppOptions = {}): Promise<HttpApp> {
  const app = await httpApp(options);
  open.push(app);
  app.directory.put({ uid: 'u' });
  return app;
}
afterEach(async () => {
  for (const app of open.splice(0)) await app.http.close();
});

const LOGIN = { method: 'POST', url: '/v1/login', payload: { uid: 'u', password: 'secret' } } as const;
const WRONG = { method: 'POST', url: '/v1/login', payload: { uid: 'u', password: 'wrong' } } as const;
const REMOTE = '203.0.113.5';

describe('operations', () => {
  test('/healthz as long as the process runs; /readyz says which dependency is missing', async () => {
    const app = await started();
    app.state.readiness = [
      { dependency: 'directory', ok: false, needed: true, detail: 'no answer' },
      { dependency: 'udp', ok: true, needed: true, detail: '' },
    ];
    expect((await app.ask({ url: '/healthz' })).json()).toEqual({ status: 'ok' });
    const missing = await app.ask({ url: '/readyz' });
    expect(missing.statusCode).toBe(503);
    expect(missing.headers['retry-after']).toBe('5');
    expect(missing.json()).toEqual({ status: 'not ready', dependencies: app.state.readiness });
    app.state.readiness = [{ dependency: 'directory', ok: true, needed: true, detail: '' }];
    const ready = await app.ask({ url: '/readyz' });
    expect({ code: ready.statusCode, body: ready.json<object>() }).toMatchObject({
      code: 200,
      body: { status: 'ready' },
    });
  });

  test('/readyz says of what is away, but not needed, that the node is degraded, and ready', async () => {
    const app = await started();
    app.state.readiness = [
      { dependency: 'directory', ok: true, needed: true, detail: '' },
      { dependency: 'nats', ok: false, needed: false, detail: 'away' },
    ];
    const reply = await app.ask({ url: '/readyz' });
    expect(reply.statusCode).toBe(200);
    expect(reply.json()).toEqual({ status: 'degraded', dependencies: app.state.readiness });
  });

  test('/metrics shows the numbers of its own node at each scrape', async () => {
    const [app, other] = [await started(), await started({ name: 'other' })];
    other.state.numbers = { ...other.state.numbers, sessions: 99 };
    const text = (await app.ask({ url: '/metrics' })).body;
    for (const line of [
      'vserver_sessions 3',
      'vserver_users 2',
      'vserver_logins_total{outcome="denied"} 1',
      'vserver_heartbeats_total 7',
      'vserver_locates_total{outcome="user"} 4',
      'vserver_directory_up 1',
      'vserver_outbox_waiting 0',
      'vserver_session_ends_total{by="silence"} 2',
      'vserver_datagrams_total{kind="wrong-mac"} 1',
      'vserver_nat_rebindings_total 1',
      'vserver_rejected_fragments_total 0',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).toMatch(/nodejs_eventloop_lag_p99_seconds \d/);
    app.state.numbers = { ...app.state.numbers, heartbeats: 8 };
    expect((await app.ask({ url: '/metrics' })).body).toContain('vserver_heartbeats_total 8\n');
    expect((await other.ask({ url: '/metrics' })).body).toContain('vserver_sessions 99\n');
  });

  test('/metrics tells of the bus on a node of a cluster only', async () => {
    const [app, alone] = [await started(), await started({ isAlone: true })];
    expect((await app.ask({ url: '/metrics' })).body).toContain('vserver_bus_up 1\n');
    app.state.numbers = { ...app.state.numbers, bus: { isUp: false, messages: { sent: 5 } } };
    const { body } = await app.ask({ url: '/metrics' });
    expect(body).toContain('vserver_bus_up 0\n');
    expect(body).toContain('vserver_bus_messages_total{kind="sent"} 5\n');
    expect((await alone.ask({ url: '/metrics' })).body).not.toContain('vserver_bus');
  });

  test('/openapi.json describes every route, /docs shows it', async () => {
    const app = await started();
    const { openapi, info, paths } = (await app.ask({ url: '/openapi.json' })).json<{
      openapi: string;
      info: { version: string };
      paths: Record<string, Record<string, { responses: object; summary: string }>>;
    }>();
    expect([openapi, info.version]).toEqual(['3.1.0', 'test']);
    const described = ['/v1/login', '/v1/heartbeat', '/v1/logout', '/v1/status', '/v1/locate/{uid}', '/v1/config'];
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(described));
    for (const route of Object.values(paths).flatMap((methods) => Object.values(methods))) {
      expect(route.summary).not.toBe('');
      expect(Object.keys(route.responses)).toContainEqual(expect.stringMatching(/^2\d\d$/));
    }
    expect((await app.ask({ url: '/docs' })).body).toContain('swagger-ui');
    expect(await app.ask({ url: '/' })).toMatchObject({ statusCode: 302, headers: { location: '/docs' } });
  });
});

describe('errors', () => {
  test('are problem documents with the request id of the client, or one of ours', async () => {
    const app = await started();
    const named = await app.ask({ url: '/nowhere', headers: { 'x-request-id': 'my-id.1' } });
    expect(named.headers['content-type']).toBe('application/problem+json');
    expect(named.json()).toEqual({
      type: 'urn:vserver:problem:not-found',
      title: 'no such thing',
      status: 404,
      detail: 'no such thing',
      code: 'NOT_FOUND',
      requestId: 'my-id.1',
    });
    for (const given of ['a b', 'x'.repeat(65), '"}', '']) {
      const { requestId } = (await app.ask({ url: '/nowhere', headers: { 'x-request-id': given } })).json<{
        requestId: string;
      }>();
      expect(requestId).toMatch(/^[0-9a-f]{8}-\d+$/);
    }
  });

  test('a path that is there answers 405 to methods that it has not, and names those that it has', async () => {
    const app = await started();
    for (const [method, url, allow] of [
      ['GET', '/v1/login', 'POST'],
      ['PUT', '/v1/locate/u', 'GET, HEAD'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['PATCH', '/v1/admin/users', 'GET, HEAD, POST'],
    ] as const) {
      // A body of any kind is not even read.
      const reply = await app.ask({ method, url, headers: { 'content-type': 'text/xml' }, payload: '<a/>' });
      expect([method, url, reply.statusCode, reply.headers['allow']]).toEqual([method, url, 405, allow]);
      expect(reply.json()).toMatchObject({ code: 'METHOD_NOT_ALLOWED', status: 405 });
    }
    expect((await app.ask({ method: 'HEAD', url: '/healthz' })).statusCode).toBe(200);
  });

  test('what nobody expected says nothing of itself, and is logged', async () => {
    const app = await started();
    app.deps.ready = () => {
      throw new Error('the inner secret');
    };
    const reply = await app.ask({ url: '/readyz' });
    expect(reply.statusCode).toBe(500);
    expect(reply.body).not.toContain('inner secret');
    expect(app.logged).toMatchObject([{ message: 'request failed', route: 'GET /readyz' }]);
  });

  test('what is no HTTP is answered 400 and cut off', async () => {
    const app = await started();
    const at = await app.http.listen({ host: '127.0.0.1', port: 0 });
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(at.port, at.host, () => socket.write('\u0001\u0002 nonsense\r\n\r\n'));
      let text = '';
      socket.on('data', (bytes) => (text += bytes.toString()));
      socket.on('end', () => {
        resolve(text);
      });
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*"code":"BAD_REQUEST"/);
  });
});

describe('limits', () => {
  test('unauthenticated requests of one source: 429 with Retry-After, others go on', async () => {
    const app = await started({ requestsASecond: 2 });
    const session = await app.loggedIn('u');
    expect((await app.ask({ url: '/readyz' })).statusCode).toBe(200);
    const refused = await app.ask({ url: '/readyz' });
    expect(refused.json()).toMatchObject({ status: 429, code: 'SLOW_DOWN' });
    expect(refused.headers['retry-after']).toBe('1');
    expect((await app.ask(LOGIN)).statusCode).toBe(429);
    expect((await app.ask({ url: '/v1/config' })).statusCode).toBe(429);
    expect((await app.ask({ url: '/v1/config', headers: session })).statusCode).toBe(200);
    expect((await app.ask({ url: '/healthz' })).statusCode).toBe(200);
    expect((await app.ask({ url: '/readyz', remoteAddress: '127.0.0.2' })).statusCode).toBe(200);
    await app.time.advance(1_000);
    expect((await app.ask({ url: '/readyz' })).statusCode).toBe(200);
  });

  test('failed logins of one source, of whatever kind, are refused before the password is looked at', async () => {
    const app = await started({ failuresAMinute: 3 });
    await app.ask(WRONG);
    await app.ask({ url: '/config/u.xml', headers: { authorization: 'Basic dTp4' } });
    await app.ask({ url: '/v1/admin/status', headers: { authorization: 'Bearer x' } });
    const { length } = app.directory.calls;
    expect((await app.ask(LOGIN)).statusCode).toBe(429);
    expect((await app.ask({ url: '/v1/admin/status', headers: { authorization: 'Bearer x' } })).statusCode).toBe(429);
    expect(app.directory.calls).toHaveLength(length);
    expect((await app.ask({ ...LOGIN, remoteAddress: '127.0.0.2' })).statusCode).toBe(200);
    await app.time.advance(60_000);
    expect((await app.ask(LOGIN)).statusCode).toBe(200);
  });
});

describe('secrets on plain HTTP', () => {
  test('are taken from loopback and refused from elsewhere, before the body is read', async () => {
    const app = await started();
    for (const remoteAddress of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) {
      expect((await app.ask({ ...LOGIN, remoteAddress })).statusCode).toBe(200);
    }
    const refused = await app.ask({ ...LOGIN, payload: 'nonsense', remoteAddress: REMOTE });
    expect(refused.json()).toMatchObject({ status: 403, code: 'INSECURE' });
    const session = await app.loggedIn('u');
    for (const url of ['/v1/config', '/config/u.xml', '/v1/locate/u', '/v1/servers']) {
      expect((await app.ask({ url, headers: session, remoteAddress: REMOTE })).statusCode).toBe(403);
    }
  });

  test('are taken from anywhere where the operator allows it', async () => {
    const app = await started({ settings: { insecure: true } });
    expect((await app.ask({ ...LOGIN, remoteAddress: REMOTE })).statusCode).toBe(200);
  });

  test('what a proxy forwards is believed of named proxies only', async () => {
    const app = await started({ settings: { proxies: ['10.0.0.1', '10.0.0.2'] } });
    const by = (remoteAddress: string, headers: Record<string, string>) =>
      app.ask({ ...LOGIN, headers, remoteAddress });
    const wan = async (headers: Record<string, string>) => (await by('10.0.0.1', headers)).json<{ wan: string }>().wan;

    expect((await by(REMOTE, { 'x-forwarded-proto': 'https' })).statusCode).toBe(403);
    expect((await by(REMOTE, { 'x-forwarded-for': '127.0.0.1' })).statusCode).toBe(403);
    expect((await by('10.0.0.1', { 'x-forwarded-proto': 'http' })).statusCode).toBe(403);
    expect((await by('10.0.0.1', { 'x-forwarded-proto': 'https, http' })).statusCode).toBe(403);
    expect(await wan({ 'x-forwarded-proto': 'https', 'x-forwarded-for': '1.2.3.4' })).toBe('1.2.3.4:0');
    // What stands left of the first address that is no proxy of ours was written by the client.
    expect(await wan({ 'x-forwarded-for': '127.0.0.1, 1.2.3.4, 10.0.0.2' })).toBe('1.2.3.4:0');
    expect(await wan({ 'x-forwarded-for': '2001:DB8::1' })).toBe('[2001:db8::1]:0');
    expect(await wan({ 'x-forwarded-for': 'unknown' })).toBe('10.0.0.1:0');
    expect(await wan({})).toBe('10.0.0.1:0');
  });
});

describe('TLS', () => {
  test('a renewed certificate is taken without a restart; a broken one leaves the old', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vserver-tls-'));
    const tls = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
    const put = async (cert: string, key: string): Promise<void> => {
      await writeFile(tls.certFile, cert);
      await writeFile(tls.keyFile, key);
    };
    await put(CERTIFICATES.one.cert, CERTIFICATES.one.key);
    const app = await started({ settings: { tls } });
    const at = await app.http.listen({ host: '127.0.0.1', port: 0 });
    expect(await certificateName(at.port)).toBe('one');
    expect(await status(at.port, '/v1/admin/status', AS_ADMIN)).toBe(200);

    const logs = async (message: string): Promise<void> => {
      while (!app.logged.some((line) => 'message' in line && line.message === message)) await app.time.advance(5_000);
    };
    await put(CERTIFICATES.two.cert, 'no key');
    await logs('new certificate not usable, the old one stays');
    expect(await certificateName(at.port)).toBe('one');
    await put(CERTIFICATES.two.cert, CERTIFICATES.two.key);
    await logs('renewed certificate taken');
    expect(await certificateName(at.port)).toBe('two');
    await rm(folder, { recursive: true });
  });

  test('a node does not start with a certificate that is none', async () => {
    const tls = { certFile: '/nowhere/cert.pem', keyFile: '/nowhere/key.pem' };
    await expect(httpApp({ settings: { tls } })).rejects.toMatchObject({ code: 'SETTINGS' });
  });
});

test('listening where somebody else does is refused with the error of the system', async () => {
  const at = await (await started()).http.listen({ host: '127.0.0.1', port: 0 });
  await expect((await started()).http.listen(at)).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

function certificateName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

function status(port: number, path: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest({ host: '127.0.0.1', port, path, headers, rejectUnauthorized: false }, (reply) => {
      reply.resume();
      resolve(reply.statusCode);
    });
    request.on('error', reject);
    request.end();
  });
}
