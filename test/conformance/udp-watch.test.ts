/** docs/protocol.md: Watch, Unwatch, Presence and Buddy. */
import { beforeEach, describe, expect, test } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import type { Client, Message, Session } from '../support/protocol-client.ts';
import { isSignedBy, protocolClient } from '../support/protocol-client.ts';
import type { UdpNode } from '../support/udp-node.ts';
import { udpNode } from '../support/udp-node.ts';

const SERVER = { host: '10.0.0.1', port: 4321 };
const plain = userDefaults('x');
let node: UdpNode;
let alice: Client;
let bob: Client;
let watcher: Session;
let watched: Session;
beforeEach(async () => {
  node = await udpNode();
  alice = await protocolClient(node.network, { host: '192.0.2.7', port: 5000 }, SERVER);
  bob = await protocolClient(node.network, { host: '198.51.100.9', port: 6000 }, SERVER);
  node.directory.put({ uid: 'alice', lists: { ...plain.lists, buddies: ['bob', 'carol'] } });
  for (const uid of ['bob', 'carol']) node.directory.put({ uid });
  watcher = await alice.login('alice');
  watched = await bob.login('bob');
});

const asked = async (client: Client, session: Session, first: string): Promise<Message> =>
  client.one(client.signed(session, first));

/** What came to Alice by itself, each id once; she takes it all. */
function told(): string[] {
  const came = alice.inbox.splice(0).filter(({ verb }) => verb === 'Presence');
  const all = [...new Map(came.map((one) => [one.headers['id'], one])).values()];
  for (const one of all) alice.send(alice.signed(watcher, 'Ok', [], one.headers['id']));
  return all.map(({ argument, headers }) =>
    [argument, headers['status'], headers['note'], headers['last-seen']].filter((part) => part !== undefined).join(' '),
  );
}

describe('Watch', () => {
  test('of one: who is online is told at once, then every change, a second apart', async () => {
    expect((await asked(alice, watcher, 'Watch bob')).first).toBe('Ok 1');
    await node.time.advance(20);
    const presence = alice.inbox.find(({ verb }) => verb === 'Presence');
    expect(presence?.first).toBe('Presence bob');
    expect(presence?.headers['id']).toMatch(/^s/);
    expect(presence === undefined ? false : isSignedBy(watcher.key, presence)).toBe(true);
    expect(told()).toEqual(['bob online']);
    await node.time.advance(1_000);
    await bob.one(bob.signed(watched, 'Status busy', ['note: in a meeting']));
    await node.time.advance(20);
    expect(told()).toEqual(['bob busy in a meeting']);
    await asked(bob, watched, 'Status away');
    await node.time.advance(500);
    expect(told()).toEqual([]);
    await asked(bob, watched, 'Status on-phone');
    await node.time.advance(620);
    expect(told()).toEqual(['bob on-phone']);
    await node.time.advance(1_000);
    await asked(bob, watched, 'Logout');
    await node.time.advance(20);
    expect(told()).toEqual([`bob offline ${new Date(Math.floor(node.clock.now() / 1000) * 1000).toISOString()}`]);
    expect(node.time.running()).toBe(0);
  });

  test('without a uid: the own buddies; nothing is told of those who are offline', async () => {
    expect((await asked(alice, watcher, 'Watch')).first).toBe('Ok 2');
    await node.time.advance(20);
    expect(told()).toEqual(['bob online']);
  });

  test('again tells again, and makes no second one', async () => {
    await asked(alice, watcher, 'Watch bob');
    await node.time.advance(2_000);
    told();
    expect((await asked(alice, watcher, 'Watch bob nobody')).first).toBe('Ok 2');
    await node.time.advance(1_000);
    expect(told()).toEqual(['bob online']);
  });

  test.each(['Watch a:b', 'Watch bob  carol', 'Unwatch a:b', `Watch ${'x'.repeat(65)}`])(
    '%s is refused',
    async (first) => {
      expect((await asked(alice, watcher, first)).argument).toMatch(/^400/);
    },
  );

  test('without a session is refused', async () => {
    expect((await alice.one(alice.plain('Watch bob', [`pad: ${'x'.repeat(99)}`]))).argument).toMatch(/^4/);
    expect(node.presence.subscriptions.count).toBe(0);
  });

  test('what is not answered is repeated, and told anew half a minute later', async () => {
    await asked(alice, watcher, 'Watch bob');
    alice.inbox.length = 0;
    await node.time.advance(20_000);
    expect(alice.inbox.map(({ first }) => first)).toEqual(Array.from({ length: 5 }, () => 'Presence bob'));
    expect(new Set(alice.inbox.map(({ text }) => text)).size).toBe(1);
    alice.inbox.length = 0;
    await node.time.advance(20_000);
    expect(told()).toContain('bob online');
  });

  test('of many sends a client eight at a time', async () => {
    const uids = Array.from({ length: 20 }, (_, i) => `u${i}`);
    for (const uid of uids) {
      node.directory.put({ uid });
      await bob.login(uid);
    }
    expect((await asked(alice, watcher, `Watch ${uids.join(' ')}`)).first).toBe('Ok 20');
    alice.inbox.length = 0;
    await node.time.advance(20);
    expect(alice.inbox.length).toBe(8);
    const seen = new Set<string>();
    for (let i = 0; i < 20 && seen.size < 20; i++) {
      for (const one of told()) seen.add(one);
      await node.time.advance(20);
    }
    expect(seen).toEqual(new Set(uids.map((uid) => `${uid} online`)));
  });

  test('ends with the session', async () => {
    await asked(alice, watcher, 'Watch bob');
    await asked(alice, watcher, 'Logout');
    expect(node.presence.subscriptions.count).toBe(0);
    alice.inbox.length = 0;
    await asked(bob, watched, 'Status busy');
    await node.time.advance(5_000);
    expect(alice.inbox.filter(({ headers }) => headers['status'] === 'busy')).toEqual([]);
  });

  test('of one who blocks the watcher tells nothing, ever', async () => {
    await asked(bob, watched, 'Buddy block alice');
    await asked(alice, watcher, 'Watch bob');
    await asked(bob, watched, 'Status busy');
    await node.time.advance(5_000);
    expect(told()).toEqual([]);
  });
});

describe('Unwatch', () => {
  test('of one, and of all', async () => {
    await asked(alice, watcher, 'Watch');
    expect((await asked(alice, watcher, 'Unwatch bob nobody')).first).toBe('Ok 1');
    expect((await asked(alice, watcher, 'Unwatch')).first).toBe('Ok 0');
    expect(node.presence.subscriptions.count).toBe(0);
  });
});

describe('Buddy', () => {
  test('add, list, remove', async () => {
    expect((await asked(bob, watched, 'Buddy add carol')).first).toBe('Ok');
    await asked(bob, watched, 'Buddy block alice');
    const list = await asked(bob, watched, 'Buddy list');
    expect([list.first, list.body]).toEqual(['Buddies 2', 'buddy carol\r\nblocked alice\r\n']);
    expect((await asked(bob, watched, 'Buddy remove carol')).first).toBe('Ok');
    expect((await asked(bob, watched, 'Buddy unblock alice')).first).toBe('Ok');
    expect((await asked(bob, watched, 'Buddy list')).first).toBe('Buddies 0');
  });

  test('with consent, where the record asks for it: nothing is seen before', async () => {
    node.directory.put({ uid: 'dave', service: { ...plain.service, privacy: 'buddies' } });
    const client = await protocolClient(node.network, { host: '192.0.2.9', port: 5000 }, SERVER);
    const dave = await client.login('dave');
    await asked(alice, watcher, 'Watch dave');
    expect((await asked(alice, watcher, 'Buddy add dave')).first).toBe('Ok asked');
    await node.time.advance(2_000);
    expect(told()).toEqual([]);
    expect((await asked(client, dave, 'Buddy list')).body).toBe('asking alice\r\n');
    expect((await asked(client, dave, 'Buddy accept alice')).first).toBe('Ok');
    await node.time.advance(2_000);
    expect(told()).toEqual(['dave online']);
  });

  test.each([
    ['Buddy', 400],
    ['Buddy dance bob', 400],
    ['Buddy add', 400],
    ['Buddy add a:b', 400],
    ['Buddy add bob carol', 400],
    ['Buddy add nobody', 404],
    ['Buddy accept bob', 404],
    ['Buddy add alice', 409],
  ])('%s: Error %i', async (first, code) => {
    expect((await asked(alice, watcher, first)).argument).toMatch(new RegExp(`^${code}`));
  });

  test('while the directory is away: Error 503, and the session stays', async () => {
    node.directory.down = true;
    expect((await asked(alice, watcher, 'Buddy add bob')).argument).toMatch(/^503/);
    expect((await asked(alice, watcher, 'Watch bob')).first).toBe('Ok 1');
  });
});
