/** What has changed between two runs of the benchmarks, beyond what the single runs within each vary by themselves. */
import type { Row } from './report.ts';
import { median } from './report.ts';

/** `unclear`: the runs of one overlap with those of the other, or there are too few to know how much they vary. */
export type Verdict = 'better' | 'worse' | 'unclear' | 'only before' | 'only after';

export interface Change {
  readonly subject: string;
  /** Whether the values are ratios to the reference. */
  readonly isRatio: boolean;
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly verdict: Verdict;
}

/** With fewer runs nobody knows how much they vary. */
const RUNS_MIN = 2;
/** Medians that differ by less are called alike, however little the runs vary: another build differs as much. */
const SHARE_MIN = 0.02;

/**
 * The rows of both by their subject, in the order of the first. A row with a reference is compared by the ratio to it,
 * run by run: both sides of a run met the same machine.
 */
export function compareRows(before: readonly Row[], after: readonly Row[]): Change[] {
  const later = new Map(after.map((row) => [row.subject, row]));
  const changes = before.map((row) => compareRow(row, later.get(row.subject)));
  const known = new Set(before.map(({ subject }) => subject));
  for (const row of after) {
    if (!known.has(row.subject)) changes.push({ ...bareChange(row), after: valuesOf(row), verdict: 'only after' });
  }
  return changes;
}

function compareRow(row: Row, later: Row | undefined): Change {
  const before = valuesOf(row);
  if (later === undefined) return { ...bareChange(row), before, verdict: 'only before' };
  const after = valuesOf(later);
  return { ...bareChange(row), before, after, verdict: verdictOf(before, after, isLessBetter(row)) };
}

function bareChange({ subject, reference }: Row): Omit<Change, 'verdict'> {
  return { subject, isRatio: reference !== null, before: [], after: [] };
}

function valuesOf({ ours, reference }: Row): readonly number[] {
  if (reference === null) return ours;
  return ours.map((value, run) => value / (reference.values[run] ?? median(reference.values)));
}

/** Bytes and milliseconds are, requests a second are not. */
function isLessBetter({ goal, unit }: Row): boolean {
  return goal === null ? /^(bytes|us|ms|s)\b/.test(unit) : !('ratioMin' in goal);
}

function verdictOf(before: readonly number[], after: readonly number[], isLess: boolean): Verdict {
  if (before.length < RUNS_MIN || after.length < RUNS_MIN) return 'unclear';
  const overlap = Math.max(...before) >= Math.min(...after) && Math.max(...after) >= Math.min(...before);
  const share = median(after) / median(before) - 1;
  if (overlap || Math.abs(share) < SHARE_MIN) return 'unclear';
  return share > 0 === isLess ? 'worse' : 'better';
}

/** A line a row; medians with the least and the most of the runs. */
export function formatChanges(changes: readonly Change[]): string {
  return changes
    .map((change) => {
      const { subject, before, after, verdict } = change;
      if (before.length === 0 || after.length === 0) return `${verdict.padEnd(11)}  ${subject}`;
      const share = (median(after) / median(before) - 1) * 100;
      const percent = `${share < 0 ? '' : '+'}${share.toFixed(1)} %`;
      const digits = change.isRatio ? 3 : 0;
      return `${verdict.padEnd(11)}  ${subject}: ${spread(before, digits)} → ${spread(after, digits)} (${percent})`;
    })
    .join('\n');
}

function spread(values: readonly number[], digits: number): string {
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)].map((value) =>
    value.toFixed(digits),
  );
  return `${middle} [${least}–${most}]`;
}
