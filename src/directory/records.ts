/** Entries of the directory that were read lately: for the CONFIG document and what is rarely asked of a user. */
import type { Clock } from '../base/ports.ts';
import type { Directory, Entry } from './directory.ts';

export interface Records {
  /** The entry where it is in memory, read at most `ageMsMax` ago; else undefined. */
  known(uid: string, ageMsMax: number): Entry | undefined;
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

/** At most `entriesMax` entries; those leave first that were not used for long. */
export function records(directory: Pick<Directory, 'find'>, clock: Clock, entriesMax = 50_000): Records {
  // Two generations: what is used stays in the younger one or comes back to it, and when that one is full, the older
  // one goes as a whole. To reorder one Map at each use would cost more than all else here.
  const generationMax = Math.ceil(entriesMax / 2);
  let younger = new Map<string, Kept>();
  let older = new Map<string, Kept>();
  const reading = new Map<string, Promise<Entry | null>>();

  const keep = (uid: string, record: Kept): void => {
    if (younger.size >= generationMax && !younger.has(uid)) [older, younger] = [younger, new Map<string, Kept>()];
    younger.set(uid, record);
  };

  const drop = (uid: string): void => {
    younger.delete(uid);
    older.delete(uid);
  };

  const known = (uid: string, ageMsMax: number): Entry | undefined => {
    const young = younger.get(uid);
    const record = young ?? older.get(uid);
    if (record === undefined || clock.now() - record.readAt > ageMsMax) return undefined;
    if (young === undefined) keep(uid, record);
    return record.entry;
  };

  const read = (uid: string): Promise<Entry | null> => {
    const readAt = clock.now();
    const answer = directory
      .find(uid)
      .then((entry) => {
        // Forgotten meanwhile: the answer may be older than the change.
        if (reading.get(uid) !== answer) return entry;
        if (entry === null) drop(uid);
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
    known,
    get(uid, ageMsMax) {
      const entry = known(uid, ageMsMax);
      return entry === undefined ? (reading.get(uid) ?? read(uid)) : Promise.resolve(entry);
    },
    forget(uid) {
      drop(uid);
      reading.delete(uid);
    },
  };
}
