import { describe, expect, it } from 'vitest';
import { isOnlyLineEnds, kindOfFrame, StreamFraming } from '../../src/sip/framing.ts';
import { MESSAGE_BYTES_MAX, parseMessage } from '../../src/sip/message.ts';
import { sipRequest } from '../support/sip-messages.ts';

const OPTIONS = sipRequest('OPTIONS', { transport: 'TCP' });
const MESSAGE = sipRequest('MESSAGE', { transport: 'TCP', body: 'Watson,\r\n\r\ncome here.' });

function reader() {
  const messages: string[] = [];
  const state = { pings: 0, isOpen: true };
  const framing = new StreamFraming({
    onMessage: (bytes) => void messages.push(bytes.toString('latin1')),
    onPing: () => {
      state.pings++;
    },
    isOpen: () => state.isOpen,
  });
  return { framing, messages, state, push: (text: string) => framing.push(Buffer.from(text, 'latin1')) };
}

describe('a stream of messages (RFC 3261 18.3)', () => {
  it('is cut by Content-Length, wherever its chunks end', () => {
    const stream = MESSAGE + OPTIONS + MESSAGE;
    for (let cut = 0; cut <= stream.length; cut++) {
      const { push, messages, framing } = reader();
      expect(push(stream.slice(0, cut)) && push(stream.slice(cut))).toBe(true);
      expect(messages).toEqual([MESSAGE, OPTIONS, MESSAGE]);
      expect(framing.isHalf).toBe(false);
    }
  });

  it('may come byte by byte', () => {
    const { push, messages } = reader();
    for (const byte of OPTIONS + MESSAGE + OPTIONS) expect(push(byte)).toBe(true);
    expect(messages).toEqual([OPTIONS, MESSAGE, OPTIONS]);
  });

  it('takes time in proportion to its length when it comes byte by byte', () => {
    const { push, messages } = reader();
    const long = sipRequest('MESSAGE', { body: 'x'.repeat(MESSAGE_BYTES_MAX - 400) });
    const began = process.cpuUsage().user;
    for (const byte of long) push(byte);
    expect(messages).toEqual([long]);
    expect(process.cpuUsage().user - began).toBeLessThan(2_000_000);
  });

  it('says when a message is half there', () => {
    const { push, framing } = reader();
    push('\r\n');
    expect(framing.isHalf).toBe(false);
    push('O');
    expect(framing.isHalf).toBe(true);
    push(OPTIONS.slice(1));
    expect(framing.isHalf).toBe(false);
  });

  it('takes compact, folded and spaced Content-Length as the parser does', () => {
    for (const header of ['l:3', 'L : 3', 'Content-length:\r\n 3', 'CONTENT-LENGTH\t:\t3  ']) {
      const message = MESSAGE.replace(/Content-Length[^]*/, `${header}\r\n\r\nabc`);
      const { push, messages } = reader();
      expect(push(message + OPTIONS)).toBe(true);
      expect(messages).toEqual([message, OPTIONS]);
      expect(parseMessage(Buffer.from(message), { stream: true })?.kind).toBe('request');
    }
  });
});

describe('lies about the length', () => {
  const withLength = (header: string): string => MESSAGE.replace(/Content-Length.*\r\n/, header);

  it.each([
    ['none', ''],
    ['two that differ', 'Content-Length: 3\r\nl: 4\r\n'],
    ['two of the same', 'Content-Length: 3\r\nl: 3\r\n'],
    ['a negative one', 'Content-Length: -1\r\n'],
    ['no number', 'Content-Length: 3a\r\n'],
    ['none behind the colon', 'Content-Length:\r\n'],
    ['longer than any message', 'Content-Length: 65537\r\n'],
    ['beyond all numbers', 'Content-Length: 99999999999999999999\r\n'],
  ])('%s: the message is answered with 400, and nothing behind it is read', (_name, header) => {
    const { push, messages } = reader();
    expect(push(withLength(header) + OPTIONS)).toBe(false);
    expect(messages).toHaveLength(1);
    expect(parseMessage(Buffer.from(messages[0] ?? ''), { stream: true })).toMatchObject({
      kind: 'problem',
      status: 400,
    });
  });

  it('too short: the rest of the body is read as a message, and is none', () => {
    const { push, messages } = reader();
    push(withLength('Content-Length: 7\r\n'));
    expect(messages).toHaveLength(1);
    expect(messages[0]?.endsWith('Watson,')).toBe(true);
  });

  it('a length in the body or in a folded line is none', () => {
    const { push, messages } = reader();
    const message = sipRequest('MESSAGE', {
      extra: 'Subject: a\r\n Content-Length: 9',
      body: 'a\r\nContent-Length: 900',
    });
    expect(push(message + OPTIONS)).toBe(true);
    expect(messages).toEqual([message, OPTIONS]);
  });
});

describe('limits', () => {
  it('headers without an end: 513, and the stream ends', () => {
    const { push, messages } = reader();
    const endless = OPTIONS.replace('Content-Length: 0\r\n\r\n', 'X: '.padEnd(1_000_000, 'x'));
    let isOpen = true;
    for (let at = 0; isOpen && at < endless.length; at += 1_400) isOpen = push(endless.slice(at, at + 1_400));
    expect(isOpen).toBe(false);
    expect(messages[0]).toHaveLength(MESSAGE_BYTES_MAX + 1);
    expect(parseMessage(Buffer.from(messages[0] ?? ''), { stream: true })).toMatchObject({
      kind: 'problem',
      status: 513,
    });
  });

  it('a message of 64 KiB passes, one byte more does not', () => {
    const room = MESSAGE_BYTES_MAX - sipRequest('MESSAGE', { body: 'x'.repeat(10_000) }).length + 10_000;
    expect(reader().push(sipRequest('MESSAGE', { body: 'x'.repeat(room) }))).toBe(true);
    expect(reader().push(sipRequest('MESSAGE', { body: 'x'.repeat(room + 1) }))).toBe(false);
  });

  it('a handler that closes the stream gets nothing more', () => {
    const messages: Buffer[] = [];
    const framing = new StreamFraming({
      onMessage: (bytes) => void messages.push(Buffer.from(bytes)),
      onPing: () => undefined,
      isOpen: () => messages.length === 0,
    });
    expect(framing.push(Buffer.from(OPTIONS + OPTIONS))).toBe(false);
    expect(messages).toHaveLength(1);
  });
});

describe('keep-alives (RFC 5626 4.4.1)', () => {
  it('a double CRLF between messages is a ping, wherever it is cut', () => {
    for (let cut = 0; cut <= 4; cut++) {
      const { push, state, messages } = reader();
      push(OPTIONS + '\r\n\r\n'.slice(0, cut));
      push('\r\n\r\n'.slice(cut) + OPTIONS);
      expect(state.pings).toBe(1);
      expect(messages).toEqual([OPTIONS, OPTIONS]);
    }
  });

  it('a single CRLF is a pong, or stands before a message (RFC 3261 7.5)', () => {
    const { push, state, messages } = reader();
    push(`\r\n${OPTIONS}\r\n${OPTIONS}`);
    expect(state.pings).toBe(0);
    expect(messages).toEqual([OPTIONS, OPTIONS]);
  });

  it('a flood of them is answered once a chunk', () => {
    const { push, state } = reader();
    push('\r\n'.repeat(10_000));
    expect(state.pings).toBe(1);
  });

  it('a double CRLF inside a body is none', () => {
    const { push, state } = reader();
    push(MESSAGE);
    expect(state.pings).toBe(0);
  });

  it('are told from messages in WebSocket frames and datagrams', () => {
    expect(kindOfFrame(Buffer.from('\r\n\r\n'))).toBe('ping');
    expect(kindOfFrame(Buffer.from('\r\n'))).toBe('nothing');
    expect(kindOfFrame(Buffer.from(''))).toBe('nothing');
    expect(kindOfFrame(Buffer.from(OPTIONS))).toBe('message');
    expect(isOnlyLineEnds(Buffer.from('\0\0\0\0'))).toBe(true);
    expect(isOnlyLineEnds(Buffer.from(`\r\n${OPTIONS}`))).toBe(false);
  });
});
