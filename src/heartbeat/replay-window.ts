/**
 * The sliding window of the last 64 sequence numbers of a session: the highest number, a mask of 64 bits in two halves
 * whose bit i says that `highest - i` was used (an empty one: none was used yet), and how many were taken. A request
 * looks at all of them, so they stand side by side: of a million sessions each comes from far away.
 */
export const WINDOW = 64;

/** Of a session: its words, at these offsets. */
export const WINDOW_WORDS = 4;
export const HIGHEST = 0;
export const MASK_LOW = 1;
export const MASK_HIGH = 2;
export const TAKEN = 3;

/** Takes `seq` (32 bits) into the window that stands at `at`, unless it was used before or is older than the window. */
export function acceptSeq(windows: Uint32Array, at: number, seq: number): 'fresh' | 'used' | 'too old' {
  const top = windows[at + HIGHEST] ?? 0;
  const low = windows[at + MASK_LOW] ?? 0;
  const high = windows[at + MASK_HIGH] ?? 0;
  if (low === 0 || seq > top) {
    const by = low === 0 ? WINDOW : seq - top;
    windows[at + HIGHEST] = seq;
    // A shift by 32 would be one by 0: the halves move as wholes first.
    if (by >= WINDOW) {
      windows[at + MASK_HIGH] = 0;
      windows[at + MASK_LOW] = 1;
    } else if (by >= 32) {
      windows[at + MASK_HIGH] = low << (by - 32);
      windows[at + MASK_LOW] = 1;
    } else {
      windows[at + MASK_HIGH] = (high << by) | (low >>> (32 - by));
      windows[at + MASK_LOW] = (low << by) | 1;
    }
    windows[at + TAKEN] = (windows[at + TAKEN] ?? 0) + 1;
    return 'fresh';
  }
  const age = top - seq;
  if (age >= WINDOW) return 'too old';
  const half = age < 32 ? MASK_LOW : MASK_HIGH;
  const bit = 1 << (age & 31);
  const word = age < 32 ? low : high;
  if ((word & bit) !== 0) return 'used';
  windows[at + half] = word | bit;
  windows[at + TAKEN] = (windows[at + TAKEN] ?? 0) + 1;
  return 'fresh';
}

/** How many numbers that window has taken. */
export function takenOf(windows: Uint32Array, at: number): number {
  return windows[at + TAKEN] ?? 0;
}
