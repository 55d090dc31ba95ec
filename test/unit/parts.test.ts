import { expect, test } from 'vitest';
import { createPartJoiner, PARTS_MAX, slice } from '../../src/udp/parts.ts';

const message = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255));

test('a message of 1200 bytes goes out as it is', () => {
  expect(slice('r1', message(1200))).toEqual([message(1200)]);
});

test('a longer one goes out in Parts of at most 1200 bytes, and is whole again in any order', () => {
  const parts = slice('r'.repeat(32), message(40_000)) ?? [];
  expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(1200);
  expect(parts[0]?.toString('latin1').startsWith(`Part ${'r'.repeat(32)} 1/${parts.length}\r\n\r\n`)).toBe(true);
  const joiner = createPartJoiner();
  const joined = [...parts].reverse().map((part) => joiner.add(part));
  expect(joined.slice(0, -1).every((whole) => whole === null)).toBe(true);
  expect(joined.at(-1)?.equals(message(40_000))).toBe(true);
});

test('a message of more than 64 Parts is not sent', () => {
  expect(slice('r1', message(64 * 1153))).toHaveLength(PARTS_MAX);
  expect(slice('r1', message(64 * 1153 + 1))).toBeNull();
});

test('a Part that comes twice counts once', () => {
  const [first, second] = slice('r1', message(2000)) ?? [];
  if (!first || !second) throw new Error('two parts expected');
  const joiner = createPartJoiner();
  expect(joiner.add(first)).toBeNull();
  expect(joiner.add(first)).toBeNull();
  expect(joiner.add(second)?.equals(message(2000))).toBe(true);
});

test.each(['Part r1 0/2', 'Part r1 3/2', 'Part r1 1/65', 'Part r1 1/100', 'Part r1 1', 'Part  1/1', 'Ok'])(
  '%s is no Part',
  (line) => {
    expect(createPartJoiner().add(Buffer.from(`${line}\r\n\r\nx`))).toBeNull();
  },
);

test('of more than 16 unfinished messages the oldest is forgotten', () => {
  const joiner = createPartJoiner();
  const both = (id: string) => slice(id, message(2000)) ?? [];
  for (let i = 0; i < 17; i++) joiner.add(both(`r${i}`)[0] ?? Buffer.alloc(0));
  expect(joiner.add(both('r0')[1] ?? Buffer.alloc(0))).toBeNull();
  expect(joiner.add(both('r16')[1] ?? Buffer.alloc(0))?.length).toBe(2000);
});
