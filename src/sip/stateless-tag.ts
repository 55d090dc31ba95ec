import { HEX_PAIRS, viewOn } from '../base/bytes.ts';

/**
 * The To tag of an answer without state: the same for each retransmission of the request, for its CANCEL (RFC 3261
 * 8.2.7) and for its ACK. Two lanes of 32 bits, which take four characters a step, the first one lowest, a line feed behind
 * the last one of each text: spreads well and costs little; nothing secret hangs on it.
 */
const SEED_A = 0x811c9dc5;
const SEED_B = 0x01000193;
const PRIME_A = 0xcc9e2d51;
const PRIME_B = 0x85ebca6b;
const TURN_A = 15;
const TURN_B = 13;
const LF = 0x0a;

export class TagHash {
  #a = SEED_A;
  #b = SEED_B;

  /** Characters of one byte. */
  addText(text: string, from = 0, to = text.length): void {
    for (let i = from; i <= to; i += 4) {
      let word = 0;
      for (let k = 0; k < 4 && i + k <= to; k++) word |= (i + k < to ? text.charCodeAt(i + k) : LF) << (8 * k);
      this.#a = Math.imul(turned(this.#a ^ word, TURN_A), PRIME_A);
      this.#b = Math.imul(turned(this.#b ^ word, TURN_B), PRIME_B);
    }
  }

  /** The tag of what was added, 16 hexadecimal digits; begins anew. */
  takeText(): string {
    writeHex(0, this.#a);
    writeHex(8, this.#b);
    this.#a = SEED_A;
    this.#b = SEED_B;
    return digits.toString('latin1');
  }
}

function turned(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

const digits = Buffer.alloc(16);
const view = viewOn(digits);
function writeHex(at: number, word: number): void {
  for (let i = 0; i < 4; i++) view.setUint16(at + 2 * i, HEX_PAIRS[(word >>> (24 - 8 * i)) & 255] ?? 0, true);
}

const hash = new TagHash();

/** Of all of these. */
export function statelessTag(...texts: readonly string[]): string {
  for (const text of texts) hash.addText(text);
  return hash.takeText();
}
