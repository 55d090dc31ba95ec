/** Replies, written from REPLY on. */
import { ID_AT, ID_END, PLACES, REPLY } from '../express-layout';
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
