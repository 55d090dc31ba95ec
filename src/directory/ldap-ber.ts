/**
 * BER as LDAP has it (X.690; RFC 4511 section 5.1: definite lengths, primitive strings). It is written from its end to
 * its beginning: there the length of what stands inside is known when it is to be written.
 */

export const TAG = {
  integer: 0x02,
  octets: 0x04,
  enumerated: 0x0a,
  sequence: 0x30,
  set: 0x31,
} as const;

const ROOM_BYTES = 16 * 1024;
/** Tag and length of the longest content. */
const HEAD_BYTES_MAX = 6;

let room = Buffer.allocUnsafe(ROOM_BYTES);
let at = room.length;

/** One message, of what `write` writes: its last part first. What it returns is a copy. */
export function encoded(write: () => void): Buffer {
  at = room.length;
  write();
  const bytes = Buffer.from(room.subarray(at));
  // What was large once is rare.
  if (room.length > ROOM_BYTES) room = Buffer.allocUnsafe(ROOM_BYTES);
  return bytes;
}

/** What `content` writes, as the content of `tag`. */
export function wrap(tag: number, content: () => void): void {
  const end = written();
  content();
  head(tag, written() - end);
}

export function text(value: string, tag: number = TAG.octets): void {
  // UTF-8 has three bytes at most for one of UTF-16.
  reserve(3 * value.length);
  const end = at;
  for (let i = value.length - 1; i >= 0; i--) {
    const code = value.charCodeAt(i);
    if (code > 127) {
      at = end - Buffer.byteLength(value);
      room.write(value, at);
      break;
    }
    room[--at] = code;
  }
  head(tag, end - at);
}

export function octets(value: Uint8Array): void {
  reserve(value.length);
  at -= value.length;
  room.set(value, at);
  head(TAG.octets, value.length);
}

/** Of 0 to 2^31 - 1. */
export function integer(value: number, tag: number = TAG.integer): void {
  reserve(5);
  const end = at;
  let rest = value;
  do {
    room[--at] = rest;
    rest >>>= 8;
    // A first bit that is set would make it negative.
  } while (rest > 0 || ((room[at] ?? 0) & 0x80) !== 0);
  head(tag, end - at);
}

function written(): number {
  return room.length - at;
}

function head(tag: number, length: number): void {
  reserve(HEAD_BYTES_MAX);
  if (length < 0x80) room[--at] = length;
  else {
    let count = 0;
    for (let rest = length; rest > 0; rest >>>= 8, count++) room[--at] = rest;
    room[--at] = 0x80 | count;
  }
  room[--at] = tag;
}

function reserve(bytes: number): void {
  if (at >= bytes) return;
  const larger = Buffer.allocUnsafe(2 * (room.length + bytes));
  at += larger.length - room.length;
  room.copy(larger, at, room.length - (larger.length - at));
  room = larger;
}

/** Where reading stands. */
export interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

/**
 * The end of the message that begins at `from`; -1 where not all of it is there.
 * @throws where no message of at most `bytesMax` begins there.
 */
export function messageEnd(bytes: Buffer, from: number, bytesMax: number): number {
  const [tag, length = 0] = [bytes[from], bytes[from + 1]];
  if (tag !== undefined && tag !== TAG.sequence) throw malformed();
  const headBytes = 2 + (length < 0x80 ? 0 : length & 0x7f);
  if (bytes.length < from + headBytes) return -1;
  const end = contentEnd({ bytes, at: from });
  if (end - from > bytesMax) throw new Error('a message of the LDAP server is too long');
  return end <= bytes.length ? end : -1;
}

/**
 * Steps over a tag and the length behind it; the end of the content.
 * @throws where another tag stands there, or the content ends behind `limit`.
 */
export function enter(cursor: Cursor, tag: number, limit: number): number {
  if (cursor.bytes[cursor.at] !== tag) throw malformed();
  const end = contentEnd(cursor);
  if (end > limit) throw malformed();
  return end;
}

/** Of 0 to 2^31 - 1. */
export function readInteger(cursor: Cursor, tag: number, limit: number): number {
  const end = enter(cursor, tag, limit);
  if (end === cursor.at || end - cursor.at > 4) throw malformed();
  let value = 0;
  while (cursor.at < end) value = (value << 8) | (cursor.bytes[cursor.at++] ?? 0);
  return value;
}

function contentEnd(cursor: Cursor): number {
  let length = cursor.bytes[cursor.at + 1] ?? 0;
  cursor.at += 2;
  if (length >= 0x80) {
    let count = length & 0x7f;
    if (count === 0 || count > 4) throw malformed();
    for (length = 0; count > 0; count--) length = length * 256 + (cursor.bytes[cursor.at++] ?? 0);
  }
  return cursor.at + length;
}

export function malformed(): Error {
  return new Error('what the server sent is no LDAP');
}
