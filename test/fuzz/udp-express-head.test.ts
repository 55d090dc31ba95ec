/** What the express lane reads of a datagram is what decode() reads of it, whatever its bytes; most it leaves to the others. */
import { hash } from 'node:crypto';
import { expect, it } from 'vitest';
import * as layout from '../../src/udp/express-layout.ts';
import { room } from '../../src/udp/express-room.ts';
import { decode } from '../../src/udp/message.ts';

const HEADERS = ['id: r1', `cookie: ${hash('md5', 'cookie')}`, 'seq: 4294967295'];
const ORDERS = [
  [0, 1, 2],
  [2, 0, 1],
  [1, 2, 0],
];
const FIRST = ['Heartbeat', 'Locate alice', `Locate ${'x'.repeat(64)}`, `Locate ${'x'.repeat(65)}`];
const CASES = FIRST.flatMap((first) => ORDERS.map((order) => [first, order] as const));

const place = (number: number): number => room.places[number] ?? 0;
const text = (at: number, end: number): string => room.bytes.toString('latin1', place(at), place(end));
const hex = (first: number): string =>
  [0, 1, 2, 3]
    .map((i) =>
      place(first + i)
        .toString(16)
        .padStart(8, '0'),
    )
    .join('');

/** Whether the lane reads it; then both must have read the same. */
function isRead(bytes: Buffer): boolean {
  room.bytes.set(bytes, layout.REQUEST);
  const verb = room.readHead(bytes.length);
  if (verb === layout.NONE) return false;
  const request = decode(bytes);
  if (request?.kind !== 'request') throw new Error(`not for the lane: ${JSON.stringify(bytes.toString('latin1'))}`);
  const { cookieAt, macAt, macLineAt, bodyAt } = request;
  const uid = verb === layout.LOCATE ? text(layout.UID_AT, layout.UID_END) : '';
  expect([request.verb, request.argument]).toEqual([verb === layout.LOCATE ? 'Locate' : 'Heartbeat', uid]);
  expect([request.id, request.seq]).toEqual([text(layout.ID_AT, layout.ID_END), place(layout.SEQ)]);
  expect([macLineAt, bodyAt]).toEqual([place(layout.MAC_LINE_AT) - layout.REQUEST, bytes.length]);
  expect(bytes.toString('latin1', cookieAt, cookieAt + 32)).toBe(hex(layout.COOKIE));
  expect(bytes.toString('latin1', macAt, macAt + 32)).toBe(hex(layout.MAC));
  return true;
}

it.each(CASES)('%s with its headers in the order %j, cut off or with one byte changed', (first, order) => {
  const lines = [first, ...order.map((i) => HEADERS[i] ?? ''), `mac: ${hash('md5', 'mac')}`];
  const whole = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  expect(isRead(whole)).toBe(first !== FIRST[3]);
  for (let at = 0; at < whole.length; at++) {
    for (let byte = 0; byte < 256; byte++) {
      const bytes = Buffer.from(whole);
      bytes[at] = byte;
      isRead(bytes);
    }
    // What stood there before stands behind it still.
    isRead(whole);
    expect(isRead(whole.subarray(0, at))).toBe(false);
    for (const to of [at - 30, at - 1, at + 1, at + 2, at + 30]) {
      if (to >= 0) isRead(Buffer.concat([whole.subarray(0, at), whole.subarray(to)]));
    }
  }
});
