/**
 * Datagrams that were read before there is time for them. The buffer of the system may be small, and is full within one
 * turn of the event loop when many thousands of phones begin anew at once: what does not fit is lost, and sent again
 * seconds later.
 */
import { NAME_WORDS } from './batch-arena.ts';

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
  let room: Room | undefined;
  let first = 0;
  let count = 0;
  /** Behind the bytes of the newest one. */
  let end = 0;

  /** Where so many bytes fit in one piece; -1 where they don't. Between two that are full stands a free byte. */
  const placeFor = ({ starts }: Room, length: number): number => {
    if (count === 0) return length <= bytesMax ? 0 : -1;
    const oldest = starts[first] ?? 0;
    if (end < oldest) return end + length < oldest ? end : -1;
    if (end + length <= bytesMax) return end;
    return length < oldest ? 0 : -1;
  };
  return {
    get count() {
      return count;
    },
    hasRoom: (datagrams) => count + datagrams <= datagramsMax,
    get firstSlot() {
      return first;
    },
    get names() {
      return (room ??= createRoom(datagramsMax, bytesMax)).names;
    },
    add(bytes, from, to, names, slot) {
      if (count === datagramsMax) return false;
      room ??= createRoom(datagramsMax, bytesMax);
      // One of no bytes takes one, so that no two begin at the same place.
      const place = placeFor(room, Math.max(to - from, 1));
      if (place < 0) return false;
      const newest = (first + count++) % datagramsMax;
      bytes.copy(room.bytes, place, from, to);
      room.starts[newest] = place;
      room.lengths[newest] = to - from;
      end = place + Math.max(to - from, 1);
      for (let word = 0; word < NAME_WORDS; word++) {
        room.names[newest * NAME_WORDS + word] = names[slot * NAME_WORDS + word] ?? 0;
      }
      return true;
    },
    first() {
      const at = room?.starts[first] ?? 0;
      if (room === undefined || count === 0) throw new Error('nothing waits');
      return room.bytes.subarray(at, at + (room.lengths[first] ?? 0));
    },
    drop() {
      first = (first + 1) % datagramsMax;
      count--;
    },
  };
}

/** Only pages that are used take room; most nodes never need any. */
interface Room {
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  readonly names: Int32Array;
}

function createRoom(datagrams: number, bytes: number): Room {
  return {
    bytes: Buffer.allocUnsafeSlow(bytes),
    starts: new Int32Array(datagrams),
    lengths: new Int32Array(datagrams),
    names: new Int32Array(datagrams * NAME_WORDS),
  };
}
