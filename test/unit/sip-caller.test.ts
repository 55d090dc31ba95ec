/** Who calls, and how he proves it: what a datagram says of its sender, anybody can say. */
import { describe, expect, it } from 'vitest';
import type { Address } from '../../src/base/model.ts';
import { settle } from '../support/clock.ts';
import { serverRecord } from '../support/flows.ts';
import type { Ask, SipNode, SipNodeOptions } from '../support/sip-node.ts';
import { AT, Phone, phone, sipNode } from '../support/sip-node.ts';
import { memoryStreams } from '../support/streams.ts';

const BOB = { uri: 'sip:bob@vserver', headers: { To: '<sip:bob@vserver>' } };
/** Behind a NAT, so that he is called through us. */
const PRIVATE = '<sip:bob@192.168.1.2:5060>';

async function registered({ network, time }: SipNode, uid: string, contact: string | null = null): Promise<Phone> {
  const one = await phone(network, uid);
  one.register(contact === null ? {} : { headers: { Contact: contact } });
  await settle();
  expect(one.status).toBe(200);
  one.answers.length = 0;
  one.answersWith = 0;
  // Of two nonces of one millisecond the second counts as spent.
  await time.advance(1);
  return one;
}

async function started(options: SipNodeOptions = {}, bobsContact: string | null = PRIVATE) {
  const node = await sipNode(options);
  for (const uid of ['alice', 'bob', '1234']) node.directory.put({ uid });
  const alice = await registered(node, 'alice');
  const bob = await registered(node, 'bob', bobsContact);
  const calls = (): number => bob.requests.filter(({ method }) => method === 'INVITE').length;
  return { ...node, alice, bob, calls };
}

/** INVITE to Bob with an answer to the last challenge, as a proxy is given it. */
function proved(from: Phone, ask: Ask = {}, secret: Parameters<Phone['digest']>[1] = {}): void {
  const headers = { ...BOB.headers, 'Proxy-Authorization': from.digest('INVITE', { uri: BOB.uri, ...secret }) };
  from.ask('INVITE', { ...BOB, ...ask, headers: { ...headers, Authorization: null, ...ask.headers } });
}

function statuses({ answers }: Phone): number[] {
  return answers.map(({ status }) => status);
}

describe('a datagram from the address of a registered phone', () => {
  it.each(['INVITE', 'REFER', 'OPTIONS'])('is challenged before its %s is sent on', async (method) => {
    const { alice, bob, sip } = await started();
    alice.proves = false;
    const before = sip.context.transactions.count();
    alice.ask(method, BOB);
    expect(alice.status).toBe(407);
    expect(alice.last.headers('Proxy-Authenticate')).toHaveLength(2);
    expect(bob.requests).toEqual([]);
    expect([sip.context.transactions.count() - before, sip.context.waiting.size]).toEqual([0, 0]);
  });

  it('is answered with a 302 without one: that goes only to where he is registered', async () => {
    const { alice } = await started({}, null);
    alice.proves = false;
    alice.ask('INVITE', BOB);
    expect(statuses(alice)).toEqual([302]);
  });

  it('makes no subscription before it is proved', async () => {
    const { alice, presence } = await started();
    alice.proves = false;
    const headers = { ...BOB.headers, Contact: alice.contact(), Event: 'presence' };
    alice.ask('SUBSCRIBE', { ...BOB, headers });
    expect([alice.status, presence.subscriptions.count]).toEqual([401, 0]);
    alice.proves = true;
    alice.ask('SUBSCRIBE', { ...BOB, headers });
    expect([alice.status, presence.subscriptions.count]).toEqual([200, 1]);
  });
});

describe('the answer to the challenge', () => {
  it('is needed once: further calls go with the same nonce and a higher count', async () => {
    const { alice, calls } = await started();
    alice.proves = false;
    alice.ask('INVITE', BOB);
    for (let i = 0; i < 5; i++) proved(alice, { callId: `call-${i}` });
    expect([statuses(alice), calls()]).toEqual([[407], 5]);
  });

  it('may be given unasked, with the nonce of the registration', async () => {
    const { alice, calls } = await started();
    alice.ask('INVITE', BOB);
    expect([statuses(alice), calls()]).toEqual([[], 1]);
    alice.register();
    expect(alice.status).toBe(200);
  });

  it('is not taken again: whoever copied it from the wire can change neither Call-ID nor anything else', async () => {
    const { alice, calls } = await started();
    const { nonce } = alice;
    proved(alice, { callId: 'mine' }, { nc: 7 });
    expect(calls()).toBe(1);
    for (const nc of [7, 6]) {
      alice.nonce = nonce;
      proved(alice, { callId: 'forged' }, { nc });
      expect(alice.status).toBe(407);
      expect(alice.last.header('Proxy-Authenticate')).toContain('stale=true');
    }
    expect(calls()).toBe(1);
  });

  it('is not taken again of whom the directory knows alone, nor twice while that is asked', async () => {
    const { network, directory, calls } = await started();
    directory.put({ uid: 'carol' });
    const carol = await phone(network, 'carol');
    carol.ask('INVITE', BOB);
    directory.held = true;
    proved(carol, { callId: 'one' }, { nc: 1 });
    proved(carol, { callId: 'two' }, { nc: 1 });
    directory.held = false;
    directory.release();
    await settle();
    expect([carol.status, calls()]).toEqual([407, 1]);
    proved(carol, { callId: 'three' }, { nc: 2 });
    await settle();
    expect(calls()).toBe(2);
  });

  it('comes again by a retransmission, which is no second call, and gets the same 302', async () => {
    const proxied = await started();
    proxied.alice.ask('INVITE', BOB);
    proxied.alice.repeat();
    expect(proxied.calls()).toBe(1);
    const { alice } = await started({}, null);
    alice.ask('INVITE', BOB);
    alice.repeat();
    expect(statuses(alice)).toEqual([302, 302]);
    expect(alice.last.text).toBe(alice.answers[0]?.text);
  });

  it('is looked for where a proxy is answered first: what was meant for the registrar may be stale', async () => {
    const { alice, calls } = await started();
    const old = alice.digest('INVITE', { uri: BOB.uri, nc: 1 });
    alice.ask('INVITE', { ...BOB, headers: { ...BOB.headers, Authorization: old } });
    expect(alice.status).toBe(407);
    proved(alice, { headers: { Authorization: old } });
    expect(calls()).toBe(1);
  });
});

describe('a connection', () => {
  async function overTcp() {
    const streams = memoryStreams();
    const node = await started({ streams });
    const connected = (uid: string, from: Address): (() => Promise<Phone>) => {
      const stream = streams.connect(AT, from);
      if (stream === null) throw new Error('refused');
      const one = new Phone(uid, from, (text) => {
        stream.send(text);
      });
      one.transport = 'TCP';
      one.answersWith = 0;
      return async () => {
        await settle();
        for (const bytes of stream.received.splice(0)) one.heard(bytes);
        return one;
      };
    };
    return { ...node, connected };
  }

  it('over which a phone has registered is its own: its calls are not challenged', async () => {
    const { connected, calls } = await overTcp();
    const hear = connected('alice', { host: '10.0.0.8', port: 1024 });
    const one = await hear();
    one.ask('REGISTER', { headers: { Contact: one.contact(';transport=tcp') } });
    await hear();
    one.register({ headers: { Contact: one.contact(';transport=tcp') } });
    expect((await hear()).status).toBe(200);
    one.proves = false;
    one.ask('INVITE', BOB);
    await hear();
    expect([one.status, calls()]).toEqual([200, 1]);
  });

  it('from the address of a registration that came otherwise proves nothing', async () => {
    const { connected, calls, alice } = await overTcp();
    const hear = connected('alice', alice.at);
    const one = await hear();
    one.ask('INVITE', BOB);
    expect((await hear()).status).toBe(407);
    expect(calls()).toBe(0);
  });
});

describe('the From', () => {
  it.each([
    ['of another domain', '<sip:alice@example.org>;tag=a', 403],
    ['of another user', '<sip:bob@vserver>;tag=a', 403],
    ['of nobody', '<sip:vserver>;tag=a', 403],
    ['of another scheme', '<mailto:alice@vserver>;tag=a', 403],
    ['with a number that is not his', '<sip:0861234@vserver>;tag=a', 403],
  ])('%s is refused', async (_what, From, status) => {
    const { alice, calls } = await started();
    alice.ask('INVITE', { ...BOB, headers: { ...BOB.headers, From } });
    await settle();
    expect([alice.status, calls()]).toEqual([status, 0]);
  });

  it.each(['example.com', '10.0.0.1', 'VSERVER', 'vserver:5060'])('may have any name of ours: %s', async (host) => {
    const { alice, calls } = await started();
    alice.ask('INVITE', { ...BOB, headers: { ...BOB.headers, From: `<sip:alice@${host}>;tag=a` } });
    expect([statuses(alice), calls()]).toEqual([[], 1]);
  });

  it('may have the address of another node, which sent him here', async () => {
    const { alice, calls, directory, servers, clock } = await started();
    const sip = { host: '10.0.0.2', port: 5070 };
    await directory.writeServer(serverRecord({ name: 'there', sip }, clock.now()));
    await servers.look();
    alice.ask('INVITE', { ...BOB, headers: { ...BOB.headers, From: '<sip:alice@10.0.0.2:5070>;tag=a' } });
    expect([statuses(alice), calls()]).toEqual([[], 1]);
  });

  it.each(['<sip:0861234@vserver>', '<sip:+861234@vserver>', '<tel:+861234>'])(
    'may be the number of the user instead of his uid: %s',
    async (From) => {
      const { network, directory, calls } = await started();
      directory.put({ uid: '1234', region: 'china', countryCode: '86' });
      const one = await phone(network, '1234');
      one.ask('INVITE', { ...BOB, headers: { ...BOB.headers, From: `${From};tag=a` } });
      expect(one.status).toBe(407);
      proved(one, { headers: { From: `${From};tag=a` } });
      await settle();
      expect([statuses(one), calls()]).toEqual([[407], 1]);
    },
  );

  it('of another domain needs no challenge, but to be redirected as a stranger where that is allowed', async () => {
    const From = '<sip:alice@example.org>;tag=a';
    const closed = await started();
    const stranger = await phone(closed.network, 'alice');
    stranger.ask('INVITE', { ...BOB, headers: { ...BOB.headers, From } });
    expect(stranger.status).toBe(403);
    const open = await started({ settings: { anonymous: true } });
    const other = await phone(open.network, 'alice');
    other.ask('INVITE', { ...BOB, headers: { ...BOB.headers, From } });
    expect(other.status).toBe(302);
  });
});
