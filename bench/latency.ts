/** How long a request waits for its answer at half of the load that the server can take at most. */
import type { Latency } from './generator.ts';
import type { Loaded } from './load.ts';
import { alternate, format, median } from './report.ts';
import type { Row } from './report.ts';
import type { Run } from './subject.ts';

/** So many requests a second, and so many of them; without it a run is as fast as the server takes it. */
export interface Pace {
  readonly rate: number;
  readonly count: number;
}
type Once = (pace?: Pace) => Promise<Loaded>;

/** A shorter run says more of the moment than of the server: one pause of 30 ms would be a hundredth of 3 s. */
const SECONDS = 6;

/** The reference gets the same rate as ours, which is half of our peak. */
export async function latencyRow(run: Run, work: string, reference: string, ours: Once, theirs: Once): Promise<Row> {
  const warm = await ours();
  const rate = Math.round((await ours()).perSecond / 2);
  const pace = { rate, count: rate * SECONDS };
  const measured = await alternate(
    run.reps,
    () => ours(pace),
    () => theirs(pace),
  );
  const of = (loads: readonly Loaded[], point: keyof Latency): number[] =>
    loads.map(({ latencyUs }) => latencyUs?.[point] ?? Number.NaN);
  const busy = (loads: readonly Loaded[]): string =>
    `${Math.round(100 * median(loads.map(({ perCpuSecond }) => rate / perCpuSecond)))} % of a core`;
  const others = (loads: readonly Loaded[]): string =>
    [
      ...(['p50', 'p999', 'max'] as const).map((point) => `${point} ${format(median(of(loads, point)))}`),
      busy(loads),
    ].join(', ');
  return {
    subject: `latency of a ${work}, 99 of 100`,
    unit: 'us',
    ours: of(measured.ours, 'p99'),
    reference: { name: reference, values: of(measured.reference, 'p99') },
    goal: { valueMax: 1_000 },
    notes: [
      `${format(rate)} a second for ${SECONDS} s, half of the peak (${format(warm.perSecond)} when cold)`,
      `ours ${others(measured.ours)}; ${reference} ${others(measured.reference)}`,
    ],
  };
}

export function rateOf(pace: Pace | undefined): { readonly rate?: number } {
  return pace === undefined ? {} : { rate: pace.rate };
}
