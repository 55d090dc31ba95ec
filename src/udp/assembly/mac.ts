/**
 * HMAC-SHA-256 (RFC 2104) but for the hashing of whole blocks, which who calls does between these functions: of so many
 * bytes as the first one says.
 */
import { BLOCK, BLOCK_BYTES, CONTEXT, KEY, KEY_STATES, MAC, PLACES, STATE_BYTES } from '../express-layout';
import { digitsOf } from './bytes';

/** Of the number of bits, which ends the last block. */
const LENGTH_BYTES = 8;

function copyState(to: i32, from: i32): void {
  for (let i = 0; i < STATE_BYTES; i += 8) store<u64>(to + i, load<u64>(from + i));
}

/** Makes the first block of a hash of the 64 digits of KEY: of the inner one with 0x36, of the outer one with 0x5c. */
export function startKey(pad: i32): void {
  const pads = (pad as u64) * 0x0101010101010101;
  for (let i = 0; i < BLOCK_BYTES; i += 8) store<u64>(BLOCK + i, digitsOf(load<u32>(KEY + i / 2)) ^ pads);
  setInitialState();
}

/** Keeps the state after that block. */
export function endKey(isOuter: i32): void {
  copyState(KEY_STATES + isOuter * STATE_BYTES, CONTEXT);
}

/** Pads the message at `at`–`end` (RFC 6234 4.1), which is hashed next; how many bytes that are. */
export function startInner(at: i32, end: i32): i32 {
  const bytes = (end - at + 1 + LENGTH_BYTES + BLOCK_BYTES - 1) & -BLOCK_BYTES;
  const lengthAt = at + bytes - LENGTH_BYTES;
  store<u8>(end, 0x80);
  // Seven bytes too many are written again at once.
  for (let i = end + 1; i < lengthAt; i += 8) store<u64>(i, 0);
  store<u64>(lengthAt, bswap<u64>(((BLOCK_BYTES + end - at) * 8) as u64));
  copyState(CONTEXT, KEY_STATES);
  return bytes;
}

/** Makes the block of the outer hash, which is hashed next. */
export function startOuter(): void {
  for (let i = 0; i < STATE_BYTES; i += 4) store<u32>(BLOCK + i, bswap<u32>(load<u32>(CONTEXT + i)));
  store<u64>(BLOCK + 32, 0x80);
  store<u64>(BLOCK + 40, 0);
  store<u64>(BLOCK + 48, 0);
  store<u64>(BLOCK + 56, bswap<u64>(((BLOCK_BYTES + STATE_BYTES) * 8) as u64));
  copyState(CONTEXT, KEY_STATES + STATE_BYTES);
}

/** Whether the mac that was made is that of the request: constant in time. */
export function isMac(): bool {
  const sent = PLACES + MAC * 4;
  return ((load<u64>(CONTEXT) ^ load<u64>(sent)) | (load<u64>(CONTEXT + 8) ^ load<u64>(sent + 8))) === 0;
}

/** Writes the mac that was made as 32 digits; where they end. */
export function putMac(to: i32): i32 {
  for (let i = 0; i < 4; i++) store<u64>(to + i * 8, digitsOf(bswap<u32>(load<u32>(CONTEXT + i * 4))));
  return to + 32;
}

function setInitialState(): void {
  store<u64>(CONTEXT, 0xbb67ae856a09e667);
  store<u64>(CONTEXT + 8, 0xa54ff53a3c6ef372);
  store<u64>(CONTEXT + 16, 0x9b05688c510e527f);
  store<u64>(CONTEXT + 24, 0x5be0cd191f83d9ab);
}
