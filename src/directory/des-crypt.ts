/**
 * The traditional crypt(3): DES (FIPS 46-3) 25 times over a block of zeros, its expansion disturbed by the salt.
 * Node's crypto can't do it (the salt changes the cipher itself). Straight bit arrays: 0.5 ms a password.
 */

/** 13 characters: the salt (two of `./0-9A-Za-z`, checked by the caller), then the hash. Only 8 bytes count. */
export function desCrypt(password: Uint8Array, salt: string): string {
  const expansion = saltedExpansion(salt);
  const keys = roundKeys(password);
  let block = new Uint8Array(64);
  for (let i = 0; i < 25; i++) block = encrypt(block, keys, expansion);
  let hash = '';
  for (let at = 0; at < 64; at += 6) {
    let value = 0;
    for (let bit = at; bit < at + 6; bit++) value = (value << 1) | (block[bit] ?? 0);
    hash += DIGITS[value] ?? '';
  }
  return salt + hash;
}

/** The digits of every crypt(3) scheme, six bits each. */
export const DIGITS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function saltedExpansion(salt: string): Uint8Array {
  const expansion = Uint8Array.from(EXPANSION);
  for (let i = 0; i < 12; i++) {
    const digit = DIGITS.indexOf(salt[i < 6 ? 0 : 1] ?? '.');
    if (((digit >> (i % 6)) & 1) === 0) continue;
    const low = expansion[i] ?? 0;
    expansion[i] = expansion[i + 24] ?? 0;
    expansion[i + 24] = low;
  }
  return expansion;
}

function roundKeys(password: Uint8Array): Uint8Array[] {
  const key = new Uint8Array(64);
  for (let i = 0; i < 8; i++) {
    // Seven bits a character; the eighth bit of each key byte is parity, which DES ignores.
    for (let bit = 0; bit < 7; bit++) key[i * 8 + bit] = ((password[i] ?? 0) >> (6 - bit)) & 1;
  }
  const halves = pick(key, KEY_HALVES);
  let shift = 0;
  return SHIFTS.map((step) => {
    shift += step;
    const turned = new Uint8Array(56);
    for (let i = 0; i < 56; i++) turned[i] = halves[i < 28 ? (i + shift) % 28 : 28 + ((i + shift) % 28)] ?? 0;
    return pick(turned, KEY_CHOICE);
  });
}

function encrypt(block: Uint8Array, keys: readonly Uint8Array[], expansion: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = pick(block, INITIAL);
  let left = start.subarray(0, 32);
  let right = start.subarray(32);
  for (const key of keys) {
    const mixed = substitute(right, key, expansion);
    for (let i = 0; i < 32; i++) mixed[i] = (mixed[i] ?? 0) ^ (left[i] ?? 0);
    left = right;
    right = mixed;
  }
  const swapped = new Uint8Array(64);
  swapped.set(right);
  swapped.set(left, 32);
  return pick(swapped, FINAL);
}

function substitute(right: Uint8Array, key: Uint8Array, expansion: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(32);
  for (let box = 0; box < 8; box++) {
    let six = 0;
    for (let i = box * 6; i < box * 6 + 6; i++) {
      six = (six << 1) | ((right[(expansion[i] ?? 1) - 1] ?? 0) ^ (key[i] ?? 0));
    }
    const row = ((six >> 4) & 2) | (six & 1);
    const four = BOXES[box]?.[row * 16 + ((six >> 1) & 15)] ?? 0;
    for (let i = 0; i < 4; i++) out[box * 4 + i] = (four >> (3 - i)) & 1;
  }
  return pick(out, PERMUTATION);
}

/** The bits of `source` at the 1-based places of `table`, as the standard writes its tables. */
function pick(source: Uint8Array, table: readonly number[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(table.length);
  for (let i = 0; i < out.length; i++) out[i] = source[(table[i] ?? 1) - 1] ?? 0;
  return out;
}

/** `count` steps down from each start, `step` apart: the regular tables of the standard. */
function columns(starts: readonly number[], count: number, step: number): number[] {
  return starts.flatMap((start) => Array.from({ length: count }, (_, i) => start + i * step));
}

const INITIAL = columns([58, 60, 62, 64, 57, 59, 61, 63], 8, -8);
const FINAL = Array.from({ length: 64 }, (_, i) => INITIAL.indexOf(i + 1) + 1);
const EXPANSION = columns([0, 4, 8, 12, 16, 20, 24, 28], 6, 1).map((bit) => (bit === 0 ? 32 : bit === 33 ? 1 : bit));
const PERMUTATION = [
  16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];
const KEY_HALVES = [
  ...[57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36],
  ...[63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4],
];
const KEY_CHOICE = [
  ...[14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2],
  ...[41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32],
];
const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
/** S1–S8, each four rows of sixteen hexadecimal digits. */
const BOXES = [
  'e4d12fb83a6c5907 0f74e2d1a6cb9538 41e8d62bfc973a50 fc8249175b3ea06d',
  'f18e6b34972dc05a 3d47f28ec01a69b5 0e7ba4d158c6932f d8a13f42b67c05e9',
  'a09e63f51dc7b428 d709346a285ecbf1 d6498f30b12c5ae7 1ad069874fe3b52c',
  '7de3069a1285bc4f d8b56f03472c1ae9 a690cb7df13e5284 3f06a1d8945bc72e',
  '2c417ab6853fd0e9 eb2c47d150fa3986 421bad78f9c5630e b8c71e2d6f09a453',
  'c1af92680d34e75b af427c9561de0b38 9ef528c3704a1db6 432c95fabe17608d',
  '4b2ef08d3c975a61 d0b7491ae35c2f86 14bdc37eaf680592 6bd814a7950fe23c',
  'd2846fb1a93e50c7 1fd8a374c56b0e92 7b419ce206adf358 21e74a8dfc90356b',
].map((rows) => Array.from(rows.replaceAll(' ', ''), (digit) => parseInt(digit, 16)));
