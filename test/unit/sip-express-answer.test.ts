/** Answers to requests of our own are read on their bytes; this holds that they count as those that are read whole. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAnswerLane } from '../../src/sip/express-answer.ts';
import type { Flow } from '../../src/sip/flow.ts';
import { parseMessage } from '../../src/sip/message.ts';
import { createTransactions } from '../../src/sip/transactions.ts';
import { manualTime } from '../support/clock.ts';

const BRANCH = 'z9hG4bKabcdefgh12345678';
const FLOW: Flow = {
  transport: 'udp',
  isReliable: false,
  remote: { host: '192.0.2.1', port: 5060 },
  local: { host: '192.0.2.10', port: 5060 },
  id: 'flow',
  send: () => undefined,
  close: () => undefined,
};

const ORDINARY = {
  line: 'SIP/2.0 200 OK',
  via: `SIP/2.0/UDP 192.0.2.10:5060;branch=${BRANCH};rport`,
  from: '<sip:alice@vserver>;tag=a.1',
  to: '"Bob" <sip:bob@192.0.2.1:5062>;tag=2',
  callId: 'some-call@192.0.2.10:5062',
  cseq: '17 NOTIFY',
  extra: [] as readonly string[],
  length: '0',
  body: '',
};
type Answer = typeof ORDINARY;

function bytesOf(answer: Answer): Buffer {
  const { line, via, from, to, callId, cseq, extra, length, body } = answer;
  const named = [`Via: ${via}`, `From: ${from}`, `To: ${to}`, `Call-ID: ${callId}`, `CSeq: ${cseq}`];
  const lines = [line, ...named, ...extra, ...(length === '' ? [] : [`Content-Length: ${length}`])];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

function mostly<T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof({ arbitrary: fc.constant(usual), weight: 6 }, { arbitrary: fc.constantFrom(...others), weight: 1 });
}

const VIA = 'SIP/2.0/UDP 192.0.2.10:5060';
const answer: fc.Arbitrary<Answer> = fc.record({
  line: mostly(
    'SIP/2.0 200 OK',
    'SIP/2.0 100 Trying',
    'SIP/2.0 481 Nö',
    'SIP/2.0 503 ',
    'SIP/2.0 99 x',
    'SIP/2.0 700 x',
  ),
  via: mostly(
    ORDINARY.via,
    `${VIA};rport=5060;branch=${BRANCH};received=10.0.0.1`,
    `SIP/2.0/TCP 192.0.2.10;branch=${BRANCH}`,
    `SIP/2.0/WS 192.0.2.10;branch=${BRANCH}`,
    `${VIA};branch=${BRANCH};rport;rport`,
    `${VIA};branch=${BRANCH};rport=`,
    `${VIA};branch=${BRANCH};received=host`,
    `${VIA};branch=${BRANCH};x=y`,
    `${VIA};branch=${BRANCH}, ${VIA};branch=z9hG4bKother`,
    `${VIA};branch=z9hG4bKother`,
    `${VIA};rport`,
    `${VIA}:1;branch=${BRANCH}`,
    `SIP/2.0/UDP host.example;branch=${BRANCH}`,
  ),
  from: mostly(ORDINARY.from, '<sip:alice@vserver', 'sip:alice@vserver;tag=a.1', '<tel:+86>;tag=x', ''),
  to: mostly(ORDINARY.to, '<sip:bob@vserver>', '<sip:bob@vserver>;tag=', '<sip:bob@vserver>;tag=1;tag=2', '<>'),
  callId: mostly(ORDINARY.callId, 'a b', 'a,b', '<["x"]>', 'é', 'a|b', ''),
  cseq: mostly(ORDINARY.cseq, '17 MESSAGE', '17 INVITE', '017 NOTIFY', 'NOTIFY', '9999999999 NOTIFY', '17  NOTIFY'),
  extra: fc.subarray([
    'Contact: <sip:b@192.0.2.1>',
    'User-Agent: x',
    `v: ${ORDINARY.via}`,
    'CSeq: 1 NOTIFY',
    'a',
    'X:  1 ',
  ]),
  length: mostly('0', '', '1', '5', 'x'),
  body: mostly('', 'hello'),
});

/** What the user of the transaction hears of the messages, and whether each was taken. */
function heard(messages: readonly Buffer[], isExpress: boolean): unknown {
  const transactions = createTransactions(manualTime().timers, () => FLOW);
  const lane = createAnswerLane(transactions);
  const statuses: number[] = [];
  const onStatus = (status: number): void => void statuses.push(status);
  transactions.openClient({ method: 'NOTIFY', branch: BRANCH }, Buffer.from('NOTIFY'), FLOW, { onStatus });
  const taken = messages.map((bytes) => {
    if (isExpress && lane(bytes)) return true;
    const message = parseMessage(bytes, { source: FLOW.remote });
    return message?.kind === 'response' && transactions.receiveResponse(message);
  });
  return { statuses, taken, count: transactions.count() };
}

describe('an answer to a request of our own', () => {
  it('is taken by its bytes', () => {
    const transactions = createTransactions(manualTime().timers, () => FLOW);
    const lane = createAnswerLane(transactions);
    const statuses: number[] = [];
    const onStatus = (status: number): void => void statuses.push(status);
    transactions.openClient({ method: 'NOTIFY', branch: BRANCH }, Buffer.from('NOTIFY'), FLOW, { onStatus });
    expect(lane(bytesOf({ ...ORDINARY, line: 'SIP/2.0 100 Trying' }))).toBe(true);
    expect(lane(bytesOf(ORDINARY))).toBe(true);
    expect(lane(bytesOf(ORDINARY))).toBe(false);
    expect(statuses).toEqual([100, 200]);
  });

  it('counts as one that is read whole, however it is written or damaged', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(answer, fc.option(fc.tuple(fc.nat(400), fc.nat(255)), { freq: 8 })), { maxLength: 4 }),
        (answers) => {
          const messages = answers.map(([one, damage]) => {
            const bytes = bytesOf(one);
            if (damage !== null && damage[0] < bytes.length) bytes[damage[0]] = damage[1];
            return bytes;
          });
          expect(heard(messages, true)).toEqual(heard(messages, false));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
