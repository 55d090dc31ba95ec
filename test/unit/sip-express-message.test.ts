/** The express lane of MESSAGE passes on and answers as the handler would, which gets an empty line in front (RFC 3261 7.5). */
import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createExpress } from '../../src/sip/express.ts';
import type { Flow } from '../../src/sip/flow.ts';
import { parseMessage, SipRequest } from '../../src/sip/message.ts';
import { makeResponse } from '../../src/sip/response.ts';
import { settle } from '../support/clock.ts';
import { loggedIn } from '../support/flows.ts';
import { AT, sipNode } from '../support/sip-node.ts';

const HOST = '10.0.0.7';
const BOB_AT = { host: '10.0.0.8', port: 5062 };

const ORDINARY = {
  uri: 'sip:bob@vserver',
  from: '<sip:alice@vserver>;tag=a',
  to: '<sip:bob@vserver>',
  /** 0: the branch of the request before. */
  branchStep: 1,
  branch: 'z9hG4bK-',
  callId: 'call-1@10.0.0.7:5060',
  cseq: 1,
  password: 'secret',
  algorithm: 'MD5' as 'MD5' | 'SHA-256',
  countStep: 1,
  /** null: without credentials. */
  digestUri: 'sip:bob@vserver' as string | null,
  extra: ['Content-Type: text/plain'] as readonly string[],
  body: 'hello',
  /** What the phone of the other one answers; 0: nothing. */
  answer: 200,
  waitMs: 0,
};
type Message = typeof ORDINARY;

function mostly<T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof({ arbitrary: fc.constant(usual), weight: 9 }, { arbitrary: fc.constantFrom(...others), weight: 1 });
}

const message: fc.Arbitrary<Message> = fc.record({
  uri: mostly(
    ...['sip:bob@vserver', 'sip:alice@vserver', 'sip:dora@vserver', 'sip:fred@vserver', 'sip:gone@vserver'],
    ...['sip:nobody@vserver', 'sip:bob@elsewhere', 'sip:vserver', 'sip:b%6fb@vserver', 'sip:bob@vserver:5060;x=y'],
  ),
  from: mostly(ORDINARY.from, '<sip:bob@vserver>;tag=a', '<sip:alice@elsewhere>;tag=a', '"A" <sip:alice@vserver>'),
  to: mostly(ORDINARY.to, '<sip:bob@vserver>;tag=b', '<sip:any@where>', 'sip:bob@vserver'),
  branchStep: mostly(1, 0),
  branch: mostly('z9hG4bK-', 'old-'),
  callId: fc.constantFrom('call-1@10.0.0.7:5060', 'call-2', 'call-3'),
  cseq: fc.constantFrom(1, 2),
  password: mostly('secret', 'wrong'),
  algorithm: mostly<'MD5' | 'SHA-256'>('MD5', 'SHA-256'),
  countStep: mostly(1, 0, -1, 5),
  digestUri: mostly<string | null>('same', 'sip:carl@vserver', null),
  extra: mostly<readonly string[]>(
    ['Content-Type: text/plain'],
    [],
    ['Content-Type: text/plain;charset=UTF-8', 'User-Agent: x'],
    ['Content-Type: nonsense'],
    ['Content-Type: application/im-iscomposing+xml'],
    ['Content-Encoding: gzip'],
    ['Require: x'],
    ['Route: <sip:10.0.0.1;lr>'],
  ),
  body: mostly('hello', '', 'Grüße 🙂', 'a\u0007b', 'one\r\ntwo', 'a\ufffdb', 'x'.repeat(1_500)),
  answer: mostly(200, 202, 100, 415, 486, 500, 603, 0),
  waitMs: mostly(0, 1_000, 4_000, 40_000),
});

async function node() {
  const answers = { status: 200 };
  const got: string[] = [];
  const sent: string[] = [];
  const one = await sipNode();
  const user = one.directory.put({ uid: 'alice' });
  for (const uid of ['bob', 'gone']) one.directory.put({ uid });
  one.directory.put({ ...user, uid: 'dora', lists: { ...user.lists, blocked: ['alice'] } });
  one.directory.put({ ...user, uid: 'fred', service: { ...user.service, mayBeCalledBy: 'none' } });
  const socket = await one.network.bind(BOB_AT, (bytes) => {
    const request = parseMessage(Buffer.from(bytes));
    if (!(request instanceof SipRequest)) throw new Error('no request');
    // What is random.
    got.push(request.text.replace(/branch=[^;\r]+/, 'branch=').replace(/(From: [^\r]*;tag=)[^\r]+/, '$1'));
    if (answers.status !== 0) socket.send(makeResponse(request, answers.status, 'Because'), AT);
  });
  for (const uid of ['bob', 'dora', 'fred']) {
    await loggedIn(one, uid, {
      source: BOB_AT,
      contact: `sip:${uid}@10.0.0.8:5062`,
      instance: uid,
      registration: 'c\x1e\x1e\x1e\x1e',
    });
  }
  // Nothing waits for them any more.
  await one.time.advance(1_000);
  const flow: Flow = {
    transport: 'udp',
    isReliable: false,
    remote: { host: HOST, port: 5060 },
    local: AT,
    id: 'udp',
    send: (bytes) => void sent.push(Buffer.from(bytes).toString('latin1')),
    close: () => undefined,
  };
  return { ...one, answers, got, sent, flow };
}
type Node = Awaited<ReturnType<typeof node>>;

interface Known {
  nonce: string;
  count: number;
  branch: number;
}

function authorization(method: string, uri: string, { password, algorithm }: Message, known: Known): string {
  const h = (text: string): string => hash(algorithm === 'MD5' ? 'md5' : 'sha256', text, 'hex');
  const nc = Math.max(0, known.count).toString(16).padStart(8, '0');
  const response = h(`${h(`alice:vserver:${password}`)}:${known.nonce}:${nc}:cn:auth:${h(`${method}:${uri}`)}`);
  return `Authorization: Digest username="alice", realm="vserver", nonce="${known.nonce}", uri="${uri}", qop=auth, nc=${nc}, cnonce="cn", response="${response}", algorithm=${algorithm}`;
}

function bytesOf(one: Message, known: Known): Buffer {
  known.branch += one.branchStep;
  known.count += one.countStep;
  const uri = one.digestUri === 'same' ? one.uri : one.digestUri;
  const lines = [
    `MESSAGE ${one.uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${HOST}:5060;rport;branch=${one.branch}${known.branch}`,
    `From: ${one.from}`,
    `To: ${one.to}`,
    `Call-ID: ${one.callId}`,
    `CSeq: ${one.cseq} MESSAGE`,
    'Max-Forwards: 70',
    ...(uri === null ? [] : [authorization('MESSAGE', uri, one, known)]),
    ...one.extra,
    `Content-Length: ${Buffer.byteLength(one.body)}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${one.body}`);
}

/** Alice registers, by MD5. */
async function register({ sip, flow, sent }: Node): Promise<Known> {
  const known: Known = { nonce: '', count: 1, branch: 0 };
  for (const cseq of [1, 2]) {
    const own = cseq === 1 ? '' : `${authorization('REGISTER', 'sip:vserver', ORDINARY, known)}\r\n`;
    sip.handlers.onMessage(
      Buffer.from(
        `REGISTER sip:vserver SIP/2.0\r\nVia: SIP/2.0/UDP ${HOST}:5060;rport;branch=z9hG4bKr${cseq}\r\n` +
          `From: <sip:alice@vserver>;tag=r\r\nTo: <sip:alice@vserver>\r\nCall-ID: r\r\nCSeq: ${cseq} REGISTER\r\n` +
          `Contact: <sip:alice@${HOST}:5060>\r\nMax-Forwards: 70\r\n${own}Content-Length: 0\r\n\r\n`,
      ),
      flow,
    );
    await settle();
    known.nonce = /nonce="([^"]*)"/.exec(sent.at(-1) ?? '')?.[1] ?? known.nonce;
  }
  expect(sent.at(-1)).toContain('SIP/2.0 200 OK');
  return known;
}

/** Two requests for the same message are answered at the same moment, in whatever order. */
function alphabetical(answers: readonly string[]): readonly string[] {
  return answers.toSorted();
}

async function stored({ directory }: Node): Promise<unknown> {
  return Promise.all(
    ['bob', 'gone', 'dora', 'fred'].map((uid) => directory.messages?.list(uid, 0, 0) ?? Promise.resolve([])),
  );
}

describe('the express lane of MESSAGE', () => {
  it('takes one from a phone to another, and is done when that has answered', async () => {
    const one = await node();
    const known = await register(one);
    const express = createExpress(one.sip.context);
    expect(express(bytesOf(ORDINARY, known), one.flow)).toBe(true);
    expect(one.got).toHaveLength(1);
    expect(one.sent.at(-1)).toContain('SIP/2.0 200 OK');
    expect(one.got[0]).toMatch(/\r\n\r\nhello$/);
  });

  it('keeps its answers in memory of their own, since they last longer than those that nobody keeps', async () => {
    const one = await node();
    const known = await register(one);
    const memory: ArrayBufferLike[] = [];
    const flow = { ...one.flow, send: (bytes: Uint8Array) => void memory.push(bytes.buffer) };
    const express = createExpress(one.sip.context);
    const refused = Buffer.from(
      bytesOf({ ...ORDINARY, digestUri: null }, known)
        .toString()
        .replaceAll('MESSAGE', 'REGISTER'),
    );
    expect(express(bytesOf(ORDINARY, known), flow)).toBe(true);
    expect(express(refused, flow)).toBe(true);
    expect(memory).toHaveLength(2);
    expect(memory[0]).not.toBe(memory[1]);
  });

  it('passes on and answers every one as the handler would, and leaves the same behind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 10 }), async (messages) => {
        const [fast, slow] = [await node(), await node()];
        const known = await register(fast);
        await register(slow);
        for (const one of messages) {
          const bytes = bytesOf(one, known);
          for (const side of [fast, slow]) side.answers.status = one.answer;
          fast.sip.handlers.onMessage(Buffer.from(bytes), fast.flow);
          slow.sip.handlers.onMessage(Buffer.concat([Buffer.from('\r\n'), bytes]), slow.flow);
          await settle();
          if (one.waitMs > 0) for (const side of [fast, slow]) await side.time.advance(one.waitMs);
          expect(alphabetical(fast.sent)).toEqual(alphabetical(slow.sent));
          expect(fast.got).toEqual(slow.got);
          expect(await stored(fast)).toEqual(await stored(slow));
          expect(fast.time.running()).toBe(slow.time.running());
          const nonce = /nonce="([^"]*)"/.exec(fast.sent.at(-1) ?? '')?.[1];
          if (nonce !== undefined && nonce !== known.nonce) [known.nonce, known.count] = [nonce, 0];
        }
      }),
      { numRuns: 150 },
    );
  });
});
