/** PROTOCOL.md: Locate, and how servers send clients on to one another. */
import { beforeEach, describe, expect, test } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import { issueTicket } from '../../src/redirect/tickets.ts';
import { memoryNetwork } from '../support/network.ts';
import type { Client, Session } from '../support/protocol-client.ts';
import { isSignedBy, protocolClient } from '../support/protocol-client.ts';
import type { UdpNode } from '../support/udp-node.ts';
import { CLUSTER_KEY, udpNode } from '../support/udp-node.ts';

const ONE = { host: '10.0.0.1', port: 4321 };
const TWO = { host: '10.0.0.2', port: 4321 };
const plain = userDefaults('');
let one: UdpNode;
let two: UdpNode;
let client: Client;
let friend: Client;
let session: Session;

/** Two nodes over one directory, with one cluster key; alice is logged in at the first. */
beforeEach(async () => {
  const network = memoryNetwork();
  one = await udpNode({ network, name: 'vserver1', at: ONE, usersMax: 3 });
  two = await udpNode({ network, name: 'vserver2', at: TWO, directory: one.directory, time: one.time });
  await two.servers.renew();
  await one.servers.renew();
  await two.servers.renew();
  client = await protocolClient(network, { host: '192.0.2.7', port: 5000 }, ONE);
  friend = await protocolClient(network, { host: '192.0.2.8', port: 5000 }, ONE);
  one.directory.put({ uid: 'alice' });
  session = await client.login('alice');
});

const PAD = `pad: ${'x'.repeat(600)}`;
const locate = (uid: string) => client.one(client.signed(session, `Locate ${uid}`));

describe('Locate', () => {
  test('User: full information on an online user, signed', async () => {
    one.directory.put({
      uid: 'bob',
      basic: { ...plain.basic, alias: 'Bob ü' },
      contact: { ...plain.contact, telephones: ['123', '456'] },
    });
    await friend.login('bob', ['local: 192.0.2.8:5000', 'firewall: weak', 'status: busy', 'device: cpu=1']);
    const reply = await locate('bob');
    expect(reply.first).toBe('User bob');
    expect(reply.headers).toMatchObject({
      ...{ alias: 'Bob ü', status: 'busy', network: 'wan', firewall: 'weak', wan: '192.0.2.8:5000' },
      ...{ local: '192.0.2.8:5000', telephone: '123;456', device: 'cpu=1' },
    });
    expect(reply.body).toBe('');
    expect(isSignedBy(session.key, reply)).toBe(true);
  });

  test.each([
    ['all', true],
    ['buddies', true],
    ['none', false],
  ] as const)(
    'addresses and telephone as far as the privacy setting lets a buddy see them: %s',
    async (privacy, sees) => {
      one.directory.put({
        uid: 'bob',
        contact: { ...plain.contact, telephones: ['123'] },
        service: { ...plain.service, privacy },
        lists: { ...plain.lists, buddies: ['alice'] },
      });
      await friend.login('bob', ['local: 192.0.2.8:5000']);
      const { headers } = await locate('bob');
      expect('wan' in headers).toBe(sees);
      expect('local' in headers).toBe(sees);
      expect('telephone' in headers).toBe(sees);
      expect(headers['status']).toBe('online');
    },
  );

  test('of several devices the last active one stands in the headers, and the body has a line for each', async () => {
    one.directory.put({ uid: 'bob' });
    await friend.login('bob', ['instance: desk']);
    await one.time.advance(1_000);
    await friend.login('bob', ['instance: hand', 'status: away']);
    const { headers, body } = await locate('bob');
    expect(headers['status']).toBe('away');
    expect(body.split('\r\n')).toEqual([
      'away lan strong 192.0.2.8:5000 - - hand',
      'online lan strong 192.0.2.8:5000 - - desk',
      '',
    ]);
  });

  test('Offline: known, not online, with the last logout that was public', async () => {
    one.directory.put({ uid: 'bob' });
    expect((await locate('bob')).first).toBe('Offline bob');
    const bob = await friend.login('bob');
    await friend.one(friend.signed(bob, 'Logout'));
    const [written] = one.later;
    if (written === undefined) throw new Error('no logout');
    await one.directory.writeLocation('bob', written.location, written.expectedEpoch);
    expect((await locate('bob')).headers['last-seen']).toBe(new Date(one.clock.now()).toISOString());
  });

  test('Offline also where he is invisible or blocks the one who asks, in the same words', async () => {
    one.directory.put({ uid: 'hid' });
    one.directory.put({ uid: 'foe', lists: { ...plain.lists, blocked: ['alice'] } });
    one.directory.put({ uid: 'off' });
    await friend.login('hid', ['status: invisible']);
    await friend.login('foe');
    const form = async (uid: string) => {
      const { text } = await locate(uid);
      return text.replace(uid, 'U').replace(/(id|mac): \S+/g, '$1');
    };
    expect(await form('hid')).toBe(await form('off'));
    expect(await form('foe')).toBe(await form('off'));
  });

  test('Error 404: no such user', async () => {
    expect((await locate('nobody')).first).toBe('Error 404 no such user');
  });

  test('the number form: an exact uid wins, then the longest country code', async () => {
    one.directory.put({ uid: '10017676', region: 'china', countryCode: '86' });
    expect((await locate('08610017676')).first).toBe('Offline 10017676');
    await friend.login('10017676');
    expect((await locate('08610017676')).first).toBe('User 10017676');
    one.directory.put({ uid: '08610017676' });
    expect((await locate('08610017676')).first).toBe('Offline 08610017676');
  });
});

describe('SeeAlso', () => {
  const seeAlso = async () => {
    one.directory.put({ uid: 'bob' });
    await friend.login('bob', [], TWO);
    const reply = await locate('bob');
    expect(reply.first).toBe('SeeAlso 10.0.0.2:4321');
    expect(reply.headers['ticket']).toMatch(/^[\w-]{1,200}$/);
    return `ticket: ${reply.headers['ticket'] ?? ''}`;
  };

  test('its ticket is good at the other server, without a session there', async () => {
    const ticket = await seeAlso();
    const reply = await client.one(client.plain('Locate bob', [ticket, PAD]), TWO);
    expect(reply.first).toBe('User bob');
    expect(reply.headers['wan']).toBe('192.0.2.8:5000');
    expect((await client.one(client.plain('Servers', [ticket, PAD]), TWO)).first).toBe('Servers 2');
  });

  test('its ticket is good for the number by which the user was asked for', async () => {
    one.directory.put({ uid: 'bob', region: 'china', countryCode: '86' });
    one.directory.regions = () => Promise.resolve([{ name: 'china', countryCode: '86' }]);
    await friend.login('bob', [], TWO);
    const reply = await locate('086bob');
    expect(reply.first).toBe('SeeAlso 10.0.0.2:4321');
    const ticket = `ticket: ${reply.headers['ticket'] ?? ''}`;
    expect((await client.one(client.plain('Locate 086bob', [ticket, PAD]), TWO)).first).toBe('User bob');
  });

  test('and only there, only for that user, only to look, and for 60 s', async () => {
    const ticket = await seeAlso();
    const first = async (text: string, to = TWO) => {
      await one.time.advance(1_000);
      return (await client.one(text, to)).first;
    };
    expect(await first(client.plain('Locate bob', [ticket, PAD]), ONE)).toMatch(/^Error 401/);
    expect(await first(client.plain('Locate alice', [ticket, PAD]))).toMatch(/^Error 401/);
    expect(await first(client.plain('Locate bob', ['ticket: made-up', PAD]))).toMatch(/^Error 401/);
    expect(await first(client.plain('Config', [ticket, PAD]))).toMatch(/^Error 401/);
    await one.time.advance(55_000);
    expect(await first(client.plain('Locate bob', [ticket, PAD]))).toBe('User bob');
    await one.time.advance(1_000);
    expect(await first(client.plain('Locate bob', [ticket, PAD]))).toMatch(/^Error 401/);
  });

  test('what does not fit into the length of the request is Error 413', async () => {
    const ticket = await seeAlso();
    const request = client.plain('Locate bob', [ticket.slice(0, 8) + ticket.slice(8)]);
    const [reply] = await client.ask(request, TWO);
    expect(reply?.bytes ?? 0).toBeLessThanOrEqual(request.length);
    const servers = client.plain('Servers', [ticket]);
    for (const { bytes } of await client.ask(servers, TWO)) expect(bytes).toBeLessThanOrEqual(servers.length);
  });

  test('carries the lists of the one who is looked for: who is blocked reads Offline there, with a long uid too', async () => {
    const long = '𠀀'.repeat(40);
    one.directory.put({ uid: 'bob', lists: { ...plain.lists, blocked: ['alice', long] } });
    await friend.login('bob', [], TWO);
    for (const asker of ['alice', long]) {
      const ticket = issueTicket(
        CLUSTER_KEY,
        { purpose: 'locate', asker, target: 'bob', server: 'vserver2', issuer: 'vserver1', hops: 1 },
        one.clock.now(),
      );
      const reply = await client.one(client.plain('Locate bob', [`ticket: ${ticket}`, PAD]), TWO);
      expect(reply.first).toBe('Offline bob');
    }
  });

  test('nobody is sent on more than 3 times', async () => {
    const asked = async (hops: number) => {
      const ticket = issueTicket(
        CLUSTER_KEY,
        { purpose: 'locate', asker: 'x', target: 'alice', server: 'vserver2', issuer: 'vserver1', hops },
        one.clock.now(),
      );
      return (await client.one(client.plain('Locate alice', [`ticket: ${ticket}`, PAD]), TWO)).verb;
    };
    expect(await asked(2)).toBe('SeeAlso');
    expect(await asked(3)).toBe('Offline');
  });

  test('errors with a ticket are said too: 404, 503', async () => {
    const ticket = (target: string) =>
      issueTicket(
        CLUSTER_KEY,
        { purpose: 'locate', asker: 'x', target, server: 'vserver2', issuer: 'vserver1', hops: 1 },
        one.clock.now(),
      );
    const ask = async (uid: string) =>
      (await client.one(client.plain(`Locate ${uid}`, [`ticket: ${ticket(uid)}`]), TWO)).first;
    expect(await ask('nobody')).toMatch(/^Error 404/);
    one.directory.down = true;
    expect(await ask('nobody')).toMatch(/^Error 503/);
  });
});

describe('Redirect of a login', () => {
  test('from a full server: signed, with a ticket; a repeat gets the same; the ticket is good at the other', async () => {
    for (const uid of ['b', 'c', 'd']) one.directory.put({ uid });
    await friend.login('b');
    await friend.login('c');
    await two.servers.renew();
    await one.servers.renew();
    const { replies, key, request } = await friend.tryLogin('d');
    const [reply] = replies;
    if (reply === undefined) throw new Error('no reply');
    expect(reply.first).toBe('Redirect 10.0.0.2:4321');
    expect(isSignedBy(key, reply)).toBe(true);
    expect((await friend.one(request)).text).toBe(reply.text);
    const there = await friend.login('d', [`ticket: ${reply.headers['ticket'] ?? ''}`], TWO);
    expect(there.welcome.headers['server']).toBe('vserver2');
  });

  test('to the owner where he may have several devices; never back to the server that sent him', async () => {
    await two.servers.renew();
    const sent = await friend.tryLogin('alice', ['instance: hand'], 'secret', TWO);
    expect(sent.replies[0]?.first).toBe('Redirect 10.0.0.1:4321');
    const ticket = issueTicket(
      CLUSTER_KEY,
      { purpose: 'login', asker: 'alice', target: 'alice', server: 'vserver2', issuer: 'vserver1', hops: 1 },
      one.clock.now(),
    );
    const stays = await friend.tryLogin('alice', [`ticket: ${ticket}`], 'secret', TWO);
    expect(stays.replies[0]?.verb).toBe('Welcome');
  });

  test('not after 3 hops', async () => {
    const ticket = issueTicket(
      CLUSTER_KEY,
      { purpose: 'login', asker: 'alice', target: 'alice', server: 'vserver2', issuer: 'vserver9', hops: 3 },
      one.clock.now(),
    );
    const { replies } = await friend.tryLogin('alice', [`ticket: ${ticket}`], 'secret', TWO);
    expect(replies[0]?.verb).toBe('Welcome');
  });

  test('a ticket never replaces the proof', async () => {
    const ticket = issueTicket(
      CLUSTER_KEY,
      { purpose: 'login', asker: 'alice', target: 'alice', server: 'vserver2', issuer: 'vserver1', hops: 1 },
      one.clock.now(),
    );
    const { replies } = await friend.tryLogin('alice', [`ticket: ${ticket}`], 'wrong', TWO);
    expect(replies).toEqual([]);
    await one.time.advance(200);
    expect(friend.inbox[0]?.first).toMatch(/^Error 403/);
  });
});
