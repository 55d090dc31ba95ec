import { describe, expect, it } from 'vitest';
import { parseMessage, SipRequest, SipResponse } from '../../src/sip/message.ts';
import type { ParseOptions, SipProblem } from '../../src/sip/message.ts';
import { makeResponse } from '../../src/sip/response.ts';

const LINES = {
  start: 'MESSAGE sip:bob@b.example SIP/2.0',
  via: 'Via: SIP/2.0/UDP a.example;branch=z9hG4bK1',
  from: 'From: <sip:alice@a.example>;tag=1',
  to: 'To: <sip:bob@b.example>',
  callId: 'Call-ID: c@a',
  cseq: 'CSeq: 7 MESSAGE',
  maxForwards: 'Max-Forwards: 70',
  more: '',
  length: 'Content-Length: 5',
  body: 'hello',
};
type Lines = Partial<Record<keyof typeof LINES, string>>;

function text(changes: Lines = {}): string {
  const { body, ...head } = { ...LINES, ...changes };
  const lines = Object.values(head).filter((line) => line !== '');
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

function parse(changes: Lines = {}, options: ParseOptions = {}): ReturnType<typeof parseMessage> {
  return parseMessage(Buffer.from(text(changes)), options);
}

function request(changes: Lines = {}, options: ParseOptions = {}): SipRequest {
  const message = parse(changes, options);
  if (!(message instanceof SipRequest)) throw new Error(JSON.stringify(message));
  return message;
}

describe('parseMessage: requests', () => {
  it('reads what every message has', () => {
    const message = request();
    expect(message).toMatchObject({
      kind: 'request',
      method: 'MESSAGE',
      requestUri: 'sip:bob@b.example',
      callId: 'c@a',
      cseq: { number: 7, method: 'MESSAGE' },
      maxForwards: 70,
      fromTag: '1',
      toTag: undefined,
      expires: undefined,
    });
    expect(message.body.toString()).toBe('hello');
  });

  it('keeps nothing of the buffer that it was read from', () => {
    const bytes = Buffer.from(text());
    const message = parseMessage(bytes) as SipRequest;
    bytes.fill(0);
    expect(message.body.toString()).toBe('hello');
    expect(message.header('Call-ID')).toBe('c@a');
    expect(makeResponse(message, 200, 'OK').toString()).toContain('Call-ID: c@a\r\n');
  });

  it('skips empty lines before the message (RFC 3261 7.5); nothing but those is none', () => {
    expect(parseMessage(Buffer.from(`\r\n\r\n${text()}`))).toBeInstanceOf(SipRequest);
    expect(parseMessage(Buffer.from('\r\n\r\n'))).toBeNull();
    expect(parseMessage(Buffer.alloc(0))).toBeNull();
  });

  it('joins repeated and comma-separated headers, in their order, of long and compact names', () => {
    const message = request({ more: 'Supported: path,\r\n outbound\r\nk: gruu\r\nK : \r\nX-Own: a, b' });
    expect(message.headers('supported')).toEqual(['path', 'outbound', 'gruu']);
    expect(message.header('Supported')).toBe('path, outbound');
    expect(message.headers('x-own')).toEqual(['a, b']);
    expect(message.headers('x-ow')).toEqual([]);
    expect(message.header('x-owner')).toBeUndefined();
  });

  it('reads UTF-8 and writes it back unchanged', () => {
    const message = request({ to: 'To: "Łukasz, ☎" <sip:bob@b.example>' });
    expect(message.to.displayName).toBe('Łukasz, ☎');
    expect(makeResponse(message, 100, 'Trying').toString()).toContain('To: "Łukasz, ☎" <sip:bob@b.example>\r\n');
  });

  it('reads contacts: a list, * alone, none, or malformed', () => {
    expect(request().contacts()).toEqual([]);
    expect(request({ more: 'Contact: *' }).contacts()).toBe('*');
    expect(request({ more: 'm: *\r\nContact: <sip:a@b.c>' }).contacts()).toBeNull();
    expect(request({ more: 'm: <sip:a@b.c>;q=0.1, <sip:d@e.f>\r\nContact: <sip:g@h.i>' }).contacts()).toHaveLength(3);
    expect(request({ more: 'Contact: <sip:a@b.c' }).contacts()).toBeNull();
  });

  it('reads Expires; what is no number counts as 3600 (RFC 3261 20.19)', () => {
    expect(request({ more: 'Expires: 0060' }).expires).toBe(60);
    expect(request({ more: 'Expires: soon' }).expires).toBe(3600);
  });

  it('cuts a datagram at its Content-Length, and takes all of it where there is none (RFC 3261 18.3)', () => {
    expect(request({ length: 'l: 2' }).body.toString()).toBe('he');
    expect(request({ length: '' }).body.toString()).toBe('hello');
  });
});

describe('parseMessage: what RFC 3261 is strict about', () => {
  it.each<[string, Lines, number]>([
    ['another version', { start: 'MESSAGE sip:b@b.c SIP/3.0' }, 505],
    ['a missing From', { from: '' }, 400],
    ['a missing To', { to: '' }, 400],
    ['a missing Call-ID', { callId: '' }, 400],
    ['a missing CSeq', { cseq: '' }, 400],
    ['an empty Call-ID', { callId: 'Call-ID:' }, 400],
    ['a Call-ID of two words', { callId: 'Call-ID: a b' }, 400],
    ['CSeq of 2^31', { cseq: 'CSeq: 2147483648 MESSAGE' }, 400],
    ['CSeq with a sign', { cseq: 'CSeq: -1 MESSAGE' }, 400],
    ['CSeq without method', { cseq: 'CSeq: 1' }, 400],
    ['CSeq of another method', { cseq: 'CSeq: 1 message' }, 400],
    ['From twice', { more: 'f: <sip:x@y.z>;tag=2' }, 400],
    ['To twice', { more: 'TO: <sip:x@y.z>' }, 400],
    ['Call-ID twice', { more: 'i: x' }, 400],
    ['CSeq twice', { more: 'cseq: 7 MESSAGE' }, 400],
    ['Max-Forwards twice', { more: 'Max-Forwards: 1' }, 400],
    ['Content-Length twice, though equal', { more: 'l: 5' }, 400],
    ['Expires twice', { more: 'Expires: 1\r\nExpires: 1' }, 400],
    ['Max-Forwards of 256', { maxForwards: 'Max-Forwards: 256' }, 400],
    ['Content-Length beyond the end', { length: 'Content-Length: 6' }, 400],
    ['Content-Length with a sign', { length: 'Content-Length: +5' }, 400],
    ['a list of Content-Lengths', { length: 'Content-Length: 5, 5' }, 400],
    ['a line without colon', { more: 'Hello' }, 400],
    ['a name that is no token', { more: 'a(b: c' }, 400],
    ['a line end of LF alone', { more: 'A: b\nC: d' }, 400],
    ['a fold of LF alone', { more: 'A: b\n c' }, 400],
    ['a CR within a line', { more: 'A: b\rC: d' }, 400],
    ['a fold before the first header', { via: ' Via: SIP/2.0/UDP a.b\r\nVia: SIP/2.0/UDP a.b' }, 400],
    ['a malformed Via', { via: 'Via: SIP/2.0 a.b' }, 400],
    ['a Request-URI with headers', { start: 'MESSAGE sip:b@b.c?a=b SIP/2.0' }, 400],
  ])('%s', (_, changes, status) => {
    expect(parse(changes)).toMatchObject({ kind: 'problem', status, method: 'MESSAGE' });
  });

  it('over a stream Content-Length must be there and right', () => {
    expect(parse({}, { stream: true })).toBeInstanceOf(SipRequest);
    expect(parse({ length: '' }, { stream: true })).toMatchObject({ kind: 'problem', status: 400 });
    expect(parse({ length: 'l: 4' }, { stream: true })).toMatchObject({ kind: 'problem', status: 400 });
  });

  it('a message whose headers do not end', () => {
    expect(parseMessage(Buffer.from(text().slice(0, -9)))).toMatchObject({ kind: 'problem', status: 400 });
  });

  it('more than 64 KiB are too much (513), more than 256 header lines as well (400)', () => {
    expect(parse({ more: `A: ${'x'.repeat(65_536)}` })).toMatchObject({ kind: 'problem', status: 513 });
    expect(parse({ more: 'A: x\r\n'.repeat(256).trim() })).toMatchObject({ kind: 'problem', status: 400 });
  });

  it('is dropped where no answer may be sent: ACK, no Via, no SIP', () => {
    expect(parse({ start: 'ACK sip:b@b.c SIP/2.0', cseq: 'CSeq: x ACK' })).toBeNull();
    expect(parse({ via: '' })).toBeNull();
    expect(parse({ start: 'GET / HTTP/1.1' })).toBeNull();
    expect(parse({ start: 'MESSAGE' })).toBeNull();
  });
});

describe('parseMessage: responses', () => {
  it('reads status and reason', () => {
    expect(parse({ start: 'SIP/2.0 480 Not here' })).toMatchObject({
      kind: 'response',
      status: 480,
      reason: 'Not here',
    });
    expect(parse({ start: 'SIP/2.0 100 ' })).toBeInstanceOf(SipResponse);
  });

  it.each<[string, Lines]>([
    ['a status of 99', { start: 'SIP/2.0 099 x' }],
    ['a status of 700', { start: 'SIP/2.0 700 x' }],
    ['a malformed CSeq', { start: 'SIP/2.0 200 OK', cseq: 'CSeq: 1' }],
    ['a cut body', { start: 'SIP/2.0 200 OK', length: 'l: 6' }],
    ['From twice', { start: 'SIP/2.0 200 OK', more: 'f: sip:a@b.c' }],
  ])('drops one with %s', (_, changes) => {
    expect(parse(changes)).toBeNull();
  });
});

describe('makeResponse', () => {
  const source = { host: '192.0.2.1', port: 5062 };

  it('is a message in itself: Vias with received, From, To with a tag, Call-ID, CSeq, body', () => {
    const message = request({ more: 'v: SIP/2.0/TCP b.example, SIP/2.0/TLS c.example' }, { source });
    const bytes = makeResponse(message, 200, 'OK', [['Content-Type', 'text/plain']], Buffer.from('ciao é'));
    const answer = parseMessage(bytes, { stream: true }) as SipResponse;
    expect(answer).toMatchObject({
      status: 200,
      reason: 'OK',
      callId: 'c@a',
      fromTag: '1',
      cseq: message.cseq,
      contentType: 'text/plain',
    });
    expect(answer.headers('Via')).toEqual([
      'SIP/2.0/UDP a.example;branch=z9hG4bK1;received=192.0.2.1',
      'SIP/2.0/TCP b.example',
      'SIP/2.0/TLS c.example',
    ]);
    expect(answer.toTag).toMatch(/^[0-9a-z]{8,}$/);
    expect(answer.body.toString()).toBe('ciao é');
  });

  it('keeps the Vias that stand in the first line behind a comma', () => {
    const message = request({ via: 'Via: SIP/2.0/UDP a.example;rport , SIP/2.0/TCP b.example' }, { source });
    expect((parseMessage(makeResponse(message, 200, 'OK')) as SipResponse).headers('Via')).toEqual([
      'SIP/2.0/UDP a.example;rport=5062;received=192.0.2.1',
      'SIP/2.0/TCP b.example',
    ]);
  });

  it('gives retransmissions and the CANCEL the same tag, other requests another', () => {
    const tag = (message: SipRequest): string | undefined =>
      (parseMessage(makeResponse(message, 480, 'x')) as SipResponse).toTag;
    const first = tag(request());
    expect(tag(request())).toBe(first);
    expect(tag(request({ start: 'CANCEL sip:bob@b.example SIP/2.0', cseq: 'CSeq: 7 CANCEL' }))).toBe(first);
    expect(tag(request({ via: 'Via: SIP/2.0/UDP a.example;branch=z9hG4bK2' }))).not.toBe(first);
    expect(tag(request({ callId: 'Call-ID: d@a' }))).not.toBe(first);
  });

  it('takes the tag of the caller, leaves one that is there, adds none to a 100', () => {
    const to = (bytes: Buffer): string => /^To: (.*)\r$/m.exec(bytes.toString())?.[1] ?? '';
    expect(to(makeResponse(request(), 200, 'OK', [], undefined, 'mine'))).toBe('<sip:bob@b.example>;tag=mine');
    expect(to(makeResponse(request({ to: 't: sip:b@b.c ; tag=x' }), 200, 'OK', [], undefined, 'mine'))).toBe(
      'sip:b@b.c ; tag=x',
    );
    expect(to(makeResponse(request(), 100, 'Trying'))).toBe('<sip:bob@b.example>');
  });

  it('answers a request that is wrong with what could be read of it, each header once', () => {
    const problem = parse({ more: 'To: <sip:x@y.z>', from: '' }, { source }) as SipProblem;
    expect(makeResponse(problem, problem.status, problem.reason).toString().split('\r\n')).toEqual([
      'SIP/2.0 400 Repeated To',
      'Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;received=192.0.2.1',
      expect.stringMatching(/^To: <sip:bob@b.example>;tag=[0-9a-z]+$/) as string,
      'Call-ID: c@a',
      'CSeq: 7 MESSAGE',
      'Content-Length: 0',
      '',
      '',
    ]);
  });

  it('lets no header in through the values that it copies', () => {
    const problem = parse({ callId: 'Call-ID: x\rEvil: 1\nEvil: 2' }) as SipProblem;
    expect(makeResponse(problem, 400, 'x').toString()).not.toMatch(/[\r\n]Evil/);
  });

  it('refuses line ends in what the caller adds', () => {
    expect(() => makeResponse(request(), 200, 'OK', [['X', 'a\r\nEvil: 1']])).toThrow('line end');
    expect(() => makeResponse(request(), 200, 'OK\r\nEvil: 1')).toThrow('line end');
  });
});
