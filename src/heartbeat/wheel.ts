/**
 * A timing wheel over row numbers: one bucket a second, lists linked through two columns. A sign of life costs
 * nothing here: a row whose deadline moved is put into its new bucket when its old one comes round.
 */
import { columnOf, enlarged } from './columns.ts';

export class Wheel {
  readonly #buckets: Uint32Array;
  readonly #mask: number;
  /** Row + 1 of the neighbours; 0 = none. */
  #next: Uint32Array;
  #previous: Uint32Array;
  /** Bucket + 1 where the row is the first of its list; 0 elsewhere. */
  #headOf: Uint16Array;
  /** The last second that was worked off. */
  #turnedS: number;

  constructor(spanSeconds: number, capacity: number, nowS: number) {
    const size = Math.min(32_768, 2 ** Math.ceil(Math.log2(spanSeconds + 2)));
    this.#buckets = new Uint32Array(size);
    this.#mask = size - 1;
    this.#next = columnOf(Uint32Array, capacity);
    this.#previous = columnOf(Uint32Array, capacity);
    this.#headOf = columnOf(Uint16Array, capacity);
    this.#turnedS = nowS;
  }

  grow(capacity: number): void {
    this.#next = enlarged(this.#next, capacity);
    this.#previous = enlarged(this.#previous, capacity);
    this.#headOf = enlarged(this.#headOf, capacity);
  }

  /** A deadline beyond the wheel's span stands in its last bucket and is looked at early. */
  add(row: number, deadlineS: number): void {
    const last = this.#turnedS + this.#buckets.length - 1;
    const bucket = Math.min(Math.max(deadlineS, this.#turnedS + 1), last) & this.#mask;
    const head = this.#buckets[bucket] ?? 0;
    this.#next[row] = head;
    this.#previous[row] = 0;
    this.#headOf[row] = bucket + 1;
    if (head !== 0) {
      this.#previous[head - 1] = row + 1;
      this.#headOf[head - 1] = 0;
    }
    this.#buckets[bucket] = row + 1;
  }

  remove(row: number): void {
    const next = this.#next[row] ?? 0;
    const previous = this.#previous[row] ?? 0;
    const head = this.#headOf[row] ?? 0;
    if (next !== 0) {
      this.#previous[next - 1] = previous;
      this.#headOf[next - 1] = head;
    }
    if (previous !== 0) this.#next[previous - 1] = next;
    else if (head !== 0) this.#buckets[head - 1] = next;
    this.#next[row] = this.#previous[row] = this.#headOf[row] = 0;
  }

  /**
   * Turns to `nowS` and offers every row that came up to `visit`, which answers its deadline (it is put back) or 0
   * (it is gone: `visit` has taken it out of whatever else knows it). A clock set back turns nothing.
   */
  turn(nowS: number, visit: (row: number) => number): void {
    const steps = Math.min(nowS - this.#turnedS, this.#buckets.length);
    if (steps <= 0) return;
    const first = nowS - steps + 1;
    this.#turnedS = nowS;
    for (let second = first; second <= nowS; second++) {
      const bucket = second & this.#mask;
      let place = this.#buckets[bucket] ?? 0;
      this.#buckets[bucket] = 0;
      while (place !== 0) {
        const row = place - 1;
        place = this.#next[row] ?? 0;
        if (place !== 0) this.#previous[place - 1] = 0;
        this.#next[row] = this.#previous[row] = this.#headOf[row] = 0;
        const deadlineS = visit(row);
        if (deadlineS > 0) this.add(row, deadlineS);
      }
    }
  }
}
