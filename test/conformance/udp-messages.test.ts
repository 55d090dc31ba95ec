/** PROTOCOL.md section 1: the form of messages, what is never answered, and no amplification. */
import { beforeEach, describe, expect, test } from 'vitest';
import { issueTicket } from '../../src/redirect/tickets.ts';
import { REPLY_VERBS } from '../../src/udp/encode.ts';
import { settle } from '../support/clock.ts';
import { memoryNetwork } from '../support/network.ts';
import type { Client, Session } from '../support/protocol-client.ts';
import { protocolClient } from '../support/protocol-client.ts';
import type { UdpNode } from '../support/udp-node.ts';
import { CLUSTER_KEY, udpNode } from '../support/udp-node.ts';

const SERVER = { host: '10.0.0.1', port: 4321 };
const ALTERNATE = { host: '10.0.0.1', port: 4322 };
const PAD = `pad: ${'x'.repeat(100)}`;
let node: UdpNode;
let client: Client;
let session: Session;
beforeEach(async () => {
  node = await udpNode();
  client = await protocolClient(node.network, { host: '192.0.2.7', port: 5000 }, SERVER);
  node.directory.put({ uid: 'alice' });
  session = await client.login('alice');
});

describe('Hello', () => {
  test('server name, wan, time (RFC 3339), version', () => {
    const [reply] = client.send(client.plain('Hello', [PAD]));
    expect(reply?.first).toBe('Hello vserver1');
    expect(reply?.headers).toMatchObject({ wan: '192.0.2.7:5000', version: 'test' });
    expect(reply?.headers['time']).toBe(new Date(node.clock.now()).toISOString());
  });

  test('the alternate port answers the same from its own socket, and nothing else', () => {
    const [same] = client.send(client.plain('Hello', [PAD], 'h'));
    const [reply] = client.send(client.plain('Hello', [PAD], 'h'), ALTERNATE);
    expect(reply?.text).toBe(same?.text);
    expect(reply?.from).toBe('10.0.0.1:4322');
    expect(client.send(client.plain('Login alice', ['cnonce: c', PAD]), ALTERNATE)).toEqual([]);
    expect(client.send(client.signed(session, 'Heartbeat'), ALTERNATE)).toEqual([]);
    expect(client.send(client.plain('Hello', ['pad: \u0001', PAD]), ALTERNATE)).toEqual([]);
  });

  test('needs no session: an unknown cookie does not matter', () => {
    const cookie = `cookie: ${'0'.repeat(32)}`;
    for (const port of [SERVER, ALTERNATE]) {
      expect(client.send(client.plain('Hello', [cookie, PAD]), port)[0]?.verb).toBe('Hello');
    }
  });
});

describe('the form of a message', () => {
  test('verbs and header names are case-insensitive; LF alone is accepted; unknown headers are ignored', () => {
    expect(client.send(`hELLo\r\nID: Az.9_-\r\nx-y: z\r\nx-y: z\r\nPaD: ${PAD}\r\n\r\n`)[0]?.verb).toBe('Hello');
    const [reply] = client.send(`HELLO\nid: a\n${PAD}\n\n`);
    expect(reply?.text).toMatch(/^Hello vserver1\r\nid: a\r\n/);
  });

  test.each([
    ...['id', 'cookie', 'seq', 'mac', 'cnonce', 'nonce', 'proof', 'instance', 'local', 'firewall', 'status', 'note'],
    ...['device', 'ticket', 'probe', 'etag', 'pad', 'realm', 'wan', 'retry-after'],
  ])('a known header given twice is Error 400: %s', (name) => {
    const value: Record<string, string> = {
      ...{ id: 'r1', cookie: '0'.repeat(32), seq: '1', mac: '0'.repeat(32), proof: '0'.repeat(64), firewall: 'none' },
      ...{ local: '1.2.3.4:5', status: 'busy' },
    };
    const line = `${name}: ${value[name] ?? 'x'}\r\n`;
    const [reply] = client.send(
      `Hello\r\n${name === 'id' ? '' : 'id: r1\r\n'}${PAD}\r\n${line}${line.toUpperCase()}\r\n`,
    );
    expect(reply?.first).toMatch(/^Error 400 /);
    expect(reply?.headers['id']).toBe('r1');
  });

  test.each([
    ['a control character', Buffer.from('note: a\u0007b')],
    ['a tab', Buffer.from('note: a\tb')],
    ['NUL', Buffer.from('note: \0')],
    ['a C1 control character', Buffer.from('note: a\u0085b')],
    ['invalid UTF-8', Buffer.from([...Buffer.from('note: a'), 0xff, 0xfe])],
    ['an overlong form', Buffer.from([...Buffer.from('note: '), 0xc0, 0xaf])],
    ['a line without a colon', Buffer.from('what is this')],
  ])('%s is Error 400', (_, line) => {
    const [reply] = client.send(
      Buffer.concat([Buffer.from(`Hello\r\nid: r1\r\n${PAD}\r\n`), line, Buffer.from('\r\n\r\n')]),
    );
    expect(reply?.first).toMatch(/^Error 400 /);
  });

  test('the id: 1–32 of A-Z a-z 0-9 . _ -, required, echoed', () => {
    for (const id of ['a', 'Z9._-', 'x'.repeat(32)]) {
      expect(client.send(client.plain('Hello', [PAD], id))[0]?.headers['id']).toBe(id);
    }
    for (const id of ['', 'x'.repeat(33), 'a b', 'ä', 'a/b'])
      expect(client.send(client.plain('Hello', [PAD], id))).toEqual([]);
    expect(client.send(`Hello\r\n${PAD}\r\n\r\n`)).toEqual([]);
  });

  test('a message longer than 1,200 bytes is Error 413', () => {
    const [reply] = client.send(client.plain('Hello', [`pad: ${'x'.repeat(1_300)}`]));
    expect(reply?.first).toMatch(/^Error 413/);
  });

  test.each([
    ['empty', ''],
    ['a line end', '\r\n'],
    ['the verb alone', 'Hello'],
    ['binary', Buffer.alloc(1_000, 0xee)],
    ['zeros', Buffer.alloc(1_000)],
    ['no verb of the page', `Reboot\r\nid: r1\r\n${PAD}\r\n\r\n`],
    ['64 KiB', Buffer.alloc(65_507, 'A')],
  ])('dropped without an answer: %s', (_, datagram) => {
    expect(client.send(datagram)).toEqual([]);
  });

  test('a signed request cut off anywhere is never carried out', async () => {
    const whole = client.signed(session, 'Status busy');
    for (let length = 0; length < whole.length - 4; length++) await client.ask(whole.slice(0, length));
    expect(node.table.device(node.table.sessions.find(session.cookie)).status).toBe('online');
  });
});

describe('what is no request is dropped without an answer', () => {
  // What the server sends as Message is a request, with an id of its own.
  test.each(REPLY_VERBS.filter((verb) => verb !== 'Message'))('%s as a reply', (verb) => {
    for (const id of ['r1', 's1']) {
      const cookie = `cookie: ${'0'.repeat(32)}`;
      for (const lines of [[PAD], [cookie, PAD], [cookie, PAD, `mac: ${'0'.repeat(32)}`]]) {
        expect(client.send(client.plain(verb === 'Ok' ? 'Ok' : `${verb} 401 x`, lines, id))).toEqual([]);
      }
    }
  });

  test('two servers never talk each other into a loop, whatever comes between them', async () => {
    const network = memoryNetwork('pumped');
    const one = await udpNode({ network, at: SERVER });
    const two = await udpNode({ network, at: { host: '10.0.0.2', port: 4321 }, name: 'vserver2' });
    const verbs = [...REPLY_VERBS, 'Part', 'Login', 'Heartbeat', 'Status', 'Locate', 'Logout'];
    for (const verb of verbs) {
      for (const argument of ['', ' alice', ' 401 log in again', ' busy', ' 10.0.0.1:4321', ' x 1/2']) {
        for (const lines of [PAD, `cnonce: c\r\n${PAD}`, `cookie: ${'0'.repeat(32)}\r\n${PAD}`, `note: \u0001${PAD}`]) {
          for (const id of ['r1', 's1']) {
            const text = `${verb}${argument}\r\nid: ${id}\r\n${lines}\r\n\r\n`;
            one.socket.send(Buffer.from(text), two.at);
            // The request, at most one reply to it, and none to that.
            expect(network.pump()).toBeLessThanOrEqual(2);
          }
        }
      }
    }
    await settle();
    expect(network.pump()).toBe(0);
  });
});

describe('an unverified source never gets a reply longer than the datagram it sent', () => {
  const small = [
    ...[
      'Hello',
      'Login alice',
      'Login nobody',
      'Heartbeat',
      'Status busy',
      'Locate alice',
      'Config',
      'Servers',
      'Logout',
    ],
    ...['Status nothing', 'Login a b', 'Locate'],
  ];
  const lengths = [0, 1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 256, 512];

  test.each(small)('%s, at every length', async (first) => {
    const ticket = issueTicket(
      CLUSTER_KEY,
      { purpose: 'locate', asker: 'x', target: 'alice', server: 'vserver1', issuer: 'vserver2', hops: 1 },
      node.clock.now(),
    );
    const variants = [[], ['cnonce: c'], [`ticket: ${ticket}`], ['note: \u0001'], [`cookie: ${session.cookie}`]];
    for (const lines of variants) {
      for (const pad of lengths) {
        await node.time.advance(1_000);
        const request = client.plain(first, [...lines, `pad:${'x'.repeat(pad)}`], 'r');
        const replies = await client.ask(request);
        expect(replies.length).toBeLessThanOrEqual(1);
        for (const { bytes } of replies) expect(bytes).toBeLessThanOrEqual(request.length);
      }
    }
  });

  test('nor does a session from a new source, with any request', async () => {
    const other = await protocolClient(node.network, { host: '198.51.100.9', port: 6000 }, SERVER);
    node.directory.put({ uid: 'alice', xmlext: 'x'.repeat(3_000) });
    for (const first of ['Heartbeat', 'Status busy', 'Locate alice', 'Locate nobody', 'Config', 'Servers', 'Logout']) {
      const request = other.signed(session, first, [], 'r');
      const replies = await other.ask(request);
      expect(replies).toHaveLength(1);
      for (const { bytes } of replies) expect(bytes).toBeLessThanOrEqual(request.length);
    }
  });

  test('Error 413 where that fits, an error bare where only that fits, else nothing', () => {
    expect(client.send('Hello\r\nid: r\r\npad:xxxxxx\r\n\r\n')[0]?.first).toBe('Error 413');
    expect(client.send('Hello\r\nid: r\r\n\r\n')).toEqual([]);
    expect(client.send('Status xy\r\nid: r\r\n\r\n')[0]?.first).toBe('Error 400');
    expect(client.send(client.plain('Logout', ['pad: 12']))[0]?.first).toBe('Error 401');
  });
});

describe('limits a source', () => {
  test('Error 429 with retry-after, once a second; others and those who have a session are not affected', async () => {
    const strict = await udpNode({ network: memoryNetwork(), requestsASecond: 50 });
    strict.directory.put({ uid: 'alice' });
    const caller = await protocolClient(strict.network, { host: '192.0.2.7', port: 5000 }, SERVER);
    const online = await caller.login('alice');
    await strict.time.advance(2_000);
    const verbs = Array.from({ length: 80 }, () => caller.send(caller.plain('Hello', [PAD])).map(({ first }) => first));
    expect(verbs.slice(0, 50).flat()).toEqual(Array.from({ length: 50 }, () => 'Hello vserver1'));
    const refused = verbs.slice(50).flat();
    expect(refused).toHaveLength(1);
    expect(refused[0]).toMatch(/^Error 429/);
    expect((await caller.one(caller.signed(online, 'Heartbeat'))).verb).toBe('Ok');
    const other = await protocolClient(strict.network, { host: '192.0.2.8', port: 5000 }, SERVER);
    expect((await other.one(other.plain('Hello', [PAD]))).verb).toBe('Hello');
    await strict.time.advance(1_000);
    expect((await caller.one(caller.plain('Hello', [PAD]))).verb).toBe('Hello');
  });

  test('retry-after stands there where it fits', async () => {
    const strict = await udpNode({ network: memoryNetwork(), requestsASecond: 1 });
    const caller = await protocolClient(strict.network, { host: '192.0.2.7', port: 5000 }, SERVER);
    caller.send(caller.plain('Hello', [PAD]));
    expect((await caller.one(caller.plain('Hello', [PAD]))).headers['retry-after']).toBe('1');
    await strict.time.advance(1_000);
    caller.send(caller.plain('Hello', [PAD]));
    const short = await caller.one(caller.plain('Hello', [`pad: ${'x'.repeat(14)}`]));
    expect(short.text).toMatch(/^Error 429\r\nid: r\d\r\nretry-after: 1\r\n\r\n$/);
  });

  test('STUN Binding on the same port is answered, and limited too', async () => {
    const strict = await udpNode({ network: memoryNetwork(), requestsASecond: 5 });
    const got: Buffer[] = [];
    const socket = await strict.network.bind({ host: '192.0.2.7', port: 3 }, (bytes) => got.push(Buffer.from(bytes)));
    const request = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');
    for (let i = 0; i < 9; i++) socket.send(request, SERVER);
    expect(got).toHaveLength(5);
    // Section 14.2: port 3 and 192.0.2.7, XORed with the magic cookie.
    expect(got[0]?.toString('hex')).toBe('0101000c2112a442000102030405060708090a0b002000080001' + '2111' + 'e112a645');
  });
});
