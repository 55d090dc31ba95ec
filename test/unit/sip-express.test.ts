/**
 * The express lane answers as the others would. The slow, obvious way for the same request: an empty line in front of
 * it, which is ignored (RFC 3261 7.5), but out of the ordinary.
 */
import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LINES_MAX } from '../../src/sip/express-layout.ts';
import { HEADERS_MAX } from '../../src/sip/head.ts';
import { createExpress } from '../../src/sip/express.ts';
import { transactionOf } from '../../src/sip/context.ts';
import type { Flow } from '../../src/sip/flow.ts';
import { parseMessage, SipRequest } from '../../src/sip/message.ts';
import { settle } from '../support/clock.ts';
import { sipNode } from '../support/sip-node.ts';

const HOST = '10.0.0.7';

interface Message {
  readonly method: string;
  readonly user: string;
  readonly uri: string;
  readonly via: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly cseqStep: number;
  readonly contact: readonly string[];
  readonly digest: 'good' | 'wrong' | 'none';
  readonly algorithm: 'MD5' | 'SHA-256';
  readonly countStep: number;
  readonly extra: readonly string[];
  readonly forwards: string;
  readonly length: string;
  readonly port: number;
  /** Where a byte is changed, and into what. */
  readonly damage: readonly [at: number, byte: number] | null;
}

const ORDINARY: Message = {
  method: 'REGISTER',
  user: 'alice',
  uri: 'sip:vserver',
  via: `SIP/2.0/UDP ${HOST}:5060;rport;branch=z9hG4bK-1`,
  from: '<sip:USER@vserver>;tag=a',
  to: '<sip:USER@vserver>',
  callId: 'call-1@10.0.0.7',
  cseqStep: 1,
  contact: ['<sip:USER@10.0.0.7:5060>'],
  digest: 'good',
  algorithm: 'MD5',
  countStep: 1,
  extra: ['User-Agent: test/1.0'],
  forwards: '70',
  length: '0',
  port: 5060,
  damage: null,
};

/** Two thirds are as they mostly are, so that several registrations succeed in a row. */
function mostly<T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 4 * others.length, arbitrary: fc.constant(usual) },
    ...others.map((one) => fc.constant(one)),
  );
}

const message: fc.Arbitrary<Message> = fc.record({
  method: mostly('REGISTER', 'OPTIONS', 'INVITE', 'ACK', 'MESSAGE', 'register'),
  user: mostly('alice', 'bob', 'nobody', 'Alice', 'al%69ce'),
  uri: mostly(
    'sip:vserver',
    'sip:alice@vserver',
    'sip:alice@10.0.0.1:5060',
    'sip:bob@vserver',
    'sip:elsewhere',
    'tel:1',
    'sip:vserver;transport=udp',
    'sip:VSERVER',
    'sip:nobody@vserver',
  ),
  via: mostly(
    ORDINARY.via,
    `SIP/2.0/UDP ${HOST}:5060;rport;branch=z9hG4bK-2`,
    `SIP/2.0/UDP ${HOST};rport;branch=z9hG4bK-2`,
    `SIP/2.0/UDP ${HOST}:5060;rport;branch=2`,
    `SIP/2.0/UDP 192.0.2.9:1024;branch=z9hG4bK-1;rport`,
    'SIP/2.0/UDP phone.local;rport;branch=z9hG4bK-1',
    `SIP/2.0/UDP ${HOST}:5060;branch=z9hG4bK-1`,
    'SIP/2.0/udp 10.0.0.7;rport;branch=z9hG4bK-1',
    'SIP/2.0/TCP 10.0.0.007;rport;branch=x',
    'SIP/2.0/UDP 10.0.0.7;rport;branch=z9hG4bK-1, SIP/2.0/UDP 10.0.0.9',
    'SIP/2.0/UDP 10.0.0.7:0005060;rport;branch=z9hG4bK-1',
    'SIP/2.0/UDP 10.0.0.7;rport;rport;branch=z9hG4bK-1',
    'SIP/2.0/UDP 10.0.0.7;rport=;received=1.2.3.4;branch=z9hG4bK-1',
  ),
  from: mostly(
    ORDINARY.from,
    '"A \u00e9" <sip:USER@vserver>;tag=a',
    '"A" <sip:USER@192.0.2.1:5060>;tag=b',
    'A <sip:USER@vserver>;tag=a',
    '<sip:USER@vserver>',
    'sip:USER@vserver;tag=a',
    '<sip:USER@vserver>;x=y;tag=a',
    '<sip:USER@-x->;tag=a',
    '<sip:USER@1.2.3>;tag=a',
    '<sip:USER@vserver',
  ),
  to: mostly(
    ORDINARY.to,
    '<sip:USER@vserver>;tag=b',
    '<sip:bob@vserver>',
    '<sip:USER@1.2.3.4:5060>',
    '<sip:USER@vserver:0>',
    '"x\\"y" <sip:USER@vserver>',
  ),
  callId: mostly(ORDINARY.callId, 'call-2', 'a:b<["c"]>', 'a;b', ''),
  cseqStep: mostly(1, 0, -1, 5),
  contact: mostly<readonly string[]>(
    ORDINARY.contact,
    ['<sip:USER@10.0.0.7:5060>;expires=120'],
    ['<sip:USER@10.0.0.7:5060>;expires=0'],
    ['<sip:USER@10.0.0.7:5060>;expires=5'],
    ['<sip:USER@10.0.0.7:5060>;expires=x'],
    ['<sip:USER@10.0.0.7:5060>;q=0.5'],
    ['<sip:USER@10.0.0.7:5060>;+sip.instance="<urn:uuid:1>";reg-id=1'],
    ['<sip:USER@10.0.0.7:5060>;+sip.instance="<urn:uuid:1>"'],
    ['<sip:USER@10.0.0.8:5060>'],
    [],
    ['*'],
    ['<sip:USER@10.0.0.7:5060>', '<sip:USER@10.0.0.9>'],
    ['<sip:USER@10.0.0.7:5060>;other'],
    ['<sip:USER@10.0.0.1:5060>'],
    ['sip:USER@10.0.0.7:5060'],
  ),
  digest: mostly<'good' | 'wrong' | 'none'>('good', 'wrong', 'none'),
  algorithm: mostly<'MD5' | 'SHA-256'>('MD5', 'SHA-256'),
  countStep: mostly(1, 0, -1, 3),
  extra: mostly<readonly string[]>(
    ORDINARY.extra,
    [],
    ['User-Agent: baresip v1.0.0 (x86_64/linux)'],
    ['Expires: 200'],
    ['Expires: 3600', 'Allow: INVITE'],
    ['Expires: 3'],
    ['Expires: 0'],
    ['Supported: path, outbound'],
    ['Require: path'],
    ['Path: <sip:192.0.2.5;lr>'],
    ['X-Folded: a\r\n b'],
    ['Expires: 100', 'Expires: 100'],
    ['Subject: caf\u00e9'],
    ['bad header'],
    ['X:'],
    ['X: y '],
  ),
  forwards: mostly('70', '0', '256', ''),
  length: mostly('0', '3', 'x'),
  port: mostly(5060, 1024),
  damage: fc.option(fc.tuple(fc.nat(700), fc.nat(255)), { freq: 12 }),
});

/** Of requests that are being worked on already. */
const BRANCHES = [
  ORDINARY.via,
  `SIP/2.0/UDP ${HOST}:5060;rport;branch=z9hG4bK-2`,
  `SIP/2.0/UDP ${HOST};rport;branch=2`,
];

async function node(requestsASecond = 0) {
  const one = await sipNode({ settings: { anonymous: true }, requestsASecond });
  for (const uid of ['alice', 'bob']) one.directory.put({ uid });
  const sent: string[] = [];
  const flowFrom = (port: number): Flow => ({
    transport: 'udp',
    isReliable: false,
    remote: { host: HOST, port },
    local: { host: '10.0.0.1', port: 5060 },
    id: `udp ${port}`,
    send: (bytes) => void sent.push(Buffer.from(bytes).toString('latin1')),
    close: () => undefined,
  });
  return { ...one, sent, flowFrom };
}
type Node = Awaited<ReturnType<typeof node>>;

/** What the phones know of the node. */
interface Known {
  nonce: string;
  cseq: number;
  count: number;
}

function bytesOf(one: Message, known: Known): Buffer {
  const cseq = Math.max(0, (known.cseq += one.cseqStep));
  const fill = (text: string): string => text.replace('USER', one.user);
  const lines = [
    `${one.method} ${one.uri} SIP/2.0`,
    `Via: ${one.via}`,
    `From: ${fill(one.from)}`,
    `To: ${fill(one.to)}`,
    `Call-ID: ${one.callId}`,
    `CSeq: ${cseq} ${one.method}`,
    ...one.contact.map((contact) => `Contact: ${fill(contact)}`),
    ...(one.digest === 'none' ? [] : [`Authorization: ${digestOf(one, known)}`]),
    ...one.extra,
    ...(one.forwards === '' ? [] : [`Max-Forwards: ${one.forwards}`]),
    `Content-Length: ${one.length}`,
  ];
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8');
  if (one.damage !== null && one.damage[0] < bytes.length) bytes[one.damage[0]] = one.damage[1];
  return bytes;
}

function digestOf({ method, user, uri, algorithm, countStep, digest }: Message, known: Known): string {
  const h = (text: string): string => hash(algorithm === 'MD5' ? 'md5' : 'sha256', text, 'hex');
  const nc = Math.max(0, (known.count += countStep))
    .toString(16)
    .padStart(8, '0');
  const password = digest === 'good' ? 'secret' : 'wrong';
  const ha1 = h(`${user}:vserver:${password}`);
  const response = h(`${ha1}:${known.nonce}:${nc}:cn:auth:${h(`${method}:${uri}`)}`);
  return `Digest username="${user}", realm="vserver", nonce="${known.nonce}", uri="${uri}", qop=auth, nc=${nc}, cnonce="cn", response="${response}", algorithm=${algorithm}`;
}

/** The transaction of such a request runs, as if it had been sent on and were not answered yet. */
function run({ sip, flowFrom }: Node, method: string, via: string): void {
  const bytes = bytesOf({ ...ORDINARY, method, via, digest: 'none' }, { nonce: '', cseq: 0, count: 0 });
  const request = parseMessage(bytes);
  if (!(request instanceof SipRequest)) throw new Error('no request');
  sip.context.transactions.openServer({ request, flow: flowFrom(5060) }, {});
}

/** A request waits for the directory. */
function wait({ sip: { context } }: Node, via: string, cseq: number): void {
  const bytes = bytesOf(
    { ...ORDINARY, method: 'INVITE', via, digest: 'none' },
    { nonce: '', cseq: cseq - 1, count: 0 },
  );
  const request = parseMessage(bytes);
  if (request instanceof SipRequest) context.waiting.set(transactionOf(request), { cancelled: false });
}

/** All that the node keeps of its users. */
function state({ table }: Node): unknown {
  return [...table.saved()].map((saved) => ({
    ...saved,
    // Random.
    session: { ...saved.session, cookie: '' },
  }));
}

describe('the express lane', () => {
  it('answers every request as the handlers would, and leaves the same behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(0, 3),
        fc.subarray(BRANCHES),
        fc.array(fc.tuple(fc.constantFrom(...BRANCHES), fc.integer({ min: 2, max: 12 })), { maxLength: 3 }),
        async (messages, limit, running, waiting) => {
          const [fast, slow] = [await node(limit), await node(limit)];
          const known: Known = { nonce: '', cseq: 1, count: 0 };
          // The user is registered, by MD5, before anything else happens.
          const begin: Message[] = [{ ...ORDINARY, digest: 'none' }, ORDINARY];
          for (const [i, one] of [...begin, ...messages].entries()) {
            if (i === begin.length) {
              for (const side of [fast, slow]) {
                for (const via of running) for (const method of ['INVITE', 'OPTIONS']) run(side, method, via);
                for (const [via, cseq] of waiting) wait(side, via, cseq);
              }
            }
            const bytes = bytesOf(one, known);
            fast.sip.handlers.onMessage(Buffer.from(bytes), fast.flowFrom(one.port));
            slow.sip.handlers.onMessage(Buffer.concat([Buffer.from('\r\n'), bytes]), slow.flowFrom(one.port));
            await settle();
            expect(fast.sent).toEqual(slow.sent);
            expect(state(fast)).toEqual(state(slow));
            const nonce = /nonce="([^"]*)"/.exec(fast.sent.at(-1) ?? '')?.[1];
            if (nonce !== undefined) [known.nonce, known.count] = [nonce, 0];
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  const taken: readonly (readonly [string, Partial<Message>])[] = [
    ['a refresh', {}],
    ['a refresh with another lifetime', { contact: ['<sip:USER@10.0.0.7:5060>;expires=120'] }],
    ['a refresh from another port', { port: 1024 }],
    ['the repeat of what he is registered by', { cseqStep: 0, countStep: 0 }],
    ['a REGISTER without credentials', { digest: 'none' }],
    ['OPTIONS for a user', { method: 'OPTIONS', uri: 'sip:alice@vserver', digest: 'none' }],
    ['INVITE for a user', { method: 'INVITE', uri: 'sip:alice@vserver', digest: 'none', user: 'carol' }],
  ];
  it.each(taken)('takes %s', async (_name, change) => {
    const { one, express, known } = await registered();
    expect(express(bytesOf({ ...ORDINARY, ...change }, known), one.flowFrom(change.port ?? 5060))).toBe(true);
    expect(one.sent).toHaveLength(3);
  });

  it.each([
    ['who is not here', {}, [200]],
    ['whose password is wrong', { digest: 'wrong' }, [403]],
    ['who is unknown', { user: 'nobody' }, [403]],
  ] as const)('takes the login of somebody %s', async (_name, change, statuses) => {
    const { one, express, known } = await registered();
    const bytes = bytesOf({ ...ORDINARY, user: 'bob', ...change }, known);
    expect(express(bytes, one.flowFrom(5060))).toBe(true);
    // The datagram is another one's by then.
    bytes.fill(0);
    await settle();
    await one.time.advance(1_000);
    expect(one.sent.slice(2).map((answer) => Number(answer.slice('SIP/2.0 '.length, 11)))).toEqual(statuses);
  });

  it('takes a login once, and drops what repeats it until it is answered', async () => {
    const { one, express, known } = await registered();
    one.directory.held = true;
    const bytes = bytesOf({ ...ORDINARY, user: 'bob' }, known);
    expect([1, 2, 3].map(() => express(bytes, one.flowFrom(5060)))).toEqual([true, true, true]);
    await settle();
    expect(one.sent).toHaveLength(2);
    one.directory.held = false;
    one.directory.release();
    await settle();
    expect(one.sent).toHaveLength(3);
    // And that is what the next repeat is told.
    expect(express(bytes, one.flowFrom(5060))).toBe(true);
    expect(one.sent[3]).toBe(one.sent[2]);
  });

  it('takes the ACK to its 302, and no other', async () => {
    const { one, express, known } = await registered();
    const call: Message = { ...ORDINARY, method: 'INVITE', uri: 'sip:alice@vserver', digest: 'none', cseqStep: 0 };
    express(bytesOf(call, known), one.flowFrom(5060));
    const to = /\r\nTo: (.*)\r\n/.exec(one.sent.at(-1) ?? '')?.[1] ?? '';
    const ack = (header: string): Buffer => bytesOf({ ...call, method: 'ACK', to: header }, known);
    expect(express(ack(to), one.flowFrom(5060))).toBe(true);
    expect(express(ack(`${to}x`), one.flowFrom(5060))).toBe(false);
  });

  it('takes a call while others run, and leaves one that runs to its transaction, with its ACK', async () => {
    const { one, express, known } = await registered();
    const call: Message = { ...ORDINARY, method: 'INVITE', uri: 'sip:alice@vserver', digest: 'none', cseqStep: 0 };
    run(one, 'INVITE', `SIP/2.0/UDP ${HOST}:5060;rport;branch=z9hG4bK-2`);
    wait(one, call.via, known.cseq + 1);
    expect(express(bytesOf(call, known), one.flowFrom(5060))).toBe(true);
    const to = /\r\nTo: (.*)\r\n/.exec(one.sent.at(-1) ?? '')?.[1] ?? '';
    expect(express(bytesOf({ ...call, method: 'ACK', to }, known), one.flowFrom(5060))).toBe(true);
    run(one, 'INVITE', call.via);
    expect(express(bytesOf({ ...call, method: 'ACK', to }, known), one.flowFrom(5060))).toBe(false);
    expect(express(bytesOf(call, known), one.flowFrom(5060))).toBe(false);
    expect(express(bytesOf({ ...call, method: 'OPTIONS' }, known), one.flowFrom(5060))).toBe(true);
    expect(express(bytesOf({ ...call, method: 'OPTIONS', cseqStep: 1 }, known), one.flowFrom(5060))).toBe(false);
  });

  const asked: Message = { ...ORDINARY, method: 'OPTIONS', uri: 'sip:alice@vserver', digest: 'none' };

  it.each<readonly [string, Partial<Message>]>([
    ['the branch', { via: `SIP/2.0/UDP ${HOST}:5060;rport;branch=z9hG4bK-a#b` }],
    ['a tag', { from: '<sip:USER@vserver>;tag=a#b' }],
    ['the name of a header', { extra: ['X-a#b: c'] }],
    ['a Call-ID', { callId: 'call-1#b@10.0.0.7' }],
    ['a user', { from: '<sip:a#b@vserver>;tag=a' }],
    ['a host', { from: '<sip:USER@vserver#>;tag=a' }],
    ['a port', { to: '<sip:USER@vserver:50#0>' }],
  ])('reads every character of %s as the handlers would', async (_name, change) => {
    const { fast, slow } = await both();
    const bytes = bytesOf({ ...asked, ...change }, { nonce: '', cseq: 1, count: 0 });
    const at = bytes.indexOf('#');
    for (let byte = 0; byte < 256; byte++) {
      bytes[at] = byte;
      tell(fast, slow, bytes);
      expect(fast.sent, `character ${byte}`).toEqual(slow.sent);
    }
    expect(fast.sent.length).toBeGreaterThan(10);
  });

  it('reads a host as the handlers would, whatever came before it', async () => {
    const { fast, slow } = await both();
    const names = [
      'vserver',
      'vserve',
      'vserver1',
      'vserver.com',
      'vserver.',
      'vserver-',
      'xserver',
      'long.vserver.com',
    ];
    const hosts = [...names, '10.0.0.1', '10.0.0.10', '10.0.0', '10.0.0.1a', '10.0.0.1.', '10.0.0.256', ''];
    for (const one of hosts) {
      for (const other of hosts) {
        const change = { from: `<sip:USER@${one}>;tag=a`, to: `<sip:USER@${other}>` };
        tell(fast, slow, bytesOf({ ...asked, ...change }, { nonce: '', cseq: 1, count: 0 }));
        expect(fast.sent, `${one} and ${other}`).toEqual(slow.sent);
      }
    }
    expect(fast.sent.length).toBeGreaterThan(10);
  });

  const left: readonly (readonly [string, Partial<Message>])[] = [
    ['another contact', { contact: ['<sip:USER@10.0.0.8:5060>'] }],
    ['another Call-ID', { callId: 'other' }],
    ['a CSeq that is not higher', { cseqStep: 0 }],
    ['a nonce-count that was used', { countStep: 0 }],
    ['a wrong password', { digest: 'wrong' }],
    ['a lifetime that is too short', { contact: ['<sip:USER@10.0.0.7:5060>;expires=5'] }],
    ['a folded line', { extra: ['Subject: a\r\n b'] }],
    ['another domain', { uri: 'sip:elsewhere' }],
    ['more header lines than a message may have', { extra: Array<string>(HEADERS_MAX).fill('a:') }],
  ];
  it('takes as many header lines as the general path', () => {
    expect(LINES_MAX).toBe(HEADERS_MAX);
  });

  it('knows of each host whether it is its own, whatever came before, and at which node', async () => {
    const { one, known, express } = await registered();
    const elsewhere = createExpress({ ...one.sip.context, domains: new Set(['elsewhere']) });
    const challenged = (lane: typeof express, host: string, person = host): boolean => {
      const change = { uri: `sip:${host}`, from: `<sip:USER@${person}>;tag=a`, to: `<sip:USER@${host}>` };
      return lane(bytesOf({ ...ORDINARY, ...change, digest: 'none' }, known), one.flowFrom(5060));
    };
    for (let round = 0; round < 3; round++) {
      for (const host of ['vserver', 'vserver', 'elsewhere', 'elsewhere']) {
        expect([challenged(express, host), challenged(elsewhere, host)]).toEqual([
          host === 'vserver',
          host === 'elsewhere',
        ]);
      }
      expect([challenged(express, 'vserver', 'elsewhere'), challenged(express, 'elsewhere', 'vserver')]).toEqual([
        false,
        false,
      ]);
    }
  });

  it.each(left)('leaves %s to the registrar', async (_name, change) => {
    const { one, express, known } = await registered();
    const before = state(one);
    expect(express(bytesOf({ ...ORDINARY, ...change }, known), one.flowFrom(5060))).toBe(false);
    expect(one.sent).toHaveLength(2);
    expect(state(one)).toEqual(before);
  });
});

/** Two nodes, at which alice is registered. */
async function both(): Promise<{ fast: Node; slow: Node }> {
  const [fast, slow] = [await registered(), await registered()];
  return { fast: fast.one, slow: slow.one };
}

/** The same request for the lane of the one and for the handlers of the other. */
function tell(fast: Node, slow: Node, bytes: Buffer): void {
  fast.sip.handlers.onMessage(Buffer.from(bytes), fast.flowFrom(5060));
  slow.sip.handlers.onMessage(Buffer.concat([Buffer.from('\r\n'), bytes]), slow.flowFrom(5060));
}

async function registered() {
  const one = await node();
  const known: Known = { nonce: '', cseq: 1, count: 0 };
  one.sip.handlers.onMessage(bytesOf({ ...ORDINARY, digest: 'none' }, known), one.flowFrom(5060));
  known.nonce = /nonce="([^"]*)"/.exec(one.sent[0] ?? '')?.[1] ?? '';
  one.sip.handlers.onMessage(bytesOf(ORDINARY, known), one.flowFrom(5060));
  await settle();
  return { one, known, express: createExpress(one.sip.context) };
}
