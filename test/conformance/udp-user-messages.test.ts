/** Messages between users over datagrams (docs/protocol.md section 3, Messages), by the text of the page alone. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Client, Message, Session } from '../support/protocol-client.ts';
import { isSignedBy, protocolClient } from '../support/protocol-client.ts';
import type { UdpNode } from '../support/udp-node.ts';
import { udpNode } from '../support/udp-node.ts';

const ALICE = '10017676';
const BOB = '10043939';

let node: UdpNode;
let alice: Client;
let bob: Client;
let fromAlice: Session;

beforeEach(async () => {
  node = await udpNode();
  for (const uid of [ALICE, BOB]) node.directory.put({ uid, region: 'china', countryCode: '86' });
  alice = await protocolClient(node.network, { host: '198.51.100.1', port: 5000 }, node.at);
  bob = await protocolClient(node.network, { host: '198.51.100.2', port: 5000 }, node.at);
  fromAlice = await alice.login(ALICE);
  await node.time.advance(1_000);
});

async function bobLogsIn(lines: readonly string[] = []): Promise<Session> {
  const session = await bob.login(BOB, lines);
  bob.inbox.length = 0;
  await node.time.advance(400);
  return session;
}

const requests = (): Message[] => bob.inbox.filter(({ verb }) => verb === 'Message');

/** Bob's clients answer whatever comes. */
async function bobTakes(session: Session): Promise<string[]> {
  const bodies: string[] = [];
  for (let turn = 0; turn < 20; turn++) {
    for (const { headers, body } of requests()) {
      bodies.push(body);
      bob.send(bob.signed(session, 'Ok', [], headers['id']));
    }
    bob.inbox.length = 0;
    await node.time.advance(50);
  }
  return bodies;
}

const send = (body: string, lines: readonly string[] = [], to = BOB): Promise<Message[]> =>
  alice.ask(alice.signed(fromAlice, `Message ${to}`, lines, undefined, body));

describe('Message to somebody who is online', () => {
  test('comes signed, with msg, type, time and text, and is delivered when his Ok is there', async () => {
    const session = await bobLogsIn();
    expect(await send('Grüße\r\n\tBob 🙂', ['msg: m-1'])).toEqual([]);
    const [request, ...others] = requests();
    expect(others).toEqual([]);
    expect(request?.first).toBe(`Message ${ALICE}`);
    expect(request?.headers).toMatchObject({ msg: 'm-1', type: 'text/plain' });
    expect(request?.headers['id']).toMatch(/^s/);
    expect(request?.headers['time']).toBe(new Date(node.time.clock.now()).toISOString());
    expect(request?.body).toBe('Grüße\r\n\tBob 🙂');
    expect(request !== undefined && isSignedBy(session.key, request)).toBe(true);
    bob.send(bob.signed(session, 'Ok', [], request?.headers['id']));
    await node.time.advance(10);
    const [reply] = alice.inbox;
    expect(reply?.first).toBe('Ok delivered');
    expect(reply !== undefined && isSignedBy(fromAlice.key, reply)).toBe(true);
  });

  test('carries what type it is', async () => {
    await bobLogsIn();
    await send('<p>hello</p>', ['type: text/html; charset=UTF-8']);
    expect(requests()[0]?.headers).toMatchObject({ type: 'text/html; charset=UTF-8' });
  });

  test('waits where no Ok comes within 3 s, and is gone where it comes a little later', async () => {
    const session = await bobLogsIn();
    void send('hello');
    await node.time.advance(3_000);
    expect(alice.inbox.map(({ first }) => first)).toEqual(['Ok stored']);
    expect(await node.messages.waiting(BOB, 0)).toHaveLength(1);
    bob.send(bob.signed(session, 'Ok', [], requests()[0]?.headers['id']));
    await node.time.advance(1_000);
    expect(await node.messages.waiting(BOB, 0)).toEqual([]);
  });

  test('that is repeated by its sender is carried out once, and answered the same', async () => {
    const session = await bobLogsIn();
    const datagram = alice.signed(fromAlice, `Message ${BOB}`, [], undefined, 'hello');
    await alice.ask(datagram);
    expect(await alice.ask(datagram)).toEqual([]);
    expect(await bobTakes(session)).toEqual(['hello']);
    expect((await alice.ask(datagram)).map(({ first }) => first)).toEqual(['Ok delivered']);
    // In a new datagram, as after a new login: known by its own id.
    await send('hello', ['msg: same']);
    await bobTakes(session);
    await send('hello', ['msg: same']);
    expect(await bobTakes(session)).toEqual([]);
  });

  test('of 64 KiB, which came over another edge, comes in Parts', async () => {
    await bobLogsIn();
    const body = 'x'.repeat(64 * 1024);
    const to = { to: BOB, id: 'long', contentType: 'text/plain', body };
    node.network.sent.length = 0;
    void node.messages.send({ from: ALICE, mayCallOut: true, ...to });
    await node.time.advance(10);
    const parts = node.network.sent.map(({ bytes }) => bytes.toString());
    expect(parts.length).toBeGreaterThan(50);
    expect(parts.every((part) => /^Part s\w+ \d+\/\d+\r\n/.test(part) && part.length <= 1_200)).toBe(true);
    expect(parts.map((part) => part.slice(part.indexOf('\r\n\r\n') + 4)).join('')).toContain(body);
  });
});

describe('Message to somebody who is offline', () => {
  test('is stored and comes in order, each when the one before was answered, at his login', async () => {
    for (const body of ['one', 'two', 'three']) {
      const [reply] = await send(body);
      expect(reply?.first).toBe('Ok stored');
    }
    const session = await bobLogsIn();
    expect(requests().map(({ body }) => body)).toEqual(['one']);
    expect(await bobTakes(session)).toEqual(['one', 'two', 'three']);
    expect(await node.messages.waiting(BOB, 0)).toEqual([]);
  });

  test('goes by number as well', async () => {
    const [reply] = await send('hello', [], `086${BOB}`);
    expect(reply?.first).toBe('Ok stored');
    expect(await node.messages.waiting(BOB, 0)).toHaveLength(1);
  });

  test('to a device that answers no message, it does not come in a loop', async () => {
    await send('hello');
    const session = await bobLogsIn();
    await node.time.advance(10_000);
    bob.inbox.length = 0;
    for (let second = 0; second < 600; second += 30) {
      bob.send(bob.signed(session, 'Heartbeat'));
      await node.time.advance(30_000);
      bob.inbox.push(...requests());
    }
    expect(await node.messages.waiting(BOB, 0)).toHaveLength(1);
    // 15 s, 30 s, 60 s … apart, five datagrams each.
    const tries = node.network.sent.filter(({ bytes }) => bytes.toString('utf8', 0, 7) === 'Message').length;
    expect(tries).toBeGreaterThan(10);
    expect(tries).toBeLessThanOrEqual(40);
  });
});

describe('Message that is none', () => {
  test.each([
    ['to nobody', 'nobody', [], 'hello', 'Error 404'],
    ['with a msg that is no id', BOB, ['msg: a/b'], 'hello', 'Error 400'],
    ['with a type that is none', BOB, ['type: text'], 'hello', 'Error 400'],
  ])('%s', async (_what, to, lines, body, error) => {
    const [reply] = await send(body, lines, to);
    expect(reply?.first.slice(0, 9)).toBe(error);
  });

  test.each([
    [
      'without a session',
      (client: Client) => client.plain(`Message ${BOB}`, ['pad: xxxxxxxxxxxxxxxxxxxx']),
      'Error 401',
    ],
    ['to what is no uid', (client: Client) => client.plain('Message a b', ['pad: xxxxxxxxxxxxxxxxxxxx']), 'Error 400'],
    [
      'in a datagram of more than 1,200 bytes',
      (client: Client) => client.signed(fromAlice, `Message ${BOB}`, [], undefined, 'x'.repeat(1_200)),
      'Error 413',
    ],
  ])('%s', async (_what, make, error) => {
    const reply = await alice.one(make(alice));
    expect(reply.first.slice(0, 9)).toBe(error);
    expect(await node.messages.waiting(BOB, 0)).toEqual([]);
  });

  test('not allowed: 403; too many: 507; the directory away: 503', async () => {
    const { user } = node.directory.row(BOB) ?? {};
    if (user === undefined) throw new Error('no Bob');
    node.directory.put({ ...user, service: { ...user.service, mayBeCalledBy: 'none' } });
    expect((await send('x'))[0]?.first).toMatch(/^Error 403/);
    node.directory.put(user);
    for (let i = 0; i < 1_000; i++) {
      const to = { to: BOB, id: `m${i}`, contentType: 'text/plain', body: '' };
      await node.messages.send({ from: ALICE, mayCallOut: true, ...to });
    }
    expect((await send('x'))[0]?.first).toMatch(/^Error 507/);
    node.directory.down = true;
    const [away] = await send('x');
    expect(away?.first).toMatch(/^Error 503/);
    expect(away?.headers['retry-after']).toMatch(/^\d+$/);
  });
});
