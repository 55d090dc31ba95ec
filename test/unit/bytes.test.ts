/** Reading and copying four bytes at a time does what one by one would. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bytesOf, copyBytes, equalBytes, equalsText, HEX_PAIRS, standsAt, viewOn } from '../../src/base/bytes.ts';

const range = fc
  .tuple(fc.uint8Array({ maxLength: 24 }), fc.nat(24), fc.nat(24))
  .map(([bytes, a, b]) => ({ bytes, at: Math.min(a, b, bytes.length), end: Math.min(Math.max(a, b), bytes.length) }));

it('copies a range to any offset, and nothing around it', () => {
  fc.assert(
    fc.property(range, fc.nat(9), ({ bytes, at, end }, toAt) => {
      const to = new Uint8Array(40).fill(0xee);
      const expected = to.slice();
      expected.set(bytes.subarray(at, end), toAt);
      expect(copyBytes(viewOn(to), toAt, viewOn(bytes), at, end)).toBe(toAt + end - at);
      expect(to).toEqual(expected);
    }),
  );
});

it('tells whether two ranges hold the same', () => {
  fc.assert(
    fc.property(range, range, fc.boolean(), (one, other, isSame) => {
      const slice = one.bytes.slice(one.at, one.end);
      const { bytes, at, end } = isSame ? { bytes: slice, at: 0, end: slice.length } : other;
      expect(equalBytes(viewOn(one.bytes), one.at, one.end, viewOn(bytes), at, end)).toBe(
        Buffer.from(slice).equals(bytes.subarray(at, end)),
      );
    }),
  );
});

it('finds each changed byte', () => {
  const text = Buffer.from('seventeen letters');
  for (let i = 0; i < text.length; i++) {
    const other = Buffer.from(text);
    other[i] = 0x20 ^ (text[i] ?? 0);
    expect(equalBytes(viewOn(text), 0, text.length, viewOn(other), 0, text.length)).toBe(false);
  }
});

it('finds a text where it stands, and only it in a range', () => {
  const { view } = bytesOf('a branch=z9');
  const text = bytesOf('branch=');
  expect([0, 1, 2, 3, 4].map((at) => standsAt(view, at, text))).toEqual([false, false, true, false, false]);
  expect(equalsText(view, 2, 9, text)).toBe(true);
  expect(equalsText(view, 2, 10, text)).toBe(false);
  expect(equalsText(view, 2, 8, text)).toBe(false);
});

it('knows the two digits of each byte', () => {
  const digits = Buffer.alloc(2);
  for (let byte = 0; byte < 256; byte++) {
    viewOn(digits).setUint16(0, HEX_PAIRS[byte] ?? 0, true);
    expect(digits.toString('latin1')).toBe(Buffer.of(byte).toString('hex'));
  }
});
