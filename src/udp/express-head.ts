/** The ordinary form of a signed Heartbeat or Locate, read in one pass over its bytes. */
import { bytesOf, HEX_PAIRS, standsAt } from '../base/bytes.ts';
import { MAC_CHARACTERS, PAD_BYTES } from '../login/proof.ts';

const HEARTBEAT = bytesOf('Heartbeat\r\n');
const LOCATE = bytesOf('Locate ');
const COOKIE = bytesOf('cookie: ');
const MAC = bytesOf('mac: ');
const END = bytesOf('\r\n\r\n');
const MAC_LINE_BYTES = MAC.length + MAC_CHARACTERS + END.length;

/** The first four bytes of the names of headers, as they are read with the low byte last. */
const [ID_IS = 0, COOKIE_IS = 0, SEQ_IS = 0] = ['id: ', 'cook', 'seq:'].map((four) => Buffer.from(four).readInt32BE());
const COOKIE_CHARACTERS = 32;
const ID_CHARACTERS_MAX = 32;
const UID_CHARACTERS_MAX = 64;
const SEQ_MAX = 0xffffffff;
const SEQ_DIGITS_MAX = 10;
const CR = 13;
const CRLF = 0x0d0a;

const ID_BYTE = 1;
const UID_BYTE = 2;
/** By byte: what it may be part of. Uids beyond ASCII are left to decode(). */
const kindOfByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  const inUid = byte > 32 && byte < 127 && character !== ':' ? UID_BYTE : 0;
  return /[A-Za-z0-9._-]/.test(character) ? ID_BYTE | inUid : inUid;
});

/** To be made once and filled by each read(). All places are in the room that the message was read from. */
export class ExpressHead {
  isLocate = false;
  /** Of a Locate. */
  uidAt = 0;
  uidEnd = 0;
  idAt = 0;
  idEnd = 0;
  /** As four words. */
  readonly cookie = new Uint32Array(4);
  seq = 0;
  /** The mac is made over what stands before. */
  macLineAt = 0;

  /** The digits of the mac. */
  get macAt(): number {
    return this.macLineAt + MAC.length;
  }

  /** The message stands in `view` from PAD_BYTES to `end`. False where it is out of the ordinary in any way. */
  read(view: DataView, end: number): boolean {
    const macLineAt = end - MAC_LINE_BYTES;
    this.macLineAt = macLineAt;
    if (macLineAt < PAD_BYTES + HEARTBEAT.length) return false;
    if (!standsAt(view, macLineAt, MAC) || !standsAt(view, end - END.length, END)) return false;
    return this.#readHeaders(view, this.#readVerb(view), macLineAt);
  }

  /** Where the headers begin, or -1. */
  #readVerb(view: DataView): number {
    this.isLocate = !standsAt(view, PAD_BYTES, HEARTBEAT);
    if (!this.isLocate) return PAD_BYTES + HEARTBEAT.length;
    if (!standsAt(view, PAD_BYTES, LOCATE)) return -1;
    this.uidAt = PAD_BYTES + LOCATE.length;
    this.uidEnd = endOf(view, this.uidAt, UID_BYTE, UID_CHARACTERS_MAX);
    return this.uidEnd < 0 ? -1 : this.uidEnd + 2;
  }

  /** id, cookie and seq, in any order, and nothing else. */
  #readHeaders(view: DataView, from: number, end: number): boolean {
    if (from < 0) return false;
    let seen = 0;
    let at = from;
    while (at < end) {
      const name = view.getInt32(at);
      if (name === ID_IS && (seen & 1) === 0) {
        seen |= 1;
        this.idAt = at + 4;
        this.idEnd = endOf(view, at + 4, ID_BYTE, ID_CHARACTERS_MAX);
        if (this.idEnd < 0) return false;
        at = this.idEnd + 2;
      } else if (name === COOKIE_IS && (seen & 2) === 0) {
        seen |= 2;
        if (!standsAt(view, at, COOKIE) || !readHex(view, at + COOKIE.length, this.cookie)) return false;
        at += COOKIE.length + COOKIE_CHARACTERS;
        if (view.getUint16(at) !== CRLF) return false;
        at += 2;
      } else if (name === SEQ_IS && (seen & 4) === 0) {
        seen |= 4;
        at = this.#readSeq(view, at + 4);
        if (at < 0) return false;
      } else return false;
    }
    return seen === 7 && at === end;
  }

  /** Where its line ends, or -1. */
  #readSeq(view: DataView, from: number): number {
    if (view.getUint8(from) !== 32) return -1;
    let value = 0;
    let at = from + 1;
    for (; at <= from + SEQ_DIGITS_MAX; at++) {
      const digit = view.getUint8(at) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === from + 1 || value > SEQ_MAX || view.getUint16(at) !== CRLF) return -1;
    this.seq = value;
    return at + 2;
  }
}

/** Where a line of such bytes ends, which has 1 to `charactersMax` of them; or -1. */
function endOf(view: DataView, from: number, kind: number, charactersMax: number): number {
  for (let at = from; at <= from + charactersMax; at++) {
    const byte = view.getUint8(at);
    if (((kindOfByte[byte] ?? 0) & kind) !== 0) continue;
    return byte === CR && at > from && view.getUint8(at + 1) === 10 ? at : -1;
  }
  return -1;
}

/** The 32 lower-case digits at `from` as four words; false where others stand there. */
function readHex(view: DataView, from: number, words: Uint32Array): boolean {
  let wrong = 0;
  for (let word = 0; word < 4; word++) {
    const high = view.getInt32(from + word * 8);
    const low = view.getInt32(from + word * 8 + 4);
    const value = (valueOf(high) << 16) | valueOf(low);
    words[word] = value;
    // Read back, what was none of the digits is another one.
    wrong |= digitsOf(value >>> 16) ^ high;
    wrong |= digitsOf(value & 0xffff) ^ low;
  }
  return wrong === 0;
}

/** Four digits as 16 bits. */
function valueOf(digits: number): number {
  // A letter has the bit 0x40, and is nine more than its low four bits.
  const nibbles = (digits & 0x0f0f0f0f) + ((digits >>> 6) & 0x01010101) * 9;
  const bytes = (nibbles | (nibbles >>> 4)) & 0x00ff00ff;
  return (bytes | (bytes >>> 8)) & 0xffff;
}

/** 16 bits as four digits. */
function digitsOf(value: number): number {
  const high = HEX_PAIRS[value >>> 8] ?? 0;
  const low = HEX_PAIRS[value & 0xff] ?? 0;
  // As they stand in the message: the low byte last.
  return ((high & 0xff) << 24) | ((high >>> 8) << 16) | ((low & 0xff) << 8) | (low >>> 8);
}
