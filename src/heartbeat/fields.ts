/** Texts that are stored as one, and how to read one of them without making strings of all. */
import type { Arena } from './arena.ts';

// The byte can't stand in a uid; in other texts it is taken out before they are stored.
export const FIELD = '\x1f';
export const FIELD_BYTE = 0x1f;
/** Enough for the two kinds of texts: see profile.ts and session-rows.ts. */
const FIELDS_MAX = 6;

/** A view on the fields of one stored text, good until anything is stored or freed. To be made once, and cut anew. */
export class Fields {
  /** Holds the text among others. */
  bytes: Buffer = Buffer.alloc(0);
  /** The same. */
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Field i runs from starts[i] up to ends[i]. */
  readonly starts = new Uint32Array(FIELDS_MAX);
  readonly ends = new Uint32Array(FIELDS_MAX);

  cut(arena: Arena, ref: number): void {
    const view = arena.viewOf(ref);
    const from = arena.startOf(ref);
    const to = from + arena.lengthOf(ref);
    this.bytes = arena.chunkOf(ref);
    this.view = view;
    let field = 0;
    this.starts[0] = from;
    for (let at = from; at < to && field < FIELDS_MAX - 1;) {
      if (at + 4 <= to && hasNoSeparator(view.getInt32(at, true))) {
        at += 4;
        continue;
      }
      if (view.getUint8(at++) !== FIELD_BYTE) continue;
      this.ends[field++] = at - 1;
      this.starts[field] = at;
    }
    this.ends[field] = to;
    for (field++; field < FIELDS_MAX; field++) this.starts[field] = this.ends[field] = to;
  }

  /** No field has anything. */
  clear(): void {
    // Calls of fill() take longer.
    for (let field = 0; field < FIELDS_MAX; field++) this.starts[field] = this.ends[field] = 0;
  }

  isEmpty(field: number): boolean {
    return this.starts[field] === this.ends[field];
  }

  /** Whether `item` stands in the field, a list that is separated by spaces. */
  has(field: number, item: string): boolean {
    if (this.isEmpty(field)) return false;
    return ` ${this.bytes.toString('utf8', this.starts[field], this.ends[field])} `.includes(` ${item} `);
  }
}

/** Whether none of the four bytes is FIELD_BYTE: no byte of their difference is zero. */
function hasNoSeparator(four: number): boolean {
  const difference = four ^ 0x1f1f1f1f;
  return ((difference - 0x01010101) & ~difference & 0x80808080) === 0;
}
