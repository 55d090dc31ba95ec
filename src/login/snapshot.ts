/**
 * The sessions of a node over a restart: written at a clean stop, taken back and removed at the next start. It holds
 * session keys, so the file is for its owner only. After a crash there is none, and clients log in again.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { isUnavailable } from '../base/errors.ts';
import type { Clock, Log } from '../base/ports.ts';
import type { Directory, Glimpse } from '../directory/directory.ts';
import type { OnlineTable, Saved } from '../heartbeat/online.ts';
import { endOfLifeS } from '../heartbeat/online.ts';

const FORMAT = 'vserver-sessions-2';
const BATCH = 500;

interface Header {
  readonly format: string;
  readonly server: string;
}

/** Writes all open sessions of the table; answers how many. The file appears whole or not at all. */
export async function saveSnapshot(path: string, table: OnlineTable, server: string): Promise<number> {
  const stream = createWriteStream(`${path}.new`, { mode: 0o600 });
  let count = 0;
  stream.write(`${JSON.stringify({ format: FORMAT, server } satisfies Header)}\n`);
  for (const saved of table.saved()) {
    const line = JSON.stringify({ ...saved, session: { ...saved.session, key: hex(saved.session.key) } });
    count++;
    if (!stream.write(`${line}\n`)) await once(stream, 'drain');
  }
  stream.end();
  await once(stream, 'close');
  await rename(`${path}.new`, path);
  return count;
}

export interface RestoreDeps {
  readonly table: OnlineTable;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly log: Log;
  readonly server: string;
  /** Ends a session that fell silent before or during the restart: its logout is still to be written. */
  readonly onSilent: (row: number) => void;
}

/** `left`: too old, or logged in elsewhere meanwhile. */
export interface Counts {
  taken: number;
  left: number;
}

/**
 * Takes back the sessions that are young enough and whose epoch still holds, and removes the file. Where the directory
 * can't be asked they are taken back all the same: the sweep ends those that it finds to be elsewhere.
 */
export async function restoreSnapshot(path: string, deps: RestoreDeps): Promise<Counts> {
  const counts = { taken: 0, left: 0 };
  // Ended when all devices of their users are there.
  const silent: number[] = [];
  let batch: Saved[] = [];
  try {
    const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity });
    let isHeader = true;
    for await (const line of lines) {
      if (isHeader) {
        const header = JSON.parse(line) as Partial<Header>;
        if (header.format !== FORMAT || header.server !== deps.server) break;
        isHeader = false;
        continue;
      }
      batch.push(parse(line));
      if (batch.length < BATCH) continue;
      await takeBack(batch, deps, counts, silent);
      batch = [];
    }
    await takeBack(batch, deps, counts, silent);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return counts;
    deps.log.warn({ err: error }, 'session snapshot unreadable: its users log in again');
  }
  for (const row of silent) deps.onSilent(row);
  await rm(path, { force: true });
  return counts;
}

async function takeBack(batch: readonly Saved[], deps: RestoreDeps, counts: Counts, silent: number[]): Promise<void> {
  const nowS = Math.floor(deps.clock.now() / 1000);
  const known = await glimpses(batch, deps);
  for (const saved of batch) {
    const glimpse = known?.get(saved.profile.uid);
    // None: another node took this one for dead and cleared up; the sweep claims him again.
    const isFree = glimpse?.server === deps.server || glimpse?.server === null;
    const holds = known === undefined || (glimpse?.epoch === saved.epoch && isFree);
    const isYoung = endOfLifeS(saved.seenS, saved.session.lifetimeS) > nowS;
    if (holds) {
      const row = deps.table.restore(saved, nowS);
      if (!isYoung) silent.push(row);
    }
    counts[holds && isYoung ? 'taken' : 'left']++;
  }
}

async function glimpses(
  batch: readonly Saved[],
  { directory, server }: RestoreDeps,
): Promise<ReadonlyMap<string, Glimpse> | undefined> {
  const epochs = new Map(batch.map(({ profile, epoch }) => [profile.uid, epoch]));
  try {
    return await directory.peek(
      [...epochs.keys()],
      (uid, glimpse) => glimpse?.server === server && glimpse.epoch === epochs.get(uid),
    );
  } catch (error) {
    if (isUnavailable(error)) return undefined;
    throw error;
  }
}

/** What our own hand wrote; a file that somebody else wrote can at most fail to be taken back. */
function parse(line: string): Saved {
  const saved = JSON.parse(line) as Saved & { session: { key: string } };
  return { ...saved, session: { ...saved.session, key: Buffer.from(saved.session.key, 'hex') } };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
