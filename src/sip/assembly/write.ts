/** What an answer, or the request that is sent on, copies from its request. */
import {
  BRANCH_AT,
  BRANCH_END,
  CSEQ_NUMBER,
  FROM_PLACE,
  LINE_BYTES,
  LINES,
  LINES_COUNT,
  LOOP,
  RPORT_END,
  SOURCE_HOST,
  TAG,
  TAG_AT,
  TAG_BYTES,
  TAG_END,
  TO_PLACE,
  URI_AT,
  URI_END,
} from '../express-layout';
import { CALL_ID, CSEQ, FROM, ROUTE, TO, VIA } from '../header-numbers';
import { lineEnd } from './bytes';
import { COLON, LF, SPACE } from './characters';
import { endOf, valueOf } from './lines';
import { placeOf } from './uri';

/** Copies so many bytes, and up to fifteen more; where they end. */
export function copy(to: i32, from: i32, length: i32): i32 {
  for (let i = 0; i < length; i += 16) v128.store(to + i, v128.load(from + i));
  return to + length;
}

/** Up to eight bytes, the first one lowest. */
export function put(to: i32, text: u64, length: i32): i32 {
  store<u64>(to, text);
  return to + length;
}

export function decimalOf(to: i32, number: i32): i32 {
  let digits = 1;
  for (let rest = number; rest >= 10; rest /= 10) digits++;
  let rest = number;
  for (let i = to + digits - 1; i >= to; i--) {
    store<u8>(i, 0x30 + (rest % 10));
    rest /= 10;
  }
  return to + digits;
}

/**
 * Writes what begins with `Via: ` and ends with the line of CSeq (RFC 3261 8.2.6, RFC 3581 4), for a request from `port` of
 * the host in SOURCE_HOST. Where it ends. Writes the tag, too.
 */
export function writeCopied(at: i32, port: i32, hostLength: i32): i32 {
  let to = writeVia(at, port, hostLength);
  // `From: `
  to = put(to, 0x203a6d6f7246, 6);
  to = copy(to, valueOf(FROM), endOf(FROM) - valueOf(FROM));
  // `To: `
  to = put(to, 0x203a6f540a0d, 6);
  to = copy(to, valueOf(TO), endOf(TO) - valueOf(TO));
  if (placeOf(TO_PLACE + TAG_AT) === 0) {
    writeTag();
    // `;tag=`
    to = copy(put(to, 0x3d6761743b, 5), TAG, TAG_BYTES);
  }
  // `Call-ID: `
  to = put(put(to, 0x2d6c6c61430a0d, 7), 0x203a4449, 4);
  to = copy(to, valueOf(CALL_ID), endOf(CALL_ID) - valueOf(CALL_ID));
  // `CSeq: `
  to = put(to, 0x203a716553430a0d, 8);
  to = copy(to, valueOf(CSEQ), endOf(CSEQ) - valueOf(CSEQ));
  return put(to, 0x0a0d, 2);
}

/** The line of the first Via, as it came from there. */
export function writeVia(at: i32, port: i32, hostLength: i32): i32 {
  const rportEnd = placeOf(RPORT_END);
  // `Via: `
  let to = put(at, 0x203a616956, 5);
  to = copy(to, valueOf(VIA), rportEnd - valueOf(VIA));
  to = put(to, 0x3d, 1);
  to = decimalOf(to, port);
  to = copy(to, rportEnd, endOf(VIA) - rportEnd);
  // `;received=`
  to = put(put(to, 0x657669656365723b, 8), 0x3d64, 2);
  to = copy(to, SOURCE_HOST, hostLength);
  return put(to, 0x0a0d, 2);
}

// As in stateless-tag.ts.
const PRIME_A: u32 = 0xcc9e2d51;
const PRIME_B: u32 = 0x85ebca6b;
const TURN_A: u32 = 15;
const TURN_B: u32 = 13;
let a: u32 = 0;
let b: u32 = 0;

/** Of the bytes, and a line feed behind them. */
function addText(from: i32, to: i32): void {
  let x = a;
  let y = b;
  let i = from;
  let word: u32 = 0;
  for (; i + 4 <= to; i += 4) {
    word = load<u32>(i);
    x = rotl<u32>(x ^ word, TURN_A) * PRIME_A;
    y = rotl<u32>(y ^ word, TURN_B) * PRIME_B;
  }
  const bits = (to - i) * 8;
  word = (load<u32>(i) & ((1 << bits) - 1)) | ((LF as u32) << bits);
  a = rotl<u32>(x ^ word, TURN_A) * PRIME_A;
  b = rotl<u32>(y ^ word, TURN_B) * PRIME_B;
}

/** Writes the To tag of a stateless answer to the request (stateless-tag.ts). */
export function writeTag(): void {
  begin();
  addText(placeOf(BRANCH_AT), placeOf(BRANCH_END));
  addText(placeOf(FROM_PLACE + TAG_AT), placeOf(FROM_PLACE + TAG_END));
  addText(valueOf(CALL_ID), endOf(CALL_ID));
  addText(TAG, decimalOf(TAG, placeOf(CSEQ_NUMBER)));
  writeHex(TAG, a, b);
}

/** Writes what stands in the branch of a request that is sent on (loopHash() in routing.ts). */
export function writeLoop(): void {
  begin();
  addText(placeOf(URI_AT), placeOf(URI_END));
  addText(placeOf(FROM_PLACE + TAG_AT), placeOf(FROM_PLACE + TAG_END));
  addText(placeOf(TO_PLACE + TAG_AT), placeOf(TO_PLACE + TAG_END));
  addText(valueOf(CALL_ID), endOf(CALL_ID));
  addText(LOOP, decimalOf(LOOP, placeOf(CSEQ_NUMBER)));
  const end = LINES + placeOf(LINES_COUNT) * LINE_BYTES;
  for (let line = LINES; line < end; line += LINE_BYTES) {
    if (load<i32>(line) !== ROUTE) continue;
    let valueAt = load<i32>(line, 4);
    while (load<u8>(valueAt) !== COLON) valueAt++;
    do valueAt++;
    while (load<u8>(valueAt) === SPACE);
    addText(valueAt, lineEnd(valueAt));
  }
  writeHex(LOOP, a, b);
}

function begin(): void {
  a = 0x811c9dc5;
  b = 0x01000193;
}

/** Both words, the high digits first. */
function writeHex(at: i32, first: u32, second: u32): void {
  const bytes = i64x2.splat(((second as u64) << 32) | (first as u64));
  const high = v128.and(i8x16.shr_u(bytes, 4), i8x16.splat(0x0f));
  const low = v128.and(bytes, i8x16.splat(0x0f));
  const digits = i8x16.shuffle(high, low, 3, 19, 2, 18, 1, 17, 0, 16, 7, 23, 6, 22, 5, 21, 4, 20);
  v128.store(at, i8x16.swizzle(HEX_DIGITS, digits));
}

const HEX_DIGITS: v128 = i8x16(48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 97, 98, 99, 100, 101, 102);
