import { expect, test } from 'vitest';
import { createNonces, createUsedNonces, NONCE_LENGTH, NONCE_VALID_MS } from '../../src/login/nonces.ts';

const T = 1_790_000_000_000;
const SOURCE = { host: '192.0.2.1', port: 5060 };
const nonces = createNonces(Buffer.alloc(32, 1));

test('a nonce is good for 30 s, then stale', () => {
  const nonce = nonces.issue(SOURCE, T);
  expect(nonces.check(nonce, SOURCE, T)).toBe('good');
  expect(nonces.check(nonce, SOURCE, T + NONCE_VALID_MS)).toBe('good');
  expect(nonces.check(nonce, SOURCE, T + NONCE_VALID_MS + 1)).toBe('stale');
  expect(nonces.check(nonce, SOURCE, T - 1)).toBe('stale');
});

test('all have the same length, are printable, and differ within a millisecond', () => {
  const made = new Set(Array.from({ length: 1000 }, () => nonces.issue(SOURCE, T)));
  expect(made.size).toBe(1000);
  for (const nonce of made) expect(nonce).toMatch(/^[\w-]{32}$/);
  expect(NONCE_LENGTH).toBe(32);
});

test('it is base64url of the time, a counter of three bytes, and a mac', () => {
  const made = Array.from({ length: 1000 }, () => nonces.issue(SOURCE, T));
  const counters = made.map((nonce) => Buffer.from(nonce, 'base64url').readUIntBE(6, 3));
  const [first = 0] = counters;
  expect(counters).toEqual(counters.map((_, i) => first + i));
  for (const nonce of made) expect(Buffer.from(nonce, 'base64url').readUIntBE(0, 6)).toBe(T);
  expect(made.map((nonce) => Buffer.from(nonce, 'base64url').toString('base64url'))).toEqual(made);
});

test('written as bytes it is the same', () => {
  const [one, other] = [createNonces(Buffer.alloc(32, 1)), createNonces(Buffer.alloc(32, 1))];
  const bytes = Buffer.alloc(3 + NONCE_LENGTH + 3, 'x');
  one.write(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 3, SOURCE, T);
  const nonce = other.issue(SOURCE, T);
  expect(bytes.toString('latin1')).toBe(`xxx${nonce}xxx`);
  expect(one.goodSince(bytes, 3, SOURCE, T + 1)).toBe(T);
});

test.each([
  { host: '192.0.2.2', port: 5060 },
  { host: '192.0.2.1', port: 5061 },
  { host: '::1', port: 5060 },
])('from another source ($host $port) it is forged', (other) => {
  expect(nonces.check(nonces.issue(SOURCE, T), other, T)).toBe('forged');
});

test('of another node it is forged', () => {
  expect(createNonces(Buffer.alloc(32, 2)).check(nonces.issue(SOURCE, T), SOURCE, T)).toBe('forged');
});

test('any character changed, cut off or added makes it forged', () => {
  const nonce = nonces.issue(SOURCE, T);
  for (let i = 0; i < nonce.length; i++) {
    const other = nonce[i] === 'A' ? 'B' : 'A';
    expect(nonces.check(nonce.slice(0, i) + other + nonce.slice(i + 1), SOURCE, T)).toBe('forged');
  }
  for (const text of ['', nonce.slice(1), `${nonce}A`, `${nonce}=`, `${nonce.slice(0, 31)}ü`, '+'.repeat(32)]) {
    expect(nonces.check(text, SOURCE, T)).toBe('forged');
  }
});

test('a nonce is used once, for as long as it is good', () => {
  const used = createUsedNonces(1000);
  expect(used.isUsed('a', T)).toBe(false);
  expect(used.use('a', T)).toBe(true);
  expect(used.isUsed('a', T)).toBe(true);
  expect(used.use('a', T)).toBe(false);
  for (let ms = 1000; ms <= NONCE_VALID_MS; ms += 1000) {
    expect(used.use(`b${ms}`, T + ms)).toBe(true);
    expect(used.use('a', T + ms)).toBe(false);
  }
});

test('a nonce used late in one half is still known in the next', () => {
  const used = createUsedNonces(1000);
  used.use('first', T);
  used.use('late', T + NONCE_VALID_MS);
  used.use('next half', T + NONCE_VALID_MS + 1);
  expect(used.use('late', T + 2 * NONCE_VALID_MS)).toBe(false);
});

test('where there is no room to remember, none is taken; later there is room again', () => {
  const used = createUsedNonces(2);
  expect([used.use('a', T), used.use('b', T), used.use('c', T)]).toEqual([true, true, false]);
  expect(used.use('c', T + NONCE_VALID_MS + 1)).toBe(true);
  expect(used.use('a', T + 10 * NONCE_VALID_MS)).toBe(true);
});
