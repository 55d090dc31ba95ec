import { describe, expect, test } from 'vitest';
import { createRateLimit } from '../../src/login/rate-limit.ts';

const T = 1_790_000_000_000;
const limit = (more: object = {}) =>
  createRateLimit({ tokens: 100, periodMs: 1000, burst: 100, sourcesMax: 1024, seed: 12345, ...more });

const allowed = (limiter: ReturnType<typeof limit>, host: string, count: number, nowMs: number) =>
  Array.from({ length: count }, () => limiter.take(host, nowMs)).filter((seconds) => seconds === 0).length;

test('as many requests at once as the burst, and as many a second as the rate', () => {
  const limiter = limit();
  expect(allowed(limiter, '192.0.2.1', 500, T)).toBe(100);
  expect(allowed(limiter, '192.0.2.1', 500, T + 1000)).toBe(100);
  expect(allowed(limiter, '192.0.2.1', 500, T + 1100)).toBe(10);
});

test('50 requests a second are never refused, however they are spread', () => {
  const limiter = limit({ tokens: 50, burst: 50 });
  for (let second = 0; second < 100; second++) expect(allowed(limiter, '::1', 50, T + second * 1000)).toBe(50);
});

test('10 failed logins a minute are never refused; the 11th at once waits 6 s', () => {
  const failures = limit({ tokens: 10, periodMs: 60_000, burst: 10 });
  for (let minute = 0; minute < 100; minute++) expect(allowed(failures, '10.0.0.1', 10, T + minute * 60_000)).toBe(10);
  const now = T + 99 * 60_000;
  expect(failures.take('10.0.0.1', now)).toBeGreaterThan(0);
  expect(failures.take('10.0.0.1', now)).toBeLessThanOrEqual(6);
  expect(failures.take('10.0.0.1', now + 6000)).toBe(0);
});

test('wait() tells the same and spends nothing', () => {
  const limiter = limit({ tokens: 1, burst: 1 });
  expect(limiter.wait('10.0.0.1', T)).toBe(0);
  expect(limiter.wait('10.0.0.1', T)).toBe(0);
  expect(limiter.take('10.0.0.1', T)).toBe(0);
  expect(limiter.wait('10.0.0.1', T)).toBe(1);
});

test('0 is no limit', () => {
  expect(allowed(limit({ tokens: 0 }), '10.0.0.1', 10_000, T)).toBe(10_000);
});

describe('a source', () => {
  const same = (a: string, b: string) => {
    const limiter = limit({ tokens: 1, burst: 1 });
    limiter.take(a, T);
    return limiter.take(b, T) > 0;
  };
  test.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['2001:db8::1', '2001:db8:0:0:1::', true],
    ['2001:db8::1', '2001:db8:0:1::', false],
    ['::1', '::2', true],
    ['::', '::1', true],
    ['1::', '::1', false],
    ['::1:2:3:4:5', '::1:9:9:9:9', true],
    ['::1:2:3:4:5', '::2:2:3:4:5', false],
    ['64:ff9b::1.2.3.4', '64:ff9b::5.6.7.8', true],
    ['::1:1:2:3:1.2.3.4', '0:0:1:1::', true],
    ['fe80::1', 'fe80::2', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['192.0.2.1', '192.0.2.1', true],
    ['127.0.0.1', '::1', false],
  ])('%s and %s are the same: %s', (a, b, expected) => {
    expect(same(a, b)).toBe(expected);
  });
});

test('a flood of sources pushes out the idle ones, not one that is at its limit', () => {
  const limiter = limit({ tokens: 1, periodMs: 60_000, burst: 3, sourcesMax: 64 });
  for (let i = 0; i < 4; i++) limiter.take('10.0.0.1', T);
  for (let i = 0; i < 100_000; i++) limiter.take(`${11 + (i >> 16)}.0.${(i >> 8) & 255}.${i & 255}`, T);
  expect(limiter.take('10.0.0.1', T)).toBeGreaterThan(0);
});
