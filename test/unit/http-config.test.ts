/** PROTOCOL.md section 2: the CONFIG XML over HTTP, by session, Basic and Digest. */
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import { configDocument } from '../../src/config-xml/document.ts';
import { hashPassword, verifiers } from '../../src/directory/passwords.ts';
import { httpApp, type HttpApp } from '../support/http-app.ts';

const ACCOUNT = {
  type: 'SIP' as const,
  enabled: true,
  servers: '',
  e164: '',
  outbound: '',
  property: '',
  ttl: '',
  password: 'voip-secret',
};
const REMOTE = '203.0.113.5';

let app: HttpApp;
beforeEach(async () => {
  app = await httpApp();
  app.directory.put({ uid: 'u', voip: [ACCOUNT], xmlext: `<a>${'x'.repeat(2_000)}</a>` });
  app.directory.put({ uid: 'other' });
});
afterEach(() => app.http.close());

const part = (text: string) => ({ text, rejected: null });
const get = (headers: object, more: object = {}) => app.ask({ url: '/config/u.xml', headers: { ...headers }, ...more });
const basic = (uid: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${uid}:${password}`).toString('base64')}`,
});

describe('the document', () => {
  test('goes to its user by session, as XML that must be asked for again', async () => {
    const session = await app.loggedIn('u');
    for (const url of ['/v1/config', '/config/u.xml']) {
      const reply = await app.ask({ url, headers: session });
      expect(reply.statusCode).toBe(200);
      expect(reply.headers['content-type']).toBe('application/xml; charset=utf-8');
      expect(reply.headers['cache-control']).toBe('private, no-cache');
      expect(reply.body).toContain('<PRIVATE ID="u" PWD="voip-secret">');
    }
  });

  test('comes from memory where it is known there, without a look at the directory', async () => {
    const session = await app.loggedIn('u');
    const { etag, body } = configDocument(part('<SYSTEM/>'), part('<PRIVATE/>'));
    app.documents.set('u', { etag, body });
    app.directory.calls.length = 0;
    for (const url of ['/v1/config', '/config/u.xml']) {
      const reply = await app.ask({ url, headers: session });
      expect([reply.statusCode, reply.headers.etag, reply.rawPayload]).toEqual([200, etag, body]);
      expect((await app.ask({ url, headers: { ...session, 'if-none-match': etag } })).statusCode).toBe(304);
    }
    expect(app.directory.calls).toEqual([]);
  });

  test('goes to nobody else', async () => {
    expect((await get(await app.loggedIn('other'))).statusCode).toBe(403);
    expect((await get(basic('other', 'secret'))).statusCode).toBe(403);
    expect((await get({})).statusCode).toBe(401);
  });

  test('304 while one of the ETags still holds, and not a moment longer', async () => {
    const session = await app.loggedIn('u');
    const etag = String((await get(session)).headers.etag);
    for (const given of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const reply = await get({ ...session, 'if-none-match': given });
      expect(reply.statusCode).toBe(304);
      expect(reply.headers.etag).toBe(etag);
      expect(reply.body).toBe('');
    }
    app.directory.put({ uid: 'u', xmlext: '<b/>' });
    expect((await get({ ...session, 'if-none-match': etag })).statusCode).toBe(200);
  });

  test('is compressed for those who ask, with a weak ETag that answers 304 too', async () => {
    const session = await app.loggedIn('u');
    const plain = await get(session);
    const small = await get({ ...session, 'accept-encoding': 'br, gzip;q=0.8' });
    expect(small.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(small.rawPayload)).toEqual(plain.rawPayload);
    expect(small.headers.etag).toBe(`W/${String(plain.headers.etag)}`);
    expect((await get({ ...session, 'if-none-match': String(small.headers.etag) })).statusCode).toBe(304);
    for (const refusal of ['gzip;q=0', 'gzip;q=0.00', 'identity', 'notgzip']) {
      expect((await get({ ...session, 'accept-encoding': refusal })).headers['content-encoding']).toBeUndefined();
    }
  });

  test('404 where the path is none of a document, 400 where it names no uid', async () => {
    const session = await app.loggedIn('u');
    expect((await app.ask({ url: '/config/u.txt', headers: session })).statusCode).toBe(404);
    expect((await app.ask({ url: '/config/a%20b.xml', headers: session })).statusCode).toBe(400);
    expect((await app.ask({ url: '/config/.xml', headers: session })).statusCode).toBe(400);
  });
});

describe('HTTP Basic', () => {
  test('opens the own document', async () => {
    expect((await get(basic('u', 'secret'))).statusCode).toBe(200);
    const own = await app.ask({ url: '/v1/config', headers: basic('u', 'secret') });
    expect(own.body).toContain('<PRIVATE ID="u"');
  });

  test('answers a wrong password and an unknown uid alike, in the same time, with challenges', async () => {
    for (const [uid, password] of [
      ['u', 'wrong'],
      ['nobody', 'wrong'],
      ['no uid', 'x'],
    ] as const) {
      const reply = await get(basic(uid, password));
      expect(reply.statusCode).toBe(401);
      expect(reply.json()).toMatchObject({ code: 'LOGIN_FAILED', detail: 'wrong uid or password' });
      expect(String(reply.headers['www-authenticate'])).toContain('Basic realm="vserver"');
    }
    expect(app.waitedMs).toEqual([200, 200, 200]);
    expect(app.logged).toHaveLength(3);
  });

  test('403 for an account that is disabled', async () => {
    app.directory.put({ uid: 'u', service: { ...userDefaults('u').service, enabled: false } });
    expect((await get(basic('u', 'secret'))).statusCode).toBe(403);
  });

  test('is refused on an open wire, and not offered there', async () => {
    const reply = await get(basic('u', 'secret'), { remoteAddress: REMOTE });
    expect(reply.json()).toMatchObject({ status: 403, code: 'INSECURE' });
    const challenge = (await get({}, { remoteAddress: REMOTE })).headers['www-authenticate'];
    expect(String(challenge)).not.toContain('Basic');
  });

  test('400 for what is no base64 of a uid and a password', async () => {
    expect((await get({ authorization: 'Basic bm9jb2xvbg==' })).statusCode).toBe(400);
  });
});

describe('HTTP Digest', () => {
  const h = (algorithm: string, text: string) =>
    createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
      .update(text)
      .digest('hex');

  /** Answers the challenge of `algorithm` as RFC 7616 section 3.4 says. */
  async function digest(
    algorithm: string,
    change: Record<string, string> = {},
    password = 'secret',
    more: object = {},
  ) {
    const challenges = (await get({}, more)).headers['www-authenticate'] as unknown as string[];
    const nonce =
      /nonce="([^"]+)"/.exec(challenges.find((one) => one.includes(`algorithm=${algorithm}`)) ?? '')?.[1] ?? '';
    const fields = {
      username: 'u',
      realm: 'vserver',
      uri: '/config/u.xml',
      nonce,
      nc: '00000001',
      cnonce: 'c',
      ...change,
    };
    const ha1 = h(algorithm, `${fields.username}:${fields.realm}:${password}`);
    const ha2 = h(algorithm, `GET:${fields.uri}`);
    const response = h(algorithm, `${ha1}:${fields.nonce}:${fields.nc}:${fields.cnonce}:auth:${ha2}`);
    const { nc, ...quoted } = { ...fields, response };
    const text = Object.entries(quoted).map(([name, value]) => `${name}="${value.replace(/["\\]/g, '\\$&')}"`);
    const authorization = `Digest ${text.join(', ')}, nc=${nc}, qop=auth, algorithm=${algorithm}`;
    return { reply: await get({ authorization }, more), authorization };
  }

  test('the challenges name SHA-256 first, then MD5', async () => {
    const challenges = (await get({})).headers['www-authenticate'] as unknown as string[];
    expect(challenges.map((one) => /^\w+(?:.*algorithm=([\w-]+))?/.exec(one)?.[1])).toEqual([
      'SHA-256',
      'MD5',
      undefined,
      undefined,
    ]);
  });

  test.each(['SHA-256', 'MD5'])(
    '%s opens the own document, by a plain password or the stored verifier',
    async (algorithm) => {
      expect((await digest(algorithm)).reply.statusCode).toBe(200);
      const password = await hashPassword('secret');
      app.directory.put({ uid: 'u', secret: { password, ...verifiers('u', 'vserver', 'secret') } });
      expect((await digest(algorithm)).reply.statusCode).toBe(200);
      expect((await digest(algorithm, {}, 'wrong')).reply.statusCode).toBe(401);
    },
  );

  test('fails for a one-way password without a verifier as a wrong password does', async () => {
    app.directory.put({ uid: 'u', secret: { password: await hashPassword('secret'), ha1Md5: null, ha1Sha256: null } });
    expect((await digest('SHA-256')).reply.json()).toMatchObject({
      code: 'LOGIN_FAILED',
      detail: 'wrong uid or password',
    });
    expect((await digest('SHA-256', { username: 'nobody' })).reply.json()).toMatchObject({ code: 'LOGIN_FAILED' });
    expect(app.waitedMs).toEqual([200, 200]);
  });

  test('is good on an open wire, where the document then comes without passwords', async () => {
    const { reply } = await digest('SHA-256', {}, 'secret', { remoteAddress: REMOTE });
    expect(reply.statusCode).toBe(200);
    expect(reply.body).toContain('PWD=""');
  });

  test('a nonce that is too old is stale, one of another source is not good', async () => {
    const { authorization } = await digest('SHA-256');
    expect((await get({ authorization }, { remoteAddress: '127.0.0.2' })).statusCode).toBe(401);
    await app.time.advance(31_000);
    const old = await get({ authorization });
    expect(old.statusCode).toBe(401);
    expect(String(old.headers['www-authenticate'])).toContain('stale=true');
  });

  test('uids with quotes and other letters', async () => {
    const uid = '"\\漢';
    app.directory.put({ uid });
    const url = `/config/${encodeURIComponent(uid)}.xml`;
    const challenges = (await get({})).headers['www-authenticate'] as unknown as string[];
    const nonce = /nonce="([^"]+)"/.exec(String(challenges[0]))?.[1] ?? '';
    const ha2 = h('SHA-256', `GET:${url}`);
    const response = h('SHA-256', `${h('SHA-256', `${uid}:vserver:secret`)}:${nonce}:00000001:c:auth:${ha2}`);
    const text = `Digest username="\\"\\\\漢", realm="vserver", uri="${url}", nonce="${nonce}", nc=00000001, cnonce="c", qop=auth, algorithm=SHA-256, response="${response}"`;
    const authorization = Buffer.from(text).toString('latin1');
    expect((await app.ask({ url, headers: { authorization } })).statusCode).toBe(200);
  });

  test.each([
    ['another realm', { realm: 'else' }],
    ['another resource', { uri: '/config/other.xml' }],
    ['a count that is none', { nc: '1' }],
  ])('400 for %s', async (_what, change) => {
    expect((await digest('SHA-256', change)).reply.statusCode).toBe(400);
  });

  test.each(['Digest', 'Digest ', 'Digest a', 'Digest a=1, a=2', 'Digest username="u', `Digest ${'a=1,'.repeat(50)}`])(
    '400 for %s',
    async (authorization) => {
      expect([400, 401]).toContain((await get({ authorization })).statusCode);
    },
  );
});
