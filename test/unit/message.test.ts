import { describe, expect, test } from 'vitest';
import { decodeReply } from '../../src/udp/client-message.ts';
import { encode, encodeSigned } from '../../src/udp/encode.ts';
import { decode, HEADERS, macInput } from '../../src/udp/message.ts';
import type { Request } from '../../src/udp/message.ts';

const COOKIE = '00112233445566778899aabbccddeeff';
const MAC = '63229a15d35c32ec7b162b2159751fde';
const SIGNED = `Heartbeat\r\nid: r1\r\ncookie: ${COOKIE}\r\nseq: 1\r\nmac: ${MAC}\r\n\r\n`;

const read = (text: string) => decode(Buffer.from(text));
function request(text: string): Request {
  const result = read(text);
  if (result?.kind !== 'request') throw new Error(`not a request: ${JSON.stringify(result)}`);
  return result;
}

describe('a request', () => {
  test('with mac: cookie, seq, mac, and the bytes that the mac is made over', () => {
    const heartbeat = request(SIGNED);
    expect(heartbeat).toMatchObject({ verb: 'Heartbeat', argument: '', id: 'r1', seq: 1 });
    expect(SIGNED.slice(heartbeat.cookieAt, heartbeat.cookieAt + 32)).toBe(COOKIE);
    expect(SIGNED.slice(heartbeat.macAt, heartbeat.macAt + 32)).toBe(MAC);
    expect(macInput(Buffer.from(SIGNED), heartbeat).toString()).toBe(SIGNED.slice(0, SIGNED.indexOf('mac:')));
    expect(heartbeat.bodyAt).toBe(SIGNED.length);
  });

  test('with a body: the mac covers the bytes before its line, CRLF and the body', () => {
    const bytes = Buffer.from(`${SIGNED}line ü\r\n`);
    const decoded = decode(bytes);
    if (decoded?.kind !== 'request') throw new Error('not a request');
    expect(bytes.subarray(decoded.bodyAt).toString()).toBe('line ü\r\n');
    expect(macInput(bytes, decoded).toString()).toBe(`${SIGNED.slice(0, SIGNED.indexOf('mac:'))}\r\nline ü\r\n`);
  });

  test('with LF alone: the mac covers the bytes as they came', () => {
    const text = SIGNED.replaceAll('\r', '');
    const bytes = Buffer.from(text);
    expect(macInput(bytes, request(text)).toString()).toBe(text.slice(0, text.indexOf('mac:')));
  });

  test('verb and header names are read without regard to case, spaces around a value do not count', () => {
    expect(request('lOGIN 1001\r\nID:a\r\nCnonce:   c0ffee  \r\n')).toMatchObject({
      verb: 'Login',
      argument: '1001',
      id: 'a',
      cnonce: 'c0ffee',
    });
  });

  test('every header of a login', () => {
    const text = [
      'Login Zoë*()\\',
      'id: A.z_9-',
      'cnonce: c',
      'nonce: n',
      `proof: ${'a'.repeat(64)}`,
      'instance: handy ü',
      'local: [2001:DB8::0:1]:5',
      'firewall: medium',
      'status: on-phone',
      'note: Grüße 🙂',
      'device: cpu=x; mem=1',
      'ticket: abc',
      'pad: ....',
      'x-unknown: whatever',
      'etag: "e1"',
      'probe: p',
      '',
      '',
    ].join('\r\n');
    expect(request(text)).toMatchObject({
      argument: 'Zoë*()\\',
      id: 'A.z_9-',
      cnonce: 'c',
      nonce: 'n',
      proof: 'a'.repeat(64),
      instance: 'handy ü',
      local: { host: '2001:db8::1', port: 5 },
      firewall: 'medium',
      status: 'on-phone',
      note: 'Grüße 🙂',
      device: 'cpu=x; mem=1',
      ticket: 'abc',
      etag: '"e1"',
      probe: 'p',
      cookieAt: -1,
      seq: -1,
      macAt: -1,
      macLineAt: -1,
    });
  });

  test('Status keeps its argument as status', () => {
    expect(request('Status away\r\nid: 1\r\nnote:\r\n\r\n')).toMatchObject({ status: 'away', note: '', argument: '' });
  });

  test('Ok counts with an id that the server made', () => {
    expect(request('Ok\r\nid: s17\r\n\r\n').verb).toBe('Ok');
    expect(read('Ok\r\nid: r17\r\n\r\n')).toBeNull();
    expect(read('Ok\r\nid: s17\r\nseq: x\r\n\r\n')).toBeNull();
  });
});

describe('dropped without an answer', () => {
  test.each([
    ['nothing', ''],
    ['a bare verb', 'Hello'],
    ['no id', 'Hello\r\n\r\n'],
    ['an empty id', 'Hello\r\nid:\r\n\r\n'],
    ['an id that is none', 'Hello\r\nid: a b\r\n\r\n'],
    ['an id of 33 characters', `Hello\r\nid: ${'a'.repeat(33)}\r\n\r\n`],
    ['an unknown verb', 'Dance\r\nid: 1\r\n\r\n'],
    ['a verb with something behind it', 'Hello!\r\nid: 1\r\n\r\n'],
    ['the reply Hello', 'Hello vserver1\r\nid: 1\r\n\r\n'],
    ['the reply Config', 'Config 1001\r\nid: 1\r\n\r\n'],
    ['the reply Servers', 'Servers 3\r\nid: 1\r\n\r\n'],
    ['the reply Error', 'Error 400\r\nid: 1\r\n\r\n'],
    ['the reply Redirect', 'Redirect 127.0.0.1:4321\r\nid: 1\r\n\r\n'],
    ['binary', Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('latin1')],
  ])('%s', (_, text) => {
    expect(read(text)).toBeNull();
  });
});

describe('malformed', () => {
  const hello = (header: string) => `Hello\r\n${header}\r\nid: r1\r\n\r\n`;
  test.each([
    ['a control character in a value', hello('note: a\x01b'), 'a control character'],
    ['a tab', hello('note: a\tb'), 'a control character'],
    ['a delete character', hello('note: \x7f'), 'a control character'],
    ['a carriage return alone', hello('note: a\rb'), 'a control character'],
    ['a C1 control character', hello('note: a\u0085b'), 'a control character'],
    ['a control character in an unknown header', hello('x: \0'), 'a control character'],
    ['a control character in the first line', 'Login a\0b\r\nid: r1\r\n\r\n', 'a control character'],
    ['a control character in the body', `${hello('x: y')}\0`, 'a control character'],
    ['a line without a colon', hello('note'), 'not a header line'],
    ['a line that begins with a space', hello(' note: x'), 'not a header line'],
    ['a name with a space', hello('no te: x'), 'not a header line'],
    ['a last line without an end', 'Hello\r\nid: r1\r\nnote: x', 'the last line has no end'],
    ['a header behind mac', `Hello\r\nmac: ${MAC}\r\nid: r1\r\n\r\n`, 'mac: not the last header'],
    ['an unknown header behind mac', `Hello\r\nid: r1\r\nmac: ${MAC}\r\nx: y\r\n\r\n`, 'mac: not the last header'],
    ['a short cookie', hello('cookie: 00'), 'cookie: not 32 hex digits'],
    ['a cookie that is no hex', hello(`cookie: g${COOKIE.slice(1)}`), 'cookie: not 32 hex digits'],
    ['a short mac', 'Hello\r\nid: r1\r\nmac: 00\r\n\r\n', 'mac: not 32 hex digits'],
    ['a negative seq', hello('seq: -1'), 'seq: not a 32-bit number'],
    ['an empty seq', hello('seq:'), 'seq: not a 32-bit number'],
    ['a seq of 33 bits', hello('seq: 4294967296'), 'seq: not a 32-bit number'],
    ['a seq of 11 digits', hello('seq: 00000000001'), 'seq: not a 32-bit number'],
    ['a local that is a name', hello('local: host:5'), 'local: not ip:port'],
    ['a firewall type of its own', hello('firewall: brick'), 'firewall: not a firewall type'],
    ['a status of its own', hello('status: asleep'), 'status: not a status'],
    ['Status without one', 'Status\r\nid: r1\r\n\r\n', 'not a status'],
    ['Status with an unknown one', 'Status asleep\r\nid: r1\r\n\r\n', 'not a status'],
    ['a long instance', hello(`instance: ${'a'.repeat(65)}`), 'instance: longer than 64 characters'],
    ['a long note', hello(`note: ${'ü'.repeat(97)}`), 'note: longer than 96 characters'],
    ['a long device', hello(`device: ${'a'.repeat(513)}`), 'device: longer than 512 bytes'],
    ['a long ticket', hello(`ticket: ${'a'.repeat(201)}`), 'ticket: not 1 to 200 visible characters'],
    ['an empty cnonce', hello('cnonce:'), 'cnonce: not 1 to 64 visible characters'],
    ['a long cnonce', hello(`cnonce: ${'a'.repeat(65)}`), 'cnonce: not 1 to 64 visible characters'],
    ['a cnonce with a space', hello('cnonce: a b'), 'cnonce: not 1 to 64 visible characters'],
    ['a short proof', hello('proof: ab'), 'proof: not 64 hex digits'],
    ['Login without a uid', 'Login\r\nid: r1\r\ncnonce: c\r\n\r\n', 'not a uid'],
    ['Login with two', 'Login a b\r\nid: r1\r\ncnonce: c\r\n\r\n', 'not a uid'],
    ['Login with a leading space', 'Login  a\r\nid: r1\r\ncnonce: c\r\n\r\n', 'not a uid'],
    ['a long uid', `Login ${'a'.repeat(65)}\r\nid: r1\r\ncnonce: c\r\n\r\n`, 'not a uid'],
    ['a uid with a colon', 'Locate a:b\r\nid: r1\r\n\r\n', 'not a uid'],
    ['Login without cnonce', 'Login a\r\nid: r1\r\n\r\n', 'cnonce: missing'],
    ['a nonce without proof', 'Login a\r\nid: r1\r\ncnonce: c\r\nnonce: n\r\n\r\n', 'proof: missing'],
    ['a proof without nonce', `Login a\r\nid: r1\r\ncnonce: c\r\nproof: ${'a'.repeat(64)}\r\n\r\n`, 'nonce: missing'],
  ])('%s', (_, text, reason) => {
    expect(read(text)).toEqual({ kind: 'malformed', status: 400, id: 'r1', reason });
  });

  test.each(HEADERS.filter((name) => name !== 'mac'))('%s twice', (name) => {
    const values: Partial<Record<string, string>> = {
      ...{ id: 'r1', cookie: COOKIE, seq: '1', proof: 'a'.repeat(64), local: '1.2.3.4:5' },
      ...{ firewall: 'none', status: 'busy' },
    };
    const header = `${name}: ${values[name] ?? 'x'}\r\n`;
    const id = name === 'id' ? '' : 'id: r1\r\n';
    const result = read(`Hello\r\n${id}${header}${name.toUpperCase()}: ${values[name] ?? 'x'}\r\n\r\n`);
    expect(result).toMatchObject({ kind: 'malformed', id: 'r1', reason: `${name}: twice` });
  });

  test('mac twice', () => {
    const result = read(SIGNED.replace('\r\n\r\n', `\r\nmac: ${MAC}\r\n\r\n`));
    expect(result).toMatchObject({ kind: 'malformed', id: 'r1', reason: 'mac: twice' });
  });

  test('bytes that are not UTF-8', () => {
    const bytes = Buffer.from(hello('note: \xff\xfe'), 'latin1');
    expect(decode(bytes)).toMatchObject({ kind: 'malformed', id: 'r1', reason: 'not UTF-8' });
  });

  test('more than 1200 bytes are too long; 1200 are not', () => {
    const text = (length: number) => `Hello\r\nid: r1\r\npad: ${'.'.repeat(length - 24)}\r\n\r\n`;
    expect(Buffer.byteLength(text(1200))).toBe(1200);
    expect(read(text(1200))?.kind).toBe('request');
    expect(read(text(1201))).toMatchObject({ kind: 'malformed', status: 413, id: 'r1' });
    expect(read(text(65_000))).toMatchObject({ kind: 'malformed', status: 413, id: 'r1' });
  });

  test('cut off at any byte, it is never taken for a signed request', () => {
    const whole = SIGNED.length - 2;
    for (let length = 0; length < whole; length++) {
      const result = read(SIGNED.slice(0, length));
      expect(result?.kind === 'request' && result.macAt >= 0).toBe(false);
    }
  });
});

describe('encoding', () => {
  const macOf = (key: string, bytes: Uint8Array) => `${key}${bytes.length}`.padEnd(32, 'f');

  test('a reply, in the order of its headers', () => {
    expect(encode('Ok', '', 'r1', { wan: '1.2.3.4:5', probe: undefined, 'retry-after': 3 }).toString()).toBe(
      'Ok\r\nid: r1\r\nwan: 1.2.3.4:5\r\nretry-after: 3\r\n\r\n',
    );
    expect(encode('Error', '401', 'r1').toString()).toBe('Error 401\r\nid: r1\r\n\r\n');
  });

  test('a value cannot bring a header of its own', () => {
    const text = encode('User', 'a\r\nb', 'r1', { alias: 'x\r\nwan: 6.6.6.6:6\u0085\0' }).toString();
    expect(text).toBe('User a  b\r\nid: r1\r\nalias: x  wan: 6.6.6.6:6  \r\n\r\n');
  });

  test('the mac is the last header and covers what macInput says', () => {
    for (const body of ['', 'one\r\ntwo ü\r\n']) {
      const bytes = encodeSigned('k', macOf, 'User', 'zoë', 'r1', { alias: 'Zoë' }, body);
      const reply = decodeReply(bytes);
      if (reply === null) throw new Error('no reply');
      expect([...reply.headers.keys()].at(-1)).toBe('mac');
      expect(reply.headers.get('mac')).toBe(macOf('k', macInput(bytes, reply)));
      expect(reply).toMatchObject({ verb: 'User', argument: 'zoë', id: 'r1', body });
      expect(reply.headers.get('alias')).toBe('Zoë');
    }
  });

  test('a client reads no reply with a header twice, behind mac, or without id', () => {
    for (const text of [
      'Ok\r\n\r\n',
      'Ok\r\nid: 1\r\nid: 1\r\n\r\n',
      'Ok\r\nmac: 1\r\nid: 1\r\n\r\n',
      'Hm\r\nid: 1\r\n\r\n',
    ]) {
      expect(decodeReply(Buffer.from(text))).toBeNull();
    }
  });
});
