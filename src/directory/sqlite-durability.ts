/** What was committed to SQLite's write-ahead log, brought to the disk off the main thread. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/**
 * `sync`, shared by those who wait at the same time. What comes while one is running waits for the next one, since the
 * running one may have begun too early for it.
 */
export function shared(sync: () => Promise<void>): () => Promise<void> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | null = null;
  const start = (): Promise<void> => {
    next = null;
    const started = sync();
    running = started.catch(() => undefined);
    return started;
  };
  return () => (next ??= running.then(start));
}

export interface LogFile {
  /** Resolves when all that was committed before survives a power cut. */
  synced(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The write-ahead log of the database at `path`, on which `synchronous = FULL` would call fsync after each commit, and
 * hold up the event loop for it. SQLite takes no locks on this file, so it may be opened and closed beside it.
 */
export function logFileOf(path: string): LogFile {
  let file: Promise<FileHandle> | null = null;
  return {
    synced: shared(async () => {
      // The first commit makes it, and it stays as long as the database is open.
      file ??= open(`${path}-wal`, 'r');
      try {
        await (await file).datasync();
      } catch (error) {
        file = null;
        throw error;
      }
    }),
    async close() {
      await (await file)?.close();
      file = null;
    },
  };
}
