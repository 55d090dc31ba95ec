/** Looking at bytes, sixteen at a time where that pays. */
/** The first byte from `at` on that can't stand in a line: a control character. There must be one. */
export function lineEnd(at: i32): i32 {
  return firstBelow(0x20, at);
}

/** The same for a word, which ends at a space, too. */
export function wordEnd(at: i32): i32 {
  return firstBelow(0x21, at);
}

function firstBelow(least: u8, at: i32): i32 {
  let i = at;
  let hits = lower(i, least);
  while (hits === 0) {
    i += 16;
    hits = lower(i, least);
  }
  return i + ctz(hits);
}

/** A bit for each of 16 bytes, the first one lowest: whether it is below `least`, or 0x7f. */
function lower(at: i32, least: u8): i32 {
  const bytes = v128.load(at);
  return i8x16.bitmask(v128.or(i8x16.lt_u(bytes, i8x16.splat(least as i8)), i8x16.eq(bytes, i8x16.splat(0x7f))));
}

/** The first `byte` from `at` on; `end` where there is none before. */
export function find(byte: u8, at: i32, end: i32): i32 {
  const pattern = i8x16.splat(byte as i8);
  for (let i = at; i < end; i += 16) {
    const hits = i8x16.bitmask(i8x16.eq(v128.load(i), pattern));
    if (hits !== 0) return min(i + ctz(hits), end);
  }
  return end;
}

/** The end of a quoted string that begins behind its quote at `at`: at a quote or backslash, or `end`. */
export function quotedEnd(at: i32, end: i32): i32 {
  const quote = find(0x22, at, end);
  return find(0x5c, at, quote);
}

/** The first byte from `at` on that is not in the set, which stands where express-layout.ts says. */
export function skip(at: i32, end: i32, set: i32): i32 {
  const members = v128.load(set);
  for (let i = at; i < end; i += 16) {
    const bytes = v128.load(i);
    const bits = i8x16.swizzle(BITS, i8x16.shr_u(bytes, 4));
    const rows = i8x16.swizzle(members, v128.and(bytes, i8x16.splat(0x0f)));
    const misses = i8x16.bitmask(i8x16.eq(v128.and(rows, bits), i8x16.splat(0)));
    if (misses !== 0) return min(i + ctz(misses), end);
  }
  return max(at, end);
}

/** By the high half of a character, which bit stands for it: there is none beyond ASCII. */
const BITS: v128 = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);

/** Whether the `length` bytes, eight at most, from `at` on are these, the first one lowest. */
export function standsAt(at: i32, length: i32, text: u64): bool {
  return length === 8 ? load<u64>(at) === text : (load<u64>(at) ^ text) << ((8 - length) * 8) === 0;
}

/** The decimal number of at most 10 digits that fills `at`–`end`; -1 where it is none, or more than `most`. */
export function decimal(at: i32, end: i32, most: i64): i64 {
  if (at >= end || end - at > 10) return -1;
  let number: i64 = 0;
  for (let i = at; i < end; i++) {
    const digit = (load<u8>(i) as i32) - 0x30;
    if ((digit as u32) > 9) return -1;
    number = number * 10 + digit;
  }
  return number <= most ? number : -1;
}

/** The offset behind the IPv4 address that begins at `at`; -1 where none does. */
export function ipv4End(at: i32, end: i32): i32 {
  let i = at;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && (i >= end || load<u8>(i++) !== 0x2e)) return -1;
    const partAt = i;
    let number = 0;
    for (; i < end && i < partAt + 4; i++) {
      const digit = (load<u8>(i) as i32) - 0x30;
      if ((digit as u32) > 9) break;
      number = number * 10 + digit;
    }
    if (i === partAt || number > 255 || (load<u8>(partAt) === 0x30 && i > partAt + 1)) return -1;
  }
  return i;
}
