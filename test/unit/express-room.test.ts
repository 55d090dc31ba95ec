import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { HEARTBEAT, NONE, REPLY, REQUEST } from '../../src/udp/express-layout.ts';

const KOFFI = '../../src/base/koffi.ts';

afterEach(() => {
  vi.doUnmock(KOFFI);
  vi.resetModules();
});

describe.each([
  ['by OpenSSL', true],
  ['by itself where koffi is missing', false],
] as const)('the room of the express lane, hashing %s', (_name, hasKoffi) => {
  async function openRoom() {
    if (!hasKoffi) {
      vi.doMock(KOFFI, () => ({
        loadKoffi: () => {
          throw new Error('not installed');
        },
      }));
    }
    const { room } = await import('../../src/udp/express-room.ts');
    return room;
  }

  it('makes the macs of RFC 2104, with the digits of the key', async () => {
    const room = await openRoom();
    const bytes = fc.uint8Array({ maxLength: 1_200, size: 'max' });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.array(bytes), (key, messages) => {
        room.useKey(key, 0);
        for (const message of messages) {
          room.bytes.set(message, REPLY);
          room.makeMac(REPLY, REPLY + message.length);
          const end = room.writeMacLine(REPLY);
          const digest = createHmac('sha256', Buffer.from(key).toString('hex')).update(message).digest('hex');
          expect(room.bytes.toString('latin1', REPLY, end)).toBe(`mac: ${digest.slice(0, 32)}\r\n\r\n`);
        }
      }),
    );
  });

  it('tells a mac from every other', async () => {
    const room = await openRoom();
    const key = Buffer.alloc(32, 7);
    room.useKey(key, 0);
    const head = `Heartbeat\r\nid: r1\r\ncookie: ${'0a'.repeat(16)}\r\nseq: 1\r\n`;
    const mac = createHmac('sha256', key.toString('hex')).update(head).digest('hex').slice(0, 32);
    const ask = (digits: string): readonly [verb: number, isRight: boolean] => {
      const length = room.bytes.write(`${head}mac: ${digits}\r\n\r\n`, REQUEST, 'latin1');
      const verb = room.readHead(length);
      room.makeMac(REQUEST, REQUEST + head.length);
      return [verb, room.isMac() === 1];
    };
    expect(ask(mac)).toEqual([HEARTBEAT, true]);
    for (let i = 0; i < 32; i++) {
      const other = mac.charAt(i) === '0' ? '1' : '0';
      expect(ask(mac.slice(0, i) + other + mac.slice(i + 1)), `digit ${i}`).toEqual([HEARTBEAT, false]);
      expect(ask(mac.slice(0, i) + 'g' + mac.slice(i + 1))[0], `digit ${i}`).toBe(NONE);
    }
  });
});
