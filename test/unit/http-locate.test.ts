/** PROTOCOL.md section 2: `GET /v1/locate/{uid}`. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NOWHERE, userDefaults } from '../../src/base/model.ts';
import { checkTicket, issueTicket } from '../../src/redirect/tickets.ts';
import { serverRecord } from '../support/flows.ts';
import { AS_ADMIN, CLUSTER_KEY, httpApp, type HttpApp } from '../support/http-app.ts';

let app: HttpApp;
let asker: { authorization: string };
beforeEach(async () => {
  app = await httpApp();
  app.directory.put({ uid: 'asker' });
  asker = await app.loggedIn('asker');
});
afterEach(() => app.http.close());

const locate = (uid: string, more: object = {}) =>
  app.ask({ url: `/v1/locate/${encodeURIComponent(uid)}`, headers: asker, ...more });

async function ownedByOther(uid: string): Promise<void> {
  const record = serverRecord({ name: 'other', http: 'http://127.0.0.9:8080' }, app.clock.now());
  await app.directory.writeServer(record);
  await app.servers.renew();
  const server = { name: 'other', address: record.udp };
  await app.directory.writeLocation(uid, { ...NOWHERE, server, epoch: 1 }, 0);
}

const ticketFor = (target: string, hops: number, from = 'asker') =>
  issueTicket(
    CLUSTER_KEY,
    { purpose: 'locate', asker: from, target, server: 'here', issuer: 'other', hops },
    app.clock.now(),
  );

test('full information on a user who is online, with his devices', async () => {
  const plain = userDefaults('u');
  app.directory.put({
    uid: 'u',
    basic: { ...plain.basic, alias: 'Ursula' },
    contact: { ...plain.contact, telephones: ['1', '2'] },
  });
  await app.loggedIn('u', { instance: 'a', local: '10.0.0.1:1', status: 'busy', note: 'n', device: 'cpu=1' });
  await app.time.advance(1_000);
  await app.loggedIn('u', { instance: 'b', local: '127.0.0.1:2', firewall: 'none' });
  const reply = await locate('u');
  expect(reply.statusCode).toBe(200);
  const last = {
    status: 'online',
    note: '',
    network: 'wan',
    firewall: 'none',
    wan: '127.0.0.1:0',
    local: '127.0.0.1:2',
    device: '',
  };
  const first = {
    status: 'busy',
    note: 'n',
    network: 'lan',
    firewall: 'strong',
    wan: '127.0.0.1:0',
    local: '10.0.0.1:1',
    device: 'cpu=1',
  };
  expect(reply.json()).toEqual({ uid: 'u', alias: 'Ursula', telephone: '1;2', ...last, devices: [last, first] });
});

test('addresses and telephone only as far as the privacy allows', async () => {
  const plain = userDefaults('u');
  const contact = { ...plain.contact, telephones: ['1'] };
  app.directory.put({ uid: 'u', contact, service: { ...plain.service, privacy: 'buddies' } });
  const self = await app.loggedIn('u', { local: '10.0.0.1:1' });
  const seen = (await locate('u')).body;
  for (const hidden of ['wan":"127', '10.0.0.1', 'telephone']) expect(seen).not.toContain(hidden);
  expect((await locate('u', { headers: self })).json()).toMatchObject({ wan: '127.0.0.1:0', telephone: '1' });
});

test('offline, with the last public logout', async () => {
  app.directory.put({ uid: 'u' });
  expect((await locate('u')).json()).toEqual({ status: 'offline' });
  await app.directory.writeLocation('u', { ...NOWHERE, logoutAt: 1_700_000_000_000, epoch: 1 }, 0);
  expect((await locate('u')).json()).toEqual({ status: 'offline', lastSeen: '2023-11-14T22:13:20.000Z' });
});

test('invisible and blocking users read as offline', async () => {
  app.directory.put({ uid: 'ghost' });
  await app.loggedIn('ghost', { status: 'invisible' });
  app.directory.put({ uid: 'blocker', lists: { ...userDefaults('').lists, blocked: ['asker'] } });
  await app.loggedIn('blocker');
  expect((await locate('ghost')).json()).toEqual({ status: 'offline' });
  expect((await locate('blocker')).json()).toEqual({ status: 'offline' });
});

test('404 for nobody, 400 for what can be no uid, without touching the directory', async () => {
  expect((await locate('nobody')).json()).toMatchObject({ status: 404, code: 'NO_SUCH_USER' });
  const { length } = app.directory.calls;
  for (const uid of ['a b', 'a:b', '\u0000', ' ', 'x'.repeat(65)]) expect((await locate(uid)).statusCode).toBe(400);
  expect((await locate('x'.repeat(10_000))).statusCode).toBe(414);
  expect((await app.ask({ url: '/v1/locate/%ff', headers: asker })).statusCode).toBe(400);
  expect(app.directory.calls).toHaveLength(length);
});

test('uids with signs of LDAP, SQL and paths are found', async () => {
  for (const uid of ['*)(uid=*', "';--", 'a/b', 'a%20b', 'name.xml']) {
    app.directory.put({ uid });
    await app.loggedIn(uid);
    expect((await locate(uid)).json()).toMatchObject({ uid });
  }
});

test('303 to the owner with a ticket that is good there', async () => {
  app.directory.put({ uid: 'u/1' });
  await ownedByOther('u/1');
  const reply = await locate('u/1');
  expect(reply.statusCode).toBe(303);
  const location = new URL(String(reply.headers.location));
  expect(location.href).toMatch(/^http:\/\/127\.0\.0\.9:8080\/v1\/locate\/u%2F1\?ticket=/);
  const expected = { purpose: 'locate', server: 'other', target: 'u/1' } as const;
  const ticket = location.searchParams.get('ticket') ?? '';
  expect(checkTicket(CLUSTER_KEY, ticket, expected, app.clock.now())).toMatchObject({ outcome: 'good', hops: 1 });
});

test('by ticket without a session, in the name of the asker; not for anybody else, and not for ever', async () => {
  app.directory.put({ uid: 'u', lists: { ...userDefaults('').lists, blocked: ['foe'] } });
  await app.loggedIn('u');
  const by = (ticket: string, uid = 'u') => app.ask({ url: `/v1/locate/${uid}`, query: { ticket } });
  expect((await by(ticketFor('u', 1))).json()).toMatchObject({ uid: 'u' });
  expect((await by(ticketFor('u', 1, 'foe'))).json()).toEqual({ status: 'offline' });
  expect((await by(ticketFor('u', 1), 'asker')).statusCode).toBe(401);
  expect((await by('forged')).statusCode).toBe(401);
  const old = ticketFor('u', 1);
  await app.time.advance(62_000);
  expect((await by(old)).statusCode).toBe(401);
});

test('a blocked asker with a long uid, whom a ticket knows by a hash only, stays blocked', async () => {
  const foe = '漢'.repeat(64);
  app.directory.put({ uid: 'u', lists: { ...userDefaults('').lists, blocked: [foe] } });
  await app.loggedIn('u');
  const reply = await app.ask({ url: '/v1/locate/u', query: { ticket: ticketFor('u', 1, foe) } });
  expect(reply.json()).toEqual({ status: 'offline' });
});

test('who was sent on three times is not sent on again', async () => {
  app.directory.put({ uid: 'u' });
  await ownedByOther('u');
  const by = (hops: number) => app.ask({ url: '/v1/locate/u', query: { ticket: ticketFor('u', hops) } });
  expect((await by(2)).statusCode).toBe(303);
  expect((await by(3)).json()).toEqual({ status: 'offline' });
});

test('memory answers while the directory is down; for others it is 503', async () => {
  app.directory.put({ uid: 'u' });
  app.directory.down = true;
  expect((await locate('asker')).statusCode).toBe(200);
  const reply = await locate('u');
  expect(reply.statusCode).toBe(503);
  expect(reply.headers['retry-after']).toBeDefined();
});

test('?explain tells each step, to administrators only', async () => {
  app.directory.put({ uid: 'u', lists: { ...userDefaults('').lists, blocked: ['foe'] } });
  await app.loggedIn('u');
  const explained = await app.ask({ url: '/v1/locate/u?explain', headers: AS_ADMIN });
  const { steps } = explained.json<{ steps: string[] }>();
  expect(steps.join()).toContain('memory: u is online here');
  expect(steps.join()).toContain('so a stranger sees the addresses');
  expect(steps.join()).toMatch(/address: 127\.0\.0\.1:0, where that device was heard of last, at \d{4}-/);
  const asFoe = await app.ask({ url: '/v1/locate/u?explain=1&as=foe', headers: AS_ADMIN });
  expect(asFoe.json()).toMatchObject({ status: 'offline', steps: expect.arrayContaining([]) as unknown });
  expect(asFoe.json<{ steps: string[] }>().steps.join()).toContain('blocks foe');
  const unknown = await app.ask({ url: '/v1/locate/nobody?explain', headers: AS_ADMIN });
  expect(unknown.statusCode).toBe(404);
  expect(unknown.json<{ steps: string[] }>().steps).not.toHaveLength(0);
  expect((await app.ask({ url: '/v1/locate/u?explain', headers: asker })).statusCode).toBe(401);
  expect((await app.ask({ url: '/v1/locate/u?as=foe', headers: asker })).statusCode).toBe(403);
});

test('?explain of a user elsewhere names the owner and sends the admin token nowhere', async () => {
  app.directory.put({ uid: 'u' });
  await ownedByOther('u');
  const reply = await app.ask({ url: '/v1/locate/u?explain', headers: AS_ADMIN });
  expect(reply.statusCode).toBe(200);
  expect(reply.json()).toMatchObject({ status: 'see-also', location: 'http://127.0.0.9:8080/v1/locate/u' });
  const steps = reply.json<{ steps: string[] }>().steps.join('\n');
  expect(steps).toMatch(/memory: u has no session here/);
  expect(steps).toMatch(/directory, read just now: u is on other/);
  expect(steps).toMatch(/owner: other is on with 0 of 100 users, heard of at \d{4}-/);
  expect(steps).toMatch(/address: 127\.0\.0\.9:\d+, that of the owner/);
});
