/** Byte strings that wait for their turn, in one piece of memory that goes round: no object for each, nothing to collect. */

export interface ByteQueue {
  readonly count: number;
  /** Copies `from`–`to` of the bytes; the slot where more of it may be kept (0 to itemsMax - 1), -1 where there is no room. */
  add(bytes: Buffer, from: number, to: number): number;
  /** The oldest one, good until the next call of add(). */
  first(): Buffer;
  /** Its slot. */
  readonly firstSlot: number;
  drop(): void;
}

export function createByteQueue(itemsMax: number, bytesMax: number): ByteQueue {
  let room: Room | undefined;
  let first = 0;
  let count = 0;
  /** Behind the bytes of the newest one. */
  let end = 0;

  /** Where so many bytes fit in one piece; -1 where they don't. Where they go round, a free byte stays in front of the oldest one: all that is used is never one whole round. */
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
    get firstSlot() {
      return first;
    },
    add(bytes, from, to) {
      if (count === itemsMax) return -1;
      room ??= createRoom(itemsMax, bytesMax);
      // One of no bytes takes one, so that no two begin at the same place.
      const place = placeFor(room, Math.max(to - from, 1));
      if (place < 0) return -1;
      const newest = (first + count++) % itemsMax;
      bytes.copy(room.bytes, place, from, to);
      room.starts[newest] = place;
      room.lengths[newest] = to - from;
      end = place + Math.max(to - from, 1);
      return newest;
    },
    first() {
      const at = room?.starts[first] ?? 0;
      if (room === undefined || count === 0) throw new Error('nothing waits');
      return room.bytes.subarray(at, at + (room.lengths[first] ?? 0));
    },
    drop() {
      first = (first + 1) % itemsMax;
      count--;
    },
  };
}

/** Only pages that are used take room; most nodes never need any. */
interface Room {
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
}

function createRoom(items: number, bytes: number): Room {
  return {
    bytes: Buffer.allocUnsafeSlow(bytes),
    starts: new Int32Array(items),
    lengths: new Int32Array(items),
  };
}
