import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTime, parseTime } from '../../src/directory/attribute-values.ts';

/** RFC 4517 section 3.3.13, by way of the text that JavaScript makes of a date. */
function slowly(atMs: number): string {
  const [seconds = '', fraction] = new Date(atMs).toISOString().slice(0, -1).replaceAll(/[-:T]/g, '').split('.');
  return fraction === '000' ? `${seconds}Z` : `${seconds}.${fraction}Z`;
}

describe('formatTime', () => {
  const times = fc.date({ min: new Date('1000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });

  it('writes the generalized time of every moment, whatever was written before', () => {
    fc.assert(
      fc.property(fc.array(times, { minLength: 1, maxLength: 4 }), (dates) => {
        for (const date of dates) expect(formatTime(date.getTime())).toBe(slowly(date.getTime()));
      }),
    );
  });

  it('writes what parseTime reads', () => {
    fc.assert(fc.property(times, (date) => parseTime(formatTime(date.getTime())) === date.getTime()));
  });

  it.each([
    [Date.UTC(2026, 10, 21, 3, 42), '20261121034200Z'],
    [Date.UTC(2026, 10, 21, 23, 59, 59, 7), '20261121235959.007Z'],
    [-1, '19691231235959.999Z'],
  ])('of %d', (atMs, text) => {
    expect(formatTime(atMs)).toBe(text);
  });
});
