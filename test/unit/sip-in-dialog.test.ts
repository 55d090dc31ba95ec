/** What whoever makes up a Route or a dialog gets from the node, and how long a real one holds (RFC 5626 5.3). */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Address } from '../../src/base/model.ts';
import { createFlowTokens } from '../../src/sip/flow-tokens.ts';
import type { FlowTokens } from '../../src/sip/flow-tokens.ts';
import type { Flow } from '../../src/sip/flow.ts';
import { manualTime, settle } from '../support/clock.ts';
import type { Ask, Phone, SipNode, SipNodeOptions } from '../support/sip-node.ts';
import { phone, sipNode } from '../support/sip-node.ts';

const HOUR_MS = 3_600_000;
const ANSWERED_MS = 32_000;

interface Call extends SipNode {
  readonly alice: Phone;
  readonly bob: Phone;
  /** Of the dialog, as Alice has them. */
  readonly routes: readonly string[];
  readonly target: string;
  readonly to: string;
}

/** Alice has called Bob, who is behind a NAT, through the node. */
async function called(options: SipNodeOptions = {}): Promise<Call> {
  const node = await sipNode(options);
  const phones: Phone[] = [];
  for (const uid of ['alice', 'bob']) {
    node.directory.put({ uid });
    const one = await phone(node.network, uid);
    one.register({ headers: { Contact: `<sip:${uid}@192.168.1.2:5060>` } });
    await node.time.advance(1);
    one.answersWith = 0;
    phones.push(one);
  }
  const [alice, bob] = phones;
  if (alice === undefined || bob === undefined) throw new Error('no phones');
  alice.ask('INVITE', { uri: 'sip:bob@vserver', callId: 'call', headers: { To: '<sip:bob@vserver>' } });
  bob.reply(200);
  expect(alice.status).toBe(200);
  const routes = alice.last.headers('Record-Route').reverse();
  const target = /<([^>]+)>/.exec(alice.last.header('Contact') ?? '')?.[1] ?? '';
  return { ...node, alice, bob, routes, target, to: alice.last.header('To') ?? '' };
}

function within({ routes, target, to }: Call, from: Phone, method: string, ask: Ask = {}): void {
  from.ask(method, { uri: target, callId: 'call', ...ask, headers: { To: to, Route: routes, ...ask.headers } });
}

describe('the token of a datagram flow', () => {
  it('holds for a day, in both directions, and not for ever', async () => {
    const call = await called();
    const { alice, bob, time } = call;
    const invite = bob.request('INVITE');
    alice.answersWith = bob.answersWith = 200;
    const back = { From: `${invite.header('To') ?? ''};tag=b`, To: invite.header('From') ?? '' };
    for (let hours = 6; hours <= 24; hours += 6) {
      await time.advance(6 * HOUR_MS);
      within(call, alice, 'INFO');
      bob.ask('INFO', { uri: 'sip:a', callId: 'call', headers: { ...back, Route: invite.headers('Record-Route') } });
      expect([bob.request().method, alice.request().method]).toEqual(['INFO', 'INFO']);
      bob.requests.length = alice.requests.length = 0;
    }
    await time.advance(12 * HOUR_MS);
    alice.answers.length = 0;
    within(call, alice, 'BYE');
    expect([alice.status, bob.heardMethods]).toEqual([430, []]);
    within(call, alice, 'ACK');
    expect([alice.answers.length, bob.heardMethods]).toEqual([1, []]);
  });

  it('is nothing that another one can be made of', async () => {
    const call = await called();
    const { alice, bob } = call;
    const [first = '', second = ''] = call.routes.map((route) => /sip:([^@]+)@/.exec(route)?.[1] ?? '');
    // Another character at each place, one whose highest bit is another in base64url.
    const changes = Array.from(second, (character, at) => {
      const other = DIGITS[DIGITS.indexOf(character) ^ 32] ?? '';
      return second.slice(0, at) + other + second.slice(at + 1);
    });
    for (const token of [...changes, second.slice(1), second.slice(0, -1), `${second}A`, `A${second}`]) {
      within(call, alice, 'BYE', { headers: { Route: [`<sip:${first}@10.0.0.1;lr>`, `<sip:${token}@10.0.0.1;lr>`] } });
      expect(alice.status).toBe(403);
    }
    expect(bob.heardMethods).toEqual(['INVITE']);
  });
});

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

describe('tokens by themselves', () => {
  const FAR: Address = { host: '192.0.2.9', port: 4000 };
  const udp = (remote: Address): Flow => ({ transport: 'udp', isReliable: false, remote }) as Flow;
  let time: ReturnType<typeof manualTime>;
  let tokens: FlowTokens;
  const made = (key: string, start: string, open?: Flow): FlowTokens =>
    createFlowTokens(key, start, time.clock, () => ({ flowTo: udp, findConnection: () => open }));

  beforeEach(() => {
    time = manualTime();
    tokens = made('key', 'start');
  });

  it('of UDP are read after a restart too, and by no node with another key', () => {
    const token = tokens.make(udp(FAR), 'call');
    expect(made('key', 'another start').read(token, 'call')).toMatchObject({ remote: FAR });
    expect(made('another key', 'start').read(token, 'call')).toBe('forged');
    expect(tokens.read(token, 'another call')).toBe('forged');
  });

  it('of a connection are good in the life of the process only, for the numbers of connections begin anew', () => {
    const connection = { transport: 'tcp', isReliable: true, id: 'tcp 7' } as Flow;
    const open = made('key', 'start', connection);
    const token = open.make(connection, 'call');
    expect(open.read(token, 'call')).toBe(connection);
    expect(tokens.read(token, 'call')).toBe('closed');
    expect(made('key', 'another start', connection).read(token, 'call')).toBe('forged');
  });

  it('of a Path are none of a dialog, and end like them; the one of the next registrations lasts on', async () => {
    const token = tokens.makePath(udp(FAR));
    expect(tokens.read(token, 'path')).toBe('forged');
    expect(tokens.readPath(tokens.make(udp(FAR), 'path'))).toBe('forged');
    await time.advance(24 * HOUR_MS);
    expect(tokens.readPath(token)).toMatchObject({ remote: FAR });
    await time.advance(12 * HOUR_MS);
    expect(tokens.readPath(token)).toBe('closed');
    expect(tokens.readPath(tokens.makePath(udp(FAR)))).toMatchObject({ remote: FAR });
  });
});

describe('a made-up Route', () => {
  it('behind a token of ours leads nowhere else: the flow of the token is the next hop', async () => {
    const call = await called();
    const { alice, bob, network } = call;
    const victim = await phone(network, 'victim', { host: '192.0.2.77', port: 5060 });
    within(call, alice, 'INFO', {
      uri: 'sip:victim@192.0.2.77',
      headers: { Route: [...call.routes, '<sip:192.0.2.77;lr>'] },
    });
    expect([victim.heardMethods, bob.request().method]).toEqual([[], 'INFO']);
  });

  it.each([
    ['our address, then another', ['<sip:10.0.0.1;lr>', '<sip:192.0.2.77;lr>'], 403],
    ['our address alone', ['<sip:10.0.0.1;lr>'], 481],
    ['a name as token', ['<sip:bob@10.0.0.1;lr>'], 403],
    ['another server first', ['<sip:192.0.2.77;lr>', '<sip:10.0.0.1;lr>'], 481],
    ['no address', ['nonsense'], 481],
  ])('with %s relays nothing', async (_what, Route, status) => {
    const call = await called();
    const victim = await phone(call.network, 'victim', { host: '192.0.2.77', port: 5060 });
    for (const method of ['BYE', 'INVITE', 'REFER', 'MESSAGE']) {
      within(call, call.alice, method, { uri: 'sip:victim@192.0.2.77', headers: { Route } });
      await settle();
      expect([method, call.alice.status]).toEqual([method, status]);
    }
    expect([victim.heardMethods, call.bob.heardMethods]).toEqual([[], ['INVITE']]);
  });

  it('in the Request-URI, where a strict router has it, is none without the Route of the call', async () => {
    const call = await called();
    const own = /<([^>]+)>/.exec(call.routes[1] ?? '')?.[1] ?? '';
    within(call, call.alice, 'BYE', { uri: own, headers: { Route: null } });
    expect([call.alice.status, call.bob.heardMethods]).toEqual([481, ['INVITE']]);
  });
});

describe('a made-up dialog', () => {
  it.each(['INVITE', 'BYE', 'INFO', 'UPDATE', 'REFER', 'NOTIFY', 'MESSAGE', 'SUBSCRIBE', 'PUBLISH'])(
    'of which we know nothing gets no %s through to anybody',
    async (method) => {
      const call = await called();
      const thief = await phone(call.network, 'alice', { host: '203.0.113.5', port: 5060 });
      const headers = { To: '<sip:bob@vserver>;tag=guessed', Event: 'presence', Contact: thief.contact() };
      thief.ask(method, { uri: 'sip:bob@vserver', callId: 'call', headers });
      await settle();
      expect(thief.status).toBeGreaterThanOrEqual(400);
      expect(call.bob.heardMethods).toEqual(['INVITE']);
    },
  );

  it('with a token that was heard on the wire gets through so often as a stranger may, an ACK too', async () => {
    const call = await called({ requestsASecond: 5 });
    await call.time.advance(ANSWERED_MS);
    call.bob.requests.length = 0;
    const thief = await phone(call.network, 'alice', { host: '203.0.113.5', port: 5060 });
    for (let i = 0; i < 50; i++) within(call, thief, 'INFO');
    expect(call.bob.requests).toHaveLength(5);
    await call.time.advance(ANSWERED_MS);
    call.bob.requests.length = 0;
    for (let i = 0; i < 50; i++) within(call, thief, 'ACK');
    expect([call.bob.requests.length, thief.answers]).toEqual([5, []]);
    for (let i = 0; i < 50; i++) within(call, call.alice, 'ACK');
    expect(call.bob.requests).toHaveLength(55);
  });
});
