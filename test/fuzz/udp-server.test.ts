/** 100,000 random and mutated datagrams through the whole edge. */
import { expect, test } from 'vitest';
import { serverRecord } from '../support/flows.ts';
import { memoryNetwork } from '../support/network.ts';
import { mutated, randomOf, seededRandom } from '../support/random.ts';
import { protocolClient } from '../support/protocol-client.ts';
import { udpNode } from '../support/udp-node.ts';

const SERVER = { host: '10.0.0.1', port: 4321 };
const ROUNDS = 100_000;
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_121);

const FRAGMENTS = [
  ...['\r\n', '\n', '\r', ': ', ' ', '\0', 'id: r1\r\n', 'cookie: ', 'mac: ', 'seq: 4294967296\r\n', 'pad: x\r\n'],
  ...[
    'Ok',
    'Error 401',
    '\u{1F600}',
    '\x80',
    '%s',
    '*()\\',
    'x'.repeat(300),
    '[::1]:4321',
    'probe: a\r\n',
    'ticket: b\r\n',
  ],
].map((text) => Buffer.from(text));

test('nothing throws, no table grows, no unverified source gets more than it sent', async () => {
  const random = randomOf(SEED);
  const network = memoryNetwork();
  const node = await udpNode({ network, failuresAMinute: 20, random: seededRandom(SEED) });
  for (const uid of ['alice', 'bob']) node.directory.put({ uid });
  await node.directory.writeServer(serverRecord({ name: 'other' }, node.clock.now()));
  await node.servers.renew();
  const home = await protocolClient(network, { host: '192.0.2.7', port: 5000 }, SERVER);
  const stranger = await protocolClient(network, { host: '192.0.2.8', port: 5000 }, SERVER);
  const session = await home.login('alice');
  // The session's state must not end under the mutations: what is signed by hand and then changed is not signed.
  const nonce = (await stranger.challenge('bob')).headers['nonce'] ?? '';
  const valid = () => {
    const firsts = [
      'Heartbeat',
      'Status busy',
      'Locate bob',
      'Locate alice',
      'Servers',
      'Config',
      'Message bob',
      'Message alice',
      'Ok',
    ];
    const first = firsts[random(firsts.length)] ?? '';
    const plain = [
      () => home.plain('Hello', ['pad: xxxxxxxxxxxxxxxxxxxx']),
      () => home.plain('Login bob', ['cnonce: c', 'local: 1.2.3.4:5', 'instance: ü']),
      () => stranger.proven('bob', nonce, 'wrong'),
      () => home.plain('Locate bob', [`ticket: ${'A'.repeat(random(200))}`]),
      () => home.signed(session, first, ['local: 1.2.3.4:5', 'note: ü', 'device: cpu=1']),
      () => home.signed(session, first, [], 's1', 'body'),
      () => stranger.signed(session, first),
    ];
    return Buffer.from((plain[random(plain.length)] ?? plain[0])?.() ?? '');
  };

  network.sent.length = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const from = random(2) === 0 ? home : stranger;
    const bytes =
      random(5) === 0
        ? Buffer.from(Array.from({ length: random(80) }, () => random(256)))
        : mutated(valid(), FRAGMENTS, random);
    const replies = from.send(bytes);
    const unverified = from === stranger || node.counters.natRebindings > 0;
    if (unverified) for (const { bytes: length } of replies) expect(length).toBeLessThanOrEqual(bytes.length);
    network.sent.length = 0;
    if (round % 500 === 0) {
      await node.time.advance(200);
      await home.ask(home.signed(session, 'Heartbeat'));
    }
  }
  await node.time.advance(10_000);
  expect(node.table.count).toBe(1);
  expect(node.table.sessions.used).toBeLessThanOrEqual(2);
  expect(node.table.device(node.table.sessions.find(session.cookie)).wan).toEqual(home.at);
  // Neither notices nor denials wait, only the next try to bring him the messages that he has not acknowledged.
  expect(node.time.running()).toBeLessThanOrEqual(1);
  expect(node.logged.filter((line) => !('reason' in line))).toEqual([]);
  expect((await home.one(home.signed(session, 'Heartbeat'))).verb).toBe('Ok');
  expect((await home.one(home.signed(session, 'Logout'))).verb).toBe('Ok');
  await node.time.advance(60_000);
  expect(node.time.running()).toBe(0);
}, 120_000);
