/**
 * The header lines of an ordinary message, found in one pass, and what requests and answers have in common. What is out of
 * the ordinary in any way (folded lines, a header twice, a control character, what is malformed) is left to
 * parseMessage(), which knows all of RFC 3261.
 */
import {
  BUCKETS,
  CALL_IDS,
  ENTRY_BYTES,
  FOLDS,
  FOLLOWED,
  FOUND,
  LINE_BYTES,
  LINES,
  LINES_COUNT,
  LINES_MAX,
  MESSAGE_BYTES_MAX,
  NUMBER,
  TAG_AT,
  TAG_END,
  TOKENS,
  VALUES,
  VIA_HOST_AT,
  VIA_HOST_END,
} from '../express-layout';
import { CALL_ID, CONTENT_LENGTH, RECORD_ROUTE, ROUTE } from '../header-numbers';
import { decimal, find, ipv4End, lineEnd, quotedEnd, skip, standsAt } from './bytes';
import { COLON, CR, GREATER, LESS, LF, QUOTE, SPACE, TAB } from './characters';
import { readUri, setPlace, skipPort } from './uri';

export function valueOf(header: i32): i32 {
  return load<i32>(VALUES + header * 8);
}

export function endOf(header: i32): i32 {
  return load<i32>(VALUES + header * 8, 4);
}

/** Whether Content-Length, which must be there, says that the body fills `bodyAt`–`end`. */
export function isWhole(bodyAt: i32, end: i32): bool {
  return bodyAt > 0 && decimal(valueOf(CONTENT_LENGTH), endOf(CONTENT_LENGTH), MESSAGE_BYTES_MAX) === end - bodyAt;
}

/** Headers that were found in the last message, by their numbers. */
let found: i32 = 0;

function forgetLines(): void {
  for (let i = 0; i < found; i++) store<u64>(VALUES + (load<u8>(FOUND + i) as i32) * 8, 0);
  found = 0;
}

/**
 * Finds the header lines from `at` on; the offset of the body, -1 where a line is out of the ordinary. Of the headers that
 * may come more than once, the routes and `repeated`, only the first value is told.
 */
export function readLines(at: i32, end: i32, repeated: i32): i32 {
  forgetLines();
  let i = at;
  let lines = 0;
  while (i < end && load<u8>(i) !== CR) {
    if (lines === LINES_MAX) return -1;
    const nameAt = i;
    const nameEnd = find(COLON, i, end);
    const number = headerNumber(nameAt, nameEnd);
    if (number < 0) return -1;
    i = nameEnd + 1;
    while (load<u8>(i) === SPACE) i++;
    const valueAt = i;
    i = lineEnd(i);
    if (i + 2 >= end || load<u16>(i) !== 0x0a0d) return -1;
    const next = load<u8>(i, 2);
    if (next === SPACE || next === TAB || load<u8>(i - 1) === SPACE) return -1;
    if (number !== 0) {
      const value = VALUES + number * 8;
      if (load<i32>(value) === 0) {
        store<i32>(value, valueAt);
        store<i32>(value, i, 4);
        store<u8>(FOUND + found++, number);
      } else if (number !== ROUTE && number !== RECORD_ROUTE && number !== repeated) return -1;
    }
    const line = LINES + lines++ * LINE_BYTES;
    store<i32>(line, number);
    store<i32>(line, nameAt, 4);
    i += 2;
  }
  setPlace(LINES_COUNT, lines);
  return i + 1 < end && load<u8>(i, 1) === LF ? i + 2 : -1;
}

/** The number of the header named in `at`–`end`; 0 where it is not known, -1 where it is no name. */
function headerNumber(at: i32, end: i32): i32 {
  const length = end - at;
  if (length <= 0) return -1;
  if (length < 32) {
    let entry = load<u16>(BUCKETS + ((length << 5) | (load<u8>(at) & 31)) * 2) as i32;
    while (entry !== 0) {
      if (isName(at, length, entry)) return load<i32>(entry, NUMBER);
      entry = load<i32>(entry, FOLLOWED) !== 0 ? entry + ENTRY_BYTES : 0;
    }
  }
  return skip(at, end, TOKENS) === end ? 0 : -1;
}

function isName(at: i32, length: i32, entry: i32): bool {
  if ((load<u64>(at) | load<u64>(entry, FOLDS)) !== load<u64>(entry)) return false;
  if (length > 8 && (load<u64>(at, 8) | load<u64>(entry, FOLDS + 8)) !== load<u64>(entry, 8)) return false;
  return length <= 16 || (load<u64>(at, 16) | load<u64>(entry, FOLDS + 16)) === load<u64>(entry, 16);
}

export function hasCallId(): bool {
  const at = valueOf(CALL_ID);
  const end = endOf(CALL_ID);
  return at !== 0 && at < end && skip(at, end, CALL_IDS) === end;
}

/**
 * Where the port ends, or else the host, in a Via that begins with `SIP/2.0/UDP ` and an IPv4 address; -1 in all others.
 * The host is set as VIA_HOST.
 */
export function viaPortEnd(at: i32, end: i32): i32 {
  // `SIP/2.0/`
  if (at === 0 || !standsAt(at, 8, 0x2f302e322f504953)) return -1;
  const transport = load<u32>(at, 8);
  // `UDP `, `TCP ` or `TLS `, in upper case as the answer has it.
  if (transport !== 0x20504455 && transport !== 0x20504354 && transport !== 0x20534c54) return -1;
  const hostEnd = ipv4End(at + 12, end);
  setPlace(VIA_HOST_AT, at + 12);
  setPlace(VIA_HOST_END, hostEnd);
  return skipPort(hostEnd, end);
}

/** `"Name" <sip:user@host>;tag=token`; name and tag may be missing. */
export function readPerson(header: i32, into: i32): bool {
  const at = valueOf(header);
  const end = endOf(header);
  if (at === 0) return false;
  let i = at;
  if (load<u8>(i) === QUOTE) {
    i = quotedEnd(i + 1, end);
    // The quote and a space.
    if (i >= end || load<u16>(i) !== 0x2022) return false;
    i += 2;
  }
  if (load<u8>(i) !== LESS) return false;
  i = readUri(i + 1, end, into);
  setPlace(into + TAG_AT, 0);
  setPlace(into + TAG_END, 0);
  if (i < 0 || i >= end || load<u8>(i) !== GREATER) return false;
  if (++i === end) return true;
  // `;tag=`
  if (!standsAt(i, 5, 0x3d6761743b)) return false;
  const tagAt = i + 5;
  const tagEnd = skip(tagAt, end, TOKENS);
  setPlace(into + TAG_AT, tagAt);
  setPlace(into + TAG_END, tagEnd);
  return tagEnd === end && tagAt < end;
}
