import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMessage } from '../../src/sip/message.ts';
import { formatNameAddr, parseNameAddr } from '../../src/sip/name-addr.ts';
import { makeResponse } from '../../src/sip/response.ts';
import { formatSipUri, parseUri } from '../../src/sip/uri.ts';
import { tortureMessages } from '../support/torture.ts';

const RUNS = 100_000;
const SOURCE = { host: '192.0.2.1', port: 5060 };
const METHODS = [
  'REGISTER',
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'OPTIONS',
  'MESSAGE',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'REFER',
  'INFO',
  'UPDATE',
  'PRACK',
];

function ordinary(method: string): Buffer {
  return Buffer.from(
    [
      `${method} sip:bob@b.example;transport=udp SIP/2.0`,
      'Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK-1;rport, SIP/2.0/TCP [::1]:5060;branch=z9hG4bK-2',
      'Max-Forwards: 70',
      'f: "Al \\"x\\"" <sip:alice@a.example>;tag=1',
      'To: <sip:bob@b.example>',
      'Call-ID: call@10.0.0.1',
      `CSeq: 7 ${method}`,
      'Contact: <sip:alice@10.0.0.1:5062;ob>;+sip.instance="<urn:uuid:1>";q=0.5;expires=60, sip:x@y.z',
      'Expires: 300',
      'Authorization: Digest username="alice", realm="vserver",',
      ' nonce="abc", uri="sip:b.example", response="0"',
      'Content-Type: application/sdp',
      'Content-Length: 5',
      '',
      'v=0\r\n',
    ].join('\r\n'),
  );
}

const SEEDS = [
  ...METHODS.map(ordinary),
  ...tortureMessages(new URL('../conformance/rfc4475.txt', import.meta.url)).values(),
  ...tortureMessages(new URL('../conformance/rfc5118.txt', import.meta.url)).values(),
];
const PIECES = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  '"',
  '\\',
  '<',
  '>',
  ',',
  ';',
  ':',
  '=',
  '%',
  '@',
  '[',
  ']',
  '*',
  '\0',
  'é',
];
PIECES.push('\r\n ', 'Via: x', 'l: 0\r\n', '\r\n\r\n', 'SIP/2.0', '99999999999', '-1', ';tag=1', 'sip:', '%00');

/** Reads all that there is to read; an answer, where one is due, must be a message that is hardly longer. */
function use(bytes: Buffer, stream: boolean): void {
  const message = parseMessage(bytes, { stream, source: SOURCE });
  if (message === null) return;
  for (const name of ['Via', 'Contact', 'Authorization', 'x', 'Supported']) {
    message.header(name);
    message.headers(name);
  }
  if (message.kind !== 'problem') {
    const { expires } = message;
    if (expires !== undefined && !(expires >= 0 && expires < 2 ** 32)) throw new Error(`expires ${expires}`);
    message.contacts();
    if (!(message.cseq.number >= 0 && message.cseq.number < 2 ** 31)) throw new Error('CSeq');
    if (message.body.length > bytes.length) throw new Error('body');
  }
  if (message.kind === 'response') return;
  const answer = makeResponse(message, 400, 'Bad Request');
  if (answer.length > bytes.length + 200) throw new Error('the answer is much longer than the request');
  if (message.kind === 'request') {
    const read = parseMessage(answer, { stream: true });
    if (read?.kind !== 'response') throw new Error('the answer can not be read');
    if (read.callId !== message.callId || read.cseq.number !== message.cseq.number) throw new Error('another answer');
  } else if (/[^\r]\n|\r[^\n]/.test(answer.toString('latin1'))) throw new Error('line ends in the answer');
}

const mutation = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.integer({ min: 0, max: 30 }),
  put: fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 8, unit: 'binary' })),
});

describe('SIP messages', () => {
  it('100,000 mutated messages of all methods: nothing is thrown, answers are well formed and short', () => {
    const property = fc.property(
      fc.constantFrom(...SEEDS),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (seed, mutations, stream) => {
        let bytes = seed;
        for (const { at, cut, put } of mutations) {
          const offset = Math.floor(at * bytes.length);
          bytes = Buffer.concat([bytes.subarray(0, offset), Buffer.from(put), bytes.subarray(offset + cut)]);
        }
        use(bytes, stream);
      },
    );
    fc.assert(property, { numRuns: RUNS });
  }, 240_000);

  it('10,000 messages of random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        use(Buffer.from(bytes), false);
        use(Buffer.concat([Buffer.from('OPTIONS sip:a SIP/2.0\r\n'), bytes, Buffer.from('\r\n\r\n')]), false);
      }),
      { numRuns: 10_000 },
    );
  });

  it('a URI and an address that were read are read the same again when printed', () => {
    const part = fc.string({ minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(part, part, fc.dictionary(part, part), (user, name, params) => {
        const lower = new Map<string, string>();
        for (const [key, value] of Object.entries(params)) lower.set(key.toLowerCase(), value.toLowerCase());
        const uri = parseUri(formatSipUri({ user, host: 'a.example', params: lower }));
        expect(uri).toMatchObject({ user, params: lower });
        if (uri === null) return;
        const printed = formatNameAddr({ displayName: name, uri, params: new Map([['x', name]]) });
        expect(parseNameAddr(printed)).toEqual({ displayName: name, uri, params: new Map([['x', name]]) });
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('long messages take a bounded time', () => {
  const head = 'OPTIONS sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP a.b;branch=z9hG4bK1\r\n';
  const rest = 'From: sip:a@b.c;tag=1\r\nTo: sip:a@b.c\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n';

  it.each([
    ['10,000 Vias', 'v: SIP/2.0/UDP a\r\n'.repeat(10_000)],
    ['10,000 Vias in a line', `v: SIP/2.0/UDP a${', SIP/2.0/UDP a'.repeat(10_000)}\r\n`],
    ['a header of 1 MB', `X: ${'a'.repeat(2 ** 20)}\r\n`],
    ['a header name of 1 MB', `${'a'.repeat(2 ** 20)}: x\r\n`],
    ['a header of 60 kB of spaces', `Contact: ${' '.repeat(60_000)}x\r\n`],
    ['20,000 folds', `Contact: ${'\r\n '.repeat(20_000)}x\r\n`],
    ['60,000 quotes', `Contact: ${'"'.repeat(60_000)}\r\n`],
    ['60,000 backslashes', `Contact: "${'\\'.repeat(60_000)}\r\n`],
    ['30,000 escaped quotes', `Contact: "${'\\"'.repeat(30_000)}\r\n`],
    ['60,000 commas', `Contact: ${','.repeat(60_000)}\r\n`],
    ['7,500 contacts without brackets', `Contact: ${Array(7_500).fill('sip:a@b').join()}\r\n`],
    ['10,000 parameters', `Contact: <sip:a@b>${Array.from({ length: 10_000 }, (_, i) => `;${i}`).join('')}\r\n`],
    ['60,000 angle brackets', `Contact: ${'<'.repeat(60_000)}\r\n`],
    ['60,000 dots in a host', `Contact: <sip:${'a.'.repeat(30_000)}>\r\n`],
    ['20,000 escapes', `Contact: <sip:${'%41'.repeat(20_000)}@b>\r\n`],
    ['20,000 URI headers', `Contact: <sip:a@b?${'a=b&'.repeat(15_000)}>\r\n`],
    ['60,000 characters of a number', `Contact: <tel:${'-'.repeat(60_000)}>\r\n`],
    ['250 header lines of 250 characters', `Contact: <sip:${'a'.repeat(230)}@b>\r\n`.repeat(250)],
  ])('%s', (_, lines) => {
    const bytes = Buffer.from(`${head}${lines}${rest}\r\n`);
    const started = process.cpuUsage();
    use(bytes, false);
    const used = process.cpuUsage(started);
    // Processor time, so that a busy machine makes no difference; 64 KiB need a few milliseconds.
    expect(used.user / 1000).toBeLessThan(300);
  });

  it('a request line of 60 kB', () => {
    const started = process.cpuUsage();
    for (const filler of [' ', '\t', 'a', 'a ', '<', '%']) {
      use(Buffer.from(`OPTIONS sip:${filler.repeat(30_000)} SIP/2.0\r\nVia: SIP/2.0/UDP a.b\r\n${rest}\r\n`), false);
      use(Buffer.from(`${filler.repeat(30_000)} SIP/2.0\r\nVia: SIP/2.0/UDP a.b\r\n${rest}\r\n`), false);
      use(Buffer.from(`OPTIONS${filler.repeat(30_000)}\r\nVia: SIP/2.0/UDP a.b\r\n${rest}\r\n`), false);
    }
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(2_000);
  });
});
