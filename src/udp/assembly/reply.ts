/** Replies, written from REPLY on. */
import {
  ALIAS_IS,
  DEVICE_IS,
  DEVICE_TEXT,
  FIREWALL_IS,
  ID_AT,
  ID_END,
  ID_IS,
  LOCAL_IS,
  LOCAL_TEXT,
  NETWORK_IS,
  NOTE_IS,
  PIECE_BYTES,
  PIECES,
  PLACES,
  REPLY,
  SIP_IS,
  STATUS_IS,
  TELEPHONE_IS,
  USER_IS,
  USER_TEXT,
  WAN_IS,
  WAN_TEXT,
} from '../express-layout';
import { copy, put, putDecimal } from './bytes';
import { putMac } from './mac';

function placeOf(place: i32): i32 {
  return load<i32>(PLACES + place * 4);
}

/** `Ok` up to its address; where that is to stand. */
export function writeOk(): i32 {
  // `Ok`, a line end, `id: `
  let at = put(REPLY, 0x203a64690a0d6b4f, 8);
  at = copy(at, placeOf(ID_AT), placeOf(ID_END) - placeOf(ID_AT));
  // A line end, `wan: `
  return put(at, 0x203a6e61770a0d, 7);
}

// Behind each field of a stored text (heartbeat/fields.ts), between telephones there (heartbeat/profile.ts), and here.
const FIELD: u64 = 0x1f1f1f1f1f1f1f1f;
const ITEM: u8 = 0x1e;
const SEMICOLON: u8 = 0x3b;

/** The end of the field of a stored text that begins at `at`. */
function fieldEnd(at: i32): i32 {
  let i = at;
  let first = separators(i);
  while (first === 0) {
    i += 8;
    first = separators(i);
  }
  return i + ((ctz(first) as i32) >> 3);
}

/** The lowest bit that is set is the highest one of the first FIELD of eight bytes. */
function separators(at: i32): u64 {
  const unlike = load<u64>(at) ^ FIELD;
  return (unlike - 0x0101010101010101) & ~unlike & 0x8080808080808080;
}

function putPiece(to: i32, number: i32): i32 {
  const from = PIECES + number * PIECE_BYTES;
  for (let i = 0; i < PIECE_BYTES; i += 8) store<u64>(to + i, load<u64>(from + i));
  return to + (load<u8>(from + PIECE_BYTES - 1) as i32);
}

/** A header, but for an empty one. */
function putHeader(to: i32, name: i32, from: i32, end: i32): i32 {
  return end > from ? copy(putPiece(to, name), from, end - from) : to;
}

/**
 * `User` up to the end of its last header; where that is. Behind both stored texts stands FIELD, four times. The addresses end at
 * `wanEnd`, 0 where the asker sees none, and `localEnd`.
 */
export function writeUser(
  status: i32,
  network: i32,
  firewall: i32,
  wanEnd: i32,
  localEnd: i32,
  seesTelephones: i32,
): i32 {
  const uidEnd = fieldEnd(USER_TEXT);
  const aliasEnd = fieldEnd(uidEnd + 1);
  const noteAt = fieldEnd(DEVICE_TEXT) + 1;
  const noteEnd = fieldEnd(noteAt);
  const deviceEnd = fieldEnd(noteEnd + 1);
  let at = copy(putPiece(REPLY, USER_IS), USER_TEXT, uidEnd - USER_TEXT);
  at = putHeader(at, ID_IS, placeOf(ID_AT), placeOf(ID_END));
  at = putHeader(at, ALIAS_IS, uidEnd + 1, aliasEnd);
  at = putPiece(at, STATUS_IS + status);
  at = putHeader(at, NOTE_IS, noteAt, noteEnd);
  at = putPiece(at, NETWORK_IS + network);
  at = putPiece(at, FIREWALL_IS + firewall);
  if (wanEnd !== 0) {
    at = putHeader(at, WAN_IS, WAN_TEXT, wanEnd);
    at = putHeader(at, LOCAL_IS, LOCAL_TEXT, localEnd);
  }
  if (seesTelephones !== 0) {
    const telephonesAt = at;
    at = putHeader(at, TELEPHONE_IS, aliasEnd + 1, fieldEnd(aliasEnd + 1));
    for (let i = telephonesAt; i < at; i++) if (load<u8>(i) === ITEM) store<u8>(i, SEMICOLON);
  }
  at = putHeader(at, DEVICE_IS, noteEnd + 1, deviceEnd);
  return wanEnd !== 0 ? putHeader(at, SIP_IS, deviceEnd + 1, fieldEnd(deviceEnd + 1)) : at;
}

/** An IPv4 address, its first byte lowest, and its port; where they end. */
export function writeAddress(to: i32, host: u32, port: u32): i32 {
  let at = putDecimal(to, host & 255);
  for (let shift = 8; shift < 32; shift += 8) {
    store<u8>(at, 0x2e);
    at = putDecimal(at + 1, (host >> shift) & 255);
  }
  store<u8>(at, 0x3a);
  return putDecimal(at + 1, port);
}

/** Ends a line. */
export function writeLineEnd(at: i32): i32 {
  return put(at, 0x0a0d, 2);
}

/** The line of the mac that was made, and the end of the message. */
export function writeMacLine(at: i32): i32 {
  return put(putMac(put(at, 0x203a63616d, 5)), 0x0a0d0a0d, 4);
}
