/** What is copied from a message that is sent on (RFC 3261 16.6 and 16.7). */
import { BODY_AT, DROPS, LINE_BYTES, LINES, LINES_COUNT } from '../express-layout';
import { placeOf } from './uri';
import { copy, decimalOf, put } from './write';

/**
 * Writes the header lines as they stand, but for those that DROPS says for one of these bits, Content-Length and the body, of
 * the message that ends at `end`; where that ends.
 */
export function writeKept(at: i32, end: i32, drops: i32): i32 {
  const linesEnd = LINES + placeOf(LINES_COUNT) * LINE_BYTES;
  const bodyAt = placeOf(BODY_AT);
  let to = at;
  let from = 0;
  for (let line = LINES; line < linesEnd; line += LINE_BYTES) {
    const nameAt = load<i32>(line, 4);
    if ((load<u8>(DROPS + load<i32>(line)) & drops) === 0) {
      if (from === 0) from = nameAt;
    } else if (from !== 0) {
      to = copy(to, from, nameAt - from);
      from = 0;
    }
  }
  if (from !== 0) to = copy(to, from, bodyAt - 2 - from);
  // `Content-Length: `
  to = put(put(to, 0x2d746e65746e6f43, 8), 0x203a6874676e654c, 8);
  to = put(decimalOf(to, end - bodyAt), 0x0a0d0a0d, 4);
  return copy(to, bodyAt, end - bodyAt);
}
