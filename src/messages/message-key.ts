import { textHash } from '../base/hashes.ts';
import type { Message } from '../directory/message-store.ts';

let last: Message | null = null;
let lastKey = '';

/** The same for a message that is sent again, and for no other: 22 characters of base64url. */
export function messageKey(message: Message): string {
  // Asked for by one after the other who has to do with it.
  if (message !== last) {
    const { from, to, id } = message;
    // No uid and no id holds a space.
    lastKey = shortHash(`${from} ${to} ${id}`);
    last = message;
  }
  return lastKey;
}

/** 132 bits of SHA-256, as 22 characters of base64url. */
export function shortHash(text: string): string {
  return textHash('sha256', text, 'base64url').slice(0, CHARACTERS);
}
const CHARACTERS = 22;
