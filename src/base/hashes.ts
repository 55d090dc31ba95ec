/**
 * SHA-256 and MD5 of short messages, for the hot paths (docs/decisions/0016-hashes-in-place.md): by OpenSSL's own
 * functions, which node exports, called through koffi on memory that stays where it is. A call of `crypto.hash` takes
 * two to three times as long, most of it for buffers and strings; it is used where koffi or the functions are missing.
 */
import { hash } from 'node:crypto';
import { endianness } from 'node:os';
import type { Koffi, NativeCall } from './koffi.ts';
import { loadKoffi } from './koffi.ts';

/** Memory in which messages are written, and hashed where they stand. */
export interface HashRoom {
  readonly bytes: Buffer;
  /** The same. */
  readonly view: DataView;
  /** Of the last hash, until the next: its 32 bytes, or 16. */
  readonly digest: DataView;
  /** Of the bytes `from`–`to`. Up to 72 bytes behind them are overwritten. */
  sha256(from: number, to: number): void;
  /** The same. */
  md5(from: number, to: number): void;
}

/** Room for `size` bytes. */
export function createHashRoom(size: number): HashRoom {
  const memory = new ArrayBuffer(CONTEXT_BYTES + size + PADDING_BYTES_MAX);
  const view = new DataView(memory, CONTEXT_BYTES);
  const digest = new DataView(new ArrayBuffer(SHA256.digestBytes));
  const bytes = Buffer.from(memory, CONTEXT_BYTES, size);
  let byOpenSsl: HashInPlace | null | undefined;
  const run = (algorithm: Algorithm, from: number, to: number): void => {
    byOpenSsl ??= openSsl()?.hashIn(memory, view, digest);
    if (byOpenSsl === undefined) hashByNode(algorithm, bytes.subarray(from, to), digest);
    else byOpenSsl(algorithm, from, to);
  };
  return {
    bytes,
    view,
    digest,
    sha256: (from, to) => {
      run(SHA256, from, to);
    },
    md5: (from, to) => {
      run(MD5, from, to);
    },
  };
}

/**
 * Takes the `length` bytes from `from` on, whole blocks, into the state of SHA-256 at `stateAt`: its eight words as the
 * machine has them, and room for 80 bytes behind them.
 */
export type HashBlocks = (stateAt: number, from: number, length: number) => void;

/** For memory that never moves; null where OpenSSL's function can't be called. */
export function sha256BlocksIn(memory: ArrayBuffer): HashBlocks | null {
  return openSsl()?.blocksIn(memory) ?? null;
}

/** As `crypto.hash(name, text, 'hex')`. */
export function hexHash(name: 'sha256' | 'md5', text: string): string {
  return textHash(name, text, 'hex');
}

/** As `crypto.hash`. */
export function textHash(name: 'sha256' | 'md5', text: string, encoding: 'hex' | 'base64url'): string {
  // No character of a string takes more than three bytes of UTF-8.
  if (text.length * 3 > SHORT_BYTES_MAX) return hash(name, text, encoding);
  const end = short.bytes.write(text);
  short[name](0, end);
  return digestBytes.toString(encoding, 0, name === 'md5' ? MD5.digestBytes : SHA256.digestBytes);
}
const SHORT_BYTES_MAX = 1_024;

interface Algorithm {
  readonly name: 'sha256' | 'md5';
  readonly digestBytes: number;
  /** Of the words of the state before the first block. */
  readonly initial: Uint32Array;
  /** Whether numbers go from and to bytes with the low byte first. */
  readonly isLittleEndian: boolean;
}

const SHA256: Algorithm = {
  name: 'sha256',
  digestBytes: 32,
  initial: Uint32Array.of(
    ...[0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
  ),
  isLittleEndian: false,
};
const MD5: Algorithm = {
  name: 'md5',
  digestBytes: 16,
  initial: Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476),
  isLittleEndian: true,
};

function hashByNode({ name, digestBytes }: Algorithm, message: Buffer, digest: DataView): void {
  const bytes = hash(name, message, 'binary');
  for (let i = 0; i < digestBytes; i++) digest.setUint8(i, bytes.charCodeAt(i));
}

const BLOCK_BYTES = 64;
/** Of the number of bits, which ends the last block. */
const LENGTH_BYTES = 8;
const PADDING_BYTES_MAX = LENGTH_BYTES + BLOCK_BYTES;
/** SHA256_CTX and MD5_CTX, which both begin with the words of the state, have 112 and 92 bytes. */
const CONTEXT_BYTES = 256;

type HashInPlace = (algorithm: Algorithm, from: number, to: number) => void;

interface OpenSsl {
  /** For a room: `memory` is the context and then what `view` shows. */
  hashIn(memory: ArrayBuffer, view: DataView, digest: DataView): HashInPlace;
  blocksIn(memory: ArrayBuffer): HashBlocks;
}

/** null: not here. */
let found: OpenSsl | null | undefined;

function openSsl(): OpenSsl | null {
  if (found !== undefined) return found;
  found = null;
  if (endianness() !== 'LE') return null;
  try {
    found = openSslBy(loadKoffi());
  } catch {
    return null;
  }
  if (!isRight(found)) found = null;
  return found;
}

function openSslBy(koffi: Koffi): OpenSsl {
  const library = koffi.load(null);
  const sha256Update = library.func('void SHA256_Update(intptr_t, intptr_t, size_t)');
  const md5Update = library.func('void MD5_Update(intptr_t, intptr_t, size_t)');
  return {
    hashIn(memory, view, digest) {
      const context = Number(koffi.address(memory));
      const start = context + CONTEXT_BYTES;
      const state = new Uint32Array(memory, 0, CONTEXT_BYTES / 4);
      return (algorithm, from, to) => {
        const { initial, digestBytes, isLittleEndian } = algorithm;
        const update: NativeCall = algorithm === SHA256 ? sha256Update : md5Update;
        for (let i = 0; i < initial.length; i++) state[i] = initial[i] ?? 0;
        // Of whole blocks, update() leaves no rest in the context: the state is all that changes.
        update(context, start + from, pad(view, from, to, isLittleEndian) - from);
        for (let i = 0; i < digestBytes / 4; i++) digest.setUint32(i * 4, state[i] ?? 0, isLittleEndian);
      };
    },
    blocksIn(memory) {
      const start = Number(koffi.address(memory));
      return (stateAt, from, length) => {
        sha256Update(start + stateAt, start + from, length);
      };
    },
  };
}

/** Puts what ends a message behind it (RFC 1321 3.1, RFC 6234 4.1): a one, zeros, its length in bits. Where that ends. */
function pad(view: DataView, from: number, to: number, isLittleEndian: boolean): number {
  const end = from + Math.ceil((to - from + 1 + LENGTH_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
  const lengthAt = end - LENGTH_BYTES;
  let at = to;
  view.setUint8(at++, 0x80);
  while (at + 4 <= lengthAt) {
    view.setInt32(at, 0);
    at += 4;
  }
  while (at < lengthAt) view.setUint8(at++, 0);
  const bits = (to - from) * 8;
  view.setInt32(isLittleEndian ? lengthAt : lengthAt + 4, bits, isLittleEndian);
  view.setInt32(isLittleEndian ? lengthAt + 4 : lengthAt, 0);
  return end;
}

/** Whether its hashes are those of `crypto.hash`, also of several blocks and one after the other. */
function isRight(candidate: OpenSsl): boolean {
  const memory = new ArrayBuffer(CONTEXT_BYTES + TRIED_BYTES + PADDING_BYTES_MAX);
  const view = new DataView(memory, CONTEXT_BYTES);
  const bytes = Buffer.from(memory, CONTEXT_BYTES, TRIED_BYTES).fill('0123456789a');
  const [actual, expected] = [new DataView(new ArrayBuffer(32)), new DataView(new ArrayBuffer(32))];
  const hashInPlace = candidate.hashIn(memory, view, actual);
  return [0, 55, 56, 64, TRIED_BYTES].reverse().every((length) =>
    [SHA256, MD5].every((algorithm) => {
      hashByNode(algorithm, bytes.subarray(0, length), expected);
      hashInPlace(algorithm, 0, length);
      return Buffer.from(actual.buffer).equals(Buffer.from(expected.buffer));
    }),
  );
}
const TRIED_BYTES = 300;

const short = createHashRoom(SHORT_BYTES_MAX);
const digestBytes = Buffer.from(short.digest.buffer);
