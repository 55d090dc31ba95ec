import { describe, expect, it } from 'vitest';
import { parseMessage, SipProblem, SipRequest, SipResponse } from '../../src/sip/message.ts';
import type { NameAddr } from '../../src/sip/name-addr.ts';
import { makeResponse } from '../../src/sip/response.ts';
import type { SipUri } from '../../src/sip/uri.ts';
import { isUniqueBranch, parseVias } from '../../src/sip/via.ts';
import { tortureMessages } from '../support/torture.ts';

const MESSAGES = tortureMessages(new URL('rfc4475.txt', import.meta.url));
const SOURCE = { host: '192.0.2.77', port: 5077 };

function parse(name: string): ReturnType<typeof parseMessage> {
  const bytes = MESSAGES.get(name);
  if (bytes === undefined) throw new Error(`no message ${name}`);
  return parseMessage(bytes, { source: SOURCE });
}

function request(name: string): SipRequest {
  const message = parse(name);
  if (message instanceof SipProblem) throw new Error(`${name}: ${message.status} ${message.reason}`);
  expect(message, name).toBeInstanceOf(SipRequest);
  return message as SipRequest;
}

function response(name: string): SipResponse {
  const message = parse(name);
  expect(message, name).toBeInstanceOf(SipResponse);
  return message as SipResponse;
}

function contacts(message: SipRequest): readonly NameAddr[] {
  const list = message.contacts();
  if (list === null || list === '*') throw new Error('no contacts');
  return list;
}

const sip = (address: NameAddr | undefined): SipUri => address?.uri as SipUri;

it('all 49 messages of RFC 4475 are here', () => {
  expect(MESSAGES.size).toBe(49);
});

describe('3.1.1 valid messages', () => {
  it('3.1.1.1 wsinv: a short tortuous INVITE', () => {
    const message = request('wsinv');
    expect(message.method).toBe('INVITE');
    expect((message.uri as SipUri).params).toEqual(new Map([['unknownparam', '']]));
    expect(message.to).toMatchObject({ displayName: '', uri: { user: 'vivekg', host: 'chair-dnrc.example.com' } });
    expect(message.toTag).toBe('1918181833n');
    expect(message.from).toMatchObject({ displayName: 'J Rosenberg \\"', uri: { user: 'jdrosen' } });
    expect(message.fromTag).toBe('98asjd8');
    expect(message.maxForwards).toBe(68);
    expect(message.cseq).toEqual({ number: 9, method: 'INVITE' });
    expect(message.topVia).toMatchObject({ transport: 'UDP', host: '192.0.2.2', port: null, branch: '390skdjuw' });
    expect(message.headers('Via').map((via) => parseVias(via)?.[0])).toMatchObject([
      { transport: 'UDP', host: '192.0.2.2', branch: '390skdjuw' },
      { transport: 'TCP', host: 'spindle.example.com', branch: 'z9hG4bK9ikj8' },
      { transport: 'UDP', host: '192.168.255.111', branch: 'z9hG4bK30239' },
    ]);
    expect(message.header('Subject')).toBe('');
    expect(message.header('NewFangledHeader')).toBe('newfangled value continued newfangled value');
    expect(message.header('unknownheaderwithunusualvalue')).toBe(';;,,;;,;');
    expect(message.header('Route')).toBe('<sip:services.example.com;lr;unknownwith=value;unknown-no-value>');
    expect(contacts(message)).toMatchObject([
      {
        displayName: 'Quoted string ""',
        params: new Map([
          ['newparam', 'newvalue'],
          ['secondparam', ''],
          ['q', '0.33'],
        ]),
      },
    ]);
    expect(message.body.length).toBe(150);
  });

  it('3.1.1.2 intmeth: a wide range of valid characters', () => {
    const message = request('intmeth');
    expect(message.method).toBe("!interesting-Method0123456789_*+`.%indeed'~");
    expect(message.uri).toMatchObject({
      user: "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
      password: "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
      host: 'example.com',
    });
    expect(message.topVia.branch).toBe("z9hG4bK-.!%66*_+`'~");
    expect(message.to.displayName).toBe('BEL:\x07 NUL:\0 DEL:\x7f');
    expect(message.from.displayName).toBe("token1~` token2'+_ token3*%!.-");
    expect(message.from.params.get("fromparam''~+*_!.-%")).toBe('работающий');
    expect(message.fromTag).toBe("_token~1'+`*%!-.");
    expect(message.callId).toBe('intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{');
    expect(message.header("extensionHeader-!.%*+_`'~")).toBe('\ufeff大停電');
    expect(message.maxForwards).toBe(255);
  });

  it('3.1.1.3 esc01: % escapes mean something in URIs', () => {
    const message = request('esc01');
    expect(message.uri).toMatchObject({ scheme: 'sip', user: 'sips:user@example.com', host: 'example.net' });
    expect(sip(message.to).user).toBe('user');
    expect(sip(message.from).user).toBe('I have spaces');
    expect(sip(contacts(message)[0])).toMatchObject({
      user: 'caller',
      params: new Map([
        ['lr', ''],
        ['name', 'value%41'],
      ]),
    });
  });

  it('3.1.1.4 escnull: escaped NULs', () => {
    const message = request('escnull');
    expect(sip(message.to).user).toBe('null-\0-null');
    expect(contacts(message).map((contact) => sip(contact).user)).toEqual(['\0', '\0\0']);
  });

  it('3.1.1.5 esc02: % is no escape in methods, names and header names', () => {
    const message = request('esc02');
    expect(message.method).toBe('RE%47IST%45R');
    expect(message.to.displayName).toBe('%Z%45');
    expect(contacts(message).map((contact) => sip(contact).user)).toEqual(['alias1', 'alias3']);
    expect(message.header('C%6Fntact')).toBe('<sip:alias2@host2.example.com>');
  });

  it('3.1.1.6 lwsdisp: no space between the display name and <', () => {
    expect(request('lwsdisp').from).toMatchObject({ displayName: 'caller', uri: { user: 'caller' } });
  });

  it('3.1.1.7 longreq: long values', () => {
    const message = request('longreq');
    expect(message.headers('Via')).toHaveLength(34);
    expect(message.callId).toBe(`longreq.one${'really'.repeat(20)}longcallid`);
    expect(sip(message.from).user).toBe('amazinglylongcallername'.repeat(5));
    expect(sip(message.to).params.size).toBe(3);
    expect(message.body.length).toBe(150);
  });

  it('3.1.1.8 dblreq: what follows the first message of a datagram is ignored', () => {
    const message = request('dblreq');
    expect(message.method).toBe('REGISTER');
    expect(message.callId).toBe('dblreq.0ha0isndaksdj99sdfafnl3lk233412');
    expect(message.headers('Via')).toHaveLength(1);
    expect(message.body.length).toBe(0);
  });

  it('3.1.1.9 semiuri: semicolons in the user part belong to the user', () => {
    const message = request('semiuri');
    expect(message.uri).toMatchObject({ user: 'user;par=u@example.net', params: new Map() });
    expect(message.headers('Accept')).toHaveLength(6);
  });

  it('3.1.1.10 transports: various and unknown transports', () => {
    const vias = request('transports').headers('Via');
    expect(vias.map((via) => parseVias(via)?.[0]?.transport)).toEqual(['UDP', 'SCTP', 'TLS', 'UNKNOWN', 'TCP']);
  });

  it('3.1.1.11 mpart01: the multipart body is opaque', () => {
    const message = request('mpart01');
    expect(message.contentType).toBe('multipart/mixed;boundary=7a9cbec02ceef655');
    expect(message.body.length).toBe(553);
    expect(message.body.includes(Buffer.from('A02A0C9', 'latin1'))).toBe(false);
    expect(message.body.includes(Buffer.from('3082015206092a864886f70d010702', 'hex'))).toBe(true);
  });

  it('3.1.1.12 unreason and 3.1.1.13 noreason: unusual and empty reason phrases', () => {
    expect(response('unreason')).toMatchObject({
      status: 200,
      reason: '= 2**3 * 5**2 но сто девяносто девять - простое',
    });
    expect(response('noreason')).toMatchObject({ status: 100, reason: '' });
  });
});

describe('3.1.2 invalid messages', () => {
  it.each([
    ['badinv01', 'superfluous separators in Via', 400],
    ['clerr', 'Content-Length larger than the message', 400],
    ['ncl', 'a negative Content-Length', 400],
    ['scalar02', 'a CSeq and Max-Forwards out of range', 400],
    ['quotbal', 'an unterminated quoted string', 400],
    ['ltgtruri', '<> around the Request-URI', 400],
    ['lwsruri', 'a space in the Request-URI', 400],
    ['lwsstart', 'several spaces in the request line', 400],
    ['trws', 'spaces at the end of the request line', 400],
    ['escruri', 'escaped headers in the Request-URI', 400],
    ['badaspec', 'spaces within an addr-spec', 400],
    ['baddn', 'a display name that must be quoted', 400],
    ['badvers', 'an unknown protocol version', 505],
    ['mismatch01', 'CSeq and request line of different methods', 400],
    ['mismatch02', 'the same with an unknown method', 400],
    ['insuf', '3.3.1 mandatory headers that are missing', 400],
    ['multi01', '3.3.8 single headers given twice', 400],
    ['mcl01', '3.3.9 two Content-Lengths', 400],
  ])('%s: %s', (name, _, status) => {
    const message = parse(name);
    expect(message, name).toBeInstanceOf(SipProblem);
    const problem = message as SipProblem;
    expect(problem.status, problem.reason).toBe(status);
    // The answer goes back with what could be read.
    const answer = parseMessageText(makeResponse(problem, problem.status, problem.reason));
    expect(answer[0]).toBe(`SIP/2.0 ${status} ${problem.reason}`);
    expect(answer.filter((line) => line.startsWith('Via: ')).length).toBe(1);
    const callId = problem.header('Call-ID');
    if (callId !== undefined) expect(answer).toContain(`Call-ID: ${callId}`);
  });

  it.each([
    ['scalarlg', 'a response with a CSeq out of range'],
    ['bigcode', 'a response with an overlarge code'],
  ])('%s: %s is dropped', (name) => {
    expect(parse(name)).toBeNull();
  });

  it('3.1.2.12 baddate: a bad Date hurts nobody who does not use it', () => {
    expect(request('baddate').header('Date')).toBe('Fri, 01 Jan 2010 16:00:00 EST');
  });

  it('3.1.2.13 regbadct: a Contact with ? outside <> is malformed (the registrar answers 400)', () => {
    expect(request('regbadct').contacts()).toBeNull();
  });
});

describe('3.2 and 3.3: transactions and applications', () => {
  it('3.2.1 badbranch: the magic cookie alone identifies no transaction', () => {
    const { branch } = request('badbranch').topVia;
    expect(branch).toBe('z9hG4bK');
    expect(isUniqueBranch(branch)).toBe(false);
    expect(isUniqueBranch('z9hG4bKa')).toBe(true);
  });

  it('3.3.2 unkscm and 3.3.3 novelsc: unknown schemes in the Request-URI are told apart (416)', () => {
    expect(request('unkscm').uri).toEqual({ scheme: 'other', text: 'nobodyKnowsThisScheme:totallyopaquecontent' });
    expect(request('novelsc').uri).toEqual({ scheme: 'other', text: 'soap.beep://192.0.2.103:3002' });
  });

  it('3.3.4 unksm2: unknown schemes in To, From and Contact', () => {
    const message = request('unksm2');
    expect(message.to.uri).toEqual({ scheme: 'other', text: 'isbn:2983792873' });
    expect(message.from.uri).toEqual({ scheme: 'other', text: 'http://www.example.com' });
    expect(contacts(message)[0]?.uri).toEqual({ scheme: 'other', text: 'name:John_Smith' });
  });

  it('3.3.5 bext01: Require and Proxy-Require can be listed (420)', () => {
    const message = request('bext01');
    expect(message.headers('Require')).toEqual(['nothingSupportsThis', 'nothingSupportsThisEither']);
    expect(message.headers('Proxy-Require')).toEqual(['noProxiesSupportThis', 'norDoAnyProxiesSupportThis']);
  });

  it('3.3.6 invut: the unknown content type can be seen (415)', () => {
    expect(request('invut').contentType).toBe('application/unknownformat');
  });

  it('3.3.7 regaut01: the unknown authorization scheme can be seen (401)', () => {
    expect(request('regaut01').header('Authorization')).toBe('NoOneKnowsThisScheme opaque-data=here');
  });

  it('3.3.10 bcast: a response whose next Via is broadcast is read, its first Via is somebody else’s', () => {
    const message = response('bcast');
    expect(message.topVia.host).toBe('192.0.2.198');
    expect(message.headers('Via')).toHaveLength(2);
  });

  it('3.3.11 zeromf: Max-Forwards of zero (483 from a proxy)', () => {
    expect(request('zeromf').maxForwards).toBe(0);
  });

  it('3.3.12 cparam01 and 3.3.13 cparam02: parameters outside and inside <>', () => {
    const [outside] = contacts(request('cparam01'));
    expect(outside?.params).toEqual(new Map([['unknownparam', '']]));
    expect(sip(outside).params.size).toBe(0);
    const [inside] = contacts(request('cparam02'));
    expect(inside?.params.size).toBe(0);
    expect(sip(inside).params).toEqual(new Map([['unknownparam', '']]));
  });

  it('3.3.14 regescrt: the headers of a Contact URI are kept', () => {
    const [contact] = contacts(request('regescrt'));
    expect(sip(contact)).toMatchObject({
      headers: 'Route=%3Csip:sip.example.com%3E',
      text: 'sip:user@example.com?Route=%3Csip:sip.example.com%3E',
    });
  });

  it('3.3.15 sdp01: the Accept can be seen (406)', () => {
    expect(request('sdp01').headers('Accept')).toEqual(['text/nobodyKnowsThis']);
  });

  it('3.4.1 inv2543: an INVITE of RFC 2543, without branch, tags, Max-Forwards and Content-Length', () => {
    const message = request('inv2543');
    expect(message).toMatchObject({ maxForwards: null, fromTag: undefined });
    expect(message.topVia.branch).toBe('');
    expect(message.to.params).toEqual(new Map([['user', 'phone']]));
    expect(message.body.toString()).toMatch(/^v=0\r\n[^]*m=audio 49217 RTP\/AVP 0\r\n$/);
  });
});

function parseMessageText(bytes: Buffer): string[] {
  return bytes.toString().split('\r\n');
}
