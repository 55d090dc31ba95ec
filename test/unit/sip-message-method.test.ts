/** MESSAGE (RFC 3428) at the SIP edge: from a telephone into the flow, and from there to telephones. */
import { describe, expect, it } from 'vitest';
import { MESSAGES_MAX } from '../../src/directory/message-store.ts';
import { MESSAGE_BODY_BYTES_MAX } from '../../src/messages/message-rules.ts';
import { parseMessage, SipRequest } from '../../src/sip/message.ts';
import { makeResponse } from '../../src/sip/response.ts';
import { settle } from '../support/clock.ts';
import { loggedIn } from '../support/flows.ts';
import type { Phone } from '../support/sip-node.ts';
import { AT, phone, sipNode } from '../support/sip-node.ts';

const BOB_AT = { host: '10.0.0.8', port: 5062 };

/** Alice is registered; Bob's telephone answers what it gets with `status`, or not at all. */
async function started(options: Parameters<typeof sipNode>[0] = {}) {
  const node = await sipNode(options);
  node.directory.put({ uid: 'alice' });
  node.directory.put({ uid: 'bob' });
  const alice = await phone(node.network, 'alice');
  alice.register();
  await settle();
  expect(alice.status).toBe(200);
  const got: SipRequest[] = [];
  const bob = { status: 200 as number | null };
  const socket = await node.network.bind(BOB_AT, (bytes) => {
    const request = parseMessage(Buffer.from(bytes));
    if (!(request instanceof SipRequest)) throw new Error('no request');
    got.push(request);
    if (bob.status !== null) socket.send(makeResponse(request, bob.status, 'Because'), AT);
  });
  const bobRegisters = async (): Promise<void> => {
    await loggedIn(node, 'bob', { source: BOB_AT, contact: 'sip:bob@10.0.0.8:5062', instance: 'desk' });
    await node.time.advance(1_000);
  };
  await node.time.advance(1_000);
  return { ...node, alice, bob, got, bobRegisters };
}

interface Told {
  readonly to?: string;
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly body?: string | Buffer;
}

/** Sends a MESSAGE with credentials. */
function tell(from: Phone, { to = 'bob', headers = {}, body = 'hello' }: Told = {}): void {
  const uri = `sip:${to}@vserver`;
  from.ask('MESSAGE', {
    uri,
    body,
    headers: {
      To: `<${uri}>`,
      Authorization: from.digest('MESSAGE', { uri }),
      'Content-Type': 'text/plain',
      ...headers,
    },
  });
}

describe('a MESSAGE', () => {
  it('reaches a registered telephone with its text, type and time: 200', async () => {
    const { alice, got, bobRegisters, time } = await started();
    await bobRegisters();
    tell(alice, { headers: { 'Content-Type': 'text/plain;charset=UTF-8' }, body: 'Grüße 🙂' });
    await settle();
    expect(alice.status).toBe(200);
    expect(got).toHaveLength(1);
    const [request] = got;
    expect(request?.requestUri).toBe('sip:bob@10.0.0.8:5062');
    expect(request?.from.uri.text).toBe('sip:alice@10.0.0.1:5060');
    expect(request?.contentType).toBe('text/plain;charset=UTF-8');
    expect(request?.header('Date')).toBe(new Date(time.clock.now()).toUTCString());
    expect(request?.body.toString()).toBe('Grüße 🙂');
  });

  it('waits for somebody who is offline: 202, and comes after his registration, in order', async () => {
    const { alice, got, bobRegisters } = await started();
    for (const body of ['one', 'two', '']) {
      tell(alice, { body });
      await settle();
      expect(alice.status).toBe(202);
    }
    expect(got).toEqual([]);
    await bobRegisters();
    expect(got.map(({ body }) => body.toString())).toEqual(['one', 'two', '']);
  });

  it('that a silent telephone takes after 3 s is answered 202, and is not sent another time', async () => {
    const { alice, bob, got, bobRegisters, directory, time } = await started();
    await bobRegisters();
    bob.status = null;
    tell(alice);
    await time.advance(2_900);
    const before = alice.answers.length;
    await time.advance(200);
    expect(alice.answers.slice(before).map(({ status }) => status)).toEqual([202]);
    expect(await directory.messages?.list('bob', 0, 0)).toHaveLength(1);
    bob.status = 200;
    await time.advance(10_000);
    expect(await directory.messages?.list('bob', 0, 0)).toEqual([]);
    expect(new Set(got.map(({ callId }) => callId)).size).toBe(1);
    expect(new Set(got.map(({ topVia }) => topVia.branch)).size).toBe(1);
  });

  it('that no telephone answers for 32 s waits, and comes again under the same Call-ID', async () => {
    const { alice, bob, got, bobRegisters, time } = await started();
    await bobRegisters();
    bob.status = null;
    tell(alice);
    await time.advance(60_000);
    const tries = got.length;
    await time.advance(60_000);
    expect(got).toHaveLength(tries);
    bob.status = 200;
    await bobRegisters();
    expect(got).toHaveLength(tries + 1);
    expect(new Set(got.map(({ callId }) => callId)).size).toBe(1);
  });

  it('is sent again by its sender without being sent on again', async () => {
    const { alice, got, bobRegisters } = await started();
    await bobRegisters();
    tell(alice);
    await settle();
    alice.repeat();
    await settle();
    expect(alice.answers.slice(-2).map(({ status }) => status)).toEqual([200, 200]);
    expect(got).toHaveLength(1);
  });

  it('without any text is a message too', async () => {
    const { alice, got, bobRegisters } = await started();
    await bobRegisters();
    tell(alice, { body: '', headers: { 'Content-Type': null } });
    await settle();
    expect(alice.status).toBe(200);
    expect(got.map(({ body }) => body.length)).toEqual([0]);
  });

  it('to somebody for whom 1,000 wait already is 480, until he has taken one', async () => {
    const { alice, time, bobRegisters } = await started();
    for (let i = 0; i < MESSAGES_MAX; i++) {
      tell(alice);
      await settle();
      await time.advance(100);
    }
    expect(alice.status).toBe(202);
    tell(alice);
    await settle();
    expect([alice.status, alice.last.reason]).toEqual([480, 'Too Many Messages Wait']);
    await bobRegisters();
    tell(alice);
    await settle();
    expect(alice.status).toBe(200);
  });

  it.each([415, 405, 488, 603])('that a telephone refuses by %i waits: 202', async (status) => {
    const { alice, bob, bobRegisters, directory } = await started();
    await bobRegisters();
    bob.status = status;
    tell(alice);
    await settle();
    expect(alice.status).toBe(202);
    expect(await directory.messages?.list('bob', 0, 0)).toHaveLength(1);
  });

  it('goes by number too, and a user or domain that is not there is 404', async () => {
    const { alice, directory } = await started();
    directory.put({ uid: '10055501', region: 'china', countryCode: '86' });
    const statuses: number[] = [];
    for (const to of ['+8610055501', 'nobody']) {
      tell(alice, { to });
      await settle();
      statuses.push(alice.status);
    }
    alice.ask('MESSAGE', { uri: 'sip:bob@elsewhere.example' });
    expect([...statuses, alice.status]).toEqual([202, 404, 404]);
  });

  it('by somebody who may not, or to somebody who does not want it, is 403; blocked is told as stored', async () => {
    const { alice, directory } = await started();
    const { user } = directory.row('bob') ?? {};
    if (user === undefined) throw new Error('no Bob');
    directory.put({ ...user, service: { ...user.service, mayBeCalledBy: 'none' } });
    tell(alice);
    await settle();
    expect(alice.status).toBe(403);
    directory.put({ ...user, lists: { ...user.lists, blocked: ['alice'] } });
    tell(alice);
    await settle();
    expect(alice.status).toBe(202);
    expect(await directory.messages?.list('bob', 0, 0)).toEqual([]);
  });
});

describe('who sends a MESSAGE', () => {
  it('proves it, also from the address where he is registered: a datagram can feign that', async () => {
    const { alice, directory } = await started();
    directory.calls.length = 0;
    alice.proves = false;
    alice.ask('MESSAGE', { body: 'forged', uri: 'sip:bob@vserver', headers: { To: '<sip:bob@vserver>' } });
    await settle();
    expect(alice.status).toBe(401);
    expect(directory.calls).toEqual([]);
  });

  it('gets no state and no answer to a wrong password but 403', async () => {
    const { alice, sip, time } = await started();
    const uri = 'sip:bob@vserver';
    const before = sip.context.transactions.count();
    const Authorization = alice.digest('MESSAGE', { uri, password: 'wrong' });
    alice.ask('MESSAGE', { body: 'x', uri, headers: { To: `<${uri}>`, Authorization } });
    await time.advance(1_000);
    expect(alice.status).toBe(403);
    expect(sip.context.transactions.count()).toBe(before);
  });

  it('does not write in the name of another one', async () => {
    const { alice } = await started();
    tell(alice, { headers: { From: '<sip:bob@vserver>;tag=a' } });
    await settle();
    expect(alice.status).toBe(403);
  });
});

describe('what is no message', () => {
  it.each([
    ['no UTF-8', { body: Buffer.from([0x61, 0xff, 0x62]) }, 415],
    ['a control character', { body: 'a\0b' }, 415],
    ['compressed', { headers: { 'Content-Encoding': 'deflate' } }, 415],
    ['no media type', { headers: { 'Content-Type': 'nonsense' } }, 415],
    ['within a dialog', { headers: { To: '<sip:bob@vserver>;tag=b' } }, 481],
    ['out of hops', { headers: { 'Max-Forwards': '0' } }, 483],
    ['of an unknown extension', { headers: { Require: 'x' } }, 420],
  ])('%s', async (_what, told, status) => {
    const { alice, directory } = await started();
    tell(alice, told);
    await settle();
    expect(alice.status).toBe(status);
    expect(directory.calls).not.toContain('addMessage');
  });

  it('nearly 64 KiB are one, and more than a datagram can hold never comes', async () => {
    const { alice, directory } = await started();
    tell(alice, { body: 'x'.repeat(60_000) });
    await settle();
    expect(alice.status).toBe(202);
    expect((await directory.messages?.list('bob', 0, 0))?.[0]?.body).toHaveLength(60_000);
    const answers = alice.answers.length;
    tell(alice, { body: 'x'.repeat(64 * 1024) });
    await settle();
    const [answer, ...others] = alice.answers.slice(answers);
    expect(others).toEqual([]);
    expect(answer === undefined || answer.status >= 400).toBe(true);
    expect(await directory.messages?.list('bob', 0, 0)).toHaveLength(1);
  });

  it('with 64 KiB from elsewhere no telephone can take one: it waits, and the node goes on', async () => {
    const { messages, got, bobRegisters } = await started();
    await bobRegisters();
    const body = 'x'.repeat(MESSAGE_BODY_BYTES_MAX);
    const sent = messages.send({
      from: 'alice',
      mayCallOut: true,
      to: 'bob',
      id: 'm',
      contentType: 'text/plain',
      body,
    });
    expect(await sent).toBe('stored');
    expect(got).toEqual([]);
  });

  it('while the directory is away it is 503, and no transaction stays', async () => {
    const { alice, directory, time, sip } = await started();
    directory.down = true;
    tell(alice);
    await settle();
    expect([alice.status, alice.last.header('Retry-After')]).toEqual([503, '5']);
    await time.advance(40_000);
    expect(sip.context.transactions.count()).toBe(0);
  });
});
