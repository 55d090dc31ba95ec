/** The registrar's finer rules: expiry, *, Call-ID and CSeq, order of contacts, several flows of one phone. */
import { describe, expect, it } from 'vitest';
import { settle } from '../support/clock.ts';
import { memoryStreams } from '../support/streams.ts';
import { memoryWebSocket } from '../support/web-sockets.ts';
import { AT, Phone, phone, sipNode } from '../support/sip-node.ts';

async function registered(contact?: string) {
  const node = await sipNode();
  node.directory.put({ uid: 'alice' });
  const alice = await phone(node.network, 'alice');
  alice.register(contact === undefined ? {} : { headers: { Contact: contact } });
  await settle();
  expect(alice.status).toBe(200);
  return { ...node, alice };
}

type Headers = Readonly<Record<string, string | readonly string[] | null>>;

describe('expiry (RFC 3261 10.3 step 7)', () => {
  it.each<[string, Headers]>([
    ['the header', { Expires: '59' }],
    ['the parameter, whatever the header says', { Contact: '<sip:alice@10.0.0.7:1>;expires=1', Expires: '3600' }],
    ['one of several contacts', { Contact: ['<sip:alice@10.0.0.7:1>', '<sip:alice@10.0.0.7:2>;expires=30'] }],
  ])('too short by %s is 423, and changes nothing', async (_, headers) => {
    const { alice, table } = await registered();
    alice.register({ headers });
    await settle();
    expect(alice.status).toBe(423);
    expect(alice.last.header('Min-Expires')).toBe('60');
    expect(table.count).toBe(1);
  });

  it('the shortest allowed is taken', async () => {
    const { alice } = await registered();
    alice.register({ headers: { Expires: '60' } });
    expect(alice.contacts()).toEqual([alice.contact(';expires=60')]);
  });

  it('0 in the header ends the contact; a parameter beside it is stronger', async () => {
    const { alice, table } = await registered();
    alice.register({ headers: { Expires: '0', Contact: alice.contact(';expires=90') } });
    expect(alice.contacts()).toEqual([alice.contact(';expires=90')]);
    alice.register({ headers: { Expires: '0' } });
    expect([alice.status, alice.contacts(), table.count]).toEqual([200, [], 0]);
  });

  it('of a contact that is not registered is nothing to end', async () => {
    const { alice, table } = await registered();
    alice.register({ headers: { Contact: '<sip:alice@10.0.0.7:1>;expires=0' } });
    expect([alice.status, table.count]).toEqual([200, 1]);
  });
});

describe('* (RFC 3261 10.2.2)', () => {
  it.each<[string, Headers]>([
    ['beside another contact', { Contact: ['*', '<sip:alice@10.0.0.7:1>'], Expires: '0' }],
    ['in a list', { Contact: '*, <sip:alice@10.0.0.7:1>', Expires: '0' }],
    ['with another Expires', { Contact: '*', Expires: '60' }],
    ['with a parameter instead of the header', { Contact: '*;expires=0' }],
  ])('%s is 400, and ends nothing', async (_, headers) => {
    const { alice, table } = await registered();
    alice.register({ headers });
    expect([alice.status, table.count]).toEqual([400, 1]);
  });

  it('that is older than a contact of its Call-ID ends nothing at all', async () => {
    const { alice, network, table, time } = await registered();
    await time.advance(1);
    const other = await phone(network, 'alice');
    other.register();
    await settle();
    alice.register({ cseq: 1, headers: { Contact: '*', Expires: '0' } });
    expect([alice.status, table.count]).toEqual([500, 2]);
  });
});

describe('Call-ID and CSeq (RFC 3261 10.3 step 7)', () => {
  it('of several contacts, one that is too old: none is changed', async () => {
    const { alice, table } = await registered();
    alice.register({ cseq: 1, headers: { Contact: [alice.contact(';q=0.5'), '<sip:alice@10.0.0.7:1>'] } });
    await settle();
    expect([alice.status, table.count]).toEqual([500, 1]);
    alice.register({ headers: { Contact: null } });
    expect(alice.contacts()).toEqual([alice.contact(';expires=300')]);
  });

  it('another Call-ID is a phone that was started anew: it takes its contact over with any CSeq', async () => {
    const { alice, table } = await registered();
    alice.register({ callId: 'anew', cseq: 1, headers: { Contact: alice.contact(';q=0.5') } });
    expect(alice.contacts()).toEqual([alice.contact(';expires=300;q=0.5')]);
    alice.register({ callId: 'anew', cseq: 1 });
    expect(alice.status).toBe(500);
    expect(table.count).toBe(1);
  });
});

describe('the answer', () => {
  it('lists all contacts, with their own time, q and instance', async () => {
    const { alice, network, time } = await registered();
    await time.advance(10_000);
    const other = await phone(network, 'alice');
    other.register({
      headers: { Contact: other.contact(';q=0.25;+sip.instance="<urn:uuid:\\"2\\">"'), Expires: '120' },
    });
    await settle();
    expect(new Set(other.contacts())).toEqual(
      new Set([alice.contact(';expires=290'), other.contact(';expires=120;q=0.25;+sip.instance="<urn:uuid:\\"2\\">"')]),
    );
  });

  it('to a fetch of somebody who is not registered lists nothing, and logs nobody in', async () => {
    const node = await sipNode();
    node.directory.put({ uid: 'alice' });
    const alice = await phone(node.network, 'alice');
    alice.ask('REGISTER');
    alice.register({ headers: { Contact: null } });
    await settle();
    expect([alice.status, alice.contacts(), node.table.count]).toEqual([200, [], 0]);
    expect(alice.last.header('Service-Route')).toBeUndefined();
  });

  it('to a phone with Outbound that is behind another proxy does not claim it (RFC 5626 6)', async () => {
    const { alice } = await registered();
    const via = ['SIP/2.0/UDP 10.0.0.5;rport;branch=z9hG4bK-p', 'SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK-q'];
    const headers = { Via: via, Supported: 'outbound', Contact: alice.contact(';+sip.instance="<urn:1>";reg-id=1') };
    alice.register({ headers });
    await settle();
    expect(alice.status).toBe(200);
    expect(alice.last.header('Require')).toBeUndefined();
  });
});

describe('several flows of one phone (RFC 5626)', () => {
  const outbound = (regId: number, port: number): Headers => ({
    Contact: `<sip:alice@10.0.0.7:${port}>;+sip.instance="<urn:uuid:1>";reg-id=${regId}`,
    Supported: 'outbound, path',
  });

  it('stand beside each other by their reg-id; the same reg-id replaces its contact', async () => {
    const { alice, table, time } = await registered(String(outbound(1, 1)['Contact']));
    await time.advance(1_000);
    alice.register({ headers: outbound(2, 2) });
    await settle();
    expect(table.count).toBe(2);
    alice.register({ headers: outbound(1, 3) });
    await settle();
    const ports = alice.contacts().map((one) => /:(\d+)>/.exec(one)?.[1]);
    expect(ports.sort()).toEqual(['2', '3']);
  });

  it.each(['x', '-1', '1234567890'])('with the reg-id %s are refused', async (regId) => {
    const { alice, table } = await registered();
    alice.register({ headers: { Contact: alice.contact(`;+sip.instance="<urn:uuid:1>";reg-id=${regId}`) } });
    await settle();
    expect([alice.status, table.count]).toEqual([400, 1]);
  });
});

describe('Service-Route (RFC 3608)', () => {
  it('leads to this node by the transport of the phone', async () => {
    const streams = memoryStreams();
    const node = await sipNode({ streams });
    node.directory.put({ uid: 'alice' });
    const stream = streams.connect(AT, { host: '10.0.0.8', port: 1024 });
    const tcp = new Phone('alice', { host: '10.0.0.8', port: 1024 }, (text) => stream?.send(text));
    tcp.transport = 'TCP';
    const hear = (one: Phone): void => stream?.received.splice(0).forEach((bytes) => one.heard(bytes));
    tcp.ask('REGISTER');
    hear(tcp);
    tcp.register();
    await settle();
    hear(tcp);
    expect(tcp.last.header('Service-Route')).toBe('<sip:10.0.0.1:5060;transport=tcp;lr>');

    await node.time.advance(1);
    const socket = await memoryWebSocket(node.transports?.onUpgrade ?? (() => undefined), {
      host: '10.0.0.9',
      port: 1,
    });
    const web = new Phone('alice', { host: 'x.invalid', port: 5060 }, (text) => {
      socket.send(text);
    });
    web.transport = 'WS';
    socket.on('message', (bytes: Buffer) => {
      web.heard(bytes);
    });
    const challenged = web.next();
    web.ask('REGISTER');
    await challenged;
    const answered = web.next();
    web.register();
    expect((await answered).status).toBe(200);
    expect(web.contacts()).toHaveLength(2);
    expect(web.last.header('Service-Route')).toBe('<sip:10.0.0.1:5060;transport=ws;lr>');
    socket.terminate();
  });
});
