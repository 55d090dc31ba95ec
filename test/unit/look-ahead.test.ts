/** That the answers are the same with it is a matter of udp-express.test.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OnlineTable } from '../../src/heartbeat/online.ts';
import { NONE, REQUEST } from '../../src/udp/express-layout.ts';
import { room } from '../../src/udp/express-room.ts';
import { createReplyMemory } from '../../src/udp/reply-memory.ts';
import { cookieStartOf, LookAhead } from '../../src/udp/look-ahead.ts';

const word = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'));

describe('looking ahead', () => {
  it('finds the beginning of the cookie in what the express lane takes', () => {
    const request = fc.record({
      verb: fc.constantFrom('Heartbeat', 'Locate 10017676'),
      id: fc.constantFrom('1', 'h123', 'x'.repeat(32)),
      cookie: word,
      seq: fc.nat(),
      mac: word,
      order: fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
    });
    fc.assert(
      fc.property(request, ({ verb, id, cookie, seq, mac, order }) => {
        const headers = [`id: ${id}\r\n`, `cookie: ${cookie}\r\n`, `seq: ${seq}\r\n`];
        const bytes = Buffer.from(`${verb}\r\n${order.map((i) => headers[i]).join('')}mac: ${mac}\r\n\r\n`);
        room.bytes.set(bytes, REQUEST);
        expect(room.readHead(bytes.length)).not.toBe(NONE);
        expect(cookieStartOf(bytes)).toBe(room.cookie[0]);
      }),
    );
  });

  it('takes whatever comes, and as much of it as may come', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(
        'Heartbeat\r\n',
        'Heartbeat\r\ncookie: ',
        'c',
        'cookie: 12345678',
        `${'\n'.repeat(500)}cookie: 12345678`,
      ),
    );
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 200 }), (datagrams) => {
        const { sessions } = new OnlineTable({ capacity: 4, lifetimeMaxS: 60, nowS: 0 });
        const ahead = new LookAhead(sessions, createReplyMemory(1));
        for (const one of datagrams) ahead.coming(Buffer.from(one));
        ahead.look();
      }),
    );
  });
});
