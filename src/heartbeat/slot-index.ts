/**
 * A hash index from 32-bit hashes to row numbers: open addressing, linear probing, at most half full, deletion
 * by backward shift (no tombstones). The rows keep their own hashes and keys; the caller compares keys.
 *
 *     for (let at = index.seek(hash); index.row(at) >= 0; at = index.next(at)) if (isIt(index.row(at))) …
 */
import { columnOf } from './columns.ts';

export class SlotIndex {
  readonly #hashOf: (row: number) => number;
  /** Row + 1; 0 = empty. */
  #places: Uint32Array;
  #mask: number;
  #used = 0;

  constructor(capacity: number, hashOf: (row: number) => number) {
    this.#hashOf = hashOf;
    const size = 2 ** Math.ceil(Math.log2(Math.max(16, capacity * 2)));
    this.#places = columnOf(Uint32Array, size);
    this.#mask = size - 1;
  }

  seek(hash: number): number {
    return mix(hash) & this.#mask;
  }

  /** -1 ends the chain. */
  row(place: number): number {
    return (this.#places[place] ?? 0) - 1;
  }

  next(place: number): number {
    return (place + 1) & this.#mask;
  }

  add(row: number): void {
    if ((this.#used + 1) * 2 > this.#places.length) this.#grow();
    this.#used++;
    this.#place(row);
  }

  remove(row: number): void {
    let hole = this.seek(this.#hashOf(row));
    while (this.#places[hole] !== row + 1) {
      if (this.#places[hole] === 0) throw new Error(`row ${row} is not in the index`);
      hole = this.next(hole);
    }
    this.#used--;
    // Move back whatever would no longer be found over the hole.
    for (let at = this.next(hole); this.row(at) >= 0; at = this.next(at)) {
      const home = this.seek(this.#hashOf(this.row(at)));
      const distanceHome = (at - home) & this.#mask;
      if (distanceHome >= ((at - hole) & this.#mask)) {
        this.#places[hole] = this.#places[at] ?? 0;
        hole = at;
      }
    }
    this.#places[hole] = 0;
  }

  #place(row: number): void {
    let at = this.seek(this.#hashOf(row));
    while (this.#places[at] !== 0) at = this.next(at);
    this.#places[at] = row + 1;
  }

  #grow(): void {
    const old = this.#places;
    this.#places = columnOf(Uint32Array, old.length * 2);
    this.#mask = this.#places.length - 1;
    for (const place of old) if (place !== 0) this.#place(place - 1);
  }
}

/** Spreads weak hashes over all bits (the finaliser of MurmurHash3, public domain). */
function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
