/**
 * The hashes of crypt(3) that LDAP servers hand out as `{CRYPT}`: DES, `$1$` (MD5), `$5$` and `$6$` (SHA-crypt).
 * The long ones give the event loop a turn every millisecond or so.
 */
import { hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { desCrypt, DIGITS } from './des-crypt.ts';

/** Above this many rounds a stored hash is refused: about a second of work. The usual figure is 5,000. */
const ROUNDS_MAX = 300_000;
/** Rounds between two turns of the event loop, about a millisecond. */
const ROUNDS_PER_TURN = 250;

/**
 * What crypt(3) makes of the password with the salt and the rounds of `stored`; equal to it where the password is
 * the right one. `unsupported`: another scheme, or too many rounds; `malformed`: not the form of its scheme.
 */
export async function cryptLike(
  stored: string,
  password: Uint8Array,
): Promise<{ hash: string } | 'unsupported' | 'malformed'> {
  if (!stored.startsWith('$')) {
    return DES.test(stored) ? { hash: desCrypt(password, stored.slice(0, 2)) } : 'malformed';
  }
  const md5 = MD5.exec(stored);
  if (md5 !== null) return { hash: await md5Crypt(password, md5[1] ?? '') };
  const sha = SHA.exec(stored);
  if (sha !== null) {
    const [, id = '', rounds, salt = ''] = sha;
    if (Number(rounds ?? 0) > ROUNDS_MAX) return 'unsupported';
    return { hash: await shaCrypt(password, id === '5' ? SHA256 : SHA512, salt, rounds) };
  }
  return /^\$[156]\$/.test(stored) ? 'malformed' : 'unsupported';
}
const DES = /^[./0-9A-Za-z]{13}$/;
const MD5 = /^\$1\$([^$]{0,8})\$[./0-9A-Za-z]{22}$/;
const SHA = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$]{0,16})\$[./0-9A-Za-z]{43,86}$/;

/** Poul-Henning Kamp's MD5-crypt: 1,000 rounds, about 3 ms. */
async function md5Crypt(password: Uint8Array, saltText: string): Promise<string> {
  const salt = Buffer.from(saltText);
  const inner = hash('md5', Buffer.concat([password, salt, password]), 'buffer');
  const parts: Uint8Array[] = [password, Buffer.from('$1$'), salt, repeated(inner, password.length)];
  for (let bits = password.length; bits > 0; bits >>= 1) {
    parts.push((bits & 1) === 1 ? ZERO : password.subarray(0, 1));
  }
  const start = hash('md5', Buffer.concat(parts), 'buffer');
  const digest = await stretch('md5', start, password, salt, 1_000);
  return `$1$${saltText}$${encode(digest, MD5_ORDER)}`;
}
const ZERO = Buffer.alloc(1);

interface ShaCrypt {
  readonly id: string;
  readonly algorithm: string;
  readonly order: readonly number[];
}

/** Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512"; `rounds` as it stands in the stored hash. */
async function shaCrypt(password: Uint8Array, kind: ShaCrypt, saltText: string, rounds?: string): Promise<string> {
  const salt = Buffer.from(saltText);
  const digestOf = (...parts: Uint8Array[]): Buffer => hash(kind.algorithm, Buffer.concat(parts), 'buffer');
  const b = digestOf(password, salt, password);
  const parts: Uint8Array[] = [password, salt, repeated(b, password.length)];
  for (let bits = password.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? b : password);
  const a = digestOf(...parts);
  const p = repeated(digestOf(repeated(password, password.length ** 2)), password.length);
  const s = repeated(digestOf(repeated(salt, salt.length * (16 + (a[0] ?? 0)))), salt.length);
  const count = Math.max(1_000, Number(rounds ?? 5_000));
  const digest = await stretch(kind.algorithm, a, p, s, count);
  const prefix = rounds === undefined ? '' : `rounds=${rounds}$`;
  return `$${kind.id}$${prefix}${saltText}$${encode(digest, kind.order)}`;
}

/** The rounds that `$1$`, `$5$` and `$6$` have in common. */
async function stretch(
  algorithm: string,
  start: Buffer,
  p: Uint8Array,
  s: Uint8Array,
  rounds: number,
): Promise<Buffer> {
  const input = Buffer.alloc(start.length + 2 * p.length + s.length);
  let digest = start;
  for (let round = 0; round < rounds; round++) {
    if (round % ROUNDS_PER_TURN === ROUNDS_PER_TURN - 1) await setImmediate();
    const odd = (round & 1) === 1;
    let length = 0;
    const add = (bytes: Uint8Array): void => {
      input.set(bytes, length);
      length += bytes.length;
    };
    add(odd ? p : digest);
    if (round % 3 !== 0) add(s);
    if (round % 7 !== 0) add(p);
    add(odd ? digest : p);
    digest = hash(algorithm, input.subarray(0, length), 'buffer');
  }
  return digest;
}

/** `bytes` again and again, `length` bytes in all. */
function repeated(bytes: Uint8Array, length: number): Buffer {
  return bytes.length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, bytes);
}

/** Three bytes to four digits, lowest six bits first; what is left over at the end gives fewer digits. */
function encode(digest: Buffer, order: readonly number[]): string {
  let text = '';
  for (let at = 0; at < order.length; at += 3) {
    const three = order.slice(at, at + 3);
    let value = three.reduce((sum, place) => (sum << 8) | (digest[place] ?? 0), 0);
    for (let i = 0; i <= three.length; i++) {
      text += DIGITS[value & 63] ?? '';
      value >>= 6;
    }
  }
  return text;
}

const MD5_ORDER = [0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, 11];
/** Each group of three is the one before, turned by one place and one byte further on. */
const SHA256: ShaCrypt = {
  id: '5',
  algorithm: 'sha256',
  order: [
    ...[0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5],
    ...[6, 16, 26, 27, 7, 17, 18, 28, 8, 9, 19, 29, 31, 30],
  ],
};
const SHA512: ShaCrypt = {
  id: '6',
  algorithm: 'sha512',
  order: [
    ...[0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48, 28, 49, 7, 50, 8, 29, 9, 30, 51],
    ...[31, 52, 10, 53, 11, 32, 12, 33, 54, 34, 55, 13, 56, 14, 35, 15, 36, 57, 37, 58, 16, 59, 17, 38, 18, 39, 60],
    ...[40, 61, 19, 62, 20, 41, 63],
  ],
};
