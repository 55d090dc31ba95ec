import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { ADDRESS_BYTES, writeAddress } from '../../src/base/address.ts';
import { createReplyMemory } from '../../src/udp/reply-memory.ts';

const MIB = 1024 * 1024;
const T = 1_790_000_000;
const macOf = (n: number): Uint32Array => {
  const digest = createHash('md5').update(`${n}`).digest();
  return Uint32Array.from([0, 4, 8, 12], (at) => digest.readUInt32BE(at));
};
const reply = (n: number, length = 90) => Buffer.from(`reply ${n} `.padEnd(length, '.'));

test('the reply is there again, byte for byte, for 32 s', () => {
  const memory = createReplyMemory(MIB);
  for (const length of [0, 1, 2, 3, 4, 5, 1199, 1200]) {
    memory.remember(macOf(length), 7, 1, T, Buffer.alloc(length, 65));
    expect(memory.find(macOf(length), 7, 1, T + 32)).toEqual(Buffer.alloc(length, 65));
    expect(memory.find(macOf(length), 7, 1, T + 33)).toBeNull();
  }
});

test('for the last 4 requests of the session', () => {
  const memory = createReplyMemory(MIB);
  memory.remember(macOf(1), 7, 10, T, reply(1));
  expect(memory.find(macOf(1), 7, 13, T)).toEqual(reply(1));
  expect(memory.find(macOf(1), 7, 14, T)).toBeNull();
});

test('not for another mac or another session', () => {
  const memory = createReplyMemory(MIB);
  memory.remember(macOf(1), 7, 1, T, reply(1));
  for (let bit = 0; bit < 128; bit++) {
    const other = macOf(1);
    other[bit >> 5] = (other[bit >> 5] ?? 0) ^ (1 << (bit & 31));
    expect(memory.find(other, 7, 1, T)).toBeNull();
  }
  expect(memory.find(macOf(1), 8, 1, T)).toBeNull();
});

test('a long reply, and one that is not to be kept, is made anew', () => {
  const memory = createReplyMemory(MIB);
  memory.remember(macOf(1), 7, 1, T, Buffer.alloc(1201));
  memory.remember(macOf(2), 7, 2, T, null);
  expect(memory.find(macOf(1), 7, 2, T)).toBe('make anew');
  expect(memory.find(macOf(2), 7, 2, T)).toBe('make anew');
});

test.each([
  { host: '192.0.2.7', port: 5_000 },
  { host: '2001:db8::7', port: 65_535 },
])('of an Ok the address $host that it told is there again, also beside other replies', (address) => {
  const memory = createReplyMemory(MIB);
  const column = new Uint8Array(3 + ADDRESS_BYTES);
  writeAddress(column, 3, address);
  memory.remember(macOf(1), 7, 1, T, reply(1));
  memory.rememberOk(macOf(2), 7, 2, T, column, 3);
  memory.remember(macOf(3), 7, 3, T, reply(3));
  column.fill(0);
  memory.lookAhead(new Uint32Array(64), 64);
  expect(memory.find(macOf(2), 7, 3, T + 32)).toEqual(address);
  expect(memory.find(macOf(2), 7, 3, T + 33)).toBeNull();
  expect(memory.find(macOf(2), 8, 3, T)).toBeNull();
  expect([memory.find(macOf(1), 7, 3, T), memory.find(macOf(3), 7, 3, T)]).toEqual([reply(1), reply(3)]);
});

test('what was kept is its own copy', () => {
  const memory = createReplyMemory(MIB);
  const bytes = reply(1);
  memory.remember(macOf(1), 7, 1, T, bytes);
  bytes.fill(0);
  expect(memory.find(macOf(1), 7, 1, T)).toEqual(reply(1));
});

test('up to its bound everything young is there', () => {
  const memory = createReplyMemory(4 * MIB);
  const count = Math.floor((4 * MIB) / (40 + 96)) - 100;
  for (let n = 0; n < count; n++) memory.remember(macOf(n), n, 1, T, reply(n, 96));
  let lost = 0;
  for (let n = 0; n < count; n++) if (memory.find(macOf(n), n, 1, T) === null) lost++;
  expect(lost).toBeLessThan(count / 100);
});

test('beyond its bound the oldest are overwritten, and no reply is ever that of another request', () => {
  const memory = createReplyMemory(2 * MIB);
  const count = 100_000;
  for (let n = 0; n < count; n++) memory.remember(macOf(n), n, 1, T, reply(n, 60 + (n % 50)));
  expect(memory.find(macOf(0), 0, 1, T)).toBeNull();
  expect(memory.find(macOf(count - 1), count - 1, 1, T)).toEqual(reply(count - 1, 60 + ((count - 1) % 50)));
  let found = 0;
  for (let n = 0; n < count; n++) {
    const bytes = memory.find(macOf(n), n, 1, T);
    if (bytes === null) continue;
    found++;
    if (!reply(n, 60 + (n % 50)).equals(bytes as Buffer)) throw new Error(`wrong reply for ${n}`);
  }
  expect(found).toBeGreaterThan(8000);
});

test('it does not grow while its oldest replies are too old to be repeated', () => {
  const memory = createReplyMemory(64 * MIB);
  const before = process.memoryUsage().arrayBuffers;
  // 600 s of 600 replies a second: 41 MiB in all, 2.2 MiB within any 32 s.
  for (let n = 0; n < 360_000; n++) memory.remember(macOf(n % 1000), n, 1, T + Math.floor(n / 600), reply(n));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MIB);
});
