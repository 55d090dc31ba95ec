/** What strangers can do to the SIP edge: get one short answer, so often, and leave nothing behind. */
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import { settle } from '../support/clock.ts';
import type { SipNode } from '../support/sip-node.ts';
import { AT, phone, sipNode } from '../support/sip-node.ts';
import { memoryStreams } from '../support/streams.ts';

const METHODS = ['REGISTER', 'INVITE', 'OPTIONS', 'MESSAGE', 'SUBSCRIBE', 'REFER', 'PUBLISH', 'BYE', 'CANCEL', 'DANCE'];
/** After 64*T1 every retransmission that there could be has come. */
const ALL_TIMERS_MS = 64_000;
/** Two challenges, beside what is copied from the request. */
const LONGER_BY_MAX = 350;

function kept({ sip, time, table }: SipNode) {
  const { waiting, transactions } = sip.context;
  return { waiting: waiting.size, transactions: transactions.count(), timers: time.running(), sessions: table.count };
}
const NOTHING = { waiting: 0, transactions: 0, timers: 0, sessions: 0 };

function sentBy(node: SipNode) {
  return node.network.sent.filter(({ from }) => formatAddress(from) === formatAddress(AT));
}

describe('a source that may be feigned', () => {
  it.each(METHODS)(
    'gets one answer to %s, hardly longer than its request, and nothing is kept or repeated',
    async (method) => {
      const node = await sipNode();
      node.directory.put({ uid: 'alice' });
      const one = await phone(node.network, 'alice');
      const uri = method === 'REGISTER' ? 'sip:vserver' : 'sip:alice@vserver';
      one.ask(method, { uri });
      expect(kept(node)).toEqual(NOTHING);
      await node.time.advance(ALL_TIMERS_MS);
      const answers = sentBy(node);
      expect(answers).toHaveLength(1);
      expect(answers[0]?.bytes.length).toBeLessThan(one.sent.length + LONGER_BY_MAX);
      expect(node.directory.calls).toEqual([]);
    },
  );

  it('gets nothing to an ACK, and to responses of all kinds', async () => {
    const node = await sipNode();
    const one = await phone(node.network, 'alice');
    one.ask('ACK', { uri: 'sip:alice@vserver' });
    for (const status of [100, 180, 200, 302, 401, 487, 503, 699]) {
      for (const method of METHODS) {
        one.raw(one.sent.replace(/^[^\r]*/, `SIP/2.0 ${status} X`).replace(/^CSeq: .*$/m, `CSeq: 1 ${method}`));
      }
    }
    await node.time.advance(ALL_TIMERS_MS);
    expect(sentBy(node)).toEqual([]);
    expect(kept(node)).toEqual(NOTHING);
  });

  it('of a thousand, each asks for a call and is never heard of again: nothing is kept', async () => {
    const node = await sipNode();
    node.directory.put({ uid: 'alice' });
    for (let i = 0; i < 1_000; i++) {
      const one = await phone(node.network, 'alice', { host: `192.0.${i >> 8}.${i & 255}`, port: 5060 });
      one.ask('INVITE', { uri: 'sip:alice@vserver' });
      expect(one.status).toBe(407);
    }
    expect(kept(node)).toEqual(NOTHING);
    expect(node.directory.calls).toEqual([]);
  });

  it('that sends faster than it may gets no answer any more', async () => {
    const node = await sipNode({ requestsASecond: 10 });
    const one = await phone(node.network, 'alice');
    for (let i = 0; i < 1_000; i++) one.ask(METHODS[i % METHODS.length] ?? '', { uri: 'sip:alice@vserver' });
    expect(one.answers).toHaveLength(10);
    await node.time.advance(1_000);
    one.ask('OPTIONS');
    expect(one.answers).toHaveLength(11);
  });

  it('that asks by STUN, where the answer is longer, gets no more of them than of others', async () => {
    const node = await sipNode({ requestsASecond: 10 });
    const source = await node.network.bind({ host: '192.0.2.9', port: 5060 }, () => undefined);
    const binding = Buffer.from('000100002112a442000000000000000000000001', 'hex');
    for (let i = 0; i < 1_000; i++) source.send(binding, AT);
    expect(sentBy(node)).toHaveLength(10);
    for (const { bytes } of sentBy(node)) expect(bytes.length - binding.length).toBeLessThanOrEqual(24);
    await node.time.advance(1_000);
    source.send(binding, AT);
    expect(sentBy(node)).toHaveLength(11);
  });

  it('as which a registered phone is known makes the directory work so often and no more', async () => {
    const node = await sipNode({ requestsASecond: 10 });
    for (const uid of ['alice', 'bob']) node.directory.put({ uid });
    const alice = await phone(node.network, 'alice');
    alice.register();
    await node.time.advance(2_000);
    node.directory.held = true;
    alice.proves = false;
    for (let i = 0; i < 1_000; i++) alice.ask('INVITE', { uri: 'sip:bob@vserver' });
    expect(kept(node)).toMatchObject({ waiting: 10, transactions: 0, timers: 0 });
    expect(node.directory.waiting()).toBe(10);
    node.directory.held = false;
    node.directory.release();
    await settle();
    expect(alice.answers.filter(({ status }) => status === 480)).toHaveLength(10);
    expect(kept(node)).toMatchObject({ waiting: 0, transactions: 0, timers: 0 });
  });
});

describe('a failed login by INVITE', () => {
  it.each([
    ['a wrong password', 'alice', 'guessed', 'wrong-secret'],
    ['an unknown user', 'nobody', 'secret', 'unknown-user'],
  ])(
    'with %s is answered like others, logged with source, uid and reason, and counted',
    async (_, uid, password, reason) => {
      const node = await sipNode({ failuresAMinute: 1 });
      node.directory.put({ uid: 'alice' });
      const one = await phone(node.network, uid);
      const uri = 'sip:alice@vserver';
      const call = (): void => {
        one.ask('INVITE', { uri, headers: { Authorization: one.digest('INVITE', { uri, password }) } });
      };
      one.ask('INVITE', { uri });
      call();
      await node.time.advance(199);
      expect(one.status).toBe(407);
      await node.time.advance(1);
      expect(one.status).toBe(403);
      const source = formatAddress(one.at);
      expect(node.logged).toEqual([{ source, uid, reason, edge: 'sip', message: 'login failed' }]);
      call();
      await settle();
      expect(one.status).toBe(503);
      expect(node.logged).toHaveLength(1);
    },
  );
});

describe('what is too long', () => {
  const HEAD = 'OPTIONS sip:vserver SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.9:5060;branch=z9hG4bK-1;rport\r\n';
  const REST =
    'From: <sip:a@vserver>;tag=1\r\nTo: <sip:a@vserver>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n';
  const LONG: readonly (readonly [string, string])[] = [
    ['a header of 1 MB', `X: ${'x'.repeat(2 ** 20)}\r\n`],
    ['a header name of 1 MB', `${'x'.repeat(2 ** 20)}: x\r\n`],
    ['10,000 Vias', 'Via: SIP/2.0/TCP a;branch=z9hG4bK-2\r\n'.repeat(10_000)],
    ['10,000 Vias in a line', `Via: SIP/2.0/TCP a${',SIP/2.0/TCP a'.repeat(10_000)}\r\n`],
  ];

  it.each(LONG)('over TCP, %s: one answer, and the connection ends', async (_, lines) => {
    const streams = memoryStreams();
    const node = await sipNode({ streams });
    const stream = streams.connect(AT, { host: '10.0.0.9', port: 1024 });
    const bytes = Buffer.from(HEAD + lines + REST);
    for (let at = 0; at < bytes.length && stream?.isOpen === true; at += 1_400)
      stream.send(bytes.subarray(at, at + 1_400));
    expect(stream?.isOpen).toBe(false);
    const answer = Buffer.concat(stream?.received ?? []).toString();
    expect(answer.match(/SIP\/2\.0 (?:513|400) /g) ?? []).toHaveLength(1);
    expect(answer.length).toBeLessThan(bytes.length);
    expect(node.transports?.connections).toBe(0);
  });

  it.each(LONG)(
    'over UDP, what fits into a datagram of %s: one answer at most, no longer than it',
    async (_, lines) => {
      const node = await sipNode();
      const one = await phone(node.network, 'alice');
      const bytes = Buffer.from(HEAD + lines).subarray(0, 65_507);
      const socket = await node.network.bind({ host: '10.0.0.9', port: 5060 }, () => undefined);
      socket.send(bytes, AT);
      const answers = sentBy(node);
      expect(answers.length).toBeLessThanOrEqual(1);
      for (const answer of answers) expect(answer.bytes.length).toBeLessThanOrEqual(bytes.length + LONGER_BY_MAX);
      one.ask('OPTIONS');
      expect(one.status).toBe(200);
    },
  );
});
