/**
 * The reader of the express lane: it finds what stands where in a request, in WebAssembly, because in JavaScript this
 * took most of the time of a request (docs/decisions/0017-reader-in-webassembly.md). It knows nothing but bytes.
 */
import { viewOn } from '../base/bytes.ts';
import { instantiate } from '../base/web-assembly.ts';
import { DROPS } from './dropped-headers.ts';
import { CODE } from './express-code.ts';
import * as layout from './express-layout.ts';
import { bucketOf, HEADER_NUMBERS, KNOWN_NAMES } from './header-names.ts';
import { CALL_ID_WORD } from './required-headers.ts';
import { classesOf, DIGIT, PLAIN_USER, TOKEN } from './syntax.ts';

/** What assembly/ exports. What they find stands in `places` and `values`, until the next call of the same. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Reads the message of so many bytes, behind which stands a 0; the length of its method, 0: it is out of the ordinary. */
  readonly readRequest: (length: number) => number;
  /** The same for an answer; its status. */
  readonly readAnswer: (length: number) => number;
  /** Of the request that was read: whether Contact is one of the ordinary kind. */
  readonly readContact: () => number;
  /** The same of Authorization, which stands in `at`–`end`. */
  readonly readDigest: (at: number, end: number) => number;
  /** Writes what an answer copies from the request, from offset `at` on; where it ends. */
  readonly writeCopied: (at: number, port: number, hostLength: number) => number;
  /** Writes the tag of the answer to the request. */
  readonly writeTag: () => void;
  /** Writes the hash by which a loop is known, at LOOP. */
  readonly writeLoop: () => void;
  /** Writes the line of the first Via of a request, from offset `at` on; where it ends. */
  readonly writeVia: (at: number, port: number, hostLength: number) => number;
  /**
   * Writes the header lines of the message that ends at `end`, without those that dropped-headers.ts says for one of these
   * bits, Content-Length and the body; where that ends.
   */
  readonly writeKept: (at: number, end: number, drops: number) => number;
}

const { memory, ...functions } = instantiate(CODE) as Exports;

/** All of it, so that an offset is the same here and there. */
const bytes = Buffer.from(memory.buffer);
/** The same: methods of a Buffer are looked up slowly, as it has so many of them. */
const plainBytes = new Uint8Array(memory.buffer);

export const reader = {
  ...functions,
  bytes,
  view: viewOn(bytes),
  /** Numbered as express-layout.ts says. */
  places: new Int32Array(memory.buffer, layout.PLACES, (layout.PLACES_END - layout.PLACES) / 4),
  /** Two a header, by its number. */
  values: new Int32Array(memory.buffer, layout.VALUES, layout.HEADERS_MAX * 2),
} as const;

writeSet(layout.TOKENS, (byte) => (classesOf(byte) & TOKEN) !== 0);
writeSet(layout.DIGITS, (byte) => (classesOf(byte) & DIGIT) !== 0);
writeSet(layout.PLAIN_USERS, (byte) => (classesOf(byte) & PLAIN_USER) !== 0);
writeSet(layout.CALL_IDS, (byte) => CALL_ID_WORD.test(String.fromCharCode(byte)));
writeNames();
bytes.set(DROPS, layout.DROPS);

/** How many messages were put there: what was found in one stands there until the next. */
let put = 0;

export function messagesPut(): number {
  return put;
}

/** Puts the message where it is read; false where it is longer than ordinary ones are. */
export function putMessage(message: Uint8Array): boolean {
  if (message.length > layout.MESSAGE_BYTES_MAX) return false;
  put++;
  plainBytes.set(message, layout.MESSAGE);
  // Ends every line.
  bytes[layout.MESSAGE + message.length] = 0;
  return true;
}

/** A set of characters, as express-layout.ts has them. */
function writeSet(at: number, has: (byte: number) => boolean): void {
  for (let byte = 0; byte < 256; byte++) {
    if (!has(byte)) continue;
    if (byte >= 128) throw new Error('a set is of ASCII characters');
    const place = at + (byte & 15);
    bytes.writeUInt8(bytes.readUInt8(place) | (1 << (byte >> 4)), place);
  }
}

/** The names of the known headers, as express-layout.ts has them. */
function writeNames(): void {
  const known = [...KNOWN_NAMES].sort((a, b) => bucketOf(a.name) - bucketOf(b.name));
  known.forEach(({ name, number }, i) => {
    const at = layout.ENTRIES + i * layout.ENTRY_BYTES;
    const bucket = bucketOf(name);
    const isNextOfBucket = (step: 1 | -1): boolean => bucketOf(known[i + step]?.name ?? '') === bucket;
    if (!isNextOfBucket(-1)) bytes.writeUInt16LE(at, layout.BUCKETS + bucket * 2);
    bytes.fill(0xff, at, at + 2 * layout.NAME_BYTES_MAX);
    bytes.write(name, at, 'latin1');
    for (let k = 0; k < name.length; k++) bytes[at + layout.FOLDS + k] = /[a-z]/.test(name.charAt(k)) ? 0x20 : 0;
    bytes.writeInt32LE(number, at + layout.NUMBER);
    bytes.writeInt32LE(isNextOfBucket(1) ? 1 : 0, at + layout.FOLLOWED);
  });
  const isRoom =
    HEADER_NUMBERS <= layout.HEADERS_MAX && known.every(({ name }) => name.length <= layout.NAME_BYTES_MAX);
  if (!isRoom || layout.ENTRIES + known.length * layout.ENTRY_BYTES > layout.ENTRIES_END)
    throw new Error('no room for names');
}
