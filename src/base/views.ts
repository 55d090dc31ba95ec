/** Longer messages are rare. */
const LENGTH_MAX = 1_500;

/** Views on the beginning of a buffer that stays, by their length: made once, where making one a message costs. */
export function viewsOf(buffer: Buffer, from = 0): (length: number) => Buffer {
  let views: (Buffer | undefined)[] | undefined;
  return (length) => {
    if (length > LENGTH_MAX) return buffer.subarray(from, from + length);
    // Made whole: an array with large gaps is a slow map to V8.
    views ??= new Array<Buffer | undefined>(LENGTH_MAX + 1).fill(undefined);
    return (views[length] ??= buffer.subarray(from, from + length));
  };
}
