/**
 * The states of HMAC's two hashes after the block of the key, of sessions that are heard of often: who starts from them
 * saves two of five to nine blocks a mac, and 64 bytes for each of all sessions would be too many.
 */
import { columnOf } from '../heartbeat/columns.ts';
import type { SessionRows } from '../heartbeat/session-rows.ts';
import { room } from './express-room.ts';

/** As many sessions as have rows of their own here; 80 bytes each, once they are heard of, and eight of its place. */
const PLACES = 65_536;
const STATE_WORDS = 16;
const COOKIE_WORDS = 4;
const WORDS = STATE_WORDS + COOKIE_WORDS;

/** Of a place, row + 1 each: whose states stand there, and who was heard of there last. */
const PLACE_WORDS = 2;
const KEPT = 0;
const LAST = 1;

export class KeyStates {
  readonly #places = columnOf(Uint32Array, PLACES * PLACE_WORDS);
  /** Of each place: the states, and the cookie of the session whose key it is. */
  readonly #kept = columnOf(Uint32Array, PLACES * WORDS);

  /** The macs from now on are made by the key of that session, whose cookie stands in the room. */
  use(sessions: Pick<SessionRows, 'bytes' | 'keyAt'>, row: number): void {
    const { keyStates } = room;
    const place = (row & (PLACES - 1)) * PLACE_WORDS;
    const at = (row & (PLACES - 1)) * WORDS;
    const isHeardAgain = this.#places[place + LAST] === row + 1;
    this.#places[place + LAST] = row + 1;
    if (this.#places[place + KEPT] === row + 1 && this.#isCookie(at + STATE_WORDS)) {
      for (let i = 0; i < STATE_WORDS; i++) keyStates[i] = this.#kept[at + i] ?? 0;
      return;
    }
    room.useKey(sessions.bytes, sessions.keyAt(row));
    // Where so many are heard of in turn that nobody finds his own again, writing them would take as long as what they save.
    if (!isHeardAgain) return;
    this.#places[place + KEPT] = row + 1;
    for (let i = 0; i < STATE_WORDS; i++) this.#kept[at + i] = keyStates[i] ?? 0;
    for (let i = 0; i < COOKIE_WORDS; i++) this.#kept[at + STATE_WORDS + i] = room.cookie[i] ?? 0;
  }

  /** Whether it is the one that stands there: the row may have become that of another session. */
  #isCookie(at: number): boolean {
    const { cookie } = room;
    for (let i = 0; i < COOKIE_WORDS; i++) if (this.#kept[at + i] !== cookie[i]) return false;
    return true;
  }
}
