/** The ordinary form of a signed Heartbeat or Locate, read in one pass over its bytes. */
import {
  CLASSES,
  COOKIE,
  HEARTBEAT,
  ID_AT,
  ID_END,
  IN_ID,
  IN_UID,
  LOCATE,
  MAC,
  MAC_LINE_AT,
  NONE,
  PLACES,
  REQUEST,
  SEQ,
  UID_AT,
  UID_END,
} from '../express-layout';
import { bytesOf, digitsOf } from './bytes';

const ID_CHARACTERS_MAX = 32;
const UID_CHARACTERS_MAX = 64;
const HEX_CHARACTERS = 32;
const SEQ_DIGITS_MAX = 10;
/** `mac: `, its digits, and two line ends. */
const MAC_LINE_BYTES = 5 + HEX_CHARACTERS + 4;
const HEARTBEAT_BYTES = 11;
const LOCATE_BYTES = 7;
const CRLF: u16 = 0x0a0d;

/** The first four bytes of headers, the first one lowest: `id: `, `cook`, `seq:`. */
const ID_IS: u32 = 0x203a6469;
const COOKIE_IS: u32 = 0x6b6f6f63;
const SEQ_IS: u32 = 0x3a716573;

function setPlace(place: i32, value: i32): void {
  store<i32>(PLACES + place * 4, value);
}

/** The message is the `length` bytes from REQUEST on. NONE where it is out of the ordinary in any way. */
export function readHead(length: i32): i32 {
  const macLineAt = REQUEST + length - MAC_LINE_BYTES;
  setPlace(MAC_LINE_AT, macLineAt);
  if (macLineAt < REQUEST + HEARTBEAT_BYTES) return NONE;
  // `mac: `, and at the end two line ends
  if (load<u32>(macLineAt) !== 0x3a63616d || load<u8>(macLineAt + 4) !== 0x20) return NONE;
  if (load<u32>(REQUEST + length - 4) !== 0x0a0d0a0d || !readHex(macLineAt + 5, MAC)) return NONE;
  // `Heartbea` and `t` with its line end
  if (load<u64>(REQUEST) === 0x6165627472616548 && (load<u32>(REQUEST + 8) & 0xffffff) === 0x0a0d74) {
    return readHeaders(REQUEST + HEARTBEAT_BYTES, macLineAt) ? HEARTBEAT : NONE;
  }
  // `Locate `
  if ((load<u64>(REQUEST) & 0xffffffffffffff) !== 0x20657461636f4c) return NONE;
  const uidEnd = endOf(REQUEST + LOCATE_BYTES, IN_UID, UID_CHARACTERS_MAX);
  setPlace(UID_AT, REQUEST + LOCATE_BYTES);
  setPlace(UID_END, uidEnd);
  return uidEnd > 0 && readHeaders(uidEnd + 2, macLineAt) ? LOCATE : NONE;
}

/** id, cookie and seq, in any order, and nothing else. */
function readHeaders(from: i32, end: i32): bool {
  let seen = 0;
  let at = from;
  while (at < end) {
    const name = load<u32>(at);
    let header = 1;
    if (name === ID_IS) at = readId(at + 4);
    else if (name === COOKIE_IS) {
      header = 2;
      at = readCookie(at);
    } else if (name === SEQ_IS) {
      header = 4;
      at = readSeq(at + 4);
    } else return false;
    if (at < 0 || (seen & header) !== 0) return false;
    seen |= header;
  }
  return seen === 7 && at === end;
}

/** Each of these: where its line ends, or -1. */
function readId(at: i32): i32 {
  const end = endOf(at, IN_ID, ID_CHARACTERS_MAX);
  setPlace(ID_AT, at);
  setPlace(ID_END, end);
  return end < 0 ? -1 : end + 2;
}

function readCookie(at: i32): i32 {
  // `cookie: `
  if (load<u64>(at) !== 0x203a65696b6f6f63 || !readHex(at + 8, COOKIE)) return -1;
  const end = at + 8 + HEX_CHARACTERS;
  return load<u16>(end) === CRLF ? end + 2 : -1;
}

function readSeq(from: i32): i32 {
  if (load<u8>(from) !== 0x20) return -1;
  let value: u64 = 0;
  let at = from + 1;
  for (; at <= from + SEQ_DIGITS_MAX; at++) {
    const digit = (load<u8>(at) as u32) - 0x30;
    if (digit > 9) break;
    value = value * 10 + digit;
  }
  if (at === from + 1 || value > 0xffffffff || load<u16>(at) !== CRLF) return -1;
  setPlace(SEQ, value as i32);
  return at + 2;
}

/** Where a line of such bytes ends, which has 1 to `charactersMax` of them; or -1. */
function endOf(from: i32, kind: i32, charactersMax: i32): i32 {
  let at = from;
  while (((load<u8>(CLASSES + (load<u8>(at) as i32)) as i32) & kind) !== 0) if (++at > from + charactersMax) return -1;
  return at > from && load<u16>(at) === CRLF ? at : -1;
}

/** The 32 lower-case digits at `at` as four words; false where others stand there. */
function readHex(at: i32, place: i32): bool {
  let wrong: u64 = 0;
  for (let i = 0; i < 4; i++) {
    const digits = load<u64>(at + i * 8);
    const bytes = bytesOf(digits);
    // Read back, what was none of the digits is another one.
    wrong |= digitsOf(bytes) ^ digits;
    setPlace(place + i, bswap<u32>(bytes) as i32);
  }
  return wrong === 0;
}
