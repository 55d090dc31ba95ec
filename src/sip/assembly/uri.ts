/** URIs of the ordinary kind. */
import {
  DIGITS,
  HOST_AT,
  HOST_END,
  LAST_HOST,
  LAST_HOST_BYTES_MAX,
  PLACES,
  PLAIN_USERS,
  USER_AT,
  USER_END,
} from '../express-layout';
import { decimal, ipv4End, skip, standsAt } from './bytes';
import { AT_SIGN, COLON, DOT, HYPHEN, SIP_COLON, ZERO } from './characters';

const HOST_BYTES_MAX = 255;

export function setPlace(place: i32, value: i32): void {
  store<i32>(PLACES + place * 4, value);
}

export function placeOf(place: i32): i32 {
  return load<i32>(PLACES + place * 4);
}

/** Reads `sip:user@host:port` without escapes, password and parameters into the places from `into` on; where it ends, or -1. */
export function readUri(at: i32, end: i32, into: i32): i32 {
  setPlace(into + HOST_AT, 0);
  if (!standsAt(at, 4, SIP_COLON)) return -1;
  let i = at + 4;
  const userEnd = skip(i, end, PLAIN_USERS);
  if (userEnd < end && load<u8>(userEnd) === AT_SIGN) {
    if (userEnd === i) return -1;
    setPlace(into + USER_AT, i);
    setPlace(into + USER_END, userEnd);
    i = userEnd + 1;
  } else {
    setPlace(into + USER_AT, 0);
    setPlace(into + USER_END, 0);
  }
  const behind = hostEnd(i, end);
  if (behind < 0) return -1;
  setPlace(into + HOST_AT, i);
  setPlace(into + HOST_END, behind);
  return skipPort(behind, end);
}

/** Of LAST_HOST; 0: there is none. */
let lastLength: i32 = 0;
/** Which of all that stood there it is; negative where they are no longer counted. */
let lastNumber: i32 = 0;
let isOneHost: bool = false;

/** The URIs of another message follow. */
export function startUris(): void {
  isOneHost = true;
}

/** A number for the host that all of its URIs have, never the same one for another host; 0 where it is not known that they do. */
export function oneHost(): i32 {
  return isOneHost ? max(lastNumber, 0) : 0;
}

/** The offset behind the host that begins at `at`; -1 where none does. Nearly all of them are the same one. */
function hostEnd(at: i32, end: i32): i32 {
  const last = at + lastLength;
  if (isLastHost(at) && (last === end || (last < end && !isHostByte(load<u8>(last))))) return last;
  isOneHost = false;
  const behind = newHostEnd(at, end);
  if (behind > at && behind - at <= LAST_HOST_BYTES_MAX) {
    lastLength = behind - at;
    if (lastNumber >= 0) lastNumber++;
    memory.copy(LAST_HOST, at, lastLength);
  }
  return behind;
}

function isLastHost(at: i32): bool {
  let i = 0;
  for (; i + 8 <= lastLength; i += 8) if (load<u64>(at + i) !== load<u64>(LAST_HOST + i)) return false;
  const rest = lastLength - i;
  return lastLength > 0 && (rest === 0 || standsAt(at + i, rest, load<u64>(LAST_HOST + i)));
}

/** The same for an IPv4 address or a name in lower case. */
function newHostEnd(at: i32, end: i32): i32 {
  const addressEnd = ipv4End(at, end);
  if (addressEnd === end || (addressEnd > 0 && !isHostByte(load<u8>(addressEnd)))) return addressEnd;
  let labelAt = at;
  for (let i = at; i - at < HOST_BYTES_MAX; i++) {
    const byte = i < end ? load<u8>(i) : 0;
    const isLast = !isHostByte(byte);
    if (!isLast && byte !== DOT) continue;
    // A label neither begins nor ends with a hyphen; the last one begins with a letter.
    if (i === labelAt || load<u8>(labelAt) === HYPHEN || load<u8>(i - 1) === HYPHEN) return -1;
    if (isLast) return load<u8>(labelAt) >= 0x61 ? i : -1;
    labelAt = i + 1;
  }
  return -1;
}

/** Of either of them. */
function isHostByte(byte: u8): bool {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x2d && byte <= 0x39 && byte !== 0x2f);
}

/** The offset behind `:port` where it stands at `at`, else `at`; -1 where it is none or has a leading zero, or `at` is -1. */
export function skipPort(at: i32, end: i32): i32 {
  if (at < 0 || at >= end || load<u8>(at) !== COLON) return at;
  const portEnd = skip(at + 1, end, DIGITS);
  return load<u8>(at + 1) === ZERO || decimal(at + 1, portEnd, 65_535) < 0 ? -1 : portEnd;
}
