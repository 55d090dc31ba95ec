/** PROTOCOL.md: the login by datagrams. */
import { beforeEach, describe, expect, test } from 'vitest';
import { VserverError } from '../../src/base/errors.ts';
import { userDefaults } from '../../src/base/model.ts';
import { settle } from '../support/clock.ts';
import { memoryNetwork } from '../support/network.ts';
import type { Client } from '../support/protocol-client.ts';
import { isSignedBy, protocolClient } from '../support/protocol-client.ts';
import type { UdpNode } from '../support/udp-node.ts';
import { udpNode } from '../support/udp-node.ts';

const SERVER = { host: '10.0.0.1', port: 4321 };
let node: UdpNode;
let client: Client;
beforeEach(async () => {
  node = await udpNode();
  client = await protocolClient(node.network, { host: '192.0.2.7', port: 5000 }, SERVER);
  node.directory.put({ uid: 'alice' });
});

const service = userDefaults('').service;
const secret = userDefaults('').secret;

describe('Challenge', () => {
  test('is the same for a uid that does not exist', async () => {
    const [known, unknown] = [await client.challenge('alice'), await client.challenge('nobod')];
    const form = (text: string) => text.replace(/nonce: \S+/, 'nonce: N').replace(/id: \S+/, 'id: I');
    expect(form(known.text).replace('alice', 'nobod')).toBe(form(unknown.text));
    expect(known.headers['nonce']).toHaveLength(unknown.headers['nonce']?.length ?? 0);
    expect(known.headers['realm']).toBe('vserver');
    expect(node.directory.calls).toEqual([]);
  });

  test('a nonce proves the source address: from another one it is stale', async () => {
    const { headers } = await client.challenge('alice');
    const other = await protocolClient(node.network, { host: '192.0.2.7', port: 5001 }, SERVER);
    const reply = await other.one(other.proven('alice', headers['nonce'] ?? ''));
    expect(reply.verb).toBe('Challenge');
    expect(node.table.count).toBe(0);
  });

  test('a nonce is good for 30 s', async () => {
    const first = (await client.challenge('alice')).headers['nonce'] ?? '';
    await node.time.advance(30_001);
    expect((await client.one(client.proven('alice', first))).verb).toBe('Challenge');
    const second = (await client.challenge('alice')).headers['nonce'] ?? '';
    await node.time.advance(30_000);
    expect((await client.one(client.proven('alice', second))).verb).toBe('Welcome');
  });

  test('a nonce is good for one successful login', async () => {
    const { nonce } = await client.tryLogin('alice');
    expect((await client.one(client.proven('alice', nonce))).verb).toBe('Challenge');
    expect(node.table.count).toBe(1);
  });

  test('a made-up nonce is answered with a Challenge', async () => {
    expect((await client.one(client.proven('alice', 'n'.repeat(32)))).verb).toBe('Challenge');
  });
});

describe('Welcome', () => {
  test('cookie, heartbeat, expires, wan, network, server, signed with K', async () => {
    const { welcome, key } = await client.login('alice', ['local: 192.168.1.2:4321', 'instance: phone']);
    expect(welcome.first).toBe('Welcome alice');
    expect(welcome.headers).toMatchObject({
      cookie: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      heartbeat: '30',
      expires: '90',
      wan: '192.0.2.7:5000',
      network: 'lan',
      server: 'vserver1',
    });
    expect(isSignedBy(key, welcome)).toBe(true);
  });

  test('network is wan where local and source agree', async () => {
    expect((await client.login('alice', ['local: 192.0.2.7:5000'])).welcome.headers['network']).toBe('wan');
  });

  test('a repeat of a good Login gets the same Welcome, byte for byte, and opens no second session', async () => {
    const { request, replies } = await client.tryLogin('alice');
    for (let i = 0; i < 3; i++) expect((await client.one(request)).text).toBe(replies[0]?.text);
    expect(node.table.count).toBe(1);
    expect(node.directory.row('alice')?.location.epoch).toBe(1);
  });

  test('the same Login twice while the directory is asked is answered once', async () => {
    const nonce = (await client.challenge('alice')).headers['nonce'] ?? '';
    const request = client.proven('alice', nonce);
    node.directory.held = true;
    client.send(request);
    client.send(request);
    node.directory.held = false;
    node.directory.release();
    await settle();
    expect(client.inbox.map(({ verb }) => verb)).toEqual(['Welcome']);
    expect(node.table.count).toBe(1);
  });

  test('IPv6 addresses stand in brackets', async () => {
    const network = memoryNetwork();
    const at = { host: '::1', port: 4321 };
    const six = await udpNode({ network, at });
    six.directory.put({ uid: 'alice' });
    const caller = await protocolClient(network, { host: '2001:db8::7', port: 5000 }, at);
    const session = await caller.login('alice', ['local: [2001:db8::7]:5000']);
    expect(session.welcome.headers).toMatchObject({ wan: '[2001:db8::7]:5000', network: 'wan' });
    const user = await caller.one(caller.signed(session, 'Locate alice'));
    expect(user.headers).toMatchObject({ wan: '[2001:db8::7]:5000', local: '[2001:db8::7]:5000' });
    expect((await caller.one(caller.signed(session, 'Servers'))).body).toContain('vserver1 [::1]:4321 on ');
  });
});

describe('every failed datagram login is the same Error 403, in the same time', () => {
  const FAILURES = [
    ['an unknown uid', 'nobody', 'secret'],
    ['a wrong password', 'alice', 'mistaken'],
    ['a password stored one-way only', 'oneway', 'secret'],
    ['a disabled account', 'disabled', 'secret'],
    ['an expired account', 'expired', 'secret'],
  ] as const;

  test.each(FAILURES)('%s', async (_, uid, password) => {
    node.directory.put({ uid: 'oneway', secret: { ...secret, password: '{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' } });
    node.directory.put({ uid: 'disabled', service: { ...service, enabled: false } });
    node.directory.put({ uid: 'expired', service: { ...service, expiresAt: 1 } });
    const { replies, request } = await client.tryLogin(uid, [], password);
    expect(replies).toEqual([]);
    await node.time.advance(199);
    expect(client.inbox).toEqual([]);
    // Another try before the answer is the same one.
    await client.ask(request);
    await node.time.advance(1);
    expect(client.inbox.map(({ text }) => text.replace(/id: \S+/, 'id: I'))).toEqual([
      'Error 403 refused\r\nid: I\r\n\r\n',
    ]);
    expect(node.table.count).toBe(0);
    expect(node.logged).toEqual([expect.objectContaining({ message: 'login failed', uid })]);
    expect(JSON.stringify(node.logged)).not.toContain(password);
  });

  test('where the directory is slow the answer comes at the next multiple of 200 ms', async () => {
    const nonce = (await client.challenge('alice')).headers['nonce'] ?? '';
    node.directory.held = true;
    client.send(client.proven('alice', nonce, 'wrong'));
    await node.time.advance(250);
    node.directory.held = false;
    node.directory.release();
    await node.time.advance(149);
    expect(client.inbox).toEqual([]);
    await node.time.advance(1);
    expect(client.inbox.map(({ first }) => first)).toEqual(['Error 403 refused']);
  });

  test('after too many of them a source is told to slow down, and others are not affected', async () => {
    const strict = await udpNode({ network: memoryNetwork(), failuresAMinute: 2 });
    const caller = await protocolClient(strict.network, { host: '192.0.2.7', port: 5000 }, SERVER);
    strict.directory.put({ uid: 'alice' });
    for (let i = 0; i < 2; i++) {
      await caller.tryLogin('alice', [], 'wrong');
      await strict.time.advance(200);
    }
    const { replies } = await caller.tryLogin('alice');
    expect(replies[0]?.first).toMatch(/^Error 429/);
    expect(Number(replies[0]?.headers['retry-after'])).toBeGreaterThan(0);
    const other = await protocolClient(strict.network, { host: '192.0.2.8', port: 5000 }, SERVER);
    expect((await other.login('alice')).welcome.verb).toBe('Welcome');
  });
});

test('426 where datagram login is switched off', async () => {
  const off = await udpNode({ network: memoryNetwork(), settings: { loginDatagram: false } });
  const caller = await protocolClient(off.network, { host: '192.0.2.7', port: 5000 }, SERVER);
  expect((await caller.challenge('alice')).first).toMatch(/^Error 426 .*HTTPS/);
  expect((await caller.one(caller.plain('Login a', ['cnonce: c']))).first).toBe('Error 426');
});

test('503 with retry-after while the directory is unreachable; who is logged in keeps heartbeat, status, Locate', async () => {
  const session = await client.login('alice');
  node.directory.down = true;
  const { replies } = await client.tryLogin('alice');
  expect(replies[0]?.first).toMatch(/^Error 503/);
  expect(Number(replies[0]?.headers['retry-after'])).toBeGreaterThan(0);
  expect((await client.one(client.signed(session, 'Heartbeat'))).verb).toBe('Ok');
  expect((await client.one(client.signed(session, 'Status busy'))).verb).toBe('Ok');
  expect((await client.one(client.signed(session, 'Locate alice'))).headers['status']).toBe('busy');
  const elsewhere = await client.one(client.signed(session, 'Locate nobody'));
  expect(elsewhere.first).toMatch(/^Error 503/);
  expect(isSignedBy(session.key, elsewhere)).toBe(true);
});

test('an unexpected failure is Error 500, and goes to the log', async () => {
  node.cases.loginInTurn = () => Promise.reject(new Error('broken'));
  expect((await client.tryLogin('alice')).replies[0]?.first).toMatch(/^Error 500/);
  node.cases.loginInTurn = () => Promise.reject(new VserverError('NO_ROOM'));
  const { replies } = await client.tryLogin('alice');
  expect(replies[0]?.first).toMatch(/^Error 503/);
  expect(replies[0]?.headers['retry-after']).toMatch(/^\d+$/);
  expect(node.logged).toEqual([expect.objectContaining({ message: 'unexpected failure' })]);
});

describe('a takeover', () => {
  test('is told by Error 409 with an id that begins with s, repeated at 0.5, 1, 2, 4 s', async () => {
    const session = await client.login('alice');
    const other = await protocolClient(node.network, { host: '192.0.2.8', port: 5000 }, SERVER);
    client.inbox.length = 0;
    await other.login('alice');
    const came: number[] = [];
    const start = node.clock.now();
    for (let ms = 0; ms < 10_000; ms += 100) {
      for (const notice of client.inbox.splice(0)) {
        expect(notice.first).toBe('Error 409 logged in elsewhere');
        expect(notice.headers['id']).toMatch(/^s[\w.-]{1,31}$/);
        expect(isSignedBy(session.key, notice)).toBe(true);
        came.push(node.clock.now() - start);
      }
      await node.time.advance(100);
    }
    expect(came).toEqual([0, 500, 1_000, 2_000, 4_000]);
    expect(node.time.running()).toBe(0);
  });

  test('until the signed Ok of the client; an Ok that is not signed by him changes nothing', async () => {
    const session = await client.login('alice');
    const other = await protocolClient(node.network, { host: '192.0.2.8', port: 5000 }, SERVER);
    client.inbox.length = 0;
    const thief = await other.login('alice');
    const id = client.inbox[0]?.headers['id'] ?? '';
    expect(other.send(other.signed(thief, 'Ok', [], id))).toEqual([]);
    expect(client.send(client.plain('Ok', [], id))).toEqual([]);
    expect(client.send(client.signed({ ...session, key: 'x' }, 'Ok', [], id))).toEqual([]);
    await node.time.advance(500);
    expect(client.inbox).toHaveLength(1);
    expect(client.send(client.signed(session, 'Ok', [], id))).toEqual([]);
    await node.time.advance(10_000);
    expect(client.inbox).toEqual([]);
  });

  test('is none where the same client logs in again', async () => {
    await client.login('alice');
    client.inbox.length = 0;
    await client.login('alice');
    await node.time.advance(10_000);
    expect(client.inbox.filter(({ verb }) => verb === 'Error')).toEqual([]);
    expect(node.time.running()).toBe(0);
  });

  test('requests of the session that was replaced are Error 401', async () => {
    const session = await client.login('alice');
    await client.login('alice');
    expect((await client.one(client.signed(session, 'Heartbeat'))).first).toBe('Error 401 log in again');
  });
});
