/** Views on the beginning of a buffer that stays, by their length: made once, where making one a message costs. */
export function viewsOf(buffer: Buffer, from = 0): (end: number) => Buffer {
  const views: (Buffer | undefined)[] = [];
  return (end) => (views[end] ??= buffer.subarray(from, end));
}
