/**
 * The sessions of requests that are about to come, fetched from memory for all of them at once. Of a million sessions each
 * comes from far away: a request by itself waits for one line of memory after the other.
 */
import type { SessionRows } from '../heartbeat/session-rows.ts';
import { LOOK_AHEAD_MAX } from '../heartbeat/session-rows.ts';
import type { ReplyMemory } from './reply-memory.ts';

export class LookAhead {
  /** Keeps the reading from being left out. */
  sum = 0;
  readonly #sessions: SessionRows;
  readonly #memory: ReplyMemory;
  readonly #cookies = new Uint32Array(LOOK_AHEAD_MAX);
  readonly #macs = new Uint32Array(LOOK_AHEAD_MAX);
  #count = 0;

  constructor(sessions: SessionRows, memory: ReplyMemory) {
    this.#sessions = sessions;
    this.#memory = memory;
  }

  /** This datagram is among those that are delivered next. */
  coming(bytes: Buffer): void {
    if (this.#count === LOOK_AHEAD_MAX) return;
    const word = cookieStartOf(bytes);
    if (word === 0) return;
    this.#macs[this.#count] = wordAt(bytes, bytes.length - MAC_BYTES);
    this.#cookies[this.#count++] = word;
  }

  /** They are delivered now. */
  look(): void {
    if (this.#count === 0) return;
    this.sum ^= this.#sessions.lookAhead(this.#cookies, this.#count) ^ this.#memory.lookAhead(this.#macs, this.#count);
    this.#count = 0;
  }
}

const NEWLINE = 0x0a;
const LETTER_C = 0x63;
const COLON = 0x3a;
/** `Heartbeat` and a line end: what most datagrams begin with. */
const HEARTBEAT_BYTES = 11;
const LETTER_H = 0x48;
/** Where the value of `cookie: ` begins, and how many of its digits are read. */
const VALUE = 8;
const DIGITS = 8;
/** The digits of the mac, and behind them two line ends. */
const MAC_BYTES = 32 + 4;
/** No further than that: the cookie is one of the first headers. */
const LINES_MAX = 4;
const BYTES_MAX = 160;

/** The first word of the cookie of an ordinary request; of others anything, mostly 0. */
export function cookieStartOf(bytes: Buffer): number {
  const end = Math.min(bytes.length - VALUE - DIGITS - MAC_BYTES, BYTES_MAX);
  let at =
    end > HEARTBEAT_BYTES && bytes[0] === LETTER_H && bytes[HEARTBEAT_BYTES - 1] === NEWLINE ? HEARTBEAT_BYTES : 0;
  for (let line = 0; line < LINES_MAX; line++) {
    if (at < end && bytes[at] === LETTER_C && bytes[at + VALUE - 2] === COLON) return wordAt(bytes, at + VALUE);
    while (at < end && bytes[at] !== NEWLINE) at++;
    at++;
  }
  return 0;
}

/** Of eight hex digits; of other bytes, any. */
function wordAt(bytes: Buffer, from: number): number {
  let word = 0;
  for (let at = from; at < from + DIGITS; at++) {
    const digit = bytes[at] ?? 0;
    // A letter has the bit 0x40, and is nine more than its low four bits.
    word = (word << 4) | ((digit & 15) + (digit >> 6) * 9);
  }
  return word >>> 0;
}
