import { describe, expect, it } from 'vitest';
import { columnOf, doubled } from '../../src/heartbeat/columns.ts';

describe('columns', () => {
  it.each([1_000, 3_000_000])(
    'of %d rows are zeros, can be written up to their ends, and keep it when they grow',
    (rows) => {
      const column = columnOf(Uint32Array, rows);
      expect(column).toHaveLength(rows);
      expect(column.every((value) => value === 0)).toBe(true);
      column.fill(7);
      const larger = doubled(column);
      expect(larger).toHaveLength(2 * rows);
      expect([larger[0], larger[rows - 1], larger[rows], larger[2 * rows - 1]]).toEqual([7, 7, 0, 0]);
    },
  );
});
