/** Memory that recvmmsg and sendmmsg read and write: the headers, socket addresses and bytes of a batch of datagrams. */
import { ADDRESS_BYTES, readAddress, writeAddress } from './address.ts';
import type { BatchCalls } from './batch-calls.ts';
import type { Address } from './model.ts';
import { viewsOf } from './views.ts';

/** Datagrams a batch; each has a slot. */
export const BATCH = 64;
/** sizeof(struct sockaddr_in6), the longer one. */
export const NAME_BYTES_MAX = 28;
const AF_INET = 2;
const AF_INET6 = 10;

// struct mmsghdr and struct iovec of 64-bit Linux, by glibc and musl alike.
const HEADER_BYTES = 64;
const IOVEC_BYTES = 16;
/** Of a socket address in `names`. */
export const NAME_WORDS = 8;
const NAME_STRIDE = 4 * NAME_WORDS;
// No power of two: the datagrams would begin in the same few lines of the processor's cache.
const DATA_STRIDE = 65_536 + 17 * 64;
const IOVECS_AT = BATCH * HEADER_BYTES;
const NAMES_AT = IOVECS_AT + BATCH * IOVEC_BYTES;
const DATA_AT = NAMES_AT + BATCH * NAME_STRIDE;

/** Little-endian words of ::ffff:0:0. */
const MAPPED = 0xffff0000 | 0;

export interface Arena {
  /** The headers from slot `first` on, for the system. */
  headers(first: number): Uint8Array;
  /** Where the bytes of a slot begin in `bytes`. */
  dataAt(slot: number): number;
  readonly bytes: Buffer;
  /** What was received into a slot: a view, good until the next datagram is received there. */
  received(slot: number): Buffer;
  /** How many bytes of a slot are to be sent, or may be received. */
  length(slot: number): number;
  setLength(slot: number, length: number): void;
  setNameLength(slot: number, length: number): void;
  /** The socket addresses, eight words each. */
  readonly names: Int32Array;
}

/** The memory never moves, and lives as long as the arena is referenced. Only pages that are used take room. */
export function createArena(calls: BatchCalls): Arena {
  const memory = new ArrayBuffer(DATA_AT + BATCH * DATA_STRIDE);
  const bytes = Buffer.from(memory);
  const start = calls.addressOf(memory);
  for (let slot = 0; slot < BATCH; slot++) {
    const header = slot * HEADER_BYTES;
    const iovec = IOVECS_AT + slot * IOVEC_BYTES;
    bytes.writeBigUInt64LE(start + BigInt(NAMES_AT + slot * NAME_STRIDE), header);
    bytes.writeBigUInt64LE(start + BigInt(iovec), header + 16);
    bytes.writeBigUInt64LE(1n, header + 24);
    bytes.writeBigUInt64LE(start + BigInt(DATA_AT + slot * DATA_STRIDE), iovec);
  }
  const words = new Int32Array(memory, 0, NAMES_AT / 4);
  const headers = new Uint8Array(memory, 0, IOVECS_AT);
  const views = Array.from({ length: BATCH }, (_, slot) => viewsOf(bytes, DATA_AT + slot * DATA_STRIDE));
  return {
    headers: (first) => (first === 0 ? headers : headers.subarray(first * HEADER_BYTES)),
    dataAt: (slot) => DATA_AT + slot * DATA_STRIDE,
    bytes,
    received: (slot) => views[slot]?.(words[slot * 16 + 14] ?? 0) ?? bytes,
    length: (slot) => words[IOVECS_AT / 4 + slot * 4 + 2] ?? 0,
    setLength: (slot, length) => {
      words[IOVECS_AT / 4 + slot * 4 + 2] = length;
    },
    setNameLength: (slot, length) => {
      words[slot * 16 + 2] = length;
    },
    names: new Int32Array(memory, NAMES_AT, BATCH * 8),
  };
}

/** Of a socket address. */
export function nameBytes(six: boolean): number {
  return six ? NAME_BYTES_MAX : 16;
}

/** Reads the socket address of a slot. */
export type ReadName = (names: Int32Array, slot: number) => Address;

const HOSTS = 16_384;

/**
 * Texts of hosts are kept, as many as there are places in a table: a newer one takes the place of an older one.
 * Making one takes as long as all other work on a datagram that is received in a batch.
 */
export function createNameReader(): ReadName {
  const keys = new Int32Array(HOSTS * 4);
  const hosts = new Array<string>(HOSTS).fill('');
  const form = Buffer.alloc(ADDRESS_BYTES);
  return (names, slot) => {
    const at = slot * 8;
    const head = names[at] ?? 0;
    const isFour = (head & 0xffff) === AF_INET;
    const a = isFour ? 0 : (names[at + 2] ?? 0);
    const b = isFour ? 0 : (names[at + 3] ?? 0);
    const c = isFour ? MAPPED : (names[at + 4] ?? 0);
    const d = (isFour ? names[at + 1] : names[at + 5]) ?? 0;
    const hash = Math.imul(Math.imul(Math.imul(a ^ Math.imul(b, 31), 31) ^ c, 31) ^ d, 0x9e3779b1);
    const place = (hash >>> 16) & (HOSTS - 1);
    const key = place * 4;
    const port = ((head >>> 8) & 0xff00) | (head >>> 24);
    const kept = hosts[place] ?? '';
    if (kept !== '' && keys[key + 3] === d && keys[key + 2] === c && keys[key + 1] === b && keys[key] === a) {
      return { host: kept, port };
    }
    [a, b, c, d].forEach((word, i) => {
      keys[key + i] = word;
      form.writeInt32LE(word, i * 4);
    });
    // A port, because all zeros would be no address.
    form.writeUInt16BE(1, 16);
    const host = readAddress(form, 0)?.host ?? '';
    hosts[place] = host;
    return { host, port };
  };
}

const form = Buffer.alloc(ADDRESS_BYTES);

/** Writes a socket address of the family of the socket, which a numeric host must fit. */
export function writeName(names: Int32Array, slot: number, address: Address, six: boolean): void {
  const at = slot * 8;
  writeAddress(form, 0, address);
  names[at] = (six ? AF_INET6 : AF_INET) | (form.readUInt16LE(16) << 16);
  if (six) {
    names[at + 1] = 0;
    for (let i = 0; i < 4; i++) names[at + 2 + i] = form.readInt32LE(i * 4);
    names[at + 6] = 0;
  } else {
    names[at + 1] = form.readInt32LE(12);
    names[at + 2] = 0;
    names[at + 3] = 0;
  }
}
