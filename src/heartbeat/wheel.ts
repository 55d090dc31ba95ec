/**
 * A timing wheel over row numbers: one bucket a second, lists linked through two words of each row. A sign of life costs
 * nothing here: a row whose deadline moved is put into its new bucket when its old one comes round.
 */

/** Where the links stand: beside what is looked at when a row comes up, and replaced when the rows grow. */
export interface LinkedRows {
  readonly words: Uint32Array;
  /** Where the LINK_WORDS words of a row begin; zeros in a row that was never added. */
  linksAt(row: number): number;
}

/** Row + 1 of the next one in the list, 0 = none; then of the one before it, or FIRST and the bucket, 0 = in no list. */
export const LINK_WORDS = 2;
const NEXT = 0;
const BEFORE = 1;
const FIRST = 0x80000000;

export class Wheel {
  /** Row + 1 of the first one of each list; the last list is of those that come up. */
  readonly #buckets: Uint32Array;
  readonly #mask: number;
  readonly #rows: LinkedRows;
  /** The last second that was worked off. */
  #turnedS: number;

  constructor(spanSeconds: number, rows: LinkedRows, nowS: number) {
    const size = Math.min(32_768, 2 ** Math.ceil(Math.log2(spanSeconds + 2)));
    this.#buckets = new Uint32Array(size + 1);
    this.#mask = size - 1;
    this.#rows = rows;
    this.#turnedS = nowS;
  }

  /** A deadline beyond the wheel's span stands in its last bucket and is looked at early. */
  add(row: number, deadlineS: number): void {
    const { words } = this.#rows;
    const at = this.#rows.linksAt(row);
    const last = this.#turnedS + this.#mask;
    const bucket = Math.min(Math.max(deadlineS, this.#turnedS + 1), last) & this.#mask;
    const head = this.#buckets[bucket] ?? 0;
    words[at + NEXT] = head;
    words[at + BEFORE] = FIRST | bucket;
    if (head !== 0) words[this.#rows.linksAt(head - 1) + BEFORE] = row + 1;
    this.#buckets[bucket] = row + 1;
  }

  remove(row: number): void {
    const { words } = this.#rows;
    const at = this.#rows.linksAt(row);
    const next = words[at + NEXT] ?? 0;
    const before = words[at + BEFORE] ?? 0;
    if (next !== 0) words[this.#rows.linksAt(next - 1) + BEFORE] = before;
    if (before >= FIRST) this.#buckets[before - FIRST] = next;
    else if (before !== 0) words[this.#rows.linksAt(before - 1) + NEXT] = next;
    words[at + NEXT] = words[at + BEFORE] = 0;
  }

  /**
   * Turns to `nowS` and offers every row that came up to `visit`, which answers its deadline (it is put back) or 0
   * (it is gone: `visit` has taken it out of whatever else knows it). A clock set back turns nothing.
   */
  turn(nowS: number, visit: (row: number) => number): void {
    const steps = Math.min(nowS - this.#turnedS, this.#mask + 1);
    if (steps <= 0) return;
    const first = nowS - steps + 1;
    this.#turnedS = nowS;
    for (let second = first; second <= nowS; second++) {
      const up = this.#takeUp(second & this.#mask);
      // One by one: visit() may take out others.
      for (let place = this.#buckets[up] ?? 0; place !== 0; place = this.#buckets[up] ?? 0) {
        const row = place - 1;
        this.remove(row);
        const deadlineS = visit(row);
        if (deadlineS > 0) this.add(row, deadlineS);
      }
    }
  }

  /** Empties a bucket into the list of those that come up: one that is put back may stand in the same bucket. */
  #takeUp(bucket: number): number {
    const up = this.#mask + 1;
    const head = this.#buckets[bucket] ?? 0;
    this.#buckets[bucket] = 0;
    this.#buckets[up] = head;
    if (head !== 0) this.#rows.words[this.#rows.linksAt(head - 1) + BEFORE] = FIRST | up;
    return up;
  }
}
