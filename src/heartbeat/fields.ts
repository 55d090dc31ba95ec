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
  /** Field i runs from starts[i] up to ends[i]. */
  readonly starts = new Uint32Array(FIELDS_MAX);
  readonly ends = new Uint32Array(FIELDS_MAX);

  cut(arena: Arena, ref: number): void {
    const bytes = arena.chunkOf(ref);
    const from = arena.startOf(ref);
    const to = from + arena.lengthOf(ref);
    this.bytes = bytes;
    let field = 0;
    this.starts[0] = from;
    for (let at = from; at < to && field < FIELDS_MAX - 1; at++) {
      if (bytes[at] !== FIELD_BYTE) continue;
      this.ends[field++] = at;
      this.starts[field] = at + 1;
    }
    this.ends[field] = to;
    for (field++; field < FIELDS_MAX; field++) this.starts[field] = this.ends[field] = to;
  }

  /** Whether `item` stands in the field, a list that is separated by spaces. */
  has(field: number, item: string): boolean {
    if (this.starts[field] === this.ends[field]) return false;
    return ` ${this.bytes.toString('utf8', this.starts[field], this.ends[field])} `.includes(` ${item} `);
  }
}
