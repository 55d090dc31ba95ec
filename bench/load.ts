/** One run of a load against one server: what it cost the server. */
import type { Generator, Latency, Load } from './generator.ts';

export interface Loaded {
  readonly perCpuSecond: number;
  /** By the clock. */
  readonly perSecond: number;
  readonly lost: number;
  /** Where a rate was asked for; what was lost counts as long as was waited for it. */
  readonly latencyUs?: Latency;
  /** Some of the replies. */
  readonly samples: readonly Buffer[];
}

/** Rejects where a reply is not the expected one, or more than a hundredth of the datagrams stay without any. */
export async function load(
  server: { cpuMs(): Promise<number> },
  generator: Generator,
  what: Load,
  isGood: (sample: Buffer) => boolean = () => true,
): Promise<Loaded> {
  const before = await server.cpuMs();
  const result = await generator.run(what);
  const cpuMs = (await server.cpuMs()) - before;
  const bad = result.samples.find((sample) => !isGood(sample));
  if (result.good < result.received || bad !== undefined) {
    const wrong = bad === undefined ? '' : `: ${bad.toString('latin1')}`;
    throw new Error(`not all of the ${result.received} replies are ${what.prefix} and good${wrong}`);
  }
  if (result.lost > what.datagrams.length / 100) throw new Error(`${result.lost} datagrams were not answered`);
  return {
    perCpuSecond: (result.received / cpuMs) * 1000,
    perSecond: result.received / result.seconds,
    lost: result.lost,
    ...(result.latencyUs && { latencyUs: result.latencyUs }),
    samples: result.samples,
  };
}

/** Runs of as many requests each as one run; in `rounds` of them, if it takes several of them to do a thing once. */
export function joined(parts: readonly Loaded[], rounds = parts.length): Loaded {
  const each = (rate: (one: Loaded) => number): number => rounds / parts.reduce((sum, one) => sum + 1 / rate(one), 0);
  return {
    perCpuSecond: each((one) => one.perCpuSecond),
    perSecond: each((one) => one.perSecond),
    lost: parts.reduce((sum, { lost }) => sum + lost, 0),
    samples: parts.flatMap(({ samples }) => samples),
  };
}

export function lostNote(loads: readonly Loaded[]): string {
  return `${loads.reduce((sum, { lost }) => sum + lost, 0)} datagrams lost`;
}
