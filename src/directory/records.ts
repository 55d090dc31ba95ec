/** Entries of the directory that were read lately: for the CONFIG document and what is rarely asked of a user. */
import type { Clock } from '../base/ports.ts';
import type { Directory, Entry } from './directory.ts';

export interface Records {
  /**
   * The entry, read at most `ageMsMax` ago; read through where it is older or not there. Several who ask for the
   * same uid at once share one read. null is never remembered. Rejects as `find` of the directory does.
   */
  get(uid: string, ageMsMax: number): Promise<Entry | null>;
  /** The entry changed: the next `get` reads, and what is being read now is not kept. */
  forget(uid: string): void;
}

interface Kept {
  readonly entry: Entry;
  readonly readAt: number;
}

/** At most `entriesMax` entries, the longest unused leave first. */
export function records(directory: Pick<Directory, 'find'>, clock: Clock, entriesMax = 50_000): Records {
  // A Map keeps the order of insertion: the first key is the longest unused one.
  const kept = new Map<string, Kept>();
  const reading = new Map<string, Promise<Entry | null>>();

  const keep = (uid: string, record: Kept): void => {
    kept.delete(uid);
    kept.set(uid, record);
    if (kept.size <= entriesMax) return;
    const oldest = kept.keys().next();
    if (oldest.done !== true) kept.delete(oldest.value);
  };

  const read = (uid: string): Promise<Entry | null> => {
    const readAt = clock.now();
    const answer = directory
      .find(uid)
      .then((entry) => {
        // Forgotten meanwhile: the answer may be older than the change.
        if (reading.get(uid) !== answer) return entry;
        if (entry === null) kept.delete(uid);
        else keep(uid, { entry, readAt });
        return entry;
      })
      .finally(() => {
        if (reading.get(uid) === answer) reading.delete(uid);
      });
    reading.set(uid, answer);
    return answer;
  };

  return {
    get(uid, ageMsMax) {
      const record = kept.get(uid);
      if (record === undefined || clock.now() - record.readAt > ageMsMax) return reading.get(uid) ?? read(uid);
      keep(uid, record);
      return Promise.resolve(record.entry);
    },
    forget(uid) {
      kept.delete(uid);
      reading.delete(uid);
    },
  };
}
