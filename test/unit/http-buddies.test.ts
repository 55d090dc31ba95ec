/** docs/protocol.md: buddies and blocked users over HTTP. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import { httpApp, type HttpApp } from '../support/http-app.ts';

const plain = userDefaults('x');
let app: HttpApp;
let alice: { authorization: string };
let bob: { authorization: string };
beforeEach(async () => {
  app = await httpApp();
  app.directory.put({ uid: 'alice' });
  app.directory.put({ uid: 'bob', service: { ...plain.service, privacy: 'buddies' } });
  app.directory.put({ uid: 'carol' });
  alice = await app.loggedIn('alice');
  bob = await app.loggedIn('bob');
});
afterEach(() => app.http.close());

const ask = async (method: 'GET' | 'PUT' | 'DELETE', url: string, headers: object) => {
  const reply = await app.ask({ method, url, headers: { ...headers } });
  return { code: reply.statusCode, body: reply.json<object>() };
};

test('a buddy is added, seen with what he lets be seen, and removed', async () => {
  expect(await ask('PUT', '/v1/buddies/carol', alice)).toEqual({ code: 200, body: { status: 'ok' } });
  const carol = await app.loggedIn('carol', { status: 'away' });
  expect(carol.authorization).not.toBe('');
  const seen = { uid: 'carol', relation: 'buddy', status: 'away', note: '' };
  expect((await ask('GET', '/v1/buddies/carol', alice)).body).toEqual(seen);
  expect((await ask('GET', '/v1/buddies', alice)).body).toEqual({
    buddies: [seen],
    asked: [],
    asking: [],
    blocked: [],
  });
  expect(await ask('DELETE', '/v1/buddies/carol', alice)).toEqual({ code: 200, body: { status: 'ok' } });
  expect((await ask('GET', '/v1/buddies/carol', alice)).body).toMatchObject({ relation: 'none' });
});

test('where his record asks for consent he is asked, and seen when he gives it', async () => {
  expect((await ask('PUT', '/v1/buddies/bob', alice)).body).toEqual({ status: 'asked' });
  expect((await ask('GET', '/v1/buddies/bob', alice)).body).toMatchObject({ relation: 'asked', status: 'offline' });
  expect((await ask('GET', '/v1/buddies/alice', bob)).body).toMatchObject({ relation: 'asking' });
  expect((await ask('PUT', '/v1/buddies/alice', bob)).body).toEqual({ status: 'ok' });
  expect((await ask('GET', '/v1/buddies/bob', alice)).body).toMatchObject({ relation: 'buddy', status: 'online' });
});

test('who is blocked sees him offline', async () => {
  expect((await ask('PUT', '/v1/blocked/bob', alice)).body).toEqual({ status: 'ok' });
  expect((await ask('GET', '/v1/buddies', alice)).body).toMatchObject({ blocked: ['bob'] });
  expect((await ask('GET', '/v1/buddies/alice', bob)).body).toMatchObject({ status: 'offline' });
  expect((await ask('DELETE', '/v1/blocked/bob', alice)).body).toEqual({ status: 'ok' });
  expect((await ask('GET', '/v1/buddies/alice', bob)).body).toMatchObject({ status: 'online' });
});

test.each([
  ['PUT', '/v1/buddies/nobody', 404],
  ['PUT', '/v1/buddies/alice', 409],
  ['PUT', '/v1/buddies/a%3Ab', 400],
  ['GET', '/v1/buddies/a%3Ab', 400],
  ['PUT', '/v1/blocked/nobody', 404],
] as const)('%s %s: %i', async (method, url, code) => {
  expect((await ask(method, url, alice)).code).toBe(code);
});

test('without a session, or while the directory is away, nothing changes', async () => {
  expect((await ask('PUT', '/v1/buddies/carol', {})).code).toBe(401);
  app.directory.down = true;
  expect((await ask('PUT', '/v1/buddies/carol', alice)).code).toBe(503);
  app.directory.down = false;
  expect((await ask('GET', '/v1/buddies', alice)).body).toMatchObject({ buddies: [] });
});
