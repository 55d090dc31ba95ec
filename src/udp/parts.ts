/** Long messages as several datagrams: `Part <id> <i>/<n>`, an empty line, then the bytes of slice i (from 1). */
import { DATAGRAM_BYTES_MAX } from './message.ts';

export const PARTS_MAX = 64;
/** `Part `, an id of 32, ` 64/64` and two line ends. */
const PART_HEAD_BYTES_MAX = 5 + 32 + 6 + 4;
const SLICE_BYTES = DATAGRAM_BYTES_MAX - PART_HEAD_BYTES_MAX;
/** Messages that a client joins at the same time; the oldest makes room. */
const JOINS_MAX = 16;

/** The message as datagrams: itself where it fits into one, else Parts; null where it needs more than 64. */
export function slice(id: string, message: Buffer): readonly Buffer[] | null {
  if (message.length <= DATAGRAM_BYTES_MAX) return [message];
  const count = Math.ceil(message.length / SLICE_BYTES);
  if (count > PARTS_MAX) return null;
  return Array.from({ length: count }, (_, i) =>
    Buffer.concat([
      Buffer.from(`Part ${id} ${i + 1}/${count}\r\n\r\n`),
      message.subarray(i * SLICE_BYTES, (i + 1) * SLICE_BYTES),
    ]),
  );
}

export interface PartJoiner {
  /**
   * The whole message when its last missing part came; null while parts are missing, and for what is no part.
   * A joined message is to be believed only by its mac: parts themselves carry none.
   */
  add(datagram: Buffer): Buffer | null;
}

interface Join {
  readonly slices: (Buffer | undefined)[];
  missing: number;
}

/** Remembers the parts of up to 16 messages. */
export function createPartJoiner(): PartJoiner {
  const joins = new Map<string, Join>();
  return {
    add(datagram) {
      const part = readPart(datagram);
      if (part === null) return null;
      let join = joins.get(part.id);
      if (join?.slices.length !== part.count) {
        // A reply that was made anew may have another length: its parts replace those of the one before.
        join = { slices: Array.from({ length: part.count }), missing: part.count };
        joins.delete(part.id);
        joins.set(part.id, join);
        for (const oldest of joins.keys()) if (joins.size > JOINS_MAX) joins.delete(oldest);
      }
      if (join.slices[part.index - 1] !== undefined) return null;
      join.slices[part.index - 1] = Buffer.from(part.bytes);
      join.missing--;
      if (join.missing > 0) return null;
      joins.delete(part.id);
      return Buffer.concat(join.slices.filter((bytes) => bytes !== undefined));
    },
  };
}

function readPart(datagram: Buffer): { id: string; index: number; count: number; bytes: Buffer } | null {
  if (datagram.length > DATAGRAM_BYTES_MAX) return null;
  const match = PART.exec(datagram.toString('latin1', 0, PART_HEAD_BYTES_MAX));
  if (match === null) return null;
  const [head, id = '', i, n] = match;
  const index = Number(i);
  const count = Number(n);
  if (index > count || count > PARTS_MAX) return null;
  return { id, index, count, bytes: datagram.subarray(head.length) };
}
const PART = /^part ([\w.-]{1,32}) ([1-9]\d?)\/([1-9]\d?)\r?\n\r?\n/i;
