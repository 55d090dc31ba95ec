/** A file of JSON lines, uid to what waits for it: appended to as things change, rewritten when it grows stale. */
import { createReadStream } from 'node:fs';
import { appendFile, open, rename, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';

const LINES_A_WRITE = 10_000;
/** So many outdated lines may stand in the file before it is rewritten. */
const OUTDATED_LINES_MAX = 10_000;

export interface Journal {
  /** Notes that `waiting` changed at `uid`. On the disk soon; several changes go there in one write. */
  note(uid: string): void;
  /** Resolves when all that was noted is on the disk; where the disk refuses, `retry` brings it there. */
  saved(): Promise<void>;
  /** Tries again what the disk refused. */
  retry(): void;
}

/** Where journals are kept: in files, or in the memory of a simulation. */
export interface Journals {
  read<T>(
    path: string,
    read: (value: unknown) => T | null,
  ): Promise<{ readonly waiting: Map<string, T>; readonly damaged: number }>;
  open<T>(path: string, waiting: ReadonlyMap<string, T>, onError: (error: unknown) => void): Journal;
}

/**
 * Keeps the file at `path` equal to `waiting`; the last line of a uid holds. Without fsync: made to survive the end
 * of the process at any moment, not that of the machine.
 */
export function openJournal<T>(
  path: string,
  waiting: ReadonlyMap<string, T>,
  onError: (error: unknown) => void,
): Journal {
  const noted = new Set<string>();
  let linesInFile = 0;
  // Whatever stood there before, the end of a line cut short too, is replaced at the first write.
  let stale = true;
  let saving: Promise<void> | null = null;

  const lineOf = (uid: string): string => JSON.stringify([uid, waiting.get(uid) ?? null]) + '\n';

  const append = async (): Promise<void> => {
    const lines = [...noted].map(lineOf);
    noted.clear();
    linesInFile += lines.length;
    await appendFile(path, lines.join(''), { mode: 0o600 });
  };
  const rewrite = async (): Promise<void> => {
    noted.clear();
    const fresh = `${path}.new`;
    await rm(fresh, { force: true });
    const file = await open(fresh, 'wx', 0o600);
    linesInFile = 0;
    try {
      const uids = [...waiting.keys()];
      for (let i = 0; i < uids.length; i += LINES_A_WRITE) {
        const lines = uids.slice(i, i + LINES_A_WRITE).map(lineOf);
        linesInFile += lines.length;
        await file.writeFile(lines.join(''));
      }
    } finally {
      await file.close();
    }
    await rename(fresh, path);
    stale = false;
  };
  const save = async (): Promise<void> => {
    // In a later microtask: what changes in the same turn goes into the same write.
    await Promise.resolve();
    try {
      while (noted.size > 0 || stale) {
        const outdated = linesInFile + noted.size - waiting.size;
        if (stale || outdated > waiting.size + OUTDATED_LINES_MAX) await rewrite();
        else await append();
      }
    } catch (error) {
      stale = true;
      onError(error);
    }
  };
  const start = (): Promise<void> => {
    saving ??= save().finally(() => {
      saving = null;
    });
    return saving;
  };

  return {
    note(uid) {
      noted.add(uid);
      // After a refusal of the disk only `retry` tries again, and not each change.
      if (!stale) void start();
    },
    saved: start,
    retry: () => {
      if (stale) void start();
    },
  };
}

/** What the file at `path` holds; no file is an empty one. `read` answers null for what it does not understand. */
export async function readJournal<T>(
  path: string,
  read: (value: unknown) => T | null,
): Promise<{ waiting: Map<string, T>; damaged: number }> {
  const waiting = new Map<string, T>();
  let damaged = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      const [uid, value] = parseLine(line);
      if (uid === null) damaged++;
      else if (value === null) waiting.delete(uid);
      else {
        const understood = read(value);
        if (understood === null) damaged++;
        else waiting.set(uid, understood);
      }
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  return { waiting, damaged };
}

function parseLine(line: string): readonly [uid: string | null, value: unknown] {
  try {
    const parsed: unknown = JSON.parse(line);
    if (Array.isArray(parsed) && parsed.length === 2 && typeof parsed[0] === 'string') return [parsed[0], parsed[1]];
  } catch {
    // a line cut short by the end of the process
  }
  return [null, null];
}

export const FILE_JOURNALS: Journals = { read: readJournal, open: openJournal };
