/**
 * The states of HMAC's two hashes after the block of the key, of sessions that were heard of lately: who starts from them
 * saves two of five to nine blocks a mac, and 64 bytes for each of all sessions would be too many.
 */
import { zeros } from '../base/huge-pages.ts';
import type { SessionRows } from '../heartbeat/session-rows.ts';
import { room } from './express-room.ts';

/** As many sessions as have rows of their own here; 80 bytes each, once they are heard of. */
const PLACES = 65_536;
const STATE_WORDS = 16;
const COOKIE_WORDS = 4;
const WORDS = STATE_WORDS + COOKIE_WORDS;

export class KeyStates {
  /** Of each place: the states, and the cookie of the session whose key it is. */
  readonly #kept = new Uint32Array(zeros(PLACES * WORDS * 4));

  /** The macs from now on are made by the key of that session, whose cookie stands in the room. */
  use(sessions: SessionRows, row: number): void {
    const { keyStates, cookie } = room;
    const kept = this.#kept;
    const at = (row & (PLACES - 1)) * WORDS;
    const cookieAt = at + STATE_WORDS;
    const [a, b, c, d] = [kept[cookieAt], kept[cookieAt + 1], kept[cookieAt + 2], kept[cookieAt + 3]];
    if (a === cookie[0] && b === cookie[1] && c === cookie[2] && d === cookie[3]) {
      for (let i = 0; i < STATE_WORDS; i++) keyStates[i] = kept[at + i] ?? 0;
      return;
    }
    room.useKey(sessions.bytes, sessions.keyAt(row));
    for (let i = 0; i < STATE_WORDS; i++) kept[at + i] = keyStates[i] ?? 0;
    for (let i = 0; i < COOKIE_WORDS; i++) kept[cookieAt + i] = cookie[i] ?? 0;
  }
}
