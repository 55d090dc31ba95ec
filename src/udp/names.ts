/** Finds verbs and header names in bytes, without regard to case and without making a string. */

/** By byte: the lower-case byte of a letter, digit or dash, which names are made of; 0 for all others. */
export const nameByte = new Uint8Array(256);
/** By byte: 0 for plain text, else one of the classes below. */
export const classOfByte = new Uint8Array(256);
export const LINE_FEED = 1;
const CARRIAGE_RETURN = 2;
export const CONTROL = 3;
export const HIGH = 4;

for (let byte = 0; byte < 256; byte++) {
  if (/[a-z0-9-]/i.test(String.fromCharCode(byte))) nameByte[byte] = byte | 32;
  if (byte > 127) classOfByte[byte] = HIGH;
  else if (byte < 32 || byte === 127) classOfByte[byte] = CONTROL;
}
classOfByte[10] = LINE_FEED;
classOfByte[13] = CARRIAGE_RETURN;

export interface NameTable {
  /** Index + 1 of the name at its hash or behind it; 0 = free. */
  readonly slots: Uint8Array;
  readonly names: readonly Uint8Array[];
}

const SLOTS = 256;

/** At most 127 names. */
export function nameTable(names: readonly string[]): NameTable {
  const slots = new Uint8Array(SLOTS);
  names.forEach((name, index) => {
    let slot = nameHash(name) & (SLOTS - 1);
    while (slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
    slots[slot] = index + 1;
  });
  return { slots, names: names.map((name) => Buffer.from(name.toLowerCase())) };
}

/** The hash that the scanners make while they read a name. */
function nameHash(name: string): number {
  let hash = 0;
  for (const byte of Buffer.from(name.toLowerCase())) hash = (hash * 33 + byte) & 0xffff;
  return hash;
}

/** Index of the name that stands in the bytes from `from` to `to` and has this hash; -1 where it is none of them. */
export function lookUp(table: NameTable, hash: number, bytes: Uint8Array, from: number, to: number): number {
  for (let slot = hash & (SLOTS - 1); ; slot = (slot + 1) & (SLOTS - 1)) {
    const index = (table.slots[slot] ?? 0) - 1;
    if (index < 0) return -1;
    const name = table.names[index];
    if (name?.length === to - from && isName(name, bytes, from)) return index;
  }
}

function isName(name: Uint8Array, bytes: Uint8Array, from: number): boolean {
  for (let i = 0; i < name.length; i++) if (nameByte[bytes[from + i] ?? 0] !== name[i]) return false;
  return true;
}
