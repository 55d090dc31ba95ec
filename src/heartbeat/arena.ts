/**
 * Byte strings outside the garbage-collected heap, known by a 32-bit reference.
 *
 * Chunks of 1 MiB are cut into 16-byte units; a reference is the number of the first unit (0 = none). A freed
 * place goes to the free list of its size class and is used again by the next string of that class.
 */
import { viewOn } from '../base/bytes.ts';
import { columnOf } from './columns.ts';

const UNIT_BYTES = 16;
const CHUNK_UNITS = 65_536;
const CHUNK_BYTES = CHUNK_UNITS * UNIT_BYTES;
/** So many are made one by one, all others so many at once, on huge pages: their texts are read at random places. */
const FEW_CHUNKS = 4;
const MANY_CHUNKS = 16;
/** 4 bytes of length stand before the content. */
const HEADER_BYTES = 4;

export const ARENA_ENTRY_BYTES_MAX = CHUNK_BYTES - UNIT_BYTES - HEADER_BYTES;

export class Arena {
  readonly #chunks: Buffer[] = [];
  readonly #views: DataView[] = [];
  /** Chunks that are not used yet, the next one last. */
  readonly #spare: Buffer[] = [];
  /** First free place by size in units; each free place holds the next one's reference. */
  readonly #free = new Map<number, number>();
  #nextUnit = CHUNK_UNITS;

  /** Stores the bytes; throws where they are longer than ARENA_ENTRY_BYTES_MAX. */
  put(bytes: Uint8Array): number {
    if (bytes.length > ARENA_ENTRY_BYTES_MAX) throw new RangeError('too long for the arena');
    const ref = this.#take(unitsFor(bytes.length));
    const chunk = this.#chunk(ref);
    const at = offset(ref);
    chunk.writeUInt32LE(bytes.length, at);
    chunk.set(bytes, at + HEADER_BYTES);
    return ref;
  }

  /** A view, valid until the reference is freed; empty for 0. */
  get(ref: number): Buffer {
    if (ref === 0) return EMPTY;
    const chunk = this.#chunk(ref);
    const at = offset(ref);
    return chunk.subarray(at + HEADER_BYTES, at + HEADER_BYTES + chunk.readUInt32LE(at));
  }

  /** UTF-8 text without the detour over a view. */
  text(ref: number): string {
    if (ref === 0) return '';
    const chunk = this.#chunk(ref);
    const at = offset(ref);
    return chunk.toString('utf8', at + HEADER_BYTES, at + HEADER_BYTES + chunk.readUInt32LE(at));
  }

  /** For readers that make no object: the text of `ref` is the lengthOf() bytes from startOf() on in chunkOf(). */
  chunkOf(ref: number): Buffer {
    return ref === 0 ? EMPTY : this.#chunk(ref);
  }

  /** The same chunk, to be read several bytes at a time. */
  viewOf(ref: number): DataView {
    return ref === 0 ? EMPTY_VIEW : this.#view(ref);
  }

  startOf(ref: number): number {
    return ref === 0 ? 0 : offset(ref) + HEADER_BYTES;
  }

  lengthOf(ref: number): number {
    return ref === 0 ? 0 : this.#view(ref).getUint32(offset(ref), true);
  }

  free(ref: number): void {
    if (ref === 0) return;
    const chunk = this.#chunk(ref);
    const at = offset(ref);
    const units = unitsFor(chunk.readUInt32LE(at));
    chunk.writeUInt32LE(this.#free.get(units) ?? 0, at);
    this.#free.set(units, ref);
  }

  /** Whether the stored bytes begin with `bytes` from `from` to `to`, followed by the byte `end` (or end there). */
  startsWith(ref: number, bytes: Uint8Array, from: number, to: number, end: number): boolean {
    const chunk = this.#chunk(ref);
    const at = offset(ref);
    const length = this.#view(ref).getUint32(at, true);
    if (length < to - from) return false;
    const start = at + HEADER_BYTES - from;
    for (let i = from; i < to; i++) if (chunk[start + i] !== bytes[i]) return false;
    return length === to - from || chunk[start + to] === end;
  }

  #take(units: number): number {
    const free = this.#free.get(units) ?? 0;
    if (free !== 0) {
      this.#free.set(units, this.#chunk(free).readUInt32LE(offset(free)));
      return free;
    }
    if (this.#nextUnit + units > CHUNK_UNITS) {
      const chunk = this.#newChunk();
      this.#chunks.push(chunk);
      this.#views.push(viewOn(chunk));
      // Unit 0 of the first chunk is never given out: reference 0 means none.
      this.#nextUnit = this.#chunks.length === 1 ? 1 : 0;
    }
    const ref = (this.#chunks.length - 1) * CHUNK_UNITS + this.#nextUnit;
    this.#nextUnit += units;
    return ref;
  }

  #newChunk(): Buffer {
    if (this.#spare.length === 0) {
      const count = this.#chunks.length < FEW_CHUNKS ? 1 : MANY_CHUNKS;
      const { buffer, byteOffset } = columnOf(Uint8Array, count * CHUNK_BYTES);
      for (let i = count - 1; i >= 0; i--)
        this.#spare.push(Buffer.from(buffer, byteOffset + i * CHUNK_BYTES, CHUNK_BYTES));
    }
    return this.#spare.pop() ?? EMPTY;
  }

  #chunk(ref: number): Buffer {
    const chunk = this.#chunks[ref >>> 16];
    if (chunk === undefined) throw missing(ref);
    return chunk;
  }

  #view(ref: number): DataView {
    const view = this.#views[ref >>> 16];
    if (view === undefined) throw missing(ref);
    return view;
  }
}

/** Apart from where it is thrown: V8 would make the text of each reference in advance. */
function missing(ref: number): RangeError {
  return new RangeError(`no arena reference: ${ref}`);
}

const EMPTY = Buffer.alloc(0);
const EMPTY_VIEW = viewOn(EMPTY);

function offset(ref: number): number {
  return (ref & (CHUNK_UNITS - 1)) * UNIT_BYTES;
}

/** Long strings in coarser classes (an eighth of a power of two), so that freed places fit the next long string. */
function unitsFor(length: number): number {
  const units = Math.ceil((length + HEADER_BYTES) / UNIT_BYTES);
  if (units <= 64) return units;
  const step = 1 << (31 - Math.clz32(units) - 3);
  return Math.min(Math.ceil(units / step) * step, CHUNK_UNITS - 1);
}
