import { describe, expect, it } from 'vitest';
import { compareRows, formatChanges } from '../../bench/changes.ts';
import type { Row } from '../../bench/report.ts';

function row(subject: string, ours: readonly number[], more: Partial<Row> = {}): Row {
  return { subject, unit: 'requests a CPU second', ours, reference: null, goal: null, notes: [], ...more };
}

function verdict(before: Row, after: Row): string | undefined {
  return compareRows([before], [after])[0]?.verdict;
}

describe('bench:compare', () => {
  it('calls better or worse what no single run of the other has reached', () => {
    expect(verdict(row('a', [100, 104, 102]), row('a', [120, 118, 125]))).toBe('better');
    expect(verdict(row('a', [120, 118, 125]), row('a', [100, 104, 102]))).toBe('worse');
  });

  it('says nothing where runs of both overlap', () => {
    expect(verdict(row('a', [100, 121, 102]), row('a', [120, 140, 130]))).toBe('unclear');
  });

  it('says nothing of one run, and of a difference that another build makes too', () => {
    expect(verdict(row('a', [100]), row('a', [200]))).toBe('unclear');
    expect(verdict(row('a', [100, 100]), row('a', [101, 101]))).toBe('unclear');
  });

  it('knows that fewer bytes and milliseconds are better', () => {
    const memory = { goal: { valueMax: 450 }, unit: 'bytes a user, slope from 200,000' };
    expect(verdict(row('a', [400, 402], memory), row('a', [300, 301], memory))).toBe('better');
    expect(verdict(row('a', [1, 1.1], { unit: 'ms' }), row('a', [2, 2.1], { unit: 'ms' }))).toBe('worse');
  });

  it('compares by the reference of the same run, which meets the same machine', () => {
    const one = row('a', [100, 50], { reference: { name: 'echo', values: [200, 100] } });
    const other = row('a', [300, 210], { reference: { name: 'echo', values: [400, 280] } });
    expect(compareRows([one], [other])).toEqual([
      { subject: 'a', isRatio: true, before: [0.5, 0.5], after: [0.75, 0.75], verdict: 'better' },
    ]);
  });

  it('names the rows that only one of them has', () => {
    const changes = compareRows([row('a', [1, 1]), row('b', [2, 2])], [row('c', [3, 3]), row('b', [4, 4])]);
    expect(changes.map((change) => [change.subject, change.verdict])).toEqual([
      ['a', 'only before'],
      ['b', 'better'],
      ['c', 'only after'],
    ]);
    expect(formatChanges(changes)).toBe('only before  a\nbetter       b: 2 [2–2] → 4 [4–4] (+100.0 %)\nonly after   c');
  });
});
