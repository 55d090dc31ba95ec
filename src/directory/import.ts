/** The import of LDIF files: parsed in a stream, applied in batches, the next batch read while one is written. */
import { isUnavailable, VserverError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';
import type { Applied, Directory, LdifRecord } from './directory.ts';
import { normalDn } from './dn.ts';
import { isProblem, parseLdif } from './ldif.ts';
import type { PlanDirectory } from './import-plan.ts';
import { planned } from './import-plan.ts';

export interface ImportSource {
  /** For messages. */
  readonly name: string;
  readonly stream: AsyncIterable<Uint8Array>;
  /** Bytes; null where it is not known. */
  readonly size: number | null;
}

export interface ImportProgress {
  readonly records: number;
  readonly bytes: number;
  /** Of all files; null where one of them is of unknown size. */
  readonly bytesTotal: number | null;
  readonly recordsPerSecond: number;
}

/** A record that was not taken. */
export interface ImportFailure {
  readonly file: string;
  readonly line: number;
  readonly dn: string;
  readonly reason: string;
}

type Counted = Applied['outcome'];

export interface ImportReport {
  readonly counts: Readonly<Record<Counted, number>>;
  /** The first failures (`counts.failed` counts all). */
  readonly failures: readonly ImportFailure[];
  /** Of a dry run, the first lines of what would happen. */
  readonly plan: readonly string[];
  /** `stop` was asked for and a record failed: nothing was done of what stands behind it. */
  readonly stopped: boolean;
  /** Records whose DN is not below the base DN, and where the first of them stands; null where there are none. */
  readonly outside: {
    readonly records: number;
    readonly file: string;
    readonly line: number;
    readonly dn: string;
  } | null;
}

/** The base DN, and what the directory does with records of another one. */
export interface ImportBase {
  readonly dn: string;
  readonly others: 'taken' | 'left out';
}

export interface ImportOptions {
  readonly directory: PlanDirectory & Pick<Directory, 'apply'>;
  readonly base: ImportBase;
  readonly files: readonly ImportSource[];
  /** `stop` ends at the first bad record: what stands before it is written, and nothing behind it. */
  readonly onProblem: 'stop' | 'skip';
  /** Checks and says what would be done; nothing is written. */
  readonly dryRun: boolean;
  /** At most twice a second, and once at the end. */
  readonly progress: (progress: ImportProgress) => void;
  readonly clock: Clock;
}

const BATCH_RECORDS = 1_000;
const BATCH_BYTES = 8 * 1024 * 1024;
const PROGRESS_EVERY_MS = 500;
const FAILURES_MAX = 1_000;
const PLAN_LINES_MAX = 100;

/**
 * Applies the records of the files in order. An import that was interrupted can be run again: what is there counts
 * as unchanged.
 * @throws VserverError DIRECTORY_UNAVAILABLE (or OVERLOADED), with file and line, where the directory is lost midway
 */
export async function importLdif(options: ImportOptions): Promise<ImportReport> {
  const { directory, base, files, clock } = options;
  const stops = options.onProblem === 'stop';
  const isOutside = outsideOf(base.dn);
  const tally = newTally(stops, isOutside);
  const meter = progressMeter(files, tally, options.progress, clock);
  const plan = planned(directory, (dn) => base.others === 'taken' || !isOutside(dn));
  const apply: Apply = (records) => (options.dryRun ? plan(records, stops) : directory.apply(records, stops));
  for (const file of files) {
    if (tally.stopped) break;
    await importFile(file, apply, tally, meter);
  }
  meter.report(true);
  return {
    counts: tally.counts,
    failures: tally.failures,
    plan: options.dryRun ? tally.plan : [],
    stopped: tally.stopped,
    outside: tally.outside,
  };
}

/** Whether a DN is neither below the base nor above it: an LDIF of the whole tree begins with what is above. */
function outsideOf(base: string): (dn: string) => boolean {
  const own = `,${normalDn(base)}`;
  return (dn) => {
    const other = `,${normalDn(dn)}`;
    return !other.endsWith(own) && !own.endsWith(other);
  };
}

type Apply = (records: readonly LdifRecord[]) => Promise<readonly Applied[]>;

async function importFile(file: ImportSource, apply: Apply, tally: Tally, meter: Meter): Promise<void> {
  let batch: LdifRecord[] = [];
  let batchFrom = meter.bytes();
  let writing: Promise<void> = Promise.resolve();
  // One batch is written while the next one is read; never more.
  const flush = async (): Promise<void> => {
    await writing;
    const records = batch;
    batch = [];
    batchFrom = meter.bytes();
    if (records.length === 0 || tally.stopped) return;
    writing = write(file, records, apply, tally, meter);
    // Its failure is seen at the next await; until then it must not count as unhandled.
    writing.catch(() => undefined);
  };
  for await (const item of parseLdif(meter.counted(file.stream))) {
    if (isProblem(item)) {
      // What stands before the problem is written first, so that failures keep the order of the file.
      await flush();
      await writing;
      if (!tally.stopped) tally.fail({ file: file.name, line: item.line, dn: item.dn ?? '', reason: item.message });
    } else {
      batch.push(item);
      if (batch.length >= BATCH_RECORDS || meter.bytes() - batchFrom > BATCH_BYTES) await flush();
    }
    if (tally.stopped) break;
  }
  await flush();
  await writing;
}

async function write(
  file: ImportSource,
  records: readonly LdifRecord[],
  apply: Apply,
  tally: Tally,
  meter: Meter,
): Promise<void> {
  let outcomes: readonly Applied[];
  try {
    outcomes = await apply(records);
  } catch (error) {
    throw interrupted(error, file.name, records);
  }
  for (const [i, { line, dn }] of records.entries()) {
    const applied = outcomes[i];
    if (applied === undefined) throw new Error('apply gave no answer for a record');
    if (applied.outcome === 'failed') tally.fail({ file: file.name, line, dn, reason: applied.reason });
    else tally.count(applied, { file: file.name, line, dn });
    if (tally.stopped) break;
  }
  meter.report(false);
}

/** Says where to look, and that nothing is lost. */
function interrupted(error: unknown, file: string, records: readonly LdifRecord[]): unknown {
  if (!isUnavailable(error) || !(error instanceof VserverError)) return error;
  const lines = `${records[0]?.line ?? 0} to ${records.at(-1)?.line ?? 0}`;
  const message = `${error.message}; stopped in ${file}, lines ${lines}; the import can be run again`;
  return new VserverError(error.code, message, {
    cause: error,
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
  });
}

interface Tally {
  readonly counts: Record<Counted, number>;
  readonly failures: ImportFailure[];
  readonly plan: string[];
  readonly stopped: boolean;
  readonly outside: ImportReport['outside'];
  count(applied: Applied, record: Omit<ImportFailure, 'reason'>): void;
  fail(failure: ImportFailure): void;
}

function newTally(stopAtFailure: boolean, isOutside: (dn: string) => boolean): Tally {
  const counts = { added: 0, changed: 0, removed: 0, renamed: 0, unchanged: 0, ignored: 0, failed: 0 };
  const failures: ImportFailure[] = [];
  const plan: string[] = [];
  let outside: ImportReport['outside'] = null;
  return {
    counts,
    failures,
    plan,
    get stopped() {
      return stopAtFailure && counts.failed > 0;
    },
    get outside() {
      return outside;
    },
    count(applied, record) {
      const { dn } = record;
      counts[applied.outcome]++;
      if (isOutside(dn)) outside = { ...(outside ?? record), records: (outside?.records ?? 0) + 1 };
      if (plan.length < PLAN_LINES_MAX) plan.push(`${applied.outcome} ${dn}`);
    },
    fail(failure) {
      counts.failed++;
      if (failures.length < FAILURES_MAX) failures.push(failure);
      if (plan.length < PLAN_LINES_MAX) plan.push(`failed ${failure.dn}: ${failure.reason}`);
    },
  };
}

interface Meter {
  bytes(): number;
  counted(stream: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  report(last: boolean): void;
}

function progressMeter(
  files: readonly ImportSource[],
  tally: Tally,
  progress: (progress: ImportProgress) => void,
  clock: Clock,
): Meter {
  const startMs = clock.now();
  const bytesTotal = files.reduce<number | null>(
    (sum, { size }) => (sum === null || size === null ? null : sum + size),
    0,
  );
  let bytes = 0;
  let reportedMs = startMs;
  return {
    bytes: () => bytes,
    async *counted(stream) {
      for await (const chunk of stream) {
        bytes += chunk.length;
        yield chunk;
      }
    },
    report(last) {
      const nowMs = clock.now();
      if (!last && nowMs - reportedMs < PROGRESS_EVERY_MS) return;
      reportedMs = nowMs;
      const records = Object.values(tally.counts).reduce((sum, n) => sum + n, 0);
      const elapsedS = Math.max(nowMs - startMs, 1) / 1_000;
      progress({ records, bytes, bytesTotal, recordsPerSecond: Math.round(records / elapsedS) });
    },
  };
}
