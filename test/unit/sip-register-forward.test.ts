/** A REGISTER at a node that is not the user's: sent on to his node with Path (RFC 3327), and calls come back that way. */
import { describe, expect, it } from 'vitest';
import type { Address } from '../../src/base/model.ts';
import { parseRegistration } from '../../src/sip/bindings.ts';
import { createEdgeStatements } from '../../src/sip/edge-statements.ts';
import { settle } from '../support/clock.ts';
import type { SipNode, SipNodeOptions } from '../support/sip-node.ts';
import { AT, phone, Phone, sipNode } from '../support/sip-node.ts';
import { memoryStreams } from '../support/streams.ts';

const THERE: Address = { host: '10.0.0.2', port: 5060 };
const to = (uid: string) => ({ uri: `sip:${uid}@vserver`, headers: { To: `<sip:${uid}@vserver>` } });

/** Two nodes: `there` has bob by his first phone, whose second one is at `here`. */
async function pair(options: SipNodeOptions = {}) {
  const nodes = new Map<string, SipNode>();
  const others = {
    has: (server: { name: string }, uid: string) =>
      Promise.resolve((nodes.get(server.name)?.table.users.find(uid) ?? -1) >= 0),
    taken: (former: string, uid: string, _epoch: number, source: Address) => {
      nodes.get(former)?.ends.taken(uid, source);
    },
  };
  const here = await sipNode({ ...options, name: 'here', others });
  const there = await sipNode({ name: 'there', at: THERE, beside: here, others, settings: { calls: 'proxy' } });
  nodes.set('here', here).set('there', there);
  for (const uid of ['alice', 'bob']) here.directory.put({ uid });
  /** Both nodes say that they run, and read it of each other. */
  const meet = async (): Promise<void> => {
    for (const { servers } of [here, there, here]) await servers.renew();
  };
  await meet();
  const first = await phone(here.network, 'bob', undefined, THERE);
  first.register();
  await settle();
  expect(first.status).toBe(200);
  const second = await phone(here.network, 'bob', { host: '10.0.0.8', port: 6000 });
  return { here, there, meet, first, second };
}

async function registered(options: SipNodeOptions = {}) {
  const both = await pair(options);
  both.second.register();
  await settle();
  expect(both.second.status).toBe(200);
  for (const one of [both.first, both.second]) one.answersWith = 0;
  return both;
}

const devicesOf = ({ table }: SipNode, uid: string) =>
  table.users.find(uid) < 0 ? [] : table.devices(table.users.find(uid));

/** A request in the dialog that the 2xx to the caller's INVITE has made. */
function inDialog(caller: Phone, method: string): void {
  const { last } = caller;
  const headers = { To: last.header('To') ?? '', Route: last.headers('Record-Route').reverse() };
  caller.ask(method, { uri: /<([^>]+)>/.exec(last.header('Contact') ?? '')?.[1] ?? '', headers });
}

/** What went from node to node last, with a statement. */
function statement({ network }: SipNode): string {
  const sent = network.sent.findLast(({ bytes, to: at }) => at.host === THERE.host && bytes.includes('VS-Edge:'));
  if (sent === undefined) throw new Error('nothing was sent on');
  return sent.bytes.toString('latin1');
}

describe('a REGISTER of a user whom another node has', () => {
  it('is sent on there: his devices are all on one node, and nothing of him is here', async () => {
    const { here, there, first, second } = await registered();
    expect(devicesOf(here, 'bob')).toEqual([]);
    expect(second.contacts().sort()).toEqual([first.contact(';expires=300'), second.contact(';expires=300')].sort());
    const device = devicesOf(there, 'bob').find(({ wan }) => wan.port === second.at.port);
    expect(device).toMatchObject({ wan: second.at, contact: 'sip:bob@10.0.0.8:6000' });
    expect(parseRegistration(device?.registration ?? '').edge).toMatch(/^<sip:[\w-]+@10\.0\.0\.1:5060;lr>$/);
    expect(here.directory.row('bob')?.location.server?.name).toBe('there');
  });

  it('is answered as if it were registered here; with Path to who supports it', async () => {
    const { second } = await registered();
    expect(second.last.header('Service-Route')).toBe('<sip:10.0.0.1:5060;lr>');
    expect(second.last.headers('Via')).toHaveLength(1);
    expect(second.last.header('Path')).toBeUndefined();
    second.register({ headers: { Supported: 'path' } });
    await settle();
    expect(second.last.header('Path')).toMatch(/^<sip:[\w-]+@10\.0\.0\.1:5060;lr>$/);
  });

  it('is refreshed and ended the same way, from the memory of both nodes', async () => {
    const { here, there, second, first } = await registered();
    const row = devicesOf(there, 'bob').find(({ wan }) => wan.port === second.at.port)?.row ?? -1;
    here.directory.down = true;
    const calls = here.directory.calls.length;
    second.register({ headers: { Expires: '120' } });
    await settle();
    expect([second.status, there.table.sessions.lifetimeS(row)]).toEqual([200, 120]);
    second.register({ headers: { Expires: '0' } });
    await settle();
    expect(second.contacts()).toEqual([first.contact(';expires=300')]);
    expect(devicesOf(there, 'bob')).toHaveLength(1);
    expect(here.directory.calls).toHaveLength(calls);
  });

  it('that ends it, when this node has forgotten him, finds his node by the directory', async () => {
    const { here, there, second } = await registered();
    here.sip.context.relays.forget('bob');
    second.nonce = '';
    await here.time.advance(1);
    second.register({ headers: { Expires: '0' } });
    await settle();
    expect(second.status).toBe(200);
    expect(devicesOf(there, 'bob')).toHaveLength(1);
  });

  it('with a wrong password is refused, counted here, and never sent on', async () => {
    const { here, second } = await pair({ failuresAMinute: 1 });
    second.register({}, { password: 'wrong' });
    await here.time.advance(1_000);
    expect(second.status).toBe(403);
    expect(() => statement(here)).toThrow();
    second.register({}, { password: 'wrong' });
    expect(second.answers.map(({ status }) => status)).toEqual([401, 403, 503]);
  });

  it('with a nonce-count that was used is challenged; the next count is good', async () => {
    const { here, second } = await registered();
    await here.time.advance(1);
    second.register({}, { nc: 1 });
    expect(second.status).toBe(401);
    expect(second.last.header('WWW-Authenticate')).toContain('stale=true');
    second.register();
    await settle();
    expect(second.status).toBe(200);
  });

  it('that may go no further is refused', async () => {
    const { second } = await pair();
    second.register({ headers: { 'Max-Forwards': '0' } });
    await settle();
    expect(second.status).toBe(483);
  });

  it('that is too long with what is added is refused, and nobody is suspected for it', async () => {
    const { here, second } = await pair();
    second.register({ headers: { 'X-Many': Array<string>(246).fill('x') } });
    await settle();
    expect(second.status).toBe(513);
    second.register({ body: 'x'.repeat(16_000) });
    await settle();
    expect([second.status, here.servers.other('there')?.state]).toEqual([513, 'on']);
  });

  it('of a user with one device takes him over: the newest login wins', async () => {
    const { here, there, second } = await pair();
    const { service } = here.directory.row('alice')?.user ?? {};
    if (service === undefined) throw new Error('no alice');
    here.directory.put({ uid: 'alice', service: { ...service, devicesMax: 1 } });
    const elsewhere = await phone(here.network, 'alice', undefined, THERE);
    elsewhere.register();
    await settle();
    const alice = await phone(here.network, 'alice');
    alice.register();
    await settle();
    expect([alice.status, devicesOf(here, 'alice').length, devicesOf(there, 'alice').length]).toEqual([200, 1, 0]);
    expect(second.answers).toEqual([]);
  });
});

describe('where the owner does not answer', () => {
  it('the user is taken over after 2 s, and the phone keeps its flow', async () => {
    const { here, second } = await registered();
    here.network.copies = ({ to: at }) => (at.host === THERE.host ? 0 : 1);
    second.register();
    await here.time.advance(1_999);
    expect(second.answers).toHaveLength(2);
    await here.time.advance(1);
    expect(second.status).toBe(200);
    expect(second.contacts()).toEqual([second.contact(';expires=300')]);
    expect(here.directory.row('bob')?.location.server?.name).toBe('here');
    expect(devicesOf(here, 'bob')).toMatchObject([{ wan: second.at }]);
  });

  it('and the directory has no room for a login more, the phone is told to come back', async () => {
    const { here, second } = await registered();
    const { intake } = here.sip.context;
    while (!intake.isFull) intake.enter(() => undefined, 0);
    here.network.copies = ({ to: at }) => (at.host === THERE.host ? 0 : 1);
    second.register();
    await here.time.advance(2_000);
    expect([second.status, second.last.header('Retry-After')]).toEqual([503, '1']);
  });

  it('and too many were told to come before it, it comes behind them: that it came earlier sets no clock back', async () => {
    const { here, second } = await registered();
    const { intake } = here.sip.context;
    while (!intake.isFull) intake.enter(() => undefined, here.clock.now());
    here.network.copies = ({ to: at }) => (at.host === THERE.host ? 0 : 1);
    second.register();
    await here.time.advance(1_999);
    for (let i = 0; i < 40_000; i++) intake.appointment(here.clock.now());
    await here.time.advance(1);
    expect([second.status, second.last.header('Retry-After')]).toEqual([503, '5']);
  });

  it('because too many log in there, it says so at once, and is not taken for dead', async () => {
    const { here, there, second } = await pair();
    const { intake } = there.sip.context;
    while (!intake.hasLine) intake.enter(() => undefined, 0);
    second.register();
    await settle();
    expect([second.status, second.last.header('Retry-After')]).toEqual([503, '1']);
    await here.time.advance(10_000);
    expect(here.servers.other('there')?.name).toBe('there');
    expect(here.directory.row('bob')?.location.server?.name).toBe('there');
  });

  it('and the directory is away too, the phone is told to come back', async () => {
    const { here, second } = await registered();
    here.network.copies = ({ to: at }) => (at.host === THERE.host ? 0 : 1);
    here.directory.down = true;
    second.register();
    await here.time.advance(2_000);
    expect([second.status, second.last.header('Retry-After')]).toEqual([503, '5']);
  });
});

describe('requests to a phone that registered by way of another node', () => {
  it('ring there as at every other device, and the call goes through both nodes', async () => {
    const { here, first, second } = await registered();
    const alice = await phone(here.network, 'alice', undefined, THERE);
    alice.register();
    await settle();
    alice.ask('INVITE', to('bob'));
    expect([first.heardMethods, second.heardMethods]).toEqual([['INVITE'], ['INVITE']]);
    const invite = second.request();
    expect([invite.requestUri, invite.headers('Route')]).toEqual(['sip:bob@10.0.0.8:6000', []]);
    second.reply(200, invite);
    expect([alice.status, first.request().method]).toEqual([200, 'INVITE']);
    inDialog(alice, 'ACK');
    inDialog(alice, 'BYE');
    expect(second.heardMethods).toEqual(['INVITE', 'ACK', 'BYE']);
    second.reply(200);
    expect([alice.status, alice.last.cseq.method]).toEqual([200, 'BYE']);
  });

  it('are cancelled there too', async () => {
    const { here, first, second } = await registered();
    const alice = await phone(here.network, 'alice', undefined, THERE);
    alice.register();
    await settle();
    alice.ask('INVITE', to('bob'));
    second.reply(180);
    first.reply(200);
    expect(second.heardMethods).toEqual(['INVITE', 'CANCEL']);
  });

  it('are not sent where the other node is off: nobody waits for it', async () => {
    const { here, there, first, second } = await registered();
    await here.time.advance(1);
    await here.servers.leave();
    await there.servers.look();
    const alice = await phone(here.network, 'alice', undefined, THERE);
    alice.register();
    await settle();
    alice.ask('INVITE', to('bob'));
    expect([first.heardMethods, second.heardMethods]).toEqual([['INVITE'], []]);
  });

  it('with a Route that nobody of us made go nowhere', async () => {
    const { here, second } = await registered();
    const stranger = await phone(here.network, 'stranger');
    const token = Buffer.from('\0made up by a stranger, who knows no key').toString('base64url');
    stranger.ask('INVITE', { uri: 'sip:bob@10.0.0.8:6000', headers: { Route: `<sip:${token}@10.0.0.1:5060;lr>` } });
    expect(stranger.status).toBe(404);
    expect(second.heardMethods).toEqual([]);
  });
});

describe('a phone that registered over a connection', () => {
  async function overStreams() {
    const streams = memoryStreams();
    const both = await pair({ streams });
    const { second } = both;
    const connect = () => {
      const stream = streams.connect(AT, second.at);
      if (stream === null) throw new Error('refused');
      const over = new Phone('bob', second.at, (text) => {
        stream.send(text);
        for (const bytes of stream.received.splice(0)) over.heard(bytes);
      });
      over.transport = 'TCP';
      return { stream, over };
    };
    return { ...both, connect };
  }

  it('is registered no longer when that closes; a new one stays', async () => {
    const { here, there, connect } = await overStreams();
    const register = async ({ stream, over }: ReturnType<typeof connect>, callId: string): Promise<void> => {
      over.register({ callId, headers: { Contact: over.contact(';+sip.instance="<urn:uuid:2>"') } });
      await settle();
      for (const bytes of stream.received.splice(0)) over.heard(bytes);
      expect(over.status).toBe(200);
    };
    const [older, newer] = [connect(), connect()];
    await register(older, 'call-1');
    await here.time.advance(1);
    await register(newer, 'call-2');
    expect(devicesOf(there, 'bob')).toHaveLength(2);
    older.stream.close();
    expect(devicesOf(there, 'bob')).toHaveLength(2);
    newer.stream.close();
    expect(devicesOf(there, 'bob')).toHaveLength(1);
  });

  it('nor where it closes before his node has answered', async () => {
    const { here, there, connect } = await overStreams();
    const { stream, over } = connect();
    here.directory.held = true;
    over.register({ headers: { Contact: over.contact(';+sip.instance="<urn:uuid:2>"') } });
    await settle();
    stream.close();
    here.directory.held = false;
    here.directory.release();
    await settle();
    expect(here.sip.context.relays.find('bob', here.clock.now())?.owner).toBe('there');
    expect(devicesOf(there, 'bob')).toHaveLength(1);
  });
});

describe('what another node says of a REGISTER (VS-Edge)', () => {
  async function sentOn() {
    const both = await registered();
    const stranger = await phone(both.here.network, 'bob', { host: '10.66.6.6', port: 5060 }, THERE);
    const devices = devicesOf(both.there, 'bob').length;
    const other = (text: string): string => text.replace(/branch=z9hG4bK[\w-]+/, 'branch=z9hG4bK-another');
    return { ...both, stranger, devices, other };
  }

  it('is good once', async () => {
    const { here, there, stranger, devices, other } = await sentOn();
    stranger.raw(statement(here));
    expect(stranger.answers).toEqual([]);
    stranger.raw(other(statement(here)));
    expect(stranger.status).toBe(403);
    expect(devicesOf(there, 'bob')).toHaveLength(devices);
  });

  it('holds for the whole request: nothing of it can be changed', async () => {
    const { here, there, stranger, other, second } = await sentOn();
    second.register();
    await settle();
    for (const [from, into] of [
      ['sip:bob@10.0.0.8:6000', 'sip:bob@10.66.6.6:5060'],
      ['Path: <sip:', 'Path: <sip:x'],
      ['Content-Length: 0', 'Expires: 0\r\nContent-Length: 0'],
    ] as const) {
      stranger.raw(other(statement(here)).replace(from, into));
      expect(stranger.status, into).toBe(403);
    }
    expect(there.sip.context.counters.wrongMacs).toBe(3);
  });

  it('is for one node, and for half a minute', async () => {
    const { here, there, stranger, second } = await sentOn();
    const elsewhere = await phone(here.network, 'bob', { host: '10.66.6.6', port: 5061 });
    elsewhere.raw(statement(here));
    expect(elsewhere.status).toBe(403);
    there.network.copies = ({ to: at }) => (at.host === THERE.host ? 0 : 1);
    second.register();
    await settle();
    there.network.copies = () => 1;
    const kept = statement(here);
    await here.time.advance(40_000);
    stranger.raw(kept);
    expect(stranger.status).toBe(503);
  });

  it('that is late because the clocks differ is no wrong password of the phone', async () => {
    const { there, second } = await sentOn();
    const { context } = there.sip;
    const clock = { now: () => there.clock.now() + 60_000 };
    Object.assign(context, { statements: createEdgeStatements({ ...context, name: 'there', clock }) });
    second.register();
    await settle();
    expect([second.status, second.last.header('Retry-After')]).toEqual([503, '5']);
  });

  it('that a node may have heard before it was started anew is not taken again', async () => {
    const { here, there, stranger, second } = await sentOn();
    const { context } = there.sip;
    there.network.copies = ({ to: at }) => (at.host === THERE.host ? 0 : 1);
    second.register();
    await settle();
    there.network.copies = () => 1;
    const kept = statement(here);
    await here.time.advance(1);
    Object.assign(context, { statements: createEdgeStatements({ ...context, name: 'there', clock: there.clock }) });
    stranger.raw(kept);
    expect(stranger.status).toBe(503);
  });

  it('can be made by nobody without the key', async () => {
    const { there, stranger, devices } = await sentOn();
    for (const value of ['', 'x', Buffer.from(`${'A'.repeat(43)} {"body":{"kind":"closed"}}`).toString('base64url')]) {
      stranger.register({ headers: { 'VS-Edge': value, Path: '<sip:x@10.0.0.1:5060;lr>' } });
      expect(stranger.status, value).toBe(403);
    }
    expect(devicesOf(there, 'bob')).toHaveLength(devices);
  });
});

describe('a node that is drained', () => {
  /** Alice and carol by a phone each, bob by two, at `there`, which is drained at one user a second. */
  async function drained(options: SipNodeOptions = {}) {
    const both = await pair(options);
    const { here, there } = both;
    here.directory.put({ uid: 'carol' });
    const phones = { bob: both.first } as Record<'alice' | 'bob' | 'carol', Phone>;
    for (const uid of ['alice', 'carol'] as const) {
      phones[uid] = await phone(here.network, uid, undefined, THERE);
      phones[uid].register({ headers: { 'User-Agent': `Phone of ${uid}` } });
      await settle();
      expect(phones[uid].status).toBe(200);
    }
    const direct = await phone(here.network, 'bob', { host: '10.0.0.9', port: 7_000 }, THERE);
    await here.time.advance(1);
    direct.register();
    await settle();
    expect(direct.status).toBe(200);
    there.servers.drain(1);
    await both.meet();
    /** What the node does each second. */
    const second = async (): Promise<void> => {
      there.sip.turn();
      await settle();
      await here.time.advance(1_000);
    };
    const users = () => [here.table.users.count, there.table.users.count];
    return { ...both, phones, direct, second, users };
  }

  it('registers its telephones at another one by itself, at the pace of the drain, all devices of a user at once', async () => {
    const { here, second, users, phones, direct } = await drained();
    expect(users()).toEqual([0, 3]);
    await second();
    expect(users()).toEqual([1, 2]);
    for (let i = 0; i < 2; i++) await second();
    expect(users()).toEqual([3, 0]);
    const contacts = devicesOf(here, 'bob').map(({ contact, wan }) => [contact, wan.port]);
    expect(contacts.sort()).toEqual(
      [phones.bob, direct].map(({ at }) => [`sip:bob@${at.host}:${at.port}`, at.port]).sort(),
    );
    expect(devicesOf(here, 'carol')[0]?.device).toBe('agent=Phone of carol');
    expect(here.directory.row('alice')?.location.server?.name).toBe('here');
  });

  it('is the way to them as long as it runs', async () => {
    const { here, second, phones } = await drained();
    for (let i = 0; i < 3; i++) await second();
    const dave = await phone(here.network, 'dave');
    here.directory.put({ uid: 'dave' });
    dave.register();
    await settle();
    phones.carol.answersWith = 0;
    dave.ask('INVITE', to('carol'));
    expect(phones.carol.heardMethods).toEqual(['INVITE']);
    expect(phones.carol.request().requestUri).toBe(`sip:carol@10.0.0.7:${phones.carol.at.port}`);
  });

  it('tells a phone that refreshes where to go; one that comes back all the same is sent on', async () => {
    const { here, second, phones } = await drained();
    for (let i = 0; i < 3; i++) await second();
    const { carol } = phones;
    carol.nonce = '';
    carol.register();
    await settle();
    expect([carol.status, carol.contacts()]).toEqual([302, ['<sip:10.0.0.1:5060;vs-hops=1>']]);
    carol.nonce = '';
    await here.time.advance(1);
    carol.register();
    await settle();
    expect([carol.status, carol.contacts()]).toEqual([200, [carol.contact(';expires=300')]]);
    expect(devicesOf(here, 'carol')).toHaveLength(1);
    carol.nonce = '';
    await here.time.advance(1);
    carol.register({ headers: { Expires: '0' } });
    await settle();
    expect(devicesOf(here, 'carol')).toEqual([]);
  });

  it('keeps them while no other one has room or answers', async () => {
    const { here, there, second, users } = await drained();
    here.network.copies = ({ to: at }) => (at.host === AT.host ? 0 : 1);
    await second();
    await second();
    await second();
    expect(users()).toEqual([0, 3]);
    here.network.copies = () => 1;
    there.servers.hear({ ...here.servers.own(), state: 'on' });
    await second();
    expect(users()).toEqual([1, 2]);
    there.servers.setState('on');
    await second();
    expect(users()).toEqual([1, 2]);
  });

  it('tries who is refused there again after half a minute, and nobody else waits for him', async () => {
    const { here, second, users, meet } = await drained();
    here.directory.down = true;
    for (let i = 0; i < 3; i++) await second();
    here.directory.down = false;
    for (let i = 0; i < 5; i++) await second();
    expect(users()).toEqual([0, 3]);
    await here.time.advance(25_000);
    await meet();
    for (let i = 0; i < 4; i++) await second();
    expect(users()).toEqual([3, 0]);
  });

  it('hands over by its own word only: what was said to one node is nothing to another, nor twice', async () => {
    const { here, there, second } = await drained();
    await second();
    const told = here.network.sent.findLast(({ bytes, to: at }) => at.host === AT.host && bytes.includes('VS-Edge:'));
    const stranger = await phone(here.network, 'alice', { host: '10.66.6.6', port: 5060 });
    const count = here.table.count;
    stranger.raw((told?.bytes.toString('latin1') ?? '').replace(/branch=z9hG4bK[\w-]+/, 'branch=z9hG4bK-another'));
    expect([stranger.status, here.table.count]).toEqual([403, count]);
    expect(there.sip.context.counters.wrongMacs).toBe(0);
  });
});
