/**
 * Location writes that nobody waits for: logouts and hidden flags. Written soon; kept in a file and written later
 * where the directory is down, so that none is forgotten over a restart. The newest of a uid replaces what waits.
 */
import { isUnavailable, VserverError } from '../base/errors.ts';
import type { Location } from '../base/model.ts';
import type { Log, Timers } from '../base/ports.ts';
import type { Directory } from '../directory/directory.ts';
import type { Journals } from './journal.ts';
import { FILE_JOURNALS } from './journal.ts';

const IN_FLIGHT_MAX = 16;
const RETRY_MS = 2_000;
const WAITING_MAX = 1_000_000;

export interface Outbox {
  add(uid: string, location: Location, expectedEpoch: number): void;
  /** How many users wait for a write. */
  waiting(): number;
  /** Tries all that waits, once; resolves when nothing is on its way any more. */
  flush(): Promise<void>;
  /** Stops trying; what waits stays in the file. */
  close(): Promise<void>;
}

interface Write {
  readonly location: Location;
  readonly epoch: number;
}

interface OutboxOptions {
  readonly path: string;
  readonly directory: Pick<Directory, 'writeLocation'>;
  readonly log: Log;
  readonly timers: Timers;
  readonly waitingMax?: number;
  readonly journals?: Journals | undefined;
}

/** Takes up what waits in the file at `path` (mode 0600) and goes on with it. */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { path, directory, log, timers, waitingMax = WAITING_MAX, journals = FILE_JOURNALS } = options;
  const waiting = await restored(journals, path, log);
  const journal = journals.open(path, waiting, (error) => log.error({ err: error, path }, 'outbox can not be saved'));
  await journal.saved();

  /** Whose write is still to be tried, longest waiting first; a part of `waiting`. */
  const due = new Set(waiting.keys());
  const onTheWay = new Set<string>();
  const unanswered = unansweredTries();
  const flushes: (() => void)[] = [];
  /** The directory was found down: nothing is tried before the next round. */
  let paused = false;

  const drop = (uid: string): void => {
    due.delete(uid);
    unanswered.forget(uid);
    if (waiting.delete(uid)) journal.note(uid);
  };
  const send = async (uid: string, write: Write): Promise<void> => {
    onTheWay.add(uid);
    try {
      // 'lost' and 'unknown' are done too: somebody newer wrote, or there is nobody to write for.
      await directory.writeLocation(uid, write.location, write.epoch);
      if (!unanswered.answered(uid) && waiting.get(uid) === write) drop(uid);
    } catch (error) {
      if (isTemporary(error)) {
        paused = true;
        if (waiting.has(uid)) unanswered.add(uid);
      } else {
        log.error({ err: error, uid }, 'location can not be written, given up');
        if (waiting.get(uid) === write) drop(uid);
      }
    } finally {
      onTheWay.delete(uid);
      if (waiting.has(uid) && (waiting.get(uid) !== write || !unanswered.isNextRound(uid))) due.add(uid);
      pump();
    }
  };
  const pump = (): void => {
    for (const uid of due) {
      if (paused || onTheWay.size >= IN_FLIGHT_MAX) break;
      const write = waiting.get(uid);
      // Two writes of one user at once could arrive in the wrong order: the later one waits for the earlier.
      if (onTheWay.has(uid)) continue;
      due.delete(uid);
      if (write !== undefined) void send(uid, write);
    }
    if (onTheWay.size === 0) flushes.splice(0).forEach((resolve) => resolve());
  };
  const round = (): void => {
    journal.retry();
    paused = false;
    for (const uid of unanswered.takeRound()) if (waiting.has(uid)) due.add(uid);
    pump();
  };
  const rounds = timers.every(RETRY_MS, round);

  return {
    add(uid, location, expectedEpoch) {
      const oldest = waiting.size < waitingMax || waiting.has(uid) ? undefined : waiting.keys().next().value;
      if (oldest !== undefined) {
        log.error({ uid: oldest, waitingMax }, 'too many location writes wait, the oldest is given up');
        drop(oldest);
      }
      waiting.set(uid, { location, epoch: expectedEpoch });
      due.add(uid);
      journal.note(uid);
      pump();
    },
    waiting: () => waiting.size,
    flush: () =>
      new Promise((resolve) => {
        flushes.push(resolve);
        round();
      }),
    async close() {
      rounds.cancel();
      due.clear();
      paused = true;
      await journal.saved();
    },
  };
}

/**
 * A try without an answer may be carried out yet, after a later one, and no epoch would tell. So what is written after it
 * is written once more in the next round: by then the other has come, or never will.
 */
function unansweredTries() {
  const unanswered = new Set<string>();
  let nextRound = new Set<string>();
  return {
    add: (uid: string) => void unanswered.add(uid),
    forget: (uid: string) => void unanswered.delete(uid),
    /** Whether what was written now is to be written once more. */
    answered(uid: string): boolean {
      if (unanswered.delete(uid)) nextRound.add(uid);
      return nextRound.has(uid);
    },
    isNextRound: (uid: string) => nextRound.has(uid),
    takeRound(): Iterable<string> {
      const round = nextRound;
      nextRound = new Set();
      return round;
    },
  };
}

async function restored(journals: Journals, path: string, log: Log): Promise<Map<string, Write>> {
  const { waiting, damaged } = await journals.read(path, readWrite);
  if (damaged > 0) log.warn({ path, damaged }, 'lines of the outbox that make no sense were left out');
  return waiting;
}

/** Whether another try makes sense: the directory is down, or something unforeseen went wrong. */
function isTemporary(error: unknown): boolean {
  return isUnavailable(error) || !(error instanceof VserverError) || error.code === 'INTERNAL';
}

/** As far as the file is our own: enough of a check that a stranger's file does no harm. */
function readWrite(value: unknown): Write | null {
  const { location, epoch } = value as { location?: Location | null; epoch?: unknown };
  if (typeof location !== 'object' || typeof location?.epoch !== 'number' || typeof epoch !== 'number') return null;
  return { location, epoch };
}
