/** Growth of typed-array columns. Pages that were never written take no memory, so doubling costs little. */

type Column = Uint8Array | Uint16Array | Uint32Array;

/** A column of twice the length with the same beginning. */
export function doubled<T extends Column>(column: T): T {
  const larger = new (column.constructor as new (length: number) => T)(column.length * 2);
  larger.set(column);
  return larger;
}
