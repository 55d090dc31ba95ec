/**
 * The sliding window of the last 64 sequence numbers of a session, in three columns: the highest number, and a mask
 * of 64 bits in two halves whose bit i says that `highest - i` was used. An empty mask: none was used yet.
 */
export const WINDOW = 64;

/** Takes `seq` (32 bits) into the window of that row, unless it was used before or is older than the window. */
export function acceptSeq(
  highest: Uint32Array,
  maskLow: Uint32Array,
  maskHigh: Uint32Array,
  row: number,
  seq: number,
): 'fresh' | 'used' | 'too old' {
  const top = highest[row] ?? 0;
  const low = maskLow[row] ?? 0;
  const high = maskHigh[row] ?? 0;
  if (low === 0 || seq > top) {
    const by = low === 0 ? WINDOW : seq - top;
    highest[row] = seq;
    // A shift by 32 would be one by 0: the halves move as wholes first.
    if (by >= WINDOW) {
      maskHigh[row] = 0;
      maskLow[row] = 1;
    } else if (by >= 32) {
      maskHigh[row] = low << (by - 32);
      maskLow[row] = 1;
    } else {
      maskHigh[row] = (high << by) | (low >>> (32 - by));
      maskLow[row] = (low << by) | 1;
    }
    return 'fresh';
  }
  const age = top - seq;
  if (age >= WINDOW) return 'too old';
  const mask = age < 32 ? maskLow : maskHigh;
  const bit = 1 << (age & 31);
  const word = age < 32 ? low : high;
  if ((word & bit) !== 0) return 'used';
  mask[row] = word | bit;
  return 'fresh';
}
