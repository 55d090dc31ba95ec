/** Typed-array columns and their growth. Pages that were never written take no memory, so doubling costs little. */
import { zeros } from '../base/huge-pages.ts';

type Column = Uint8Array | Uint16Array | Uint32Array;
interface ColumnType<T extends Column> {
  readonly BYTES_PER_ELEMENT: number;
  new (memory: ArrayBuffer, from: number, length: number): T;
}

/** A column of so many zeros. */
export function columnOf<T extends Column>(type: ColumnType<T>, length: number): T {
  const { buffer, byteOffset } = zeros(length * type.BYTES_PER_ELEMENT);
  return new type(buffer, byteOffset, length);
}

/** The same memory, byte by byte. */
export function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** A longer column with the same beginning. */
export function enlarged<T extends Column>(column: T, length: number): T {
  const larger = columnOf(column.constructor as unknown as ColumnType<T>, length);
  larger.set(column);
  return larger;
}

export function doubled<T extends Column>(column: T): T {
  return enlarged(column, column.length * 2);
}
