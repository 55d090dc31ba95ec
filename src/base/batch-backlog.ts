/**
 * Datagrams that were read before there is time for them. The buffer of the system may be small, and is full within one
 * turn of the event loop when many thousands of phones begin anew at once: what does not fit is lost, and sent again
 * seconds later.
 */
import { NAME_WORDS } from './batch-arena.ts';
import { createByteQueue } from './byte-queue.ts';

/** Who waits longer than these take repeats himself (RFC 3261 T1, half a second): more would only be asked twice. */
const DATAGRAMS_MAX = 16_384;
const BYTES_MAX = 8 * 1024 * 1024;

export interface Backlog {
  readonly count: number;
  /** Whether so many more may come, as far as their number goes. */
  hasRoom(datagrams: number): boolean;
  /** Copies `from`–`to` of the bytes and their socket address. False where there is no room. */
  add(bytes: Buffer, from: number, to: number, names: Int32Array, slot: number): boolean;
  /** The oldest one, good until the next call of add(). */
  first(): Buffer;
  /** Its socket address stands in this slot of `names`. */
  readonly firstSlot: number;
  readonly names: Int32Array;
  drop(): void;
}

export function createBacklog(datagramsMax = DATAGRAMS_MAX, bytesMax = BYTES_MAX): Backlog {
  const queue = createByteQueue(datagramsMax, bytesMax);
  // Only pages that are used take room; most nodes never need any.
  const kept = new Int32Array(datagramsMax * NAME_WORDS);
  return {
    get count() {
      return queue.count;
    },
    hasRoom: (datagrams) => queue.count + datagrams <= datagramsMax,
    get firstSlot() {
      return queue.firstSlot;
    },
    names: kept,
    add(bytes, from, to, names, slot) {
      const newest = queue.add(bytes, from, to);
      if (newest < 0) return false;
      for (let word = 0; word < NAME_WORDS; word++) {
        kept[newest * NAME_WORDS + word] = names[slot * NAME_WORDS + word] ?? 0;
      }
      return true;
    },
    first: () => queue.first(),
    drop() {
      queue.drop();
    },
  };
}
