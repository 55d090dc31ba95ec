/** What was measured, as rows of a table: medians of several runs, and ratios within the same run of the program. */

/** What is to be reached: a ratio to the reference, or one not to be passed, or where there is none such a value. */
export type Goal = { readonly ratioMin: number } | { readonly ratioMax: number } | { readonly valueMax: number };

export interface Row {
  readonly subject: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly reference: { readonly name: string; readonly values: readonly number[] } | null;
  /** null: measured for the reader, nothing has to be reached. */
  readonly goal: Goal | null;
  /** What belongs to the figure but is none of the columns. */
  readonly notes: readonly string[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** null where there is no reference. */
export function ratioOf({ ours, reference }: Row): number | null {
  return reference === null ? null : median(ours) / median(reference.values);
}

/** null where there is no goal. */
export function isReached(row: Row): boolean | null {
  if (row.goal === null) return null;
  if ('valueMax' in row.goal) return median(row.ours) < row.goal.valueMax;
  const ratio = ratioOf(row) ?? Number.NaN;
  return 'ratioMax' in row.goal ? ratio <= row.goal.ratioMax : ratio >= row.goal.ratioMin;
}

/**
 * `runs` pairs of a run of ours and one of the reference, one after the other so that noise hits both; the first
 * pair warms up and is thrown away.
 */
export async function alternate<Ours, Reference>(
  runs: number,
  ours: () => Promise<Ours>,
  reference: () => Promise<Reference>,
): Promise<{ ours: Ours[]; reference: Reference[] }> {
  const measured: { ours: Ours[]; reference: Reference[] } = { ours: [], reference: [] };
  for (let run = 0; run <= runs; run++) {
    const [one, other] = [await ours(), await reference()];
    if (run === 0) continue;
    measured.ours.push(one);
    measured.reference.push(other);
  }
  return measured;
}

const COLUMNS = ['subject', 'unit', 'ours', 'reference', 'ratio', 'to reach', 'reached'];

/** A Markdown table, with the notes below it. */
export function formatTable(rows: readonly Row[]): string {
  const lines = rows.map((row, i) => {
    const notes = row.notes.length > 0 ? ` [${i + 1}]` : '';
    const reference = row.reference === null ? '–' : `${spread(row.reference.values)} ${row.reference.name}`;
    const reached = isReached(row);
    return [
      row.subject + notes,
      row.unit,
      spread(row.ours),
      reference,
      ratioOf(row)?.toFixed(2) ?? '–',
      goalText(row.goal),
      reached === null ? '–' : reached ? 'yes' : 'NO',
    ];
  });
  const widths = COLUMNS.map((name, i) => Math.max(name.length, ...lines.map((cells) => cells[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  const notes = rows.flatMap((row, i) => (row.notes.length > 0 ? [`[${i + 1}] ${row.notes.join('; ')}`] : []));
  return [line(COLUMNS), rule, ...lines.map(line), '', ...notes].join('\n');
}

function spread(values: readonly number[]): string {
  if (values.length === 1) return format(median(values));
  return `${format(median(values))} [${format(Math.min(...values))}–${format(Math.max(...values))}]`;
}

function goalText(goal: Goal | null): string {
  if (goal === null) return '–';
  if ('valueMax' in goal) return `under ${goal.valueMax}`;
  return 'ratioMax' in goal ? `${goal.ratioMax} or less` : `${goal.ratioMin} or more`;
}

export function format(value: number): string {
  return Math.round(value).toLocaleString('en');
}
