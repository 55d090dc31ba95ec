/** What the server sends on its own over the client protocol, on the UDP edge of a node over a network in memory. */
import { beforeEach, expect, test } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import type { ReplyText } from '../../src/udp/replies.ts';
import type { Client, Session } from '../support/protocol-client.ts';
import { isSignedBy, parseMessage, protocolClient } from '../support/protocol-client.ts';
import { loggedIn } from '../support/flows.ts';
import type { UdpNode } from '../support/udp-node.ts';
import { udpNode } from '../support/udp-node.ts';

const UID = '10017676';
const AT = { host: '198.51.100.1', port: 5000 };
const SHORT: ReplyText = { verb: 'Error', argument: '409 logged in elsewhere' };

let node: UdpNode;
let client: Client;
let session: Session;

beforeEach(async () => {
  node = await udpNode({ usersMax: 1_000 });
  node.directory.put({ uid: UID });
  client = await protocolClient(node.network, AT, node.at);
  session = await client.login(UID);
  // What waited for him was looked for.
  await node.time.advance(1_000);
  client.inbox.length = 0;
});

const row = (cookie = session.cookie): number => node.table.sessions.find(cookie);
const tell = (text = SHORT, to = row()): Promise<boolean> => node.udp.request(node.socket, to, text);
const idOf = (index = 0): string => client.inbox[index]?.headers['id'] ?? '';

/** `undefined` while it is not known. */
function outcomeOf(promise: Promise<boolean>): { value: boolean | undefined } {
  const outcome: { value: boolean | undefined } = { value: undefined };
  void promise.then((value) => (outcome.value = value));
  return outcome;
}

test('it is sent at once and again 0.5, 1, 2, 4 s later, the same each time; after 8 s it is given up', async () => {
  const outcome = outcomeOf(tell());
  const counts = [];
  for (const ms of [499, 1, 499, 1, 999, 1, 1_999, 1, 3_999]) {
    await node.time.advance(ms);
    counts.push(client.inbox.length);
  }
  expect(counts).toEqual([1, 2, 2, 3, 3, 4, 4, 5, 5]);
  expect(outcome.value).toBeUndefined();
  await node.time.advance(1);
  expect(outcome.value).toBe(false);
  expect(new Set(client.inbox.map(({ text }) => text)).size).toBe(1);
  const [request] = client.inbox;
  expect(request?.first).toBe('Error 409 logged in elsewhere');
  expect(idOf()).toMatch(/^s[0-9a-f]{16}$/);
  expect(request !== undefined && isSignedBy(session.key, request)).toBe(true);
  expect(node.time.running()).toBe(0);
});

test('the signed Ok of this session with this id ends it, and nothing else does', async () => {
  const outcome = outcomeOf(tell());
  const id = idOf();
  const another = { ...session, key: '0'.repeat(64) };
  client.send(client.plain('Ok', [], id));
  client.send(client.signed(another, 'Ok', [], id));
  client.send(client.signed(session, 'Ok', [], 's0'));
  await node.time.advance(500);
  expect(outcome.value).toBeUndefined();
  client.send(client.signed(session, 'Ok', [], id));
  client.send(client.signed(session, 'Ok', [], id));
  await node.time.advance(10_000);
  expect(outcome.value).toBe(true);
  expect(client.inbox).toEqual([]);
  expect(node.time.running()).toBe(0);
});

test('an Ok that comes before the sending returns counts', async () => {
  node.network.copies = ({ from, bytes }) => {
    if (formatAddress(from) === formatAddress(node.at)) {
      node.network.copies = () => 1;
      const ok = client.signed(session, 'Ok', [], parseMessage(bytes).headers['id']);
      node.udp.receive(node.socket, Buffer.from(ok), AT);
    }
    return 1;
  };
  await expect(tell()).resolves.toBe(true);
  expect(node.time.running()).toBe(0);
});

test('a repetition goes to where the device is by then', async () => {
  void tell();
  node.table.move(row(), { host: '203.0.113.9', port: 7000 });
  node.network.sent.length = 0;
  await node.time.advance(500);
  expect(node.network.sent.map(({ to }) => formatAddress(to))).toEqual(['203.0.113.9:7000']);
});

test('a long one goes out in Parts, and all of them again', async () => {
  node.network.sent.length = 0;
  void tell({ verb: 'Config', argument: UID, body: 'x'.repeat(3_000) });
  const first = node.network.sent.map(({ bytes }) => bytes.toString());
  expect(first.map((part) => part.slice(0, part.indexOf('\r\n')).replace(/ s\w+ /, ' ID '))).toEqual([
    'Part ID 1/3',
    'Part ID 2/3',
    'Part ID 3/3',
  ]);
  await node.time.advance(500);
  expect(node.network.sent.slice(3).map(({ bytes }) => bytes.toString())).toEqual(first);
});

test('a device without an address, or one that speaks SIP, is not asked', async () => {
  const overHttp = await loggedIn(node, UID, { instance: 'browser', source: { host: '10.0.0.8', port: 0 } });
  const telephone = await loggedIn(node, UID, { instance: 'phone', contact: 'sip:10017676@10.0.0.7' });
  await node.time.advance(1_000);
  node.network.sent.length = 0;
  await expect(tell(SHORT, overHttp)).resolves.toBe(false);
  await expect(tell(SHORT, telephone)).resolves.toBe(false);
  expect(node.network.sent).toEqual([]);
  expect(node.time.running()).toBe(0);
});

test('of a session no more than 16 wait for their Ok; further ones are sent once', async () => {
  const outcomes = Array.from({ length: 20 }, () => outcomeOf(tell()));
  await node.time.advance(0);
  expect(client.inbox).toHaveLength(20);
  expect(outcomes.map(({ value }) => value)).toEqual([...Array<undefined>(16), ...Array<boolean>(4).fill(false)]);
  await node.time.advance(500);
  expect(client.inbox).toHaveLength(36);
});

test('of all sessions no more than 10,000 wait, and the end of the node ends the waiting', async () => {
  const rows: number[] = [];
  for (let i = 0; i < 650; i++) {
    const uid = `2${String(i).padStart(7, '0')}`;
    node.directory.put({ uid });
    rows.push(await loggedIn(node, uid, { source: { host: '10.0.1.1', port: 1_000 + i } }));
  }
  await node.time.advance(1_000);
  const outcomes = rows.flatMap((one) => Array.from({ length: 16 }, () => outcomeOf(tell(SHORT, one))));
  expect(node.time.running()).toBe(10_000);
  node.udp.close();
  await node.time.advance(0);
  expect(node.time.running()).toBe(0);
  expect(outcomes).toHaveLength(10_400);
  expect(outcomes.every(({ value }) => value === false)).toBe(true);
});
