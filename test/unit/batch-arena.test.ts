/** Socket addresses in the memory of batches. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonicalHost } from '../../src/base/address.ts';
import { createNameReader, writeName } from '../../src/base/batch-arena.ts';

const port = fc.integer({ min: 0, max: 65_535 });
const read = createNameReader();

it('read as they were written, IPv4', () => {
  fc.assert(
    fc.property(fc.ipV4(), port, fc.nat(63), (host, port, slot) => {
      const names = new Int32Array(64 * 8);
      writeName(names, slot, { host, port }, false);
      expect(read(names, slot)).toEqual({ host, port });
      // As a dual-stack socket sees it.
      writeName(names, slot, { host, port }, true);
      expect(read(names, slot)).toEqual({ host, port });
    }),
  );
});

it('read as they were written, IPv6', () => {
  fc.assert(
    fc.property(fc.ipV6(), port, (text, port) => {
      const host = canonicalHost(text);
      const names = new Int32Array(8);
      writeName(names, 0, { host, port }, true);
      expect(read(names, 0)).toEqual({ host, port });
    }),
  );
});

it('keeps hosts apart that share a place in its table', () => {
  const names = new Int32Array(8);
  // More than there are places, twice, so that each is put out and comes again.
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 40_000; i++) {
      const address = { host: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: i };
      writeName(names, 0, address, false);
      const found = read(names, 0);
      if (found.host !== address.host || found.port !== address.port) expect(found).toEqual(address);
    }
  }
});

it('has the bytes of struct sockaddr_in and sockaddr_in6', () => {
  const four = new Int32Array(8);
  writeName(four, 0, { host: '192.0.2.1', port: 0x1234 }, false);
  expect(Buffer.from(four.buffer).toString('hex').slice(0, 32)).toBe('02001234c00002010000000000000000');
  const six = new Int32Array(8);
  writeName(six, 0, { host: '2001:db8::1', port: 0x1234 }, true);
  expect(Buffer.from(six.buffer).toString('hex').slice(0, 56)).toBe(
    '0a00123400000000' + '20010db8000000000000000000000001' + '00000000',
  );
});
