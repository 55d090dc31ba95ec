import { expect, test } from 'vitest';
import { progressText } from '../../src/cli/drain.ts';

test('the progress of a drain, with an estimate once somebody has left', () => {
  expect(progressText(3_000, 3_000, 1_000)).toBe(`[${'-'.repeat(30)}] 0 of 3000 users left`);
  expect(progressText(3_000, 2_000, 10_000)).toBe(
    `[${'#'.repeat(10)}${'-'.repeat(20)}] 1000 of 3000 users left, about 20 s to go`,
  );
  // Devices may still come back while it begins.
  expect(progressText(10, 12, 1_000)).toBe(`[${'-'.repeat(30)}] 0 of 10 users left`);
  expect(progressText(0, 0, 0)).toContain('0 of 0');
});
