/**
 * What of a call goes through the express lane comes out as by the general way: two nodes get the same messages, one of them
 * with an empty line in front of each (RFC 3261 7.5), and must send the same bytes to the same places.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SipSettings } from '../../src/sip/context.ts';
import { createExpress } from '../../src/sip/express.ts';
import { parseMessage } from '../../src/sip/message.ts';
import type { SipRequest, SipResponse } from '../../src/sip/message.ts';
import { settle } from '../support/clock.ts';
import type { SentDatagram } from '../support/network.ts';
import { seededRandom } from '../support/random.ts';
import type { Phone, SipNode } from '../support/sip-node.ts';
import { AT, phone, sipNode } from '../support/sip-node.ts';

const ALICE = { host: '10.0.0.7', port: 5060 };
const BOB = { host: '10.0.0.8', port: 5062 };
const STRANGER = { host: '10.0.0.9', port: 5060 };
const SDP = 'v=0\r\no=- 1 1 IN IP4 10.20.30.42\r\n';

function mostly<T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof({ arbitrary: fc.constant(usual), weight: 8 }, { arbitrary: fc.constantFrom(...others), weight: 1 });
}

/** Lines that any message may have besides its own. */
const extra = fc.subarray(
  [
    ...['User-Agent: x/1.0', 'Allow: INVITE, ACK', 'Supported: 100rel', 'k: timer', 'X-Own: 1', 'Subject:', 'x: 1'],
    ...['P-Asserted-Identity: <sip:boss@vserver>', 'P-Preferred-Identity: <sip:boss@vserver>', 'VS-Ticket: t'],
    ...['Authorization: Digest realm="vserver"', 'Proxy-Authorization: Digest realm="elsewhere"', 'vs-ticket: u'],
    ...['Contact: <sip:c@10.0.0.8:5062>', 'Content-Type: application/sdp', 'Session-Expires: 90', 'Reason: Q.850'],
    ...['Folded: a\r\n b', 'No colon', 'Require: x', 'Proxy-Require: x', 'Grüße: x', 'Space: x ', 'Route: <sip:x;lr>'],
  ],
  { maxLength: 4 },
);
const damage = fc.option(fc.tuple(fc.nat(600), fc.nat(255)), { freq: 12 });

/** `of`: which of those that came before it belongs to. */
const common = {
  of: fc.nat(5),
  extra,
  body: mostly(SDP, '', 'x'),
  length: mostly('right', '', '0', '007', '9'),
  damage,
};

const invite = fc.record({
  kind: fc.constant('invite' as const),
  uri: mostly('sip:bob@vserver', 'sip:bob@vserver;x=y', 'sip:nobody@vserver', 'sip:alice@vserver', 'sip:bob@elsewhere'),
  to: mostly('<sip:bob@vserver>', '"Bob" <sip:bob@vserver>', 'sip:bob@vserver', '<sip:bob@vserver>;tag=x'),
  via: mostly(';rport', '', ';rport=1', ';rport;received=1.2.3.4', ';x=y;rport'),
  forwards: mostly('70', '0', '1', '255', '', '070'),
  ...common,
});
const response = fc.record({
  kind: fc.constant('response' as const),
  line: mostly(
    ...['200 OK', '180 Ringing', '183 Session Progress', '100 Trying', '486 Busy Here', '404 Not', '603 No'],
    ...['200 ', '299 Grüße', '503 x', '302 Moved', '500 \u00e0', '408 x'],
  ),
  via: mostly('as it is', ';received=10.0.0.1', ';rport=5060', 'one', 'joined'),
  tag: mostly(';tag=b', '', ';tag=c'),
  hasRoutes: mostly(true, false),
  ...common,
});
const inDialog = fc.record({
  kind: fc.constant('in dialog' as const),
  method: mostly('ACK', 'BYE', 'BYE', 'INVITE', 'INFO', 'UPDATE', 'CANCEL'),
  uri: mostly(
    'as told',
    'sip:x@10.0.0.8',
    'sip:x@10.0.0.8;lr',
    'sip:x@10.0.0.8;transport=tcp',
    'tel:+86',
    'sip:x%20@h',
  ),
  routes: mostly('as they are', 'other way round', 'first', 'last', 'twice', 'joined', 'one more', 'forged', 'none'),
  to: mostly('as it is', 'without a tag', 'another'),
  callId: mostly('as it is', 'another'),
  from: mostly('caller', 'callee', 'stranger'),
  via: mostly(';rport', '', ';rport;received=1.2.3.4'),
  moreVias: mostly(0, 1, 2),
  /** Whether the branch is that of the request before. */
  repeats: mostly(false, true),
  forwards: mostly('70', '0', '1', '256', ''),
  ...common,
});
const step = fc.oneof(
  { arbitrary: invite, weight: 2 },
  { arbitrary: response, weight: 4 },
  { arbitrary: inDialog, weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant('repeat' as const), of: fc.nat(5) }), weight: 1 },
  {
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 600, 4_000, 33_000) }),
    weight: 1,
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Of<K extends Step['kind']> = Extract<Step, { kind: K }>;

const settings = fc.tuple(mostly<SipSettings['calls']>('proxy', 'auto', 'redirect'), mostly(false, true));
const FORWARDING = { always: '', busy: 'alice', noAnswer: 'nobody', noAnswerSeconds: 3, unreachable: 'nobody' };

async function started(calls: SipSettings['calls'] = 'proxy', isForwarded = false) {
  const random = seededRandom(1);
  const node = await sipNode({ settings: { calls }, random });
  const phones: Phone[] = [];
  for (const [uid, at] of [['alice', ALICE] as const, ['bob', BOB] as const]) {
    node.directory.put(uid === 'bob' && isForwarded ? { uid, forwarding: FORWARDING } : { uid });
    const one = await phone(node.network, uid, at);
    one.register();
    await settle();
    expect(one.status).toBe(200);
    // What goes out of the node is looked at, not what a phone makes of it.
    one.heard = () => undefined;
    await node.time.advance(1);
    phones.push(one);
  }
  node.network.sent.length = 0;
  const [alice, bob] = phones;
  if (alice === undefined || bob === undefined) throw new Error('no phones');
  return { ...node, alice, bob };
}
type Node = Awaited<ReturnType<typeof started>>;

const COMMON = { of: 0, extra: [], body: SDP, length: 'right', damage: null };
const INVITE: Of<'invite'> = {
  ...COMMON,
  kind: 'invite',
  uri: 'sip:bob@vserver',
  to: '<sip:bob@vserver>',
  via: ';rport',
  forwards: '70',
};
const RESPONSE: Of<'response'> = {
  ...COMMON,
  kind: 'response',
  line: '200 OK',
  via: 'as it is',
  tag: ';tag=b',
  hasRoutes: true,
};
const IN_DIALOG: Of<'in dialog'> = {
  ...COMMON,
  ...{ kind: 'in dialog', method: 'BYE', uri: 'as told', routes: 'as they are', to: 'as it is', callId: 'as it is' },
  ...{ from: 'caller', via: ';rport', moreVias: 0, repeats: false, forwards: '70' },
};

function request(message: SipRequest | SipResponse): SipRequest {
  if (message.kind !== 'request') throw new Error('no request');
  return message;
}

/** What has gone out of the node. */
function sentBy({ network }: SipNode): readonly (readonly [to: string, text: string])[] {
  return network.sent
    .filter(({ from }) => from.host === AT.host)
    .map(({ to, bytes }) => [`${to.host}:${to.port}`, bytes.toString('latin1')] as const);
}

function pick<T>(list: readonly T[], of: number): T | undefined {
  return list.length === 0 ? undefined : list[list.length - 1 - (of % list.length)];
}

/** The message with these lines, as the step has it. */
function messageOf(lines: readonly string[], one: Pick<Of<'invite'>, 'extra' | 'body' | 'length' | 'damage'>): Buffer {
  const length = one.length === 'right' ? String(one.body.length) : one.length;
  const all = [...lines, ...one.extra, ...(length === '' ? [] : [`Content-Length: ${length}`])];
  const bytes = Buffer.from(`${all.join('\r\n')}\r\n\r\n${one.body}`);
  if (one.damage !== null && one.damage[0] < bytes.length) bytes[one.damage[0]] = one.damage[1];
  return bytes;
}

/** A line for each value. */
function linesFor(name: string, values: readonly string[]): string[] {
  return values.map((value) => `${name}: ${value}`);
}

let branches = 0;

function inviteOf(one: Of<'invite'>, alice: Phone): Buffer {
  branches++;
  const lines = [
    `INVITE ${one.uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${ALICE.host}:${ALICE.port}${one.via};branch=z9hG4bKi${branches}`,
    ...(one.forwards === '' ? [] : [`Max-Forwards: ${one.forwards}`]),
    'From: <sip:alice@vserver>;tag=a',
    `To: ${one.to}`,
    `Call-ID: call-${branches}`,
    `CSeq: ${branches} INVITE`,
    `Authorization: ${alice.digest('INVITE', { uri: one.uri })}`,
    `Contact: ${alice.contact()}`,
  ];
  return messageOf(lines, one);
}

function responseOf(one: Of<'response'>, request: SipRequest): Buffer {
  const [ours = '', ...others] = request.headers('Via');
  const vias = {
    'as it is': [ours, ...others],
    ';received=10.0.0.1': [`${ours};received=10.0.0.1`, ...others],
    ';rport=5060': [ours.replace(';rport', ';rport=5060'), ...others],
    one: [ours],
    joined: [[ours, ...others].join(', ')],
  }[one.via];
  const toHeader = request.header('To') ?? '';
  const lines = [
    `SIP/2.0 ${one.line}`,
    ...linesFor('Via', vias ?? []),
    ...(one.hasRoutes ? linesFor('Record-Route', request.headers('Record-Route')) : []),
    `From: ${request.header('From') ?? ''}`,
    `To: ${toHeader}${toHeader.includes(';tag=') ? '' : one.tag}`,
    `Call-ID: ${request.callId}`,
    `CSeq: ${request.cseq.number} ${request.cseq.method}`,
  ];
  return messageOf(lines, one);
}

function inDialogOf(one: Of<'in dialog'>, answer: SipResponse): Buffer {
  if (!one.repeats) branches++;
  const recorded = answer.headers('Record-Route');
  const isBack = one.from === 'callee';
  const usual = isBack ? recorded : recorded.toReversed();
  const [first = '', last = ''] = usual;
  const routes = {
    'as they are': usual,
    'other way round': usual.toReversed(),
    first: [first],
    last: [last],
    twice: [...usual, ...usual],
    joined: [usual.join(', ')],
    'one more': [...usual, '<sip:192.0.2.7;lr>'],
    forged: [first, last.replace(/.@/, 'x@')],
    none: [],
  }[one.routes];
  const [from = '', to = ''] = isBack
    ? [answer.header('To'), answer.header('From')]
    : [answer.header('From'), answer.header('To')];
  const at = { caller: ALICE, callee: BOB, stranger: STRANGER }[one.from] ?? ALICE;
  const lines = [
    `${one.method} ${one.uri === 'as told' ? 'sip:phone@10.0.0.8:5062' : one.uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${at.host}:${at.port}${one.via};branch=z9hG4bKd${branches}`,
    ...linesFor(
      'Via',
      ['SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKo1', 'SIP/2.0/TCP 10.1.1.2;branch=o2'].slice(0, one.moreVias),
    ),
    ...(one.forwards === '' ? [] : [`Max-Forwards: ${one.forwards}`]),
    ...linesFor(
      'Route',
      (routes ?? []).filter((route) => route !== ''),
    ),
    `From: ${from}`,
    `To: ${one.to === 'as it is' ? to : one.to === 'another' ? '<sip:z@vserver>;tag=z' : to.replace(/;tag=.*/, '')}`,
    `Call-ID: ${one.callId === 'as it is' ? answer.callId : 'call-x'}`,
    `CSeq: ${branches} ${one.method}`,
  ];
  return messageOf(lines, one);
}

/** Where the message comes from, and its bytes; null where there is nothing that it could belong to. */
function nextOf(one: Step, node: Node, came: readonly Came[]): Came | null {
  const heard = sentBy(node).flatMap(([, text]) => parseMessage(Buffer.from(text, 'latin1')) ?? []);
  switch (one.kind) {
    case 'wait':
      return null;
    case 'repeat':
      return pick(came, one.of) ?? null;
    case 'invite':
      return { from: ALICE, bytes: inviteOf(one, node.alice) };
    case 'response': {
      const requests = heard.filter((message) => message.kind === 'request');
      const request = pick(requests, one.of);
      return request === undefined ? null : { from: BOB, bytes: responseOf(one, request) };
    }
    case 'in dialog': {
      const answers = heard.filter(
        (message) => message.kind === 'response' && message.headers('Record-Route').length > 0,
      );
      const answer = pick(answers, one.of);
      if (answer?.kind !== 'response') return null;
      const from = { caller: ALICE, callee: BOB, stranger: STRANGER }[one.from] ?? ALICE;
      return { from, bytes: inDialogOf(one, answer) };
    }
  }
}
type Came = Pick<SentDatagram, 'from' | 'bytes'>;

function give({ sip }: Node, { from, bytes }: Came): void {
  sip.handlers.onMessage(Buffer.from(bytes), sip.context.flows.flowTo(from));
}

function state({ sip, network, time }: Node): unknown {
  const { transactions, waiting } = sip.context;
  return [transactions.count(), waiting.size, time.running(), network.sent.length];
}

describe('the express lane of calls', () => {
  it('takes all messages of an ordinary call', async () => {
    const node = await started();
    const express = createExpress(node.sip.context);
    const takes = (from: typeof ALICE, bytes: Buffer): boolean => express(bytes, node.sip.context.flows.flowTo(from));
    const last = (): SipRequest | SipResponse => {
      const message = parseMessage(Buffer.from(sentBy(node).at(-1)?.[1] ?? '', 'latin1'));
      if (message === null || message.kind === 'problem') throw new Error('nothing was sent');
      return message;
    };
    const answer = (line: string): Buffer => responseOf({ ...RESPONSE, line }, request(last()));
    expect(takes(ALICE, inviteOf(INVITE, node.alice))).toBe(true);
    const [ringing, ok] = [answer('180 Ringing'), answer('200 OK')];
    expect([takes(BOB, ringing), takes(BOB, ok)]).toEqual([true, true]);
    const answered = last();
    if (answered.kind !== 'response') throw new Error('no answer');
    expect(takes(ALICE, inDialogOf({ ...IN_DIALOG, method: 'ACK' }, answered))).toBe(true);
    expect(takes(BOB, inDialogOf({ ...IN_DIALOG, method: 'BYE', from: 'callee' }, answered))).toBe(true);
    expect(takes(ALICE, answer('200 OK'))).toBe(true);
    expect(sentBy(node).map(([, text]) => text.slice(0, text.indexOf(' ', 8)))).toEqual([
      ...['INVITE sip:bob@10.0.0.8:5062', 'SIP/2.0 180', 'SIP/2.0 200'],
      ...['ACK sip:phone@10.0.0.8:5062', 'BYE sip:phone@10.0.0.8:5062', 'SIP/2.0 200'],
    ]);
  });

  it('sends on and answers all messages as the general way does', async () => {
    await fc.assert(
      fc.asyncProperty(settings, fc.array(step, { minLength: 1, maxLength: 14 }), async (own, steps) => {
        const [fast, slow] = [await started(...own), await started(...own)];
        const came: Came[] = [];
        for (const one of steps) {
          const next = nextOf(one, fast, came);
          if (next !== null) {
            came.push(next);
            give(fast, next);
            give(slow, { from: next.from, bytes: Buffer.concat([Buffer.from('\r\n'), next.bytes]) });
          }
          if (one.kind === 'wait') for (const side of [fast, slow]) await side.time.advance(one.ms);
          await settle();
          expect(sentBy(fast)).toEqual(sentBy(slow));
          expect(state(fast)).toEqual(state(slow));
        }
      }),
      { numRuns: 300 },
    );
  });
});
