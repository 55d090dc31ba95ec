/**
 * The same text in one piece of memory of its own. What is put together of pieces is kept as these pieces, and a piece cut
 * out of a long text keeps the whole of that: a key of 80 characters so held a message of a thousand.
 */
export function flatText(text: string): string {
  // To read a character of it has V8 put the pieces together. No text that anybody keeps ends with this one.
  return text.charCodeAt(text.length - 1) === NEVER ? '' : text;
}
const NEVER = 0xffff;
