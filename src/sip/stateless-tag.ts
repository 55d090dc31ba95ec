import { HEX_PAIRS, viewOn } from '../base/bytes.ts';

/**
 * The To tag of an answer without state: the same for each retransmission of the request, for its CANCEL (RFC 3261
 * 8.2.7) and for its ACK. 64 bits of FNV-1a in two lanes: spreads well and costs little; nothing secret hangs on it.
 */
const SEED_A = 0x811c9dc5;
const SEED_B = 0x01000193;
const PRIME_A = 0x01000193;
const PRIME_B = 0x85ebca6b;

export class TagHash {
  #a = SEED_A;
  #b = SEED_B;

  add(byte: number): void {
    this.#a = Math.imul(this.#a ^ byte, PRIME_A);
    this.#b = Math.imul(this.#b ^ byte, PRIME_B);
  }

  /** A character a byte. */
  addText(text: string, from = 0, to = text.length): void {
    let a = this.#a;
    let b = this.#b;
    for (let i = from; i < to; i++) {
      const byte = text.charCodeAt(i);
      a = Math.imul(a ^ byte, PRIME_A);
      b = Math.imul(b ^ byte, PRIME_B);
    }
    this.#a = a;
    this.#b = b;
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

const digits = Buffer.alloc(16);
const view = viewOn(digits);
function writeHex(at: number, word: number): void {
  for (let i = 0; i < 4; i++) view.setUint16(at + 2 * i, HEX_PAIRS[(word >>> (24 - 8 * i)) & 255] ?? 0, true);
}

const hash = new TagHash();

/** Of a whole seed; a character a byte. */
export function statelessTag(seed: string): string {
  hash.addText(seed);
  return hash.takeText();
}
