import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createMacRoom,
  equalSecrets,
  httpToken,
  isMacAt,
  macOf,
  PAD_BYTES,
  proofOf,
  sessionKey,
  verifierOf,
} from '../../src/login/proof.ts';

const K = '304214cdcc8101944a81a02138c3c72b9c9f58b55b83730cfdadb67ab59a141e';

describe('the test vectors of PROTOCOL.md', () => {
  const h = verifierOf('10017676', 'vserver', 'secret');

  it('verifier', () => {
    expect(h).toBe('6c001c269462dde317a956e2afd1cc99a601ed33f09e10d3e3d8219df81c32f7');
  });
  it('proof', () => {
    const proof = proofOf(h, 'n0nce', 'c0ffee', '10017676');
    expect(proof).toBe('c2e80878cbc223b50a34fad314e6d4186d138cb97c203c6f2c294bdf34893c4e');
  });
  it('session key', () => {
    expect(sessionKey(h, 'n0nce', 'c0ffee')).toBe(K);
  });
  it('mac of a heartbeat', () => {
    const text = 'Heartbeat\r\nid: r1\r\ncookie: 00112233445566778899aabbccddeeff\r\nseq: 1\r\n';
    expect(macOf(Buffer.from(K, 'hex'), Buffer.from(text))).toBe('63229a15d35c32ec7b162b2159751fde');
  });
});

describe('macOf', () => {
  it('is HMAC-SHA-256 under the hex text of the key, over the head and, with a body, CRLF and the body', () => {
    const room = createMacRoom(6_000);
    const lengths = { maxLength: 6_000, size: 'max' } as const;
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array(lengths),
        fc.nat(),
        fc.option(fc.nat(), { nil: undefined }),
        (key, bytes, cut, bodyCut) => {
          const end = cut % (bytes.length + 1);
          const bodyAt = bodyCut === undefined ? bytes.length : end + (bodyCut % (bytes.length - end + 1));
          const hmac = createHmac('sha256', Buffer.from(key).toString('hex')).update(bytes.subarray(0, end));
          if (bodyAt < bytes.length) hmac.update('\r\n').update(bytes.subarray(bodyAt));
          const mac = hmac.digest('hex');
          expect(macOf(key, bytes, end, bodyAt)).toBe(mac.slice(0, 32));
          if (bodyAt === bytes.length) {
            const keys = Buffer.concat([Buffer.alloc(7), key]);
            room.bytes.set(bytes.subarray(0, end), PAD_BYTES);
            room.useKey(keys, 7);
            const digest = room.mac(PAD_BYTES + end);
            expect(Buffer.from(digest.buffer).toString('hex')).toBe(mac);
          }
        },
      ),
    );
  });

  it('takes no key of another length', () => {
    expect(() => macOf(Buffer.from(K), Buffer.from('Heartbeat\r\n'))).toThrow('32 bytes');
  });
});

describe('httpToken', () => {
  it('is the cookie and the HMAC of "http", from the key as text or as bytes', () => {
    const token = `c00c1e.${createHmac('sha256', K).update('http').digest('hex')}`;
    expect(httpToken('c00c1e', K)).toBe(token);
    expect(httpToken('c00c1e', Buffer.from(K, 'hex'))).toBe(token);
  });
});

describe('equalSecrets', () => {
  it('tells equal from different texts, of any length', () => {
    expect(equalSecrets('abc', 'abc')).toBe(true);
    expect(equalSecrets('', '')).toBe(true);
    expect(equalSecrets('abc', 'abd')).toBe(false);
    expect(equalSecrets('abc', 'abcd')).toBe(false);
    expect(equalSecrets('', 'a')).toBe(false);
  });
});

describe('isMacAt', () => {
  const key = Buffer.from(K, 'hex');
  const head = 'Heartbeat\r\nid: r1\r\n';
  const mac = macOf(key, Buffer.from(head));
  const isGood = (text: string): boolean => {
    const bytes = Buffer.from(`${head}mac: ${text}\r\n\r\n`);
    return isMacAt(Buffer.concat([Buffer.alloc(32), key]), 32, bytes, head.length, bytes.length, head.length + 5);
  };

  it('takes upper case for lower case, and nothing else for equal', () => {
    expect(isGood(mac)).toBe(true);
    expect(isGood(mac.toUpperCase())).toBe(true);
    const digits = Array.from({ length: 16 }, (_, i) => i.toString(16));
    for (let at = 0; at < 32; at++) {
      for (const digit of digits) {
        expect(isGood(mac.slice(0, at) + digit + mac.slice(at + 1))).toBe(digit === mac[at]);
      }
    }
  });
});
