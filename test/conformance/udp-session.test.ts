/** PROTOCOL.md: what a session does by signed datagrams. */
import { beforeEach, describe, expect, test } from 'vitest';
import { STATUSES } from '../../src/base/model.ts';
import { keptOf } from '../../src/heartbeat/profile.ts';
import { serverRecord } from '../support/flows.ts';
import { memoryNetwork } from '../support/network.ts';
import type { Client, Session } from '../support/protocol-client.ts';
import { isSignedBy, protocolClient } from '../support/protocol-client.ts';
import type { UdpNode } from '../support/udp-node.ts';
import { udpNode } from '../support/udp-node.ts';

const SERVER = { host: '10.0.0.1', port: 4321 };
let node: UdpNode;
let client: Client;
let other: Client;
let session: Session;
beforeEach(async () => {
  node = await udpNode();
  client = await protocolClient(node.network, { host: '192.0.2.7', port: 5000 }, SERVER);
  other = await protocolClient(node.network, { host: '198.51.100.9', port: 6000 }, SERVER);
  node.directory.put({ uid: 'alice' });
  session = await client.login('alice');
});

const device = () => node.table.device(node.table.sessions.find(session.cookie));

test('the test vector of the page: mac of a Heartbeat', async () => {
  const key = '304214cdcc8101944a81a02138c3c72b9c9f58b55b83730cfdadb67ab59a141e';
  const cookie = '00112233445566778899aabbccddeeff';
  const user = node.directory.put({ uid: '10017676' });
  node.table.open(
    { ...keptOf(user, '1'), epoch: 1, logoutAt: null },
    {
      ...{ cookie, key: Buffer.from(key, 'hex'), wan: client.at, local: null, network: 'lan', firewall: 'none' },
      ...{ status: 'online', instance: '', note: '', device: '', contact: '', registration: '', lifetimeS: 90 },
    },
    node.nowS(),
  );
  const text = `Heartbeat\r\nid: r1\r\ncookie: ${cookie}\r\nseq: 1\r\nmac: 63229a15d35c32ec7b162b2159751fde\r\n\r\n`;
  const reply = await client.one(text);
  expect(reply.verb).toBe('Ok');
  expect(isSignedBy(key, reply)).toBe(true);
});

describe('mac', () => {
  test('wrong: Error 401, at most once a second a source, and nothing changes', async () => {
    const wrong = () => client.signed({ ...session, key: 'x'.repeat(64) }, 'Status busy');
    expect((await client.one(wrong())).first).toBe('Error 401 log in again');
    expect(await client.ask(wrong())).toEqual([]);
    expect((await other.one(wrong())).first).toBe('Error 401 log in again');
    await node.time.advance(1_000);
    expect((await client.one(wrong())).first).toBe('Error 401 log in again');
    expect(device().status).toBe('online');
    expect((await client.one(client.signed({ ...session, seq: 0 }, 'Status away'))).verb).toBe('Ok');
  });

  test('absent, or of a cookie that nobody has: Error 401', async () => {
    expect((await client.one(client.plain('Heartbeat', [`cookie: ${session.cookie}`, 'seq: 1']))).argument).toMatch(
      /^401/,
    );
    await node.time.advance(1_000);
    expect((await client.one(client.signed({ ...session, cookie: '0'.repeat(32) }, 'Heartbeat'))).argument).toMatch(
      /^401/,
    );
    await node.time.advance(1_000);
    expect((await client.one(client.plain('Logout', ['pad: xxxx']))).argument).toMatch(/^401/);
  });

  test('upper-case hex and a body are taken too; every reply is signed', async () => {
    const text = client.signed(session, 'Heartbeat', [], 'r1', 'a body\r\n');
    const reply = await client.one(text.replace(/mac: (\S+)/, (_, mac: string) => `mac: ${mac.toUpperCase()}`));
    expect(reply.verb).toBe('Ok');
    expect(isSignedBy(session.key, reply)).toBe(true);
  });
});

describe('window', () => {
  test('a seq already used, in another request, or too old: dropped silently; 64 wide, out of order accepted', async () => {
    const at = (seq: number) => client.signed({ ...session, seq: seq - 1 }, 'Heartbeat');
    expect((await client.one(at(100))).verb).toBe('Ok');
    expect((await client.one(at(37))).verb).toBe('Ok');
    expect(await client.ask(at(36))).toEqual([]);
    expect(await client.ask(at(37))).toEqual([]);
    expect(await client.ask(at(100))).toEqual([]);
    expect((await client.one(at(99))).verb).toBe('Ok');
    expect((await client.one(at(0xffffffff))).verb).toBe('Ok');
    expect(await client.ask(at(100))).toEqual([]);
  });
});

describe('repeat', () => {
  test('the same bytes within the last 4 requests get the same reply, executed once; the 5th last is dropped', async () => {
    const first = client.signed(session, 'Status busy');
    const reply = await client.one(first);
    await client.one(client.signed(session, 'Status away'));
    for (let i = 0; i < 2; i++) await client.one(client.signed(session, 'Heartbeat'));
    expect((await client.one(first)).text).toBe(reply.text);
    expect(device().status).toBe('away');
    await client.one(client.signed(session, 'Heartbeat'));
    expect(await client.ask(first)).toEqual([]);
  });

  test('for 32 s', async () => {
    const first = client.signed(session, 'Heartbeat');
    const reply = await client.one(first);
    await node.time.advance(32_000);
    expect((await client.one(first)).text).toBe(reply.text);
    await node.time.advance(1_000);
    expect(await client.ask(first)).toEqual([]);
  });

  test('also after Logout; other requests are Error 401 then', async () => {
    const logout = client.signed(session, 'Logout');
    const reply = await client.one(logout);
    expect(reply.verb).toBe('Ok');
    expect(node.table.count).toBe(0);
    expect(node.later).toHaveLength(1);
    await node.time.advance(5_000);
    expect((await client.one(logout)).text).toBe(reply.text);
    expect(node.later).toHaveLength(1);
    expect((await client.one(client.signed(session, 'Heartbeat'))).argument).toMatch(/^401/);
  });

  test('long replies are made anew, and their repeats do not live on for ever', async () => {
    node.directory.put({ uid: 'alice', xmlext: 'x'.repeat(3_000) });
    const config = client.signed(session, 'Config');
    expect((await client.ask(config)).map(({ verb }) => verb)).toEqual(['Part', 'Part', 'Part']);
    await node.time.advance(20_000);
    expect(await client.ask(config)).toHaveLength(3);
    await node.time.advance(20_000);
    expect(await client.ask(config)).toEqual([]);
  });

  test('a copy from elsewhere gets no more than it sent', async () => {
    const heartbeat = client.signed(session, 'Heartbeat');
    await client.ask(heartbeat);
    for (const reply of await other.ask(heartbeat)) expect(reply.bytes).toBeLessThanOrEqual(heartbeat.length);
    expect(device().wan).toEqual(client.at);
  });
});

describe('Heartbeat', () => {
  test('is answered Ok with wan, takes over what it carries, and keeps the session alive', async () => {
    await node.time.advance(60_000);
    const reply = await client.one(
      client.signed(session, 'hEARTBEAT', [
        ...['local: 10.9.9.9:1', 'firewall: medium', 'status: on-phone', 'device: cpu=1; agent=x', 'future: y'],
      ]),
    );
    expect(reply.headers['wan']).toBe('192.0.2.7:5000');
    expect(reply.headers['probe']).toBeUndefined();
    expect(device()).toMatchObject({
      ...{ local: { host: '10.9.9.9', port: 1 }, firewall: 'medium', status: 'on-phone', device: 'cpu=1; agent=x' },
      seenS: node.nowS(),
    });
  });

  test('from a new source it is answered there with a probe; the address holds when that comes back', async () => {
    const asked = other.signed(session, 'Heartbeat');
    const reply = await other.one(asked);
    expect(reply.headers).toMatchObject({ wan: '198.51.100.9:6000', probe: expect.any(String) as string });
    expect(isSignedBy(session.key, reply)).toBe(true);
    expect(reply.bytes).toBeLessThanOrEqual(asked.length);
    expect(device().wan).toEqual(client.at);
    await other.one(other.signed(session, 'Heartbeat', [`probe: ${reply.headers['probe'] ?? ''}`]));
    expect(device().wan).toEqual(other.at);
  });

  test('a copied datagram moves nobody, and a probe serves only the source that it was given to', async () => {
    const { headers } = await other.one(other.signed(session, 'Heartbeat'));
    const third = await protocolClient(node.network, { host: '203.0.113.1', port: 1 }, SERVER);
    const moved = other.signed(session, 'Heartbeat', [`probe: ${headers['probe'] ?? ''}`]);
    await third.ask(moved);
    expect(device().wan).toEqual(client.at);
    await other.ask(moved);
    expect(device().wan).toEqual(client.at);
  });

  test('only Heartbeat is answered with a probe, and a probe is good for a minute at most', async () => {
    expect((await other.one(other.signed(session, 'Status busy'))).headers['probe']).toBeUndefined();
    const { headers } = await other.one(other.signed(session, 'Heartbeat'));
    await node.time.advance(60_000);
    await other.one(other.signed(session, 'Heartbeat', [`probe: ${headers['probe'] ?? ''}`]));
    expect(device().wan).toEqual(client.at);
  });

  test('with the longest IPv6 address the probe comes through too', async () => {
    const network = memoryNetwork();
    const at = { host: '2001:db8::1', port: 4321 };
    const six = await udpNode({ network, at });
    six.directory.put({ uid: 'alice' });
    const [home, away] = [
      await protocolClient(network, { host: '2001:db8::2', port: 5 }, at),
      await protocolClient(network, { host: '2001:db8:1111:2222:3333:4444:5555:6666', port: 65_535 }, at),
    ];
    const long = await home.login('alice');
    const asked = away.signed(long, 'Heartbeat', [], 'r');
    const reply = await away.one(asked);
    expect(reply.bytes).toBeLessThanOrEqual(asked.length);
    await away.one(away.signed(long, 'Heartbeat', [`probe: ${reply.headers['probe'] ?? ''}`]));
    expect(six.table.device(six.table.sessions.find(long.cookie)).wan).toEqual(away.at);
  });

  test('of a draining node is answered Redirect, with a ticket and a mac', async () => {
    await node.directory.writeServer(
      serverRecord({ name: 'next', udp: { host: '10.0.0.2', port: 4321 } }, node.clock.now()),
    );
    await node.servers.renew();
    node.servers.setState('draining');
    const reply = await client.one(client.signed(session, 'Heartbeat'));
    expect(reply.first).toBe('Redirect 10.0.0.2:4321');
    expect(reply.headers['ticket']).toMatch(/^[\w-]{1,200}$/);
    expect(isSignedBy(session.key, reply)).toBe(true);
  });

  test('of a draining node that has no other to name is answered Ok', async () => {
    node.servers.setState('draining');
    expect((await client.one(client.signed(session, 'Heartbeat'))).verb).toBe('Ok');
  });
});

describe('Status', () => {
  test.each(STATUSES)('%s, with a note', async (status) => {
    expect((await client.one(client.signed(session, `Status ${status}`, ['note: zu Tisch ü']))).verb).toBe('Ok');
    expect(device()).toMatchObject({ status, note: 'zu Tisch ü' });
  });

  test.each(['Status', 'Status offline', 'Status busy now'])('%s is Error 400', async (first) => {
    expect((await client.one(client.signed(session, first))).argument).toMatch(/^400/);
  });
});

describe('Config', () => {
  test('the document with its etag; NotModified where equal; PWD empty unless the operator allows it', async () => {
    node.directory.put({ uid: 'alice', xmlext: '<a>ü</a>' });
    const config = await client.one(client.signed(session, 'Config'));
    expect(config.first).toBe('Config alice');
    expect(config.body).toBe('<CONFIG PWD=""><a>ü</a></CONFIG>');
    expect(isSignedBy(session.key, config)).toBe(true);
    const again = await client.one(client.signed(session, 'Config', [`etag: ${config.headers['etag'] ?? ''}`]));
    expect(again.first).toBe('NotModified');
    expect(again.headers['etag']).toBe(config.headers['etag']);
  });

  test('goes out in Parts of at most 1,200 bytes, which joined are the whole signed message', async () => {
    node.directory.put({ uid: 'alice', xmlext: 'ü'.repeat(3_000) });
    node.network.sent.length = 0;
    await client.ask(client.signed(session, 'Config', [], 'big'));
    const parts = node.network.sent.filter(({ to }) => to.port === 5000).map(({ bytes }) => bytes);
    const slices = parts.map((bytes, i) => {
      expect(bytes.length).toBeLessThanOrEqual(1_200);
      const head = `Part big ${i + 1}/${parts.length}\r\n\r\n`;
      expect(bytes.toString('latin1', 0, head.length)).toBe(head);
      return bytes.subarray(head.length);
    });
    const whole = Buffer.concat(slices).toString('utf8');
    const [head = '', body = ''] = whole.split('\r\n\r\n');
    expect(body).toBe(`<CONFIG PWD="">${'ü'.repeat(3_000)}</CONFIG>`);
    const text = { text: `${head}\r\n\r\n`, bytes: 0, first: '', verb: '', argument: '', from: '', body };
    expect(isSignedBy(session.key, { ...text, headers: { mac: head.slice(-32) } })).toBe(true);
  });

  test('Parts are sent only to the verified address', async () => {
    node.directory.put({ uid: 'alice', xmlext: 'x'.repeat(3_000) });
    const asked = other.signed(session, 'Config');
    const reply = await other.one(asked);
    expect(reply.first).toBe('Error 413');
    expect(isSignedBy(session.key, reply)).toBe(true);
  });
});

test('Servers: a line a server', async () => {
  await node.directory.writeServer(serverRecord({ name: 'b', users: 7 }, node.clock.now()));
  await node.servers.renew();
  const reply = await client.one(client.signed(session, 'Servers'));
  expect(reply.first).toBe('Servers 2');
  expect(reply.body).toBe('vserver1 10.0.0.1:4321 on 1 100\r\nb 127.0.0.9:4321 on 7 100\r\n');
  expect(isSignedBy(session.key, reply)).toBe(true);
});
