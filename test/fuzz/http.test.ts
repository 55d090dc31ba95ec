/** Whatever comes by HTTP: an answer below 500, a problem document where it is an error, and no session for nothing. */
import fc from 'fast-check';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { AS_ADMIN, httpApp, type HttpApp } from '../support/http-app.ts';

const RUNS = 700;

let app: HttpApp;
let session: { authorization: string };
beforeAll(async () => {
  app = await httpApp();
});
// Some of what is asked for with the admin token removes the user.
beforeEach(async () => {
  app.directory.put({ uid: 'u' });
  session = await app.loggedIn('u');
});
afterAll(() => app.http.close());

async function expectSane(request: InjectOptions): Promise<void> {
  const reply = await app.ask(request);
  expect(reply.statusCode, `${reply.body} ${JSON.stringify(request)}`).toBeLessThan(500);
  if (reply.statusCode >= 400 && request.method !== 'HEAD') {
    expect(reply.headers['content-type']).toBe('application/problem+json');
    expect(reply.json()).toMatchObject({ status: reply.statusCode });
  }
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const;
const PATHS = [
  '/v1/login',
  '/v1/heartbeat',
  '/v1/status',
  '/v1/config',
  '/v1/servers',
  '/v1/admin/users',
  '/v1/admin/users/u',
  '/v1/admin/users/u/password',
  '/v1/admin/variables/A',
  '/v1/admin/sessions',
  '/v1/admin/stop',
] as const;
/** Text that URLs, headers, LDAP, SQL, JSON and XML each have a word to say to. */
const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.constantFrom(
    '*)(uid=*',
    "' OR 1=1 --",
    '../../etc/passwd',
    '\u0000',
    '\u202e',
    '\ud800',
    '__proto__',
    '<!DOCTYPE a>',
    ' ',
  ),
  fc.nat({ max: 12_000 }).map((length) => 'x'.repeat(length)),
);
const headerText = nasty.map((text) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '?').slice(0, 2_000));

test('random bodies on every route', async () => {
  const body = fc.oneof(
    fc.json(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
  );
  const type = fc.constantFrom(
    'application/json',
    'application/json; charset=x',
    'text/plain',
    'multipart/form-data',
    '',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...METHODS),
      fc.constantFrom(...PATHS),
      body,
      type,
      fc.boolean(),
      (method, url, payload, contentType, admin) =>
        expectSane({ method, url, payload, headers: { ...(admin ? AS_ADMIN : session), 'content-type': contentType } }),
    ),
    { numRuns: RUNS },
  );
});

test('logins with the right shape and nasty values open no session', async () => {
  const login = fc.record(
    {
      uid: nasty,
      password: nasty,
      instance: nasty,
      local: nasty,
      firewall: fc.constantFrom('none', 'strong', 'x'),
      status: fc.constantFrom('online', 'x'),
      device: nasty,
      note: nasty,
    },
    { requiredKeys: ['uid', 'password'] },
  );
  const { count } = app.table;
  await fc.assert(
    fc.asyncProperty(login, (payload) => expectSane({ method: 'POST', url: '/v1/login', payload })),
    { numRuns: 100 },
  );
  expect(app.table.count).toBe(count);
});

test('nasty heartbeats and records never break what is kept', async () => {
  const heartbeat = fc.record({ local: nasty, device: nasty, note: nasty }, { requiredKeys: [] });
  const record = fc.record(
    { basic: fc.record({ alias: nasty, city: nasty }), lists: fc.record({ buddies: fc.array(nasty) }), xmlext: nasty },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(heartbeat, record, async (said, changes) => {
      await expectSane({ method: 'POST', url: '/v1/heartbeat', headers: session, payload: said });
      await expectSane({ method: 'PATCH', url: '/v1/admin/users/u', headers: AS_ADMIN, payload: changes });
      await expectSane({ method: 'GET', url: '/v1/locate/u', headers: session });
    }),
    { numRuns: RUNS / 2 },
  );
});

test('nasty paths and queries', async () => {
  const part = fc.oneof(
    nasty.map(encoded),
    headerText.map((text) => text.replace(/[^!-~]|#/g, '')),
  );
  const base = fc.constantFrom('/', '/v1/locate/', '/config/', '/v1/admin/users/', '/v1/admin/variables/', '/docs/');
  const query = fc.constantFrom('', '?ticket=', '?explain=', '?as=', '?limit=', '?after=', '?prefix=');
  await fc.assert(
    fc.asyncProperty(base, part, query, part, fc.boolean(), async (path, name, key, value, admin) => {
      const url = `${path}${name.replaceAll('?', '%3F')}${key}${key === '' ? '' : value}`;
      const request = { method: 'GET', url, headers: admin ? AS_ADMIN : session } as const;
      // What is no URL at all can't be asked for in a test.
      if (!URL.canParse(url, 'http://x') || url.startsWith('//')) return;
      const reply = await app.ask(request);
      expect(reply.statusCode, `${url} ${reply.body}`).toBeLessThan(500);
    }),
    { numRuns: RUNS },
  );
});

test('nasty headers', async () => {
  const name = fc.constantFrom(
    'authorization',
    'if-none-match',
    'accept-encoding',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-request-id',
    'content-type',
  );
  const prefix = fc.constantFrom('', 'Bearer ', 'Basic ', 'Digest ', 'Digest username="u", nonce="', 'W/"');
  await fc.assert(
    fc.asyncProperty(
      name,
      prefix,
      headerText,
      fc.constantFrom('/v1/config', '/config/u.xml'),
      (key, start, text, url) => expectSane({ method: 'GET', url, headers: { ...session, [key]: start + text } }),
    ),
    { numRuns: RUNS },
  );
});

function encoded(text: string): string {
  return encodeURIComponent(text.replace(/\p{Cs}/gu, '?'));
}
