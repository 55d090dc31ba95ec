/**
 * A hash index from 32-bit hashes to row numbers: open addressing, linear probing, at most half full, deletion
 * by backward shift (no tombstones). The rows keep their own hashes and keys; the caller compares keys.
 *
 *     for (let at = index.seek(hash); index.row(at) >= 0; at = index.next(at, hash)) if (isIt(index.row(at))) …
 *
 * A row is looked at only where it is nearly always the right one: beside its number stand the bits of the mixed hash that
 * its place does not tell, as many as the number leaves (11 where a million rows have room).
 */
import { columnOf } from './columns.ts';

export class SlotIndex {
  readonly #hashOf: (row: number) => number;
  /** In the bits of the mask row + 1 (0 = empty), above them those of the hash. */
  #places: Uint32Array;
  #mask: number;

  constructor(capacity: number, hashOf: (row: number) => number) {
    this.#hashOf = hashOf;
    const size = 2 ** Math.ceil(Math.log2(Math.max(16, capacity * 2)));
    this.#places = columnOf(Uint32Array, size);
    this.#mask = size - 1;
  }

  /** The first place whose row may have this hash, or where there is none, an empty one. */
  seek(hash: number): number {
    const mixed = mix(hash);
    return this.#candidate(mixed, mixed);
  }

  /** The next one. */
  next(place: number, hash: number): number {
    return this.#candidate(place + 1, mix(hash));
  }

  /** -1: nothing more has this hash. */
  row(place: number): number {
    return ((this.#places[place] ?? 0) & this.#mask) - 1;
  }

  /** Some bits of where seek() will begin: reading them fetches that memory, for which nobody waits. */
  fetch(hash: number): number {
    return this.#places[mix(hash) & this.#mask] ?? 0;
  }

  add(row: number): void {
    // Rows are numbered without gaps, so there are no more of them than that.
    while ((row + 1) * 2 > this.#places.length) this.#grow();
    this.#place(row);
  }

  remove(row: number): void {
    let hole = mix(this.#hashOf(row)) & this.#mask;
    while (this.row(hole) !== row) {
      if (this.row(hole) < 0) throw new Error(`row ${row} is not in the index`);
      hole = (hole + 1) & this.#mask;
    }
    // Move back whatever would no longer be found over the hole.
    for (let at = (hole + 1) & this.#mask; this.row(at) >= 0; at = (at + 1) & this.#mask) {
      const home = mix(this.#hashOf(this.row(at))) & this.#mask;
      const distanceHome = (at - home) & this.#mask;
      if (distanceHome >= ((at - hole) & this.#mask)) {
        this.#places[hole] = this.#places[at] ?? 0;
        hole = at;
      }
    }
    this.#places[hole] = 0;
  }

  #candidate(from: number, mixed: number): number {
    const places = this.#places;
    const mask = this.#mask;
    for (let at = from & mask; ; at = (at + 1) & mask) {
      const place = places[at] ?? 0;
      if (place === 0 || ((place ^ mixed) & ~mask) === 0) return at;
    }
  }

  #place(row: number): void {
    const mixed = mix(this.#hashOf(row));
    let at = mixed & this.#mask;
    while (this.#places[at] !== 0) at = (at + 1) & this.#mask;
    this.#places[at] = (mixed & ~this.#mask) | (row + 1);
  }

  #grow(): void {
    const old = this.#places;
    const oldMask = this.#mask;
    this.#places = columnOf(Uint32Array, old.length * 2);
    this.#mask = this.#places.length - 1;
    for (const place of old) if (place !== 0) this.#place((place & oldMask) - 1);
  }
}

/** Spreads weak hashes over all bits (the finaliser of MurmurHash3, public domain). */
function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
