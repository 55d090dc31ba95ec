/** Bytes eight at a time. */

/** Copies so many bytes, and up to seven more; where they end. */
export function copy(to: i32, from: i32, length: i32): i32 {
  for (let i = 0; i < length; i += 8) store<u64>(to + i, load<u64>(from + i));
  return to + length;
}

/** Up to eight bytes, the first one lowest. */
export function put(to: i32, text: u64, length: i32): i32 {
  store<u64>(to, text);
  return to + length;
}

/** A number of 16 bits. */
export function putDecimal(to: i32, number: u32): i32 {
  let at = to;
  if (number >= 10_000) store<u8>(at++, 0x30 + number / 10_000);
  if (number >= 1_000) store<u8>(at++, 0x30 + ((number / 1_000) % 10));
  if (number >= 100) store<u8>(at++, 0x30 + ((number / 100) % 10));
  if (number >= 10) store<u8>(at++, 0x30 + ((number / 10) % 10));
  store<u8>(at++, 0x30 + (number % 10));
  return at;
}

/** The eight lower-case digits of four bytes, the first one lowest in both. */
export function digitsOf(bytes: u32): u64 {
  let spread = bytes as u64;
  spread = (spread | (spread << 16)) & 0x0000ffff0000ffff;
  spread = (spread | (spread << 8)) & 0x00ff00ff00ff00ff;
  // The high half of a byte comes first.
  const nibbles = ((spread >> 4) & 0x000f000f000f000f) | ((spread & 0x000f000f000f000f) << 8);
  const letters = ((nibbles + 0x0606060606060606) >> 4) & 0x0101010101010101;
  return nibbles + 0x3030303030303030 + letters * 0x27;
}

/** The reverse; of what are no such digits, bytes that have others. */
export function bytesOf(digits: u64): u32 {
  // A letter has the bit 0x40, and is nine more than its low four bits.
  const nibbles = (digits & 0x0f0f0f0f0f0f0f0f) + ((digits >> 6) & 0x0101010101010101) * 9;
  let bytes = ((nibbles << 4) | (nibbles >> 8)) & 0x00ff00ff00ff00ff;
  bytes = (bytes | (bytes >> 8)) & 0x0000ffff0000ffff;
  return (bytes | (bytes >> 16)) as u32;
}
