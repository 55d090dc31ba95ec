/** How long a request waits for its answer at half of the load that the server can take at most. */
import type { Latency } from './generator.ts';
import type { Loaded } from './load.ts';
import { alternate, format, median } from './report.ts';
import type { Row } from './report.ts';
import type { Run } from './subject.ts';

/** A run without a rate is as fast as the server takes it. */
type Once = (paced: { readonly rate?: number }) => Promise<Loaded>;

/** The reference gets the same rate as ours, which is half of our peak. */
export async function latencyRow(run: Run, work: string, reference: string, ours: Once, theirs: Once): Promise<Row> {
  const warm = await ours({});
  const rate = Math.round((await ours({})).perSecond / 2);
  const measured = await alternate(
    run.reps,
    () => ours({ rate }),
    () => theirs({ rate }),
  );
  const of = (loads: readonly Loaded[], point: keyof Latency): number[] =>
    loads.map(({ latencyUs }) => latencyUs?.[point] ?? Number.NaN);
  const others = (loads: readonly Loaded[]): string =>
    (['p50', 'p999', 'max'] as const).map((point) => `${point} ${format(median(of(loads, point)))}`).join(', ');
  return {
    subject: `latency of a ${work}, 99 of 100`,
    unit: 'us',
    ours: of(measured.ours, 'p99'),
    reference: { name: reference, values: of(measured.reference, 'p99') },
    goal: { valueMax: 1_000 },
    notes: [
      `${format(rate)} a second, half of the peak (${format(warm.perSecond)} when cold)`,
      `ours ${others(measured.ours)}; ${reference} ${others(measured.reference)}`,
    ],
  };
}
