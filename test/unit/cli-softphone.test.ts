/** The softphone of `vserver client` against the real UDP edge, over a network in memory. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Address } from '../../src/base/model.ts';
import type { DatagramHandler, Datagrams, DatagramSocket } from '../../src/base/ports.ts';
import { softphone, SoftphoneError } from '../../src/cli/client/softphone.ts';
import type { Softphone, SoftphoneEvent, SoftphoneOptions } from '../../src/cli/client/softphone.ts';
import type { MemoryNetwork } from '../support/network.ts';
import { memoryNetwork } from '../support/network.ts';
import type { UdpNode } from '../support/udp-node.ts';
import { udpNode } from '../support/udp-node.ts';

const ONE: Address = { host: '10.0.0.1', port: 4321 };
const TWO: Address = { host: '10.0.0.2', port: 4321 };
const UID = '10017676';

let network: MemoryNetwork;
let one: UdpNode;
let two: UdpNode;
let events: SoftphoneEvent[];

beforeEach(async () => {
  network = memoryNetwork();
  one = await udpNode({ network, name: 'vserver1', at: ONE, usersMax: 2 });
  two = await udpNode({ network, name: 'vserver2', at: TWO, directory: one.directory, time: one.time });
  for (const uid of [UID, '10043939', '10055501']) one.directory.put({ uid });
  for (const node of [one, two, one]) await node.servers.renew();
  events = [];
});
afterEach(() => {
  one.udp.close();
  two.udp.close();
});

function options(more: Partial<SoftphoneOptions> = {}): SoftphoneOptions {
  return {
    server: ONE,
    alternate: { ...ONE, port: ONE.port + 1 },
    uid: UID,
    password: 'secret',
    instance: 'desk',
    ownHosts: ['192.168.0.2'],
    bind: { host: '198.51.100.1', port: 0 },
    datagrams: network,
    timers: one.time.timers,
    random: { bytes: randomBytes },
    onEvent: (event) => events.push(event),
    ...more,
  };
}

/** Moves time until the promise has settled. */
async function settled<T>(promise: Promise<T>): Promise<T> {
  const watched = { done: false };
  const end = promise.finally(() => (watched.done = true));
  end.catch(() => undefined);
  for (let turn = 0; !watched.done && turn < 1_000; turn++) await one.time.advance(100);
  expect(watched.done).toBe(true);
  return end;
}

const phone = (more: Partial<SoftphoneOptions> = {}): Promise<Softphone> => settled(softphone(options(more)));
const kinds = (): string[] => events.map(({ kind }) => kind);

/** A NAT that gives the client another address when the test says so. */
function nat(): Datagrams & { rebind(): Promise<void> } {
  let outside: DatagramSocket | undefined;
  let inside: DatagramHandler = () => undefined;
  return {
    async bind(_at, onDatagram) {
      inside = onDatagram;
      outside = await network.bind({ host: '203.0.113.1', port: 0 }, inside);
      return {
        local: { host: '192.168.0.2', port: 5000 },
        send: (bytes, to) => outside?.send(bytes, to),
        close: () => outside?.close() ?? Promise.resolve(),
      };
    },
    async rebind() {
      await outside?.close();
      outside = await network.bind({ host: '203.0.113.2', port: 0 }, inside);
    },
  };
}

test('it logs in, asks, sets its status and logs out', async () => {
  const client = await phone();
  expect(client.session).toMatchObject({ server: ONE, serverName: 'vserver1', heartbeatS: 30, expiresS: 90 });
  await settled(client.status('busy', 'at lunch'));
  const reply = await settled(client.locate(UID));
  expect([reply.verb, reply.headers.get('status'), reply.headers.get('note')]).toEqual(['User', 'busy', 'at lunch']);
  expect((await settled(client.locate('10043939'))).verb).toBe('Offline');
  expect((await settled(client.locate('nobody'))).argument).toMatch(/^404/);
  expect(await settled(client.servers())).toHaveLength(2);
  await settled(client.logout());
  expect(one.table.count).toBe(0);
  expect(kinds()).toEqual(['logged-in']);
});

test('it tells its firewall from what both ports see', async () => {
  const open = await phone({ ownHosts: ['198.51.100.1'] });
  const behindNat = await phone({ uid: '10043939' });
  expect(events).toMatchObject([{ standing: { firewall: 'none' } }, { standing: { firewall: 'medium' } }]);
  await settled(Promise.all([open.close(), behindNat.close()]));
});

test('a wrong password is the answer 403, and nothing stays open', async () => {
  await expect(phone({ password: 'wrong' })).rejects.toMatchObject({ status: 403 });
  expect(one.time.running()).toBe(0);
});

test('where nobody answers it gives up after a bounded time', async () => {
  network.copies = () => 0;
  const begin = one.time.clock.now();
  await expect(phone()).rejects.toThrow(new SoftphoneError(0, '10.0.0.1:4321 does not answer'));
  expect(one.time.clock.now() - begin).toBeLessThan(15_000);
});

test('lost datagrams are sent again, the same bytes, and nothing is executed twice', async () => {
  const client = await phone();
  const before = network.sent.length;
  // The request arrives, its first reply is lost.
  let replies = 0;
  network.copies = ({ from }) => (from.host === ONE.host && replies++ === 0 ? 0 : 1);
  await settled(client.status('away', ''));
  const requests = network.sent.slice(before).filter(({ to }) => to.host === ONE.host);
  expect(requests).toHaveLength(2);
  expect(requests[0]?.bytes).toEqual(requests[1]?.bytes);
  expect(one.counters.repeats).toBe(1);
  await settled(client.close());
});

test('heartbeats keep the session longer than it would live in silence', async () => {
  const client = await phone();
  await one.time.advance(300_000);
  expect(one.counters.heartbeats).toBe(10);
  expect((await settled(client.locate(UID))).verb).toBe('User');
  expect(kinds()).toEqual(['logged-in']);
  await settled(client.close());
});

test('after a NAT rebinding it shows the probe at its new address, which holds from then on', async () => {
  const router = nat();
  const client = await phone({ datagrams: router });
  await router.rebind();
  await settled(client.heartbeat());
  expect(events.at(-1)).toMatchObject({ kind: 'moved', wan: { host: '203.0.113.2' } });
  expect((await settled(client.locate(UID))).headers.get('wan')).toMatch(/^203\.0\.113\.2:/);
  await settled(client.close());
});

test('a server that forgot the session gets a new login, and then the request', async () => {
  const client = await phone();
  one.ends.endAll(UID, 'kicked');
  await one.time.advance(120_000);
  expect((await settled(client.locate(UID))).verb).toBe('User');
  expect(kinds()).toEqual(['logged-in', 'logged-in']);
  await settled(client.close());
});

test('a takeover is acknowledged and ends it: it does not fight for the session', async () => {
  const first = await phone();
  const second = await phone();
  await one.time.advance(10_000);
  expect(kinds().sort()).toEqual(['logged-in', 'logged-in', 'taken-over']);
  const notice = network.sent.find(({ bytes }) => bytes.includes('Error 409'));
  const id = /^id: s\w+$/m.exec(notice?.bytes.toString() ?? '')?.[0] ?? 'none';
  const answered = network.sent.filter(({ bytes, to }) => to.host === ONE.host && bytes.includes(id));
  expect(answered.map(({ bytes }) => bytes.toString().split('\r\n')[0])).toContain('Ok');
  await expect(settled(first.locate(UID))).rejects.toMatchObject({ status: 409 });
  expect((await settled(second.locate(UID))).verb).toBe('User');
  await settled(Promise.all([first.close(), second.close()]));
});

test('a full server redirects it, and a user elsewhere is asked for there', async () => {
  const clients = [await phone({ uid: '10043939' }), await phone({ uid: '10055501' })];
  for (const node of [one, two]) await node.servers.renew();
  const client = await phone();
  expect(client.session.server).toEqual(TWO);
  const reply = await settled(client.locate('10043939'));
  expect([reply.verb, reply.argument]).toEqual(['User', '10043939']);
  await settled(Promise.all([...clients, client].map((each) => each.close())));
});

test('a CONFIG that comes in Parts is joined, and not sent again where it is the same', async () => {
  one.directory.put({ uid: UID, xmlext: `<a>${'long '.repeat(1_000)}</a>` });
  const client = await phone();
  const config = await settled(client.config());
  expect(config?.xml).toContain('long '.repeat(1_000));
  expect(await settled(client.config(config?.etag))).toBeUndefined();
  await settled(client.close());
});

test('a forged reply is not believed', async () => {
  const client = await phone();
  const { wan } = client.session;
  network.copies = ({ bytes, to }) => {
    // Somebody on the way changes what the server says.
    if (to.port === wan.port && bytes.includes('status: online'))
      bytes.write('status: ooline', bytes.indexOf('status: '));
    return 1;
  };
  await expect(settled(client.locate(UID))).rejects.toMatchObject({ status: 0 });
  await settled(client.close());
});

test('watches its buddies, also after it had to log in again, and changes its lists', async () => {
  const told: string[] = [];
  const client = await phone();
  expect(await settled(client.buddy('add', '10043939'))).toBe('done');
  const other = await phone({ uid: '10043939', bind: { host: '198.51.100.2', port: 0 } });
  const onPresence = ({ uid, status, note }: { uid: string; status: string; note: string }): void =>
    void told.push([uid, status, note].join(' ').trim());
  expect(await settled(client.watch([], onPresence))).toBe(1);
  await one.time.advance(2_000);
  await settled(other.status('busy', 'in a meeting'));
  await one.time.advance(2_000);
  expect(told.splice(0)).toEqual(['10043939 online', '10043939 busy in a meeting']);
  one.ends.end(one.table.findOpen(client.session.cookie), 'silence');
  await settled(client.heartbeat());
  await one.time.advance(2_000);
  expect(told.splice(0)).toEqual(['10043939 busy in a meeting']);
  await settled(client.unwatch());
  await settled(other.status('away', ''));
  await one.time.advance(2_000);
  expect(told).toEqual([]);
  expect(await settled(client.buddies())).toEqual(['buddy 10043939']);
  await client.close();
  await other.close();
});

test('sends a message, shows one that comes once, however often it comes, and answers each time', async () => {
  const client = await phone();
  const other = await phone({ uid: '10043939', bind: { host: '198.51.100.2', port: 0 } });
  await one.time.advance(1_000);
  expect(await settled(client.message('10043939', 'hello 🙂'))).toBe('delivered');
  expect(await settled(client.message('10055501', 'later'))).toBe('stored');
  // Its Ok gets lost: the server repeats the message, and stores it in the end.
  network.copies = ({ bytes }) => (bytes.toString('latin1', 0, 2) === 'Ok' && bytes.includes('cookie') ? 0 : 1);
  const sent = client.message('10043939', 'again');
  expect(await settled(sent)).toBe('stored');
  await one.time.advance(10_000);
  network.copies = () => 1;
  await one.time.advance(60_000);
  await settled(other.heartbeat());
  await one.time.advance(1_000);
  expect(await one.messages.waiting('10043939', 0)).toEqual([]);
  const shown = events.flatMap((event) => (event.kind === 'message' ? [event] : []));
  expect(shown.map(({ from, body }) => [from, body])).toEqual([
    [UID, 'hello 🙂'],
    [UID, 'again'],
  ]);
  await expect(client.message('10043939', 'x'.repeat(1_200))).rejects.toMatchObject({ status: 413 });
  await expect(settled(client.message('nobody', 'x'))).rejects.toMatchObject({ status: 404 });
  await settled(Promise.all([client.close(), other.close()]));
});
