import { describe, expect, it } from 'vitest';
import { createIds } from '../../src/sip/ids.ts';
import { parseMessage, SipRequest } from '../../src/sip/message.ts';
import type { OwnRequest, Target } from '../../src/sip/outgoing.ts';
import { sendRequest, targetOfSession, targetOfUri } from '../../src/sip/outgoing.ts';
import { makeResponse } from '../../src/sip/response.ts';
import { parseUri } from '../../src/sip/uri.ts';
import { settle } from '../support/clock.ts';
import { AT, phone, sipNode } from '../support/sip-node.ts';

const BOB = { host: '10.0.0.8', port: 5062 };

async function started() {
  const node = await sipNode();
  const got: SipRequest[] = [];
  const socket = await node.network.bind(BOB, (bytes) => {
    const message = parseMessage(Buffer.from(bytes));
    if (message instanceof SipRequest) got.push(message);
  });
  const respond = (status: number, request = got.at(-1)): void => {
    if (request === undefined) throw new Error('nothing came');
    socket.send(makeResponse(request, status, 'Because'), AT);
  };
  const outcomes: number[] = [];
  const send = (target: Target | null, request: Partial<OwnRequest> = {}): void => {
    if (target === null) throw new Error('no target');
    const usual = {
      method: 'NOTIFY',
      from: '<sip:vserver>;tag=a',
      to: '<sip:bob@vserver>;tag=b',
      callId: 'c',
      cseq: 7,
    };
    sendRequest(node.sip.context, target, { ...usual, ...request }, (status) => void outcomes.push(status));
  };
  const target = targetOfUri(node.sip.context, parseUri('sip:bob@10.0.0.8:5062') ?? { scheme: 'other', text: '' });
  return { ...node, got, respond, outcomes, send, target };
}

describe('a request of our own (8.1)', () => {
  it('has all that a request needs, and what was asked for', async () => {
    const { got, send, target } = await started();
    const body = Buffer.from('hällo');
    send(target, {
      headers: [
        ['Event', 'presence'],
        ['Subject', 'Grüße'],
      ],
      body,
    });
    const [request] = got;
    expect(request?.text.split('\r\n')).toEqual([
      'NOTIFY sip:bob@10.0.0.8:5062 SIP/2.0',
      expect.stringMatching(/^Via: SIP\/2.0\/UDP 10\.0\.0\.1:5060;branch=z9hG4bK[\w-]{16};rport$/),
      'Max-Forwards: 70',
      'From: <sip:vserver>;tag=a',
      'To: <sip:bob@vserver>;tag=b',
      'Call-ID: c',
      'CSeq: 7 NOTIFY',
      'Event: presence',
      expect.stringContaining('Subject: '),
      'Content-Length: 6',
      '',
      expect.any(String),
    ]);
    expect(request?.header('Subject')).toBe('Grüße');
    expect(request?.body).toEqual(body);
  });

  it('tells the final response, once', async () => {
    const { respond, outcomes, send, target } = await started();
    send(target);
    respond(100);
    respond(200);
    respond(200);
    expect(outcomes).toEqual([200]);
  });

  it('is sent again, and without an answer ends as 408 after 64*T1', async () => {
    const { got, outcomes, send, target, time } = await started();
    send(target);
    await time.advance(31_999);
    expect(got.length).toBe(11);
    expect(outcomes).toEqual([]);
    await time.advance(1);
    expect(outcomes).toEqual([408]);
    expect(time.running()).toBe(0);
  });

  it('does not take the response of somebody who guesses', async () => {
    const { got, respond, outcomes, send, target } = await started();
    send(target);
    const [request] = got;
    const forged = request?.text.replace(
      /branch=[^;]+/,
      `branch=${createIds({ bytes: (n) => Buffer.alloc(n) }).branch()}`,
    );
    respond(200, parseMessage(Buffer.from(forged ?? '')) as SipRequest);
    expect(outcomes).toEqual([]);
  });

  it('never holds a line that its values smuggle in', async () => {
    const { send, target } = await started();
    expect(() => {
      send(target, { headers: [['Subject', 'a\r\nRoute: <sip:evil>']] });
    }).toThrow('line end');
  });
});

describe('the target of a request of our own', () => {
  it('is the Contact of a session, at the address of its flow, by its Path', async () => {
    const { sip, table, directory, network } = await sipNode();
    directory.put({ uid: 'alice' });
    const alice = await phone(network, 'alice');
    alice.register({ headers: { Contact: '<sip:a@192.168.0.2:5060>', Path: '<sip:edge;lr>' } });
    await settle();
    const [row = -1] = table.rowsOf(table.users.find('alice'));
    const target = targetOfSession(sip.context, row);
    expect(target).toMatchObject({ uri: 'sip:a@192.168.0.2:5060', route: ['<sip:edge;lr>'] });
    expect(target?.flow.remote).toEqual(alice.at);
  });

  it.each([
    'sip:bob@host.example',
    'sips:bob@10.0.0.8',
    'sip:bob@10.0.0.8;transport=tcp',
    'tel:+861',
    'sip:10.0.0.8:0',
  ])('is none for %s', async (text) => {
    const { sip } = await sipNode();
    expect(targetOfUri(sip.context, parseUri(text) ?? { scheme: 'other', text })).toBeNull();
  });
});
