/**
 * The last answers to requests, for those that come again (RFC 3261 17.2.2, timer J). Of a transaction that is done
 * nothing else is left: objects that only wait for half a minute keep the garbage collector busy.
 */
import { ADDRESS_BYTES, readAddress, writeAddress } from '../base/address.ts';
import { copyBytes, equalBytes, viewOn } from '../base/bytes.ts';
import type { Address } from '../base/model.ts';
import { RequestKey } from './request-key.ts';

export interface KeptLimits {
  /** At least the last so many are kept, and at most twice as many. */
  readonly count: number;
  /** Of all that is kept of them, the same. */
  readonly bytes: number;
}

export interface KeptAnswers {
  /** What is kept under this key; null where nothing is, or no longer. */
  find(key: RequestKey): KeptAnswer | null;
  /**
   * Keeps the answer, which goes to this numeric address, instead of what was kept under this key. Until it is sent()
   * the request counts as one that is being worked on.
   */
  add(key: RequestKey, answer: Uint8Array, to: Address): KeptAnswer;
  /** Another answer than the one that was made beforehand. */
  replace(kept: KeptAnswer, answer: Uint8Array): KeptAnswer;
  isEmpty(): boolean;
  clear(): void;
}

/** `keptMs`: so long, or shorter where there are too many. */
export function createKeptAnswers(nowMs: () => number, keptMs: number, limits: KeptLimits): KeptAnswers {
  // Two generations: what is old goes all at once.
  let younger: Generation | null = null;
  let older: Generation | null = null;
  const copied = new RequestKey();

  const add = (key: RequestKey, answer: Uint8Array, to: Address): KeptAnswer => {
    const now = nowMs();
    if (younger === null || now - younger.startedMs >= keptMs || !younger.hasRoom(key, answer)) {
      [older, younger] = [younger, new Generation(limits, now, younger?.bytes.length ?? FIRST_BYTES)];
    }
    return new KeptAnswer(younger, younger.add(key, answer, to, now));
  };
  return {
    find(key) {
      const kept = younger?.find(key) ?? older?.find(key);
      return kept === undefined || nowMs() - kept.sinceMs >= keptMs ? null : kept;
    },
    add,
    replace(kept, answer) {
      kept.copyKey(copied);
      return add(copied, answer, kept.to);
    },
    isEmpty: () => younger === null,
    clear() {
      younger = older = null;
    },
  };
}

/** Of an entry: its hash, how long its key and its answer are, whether that was sent, since when it is kept, and where it goes. */
const HASH = 0;
const KEY_LENGTH = 4;
const SENT = 6;
const ANSWER_LENGTH = 8;
const SINCE = 12;
const TO = 20;
/** Then the key and the answer. */
const KEY = TO + ADDRESS_BYTES;

/** Good as long as anybody holds it, also when it is forgotten here. */
export class KeptAnswer {
  readonly #from: Generation;
  readonly #at: number;

  constructor(generation: Generation, at: number) {
    this.#from = generation;
    this.#at = at;
  }

  get isSent(): boolean {
    return this.#from.view.getUint8(this.#at + SENT) !== 0;
  }

  /** Whoever asks again gets it again. */
  sent(): void {
    this.#from.view.setUint8(this.#at + SENT, 1);
  }

  get sinceMs(): number {
    return this.#from.view.getFloat64(this.#at + SINCE);
  }

  get bytes(): Buffer {
    const { bytes, view } = this.#from;
    const at = this.#at + KEY + view.getUint16(this.#at + KEY_LENGTH);
    return bytes.subarray(at, at + view.getUint32(this.#at + ANSWER_LENGTH));
  }

  get to(): Address {
    const to = readAddress(this.#from.bytes, this.#at + TO);
    if (to === null) throw new Error('an answer is kept that goes nowhere');
    return to;
  }

  copyKey(to: RequestKey): void {
    const { view } = this.#from;
    const at = this.#at + KEY;
    to.length = copyBytes(to.view, 0, view, at, at + view.getUint16(this.#at + KEY_LENGTH));
  }
}

const FIRST_BYTES = 64 * 1024;
/** Only who wants to gets so many keys of one hash: beyond them none is kept. */
const PROBES_MAX = 64;

/** Entries one behind the other, found by the hash of their keys. */
class Generation {
  readonly startedMs: number;
  bytes: Buffer;
  view: DataView;
  readonly #limits: KeptLimits;
  /** Where the entries begin, + 1; at most half full. */
  readonly #places: Int32Array;
  #used = 0;
  #count = 0;

  constructor(limits: KeptLimits, startedMs: number, firstBytes: number) {
    this.#limits = limits;
    this.startedMs = startedMs;
    this.#places = new Int32Array(2 ** Math.ceil(Math.log2(2 * limits.count)));
    this.bytes = Buffer.allocUnsafeSlow(firstBytes);
    this.view = viewOn(this.bytes);
  }

  hasRoom(key: RequestKey, answer: Uint8Array): boolean {
    const length = KEY + key.length + answer.length;
    return this.#count < this.#limits.count && (this.#count === 0 || this.#used + length <= this.#limits.bytes);
  }

  find(key: RequestKey): KeptAnswer | undefined {
    const at = (this.#places[this.#placeOf(key, hashOf(key))] ?? 0) - 1;
    return at < 0 ? undefined : new KeptAnswer(this, at);
  }

  /** Where the entry begins. */
  add(key: RequestKey, answer: Uint8Array, to: Address, nowMs: number): number {
    const at = this.#used;
    const keyEnd = at + KEY + key.length;
    const end = keyEnd + answer.length;
    if (end > this.bytes.length) this.#grow(end);
    const { bytes, view } = this;
    const hash = hashOf(key);
    view.setUint32(at + HASH, hash);
    view.setUint16(at + KEY_LENGTH, key.length);
    view.setUint8(at + SENT, 0);
    view.setUint32(at + ANSWER_LENGTH, answer.length);
    view.setFloat64(at + SINCE, nowMs);
    writeAddress(bytes, at + TO, to);
    copyBytes(view, at + KEY, key.view, 0, key.length);
    bytes.set(answer, keyEnd);
    this.#used = end;
    this.#count++;
    const place = this.#placeOf(key, hash);
    if (place >= 0) this.#places[place] = at + 1;
    return at;
  }

  /** Where the key stands, or would stand; -1 where there is no place for it. */
  #placeOf(key: RequestKey, hash: number): number {
    const mask = this.#places.length - 1;
    for (let place = hash & mask, probes = 0; probes < PROBES_MAX; place = (place + 1) & mask, probes++) {
      const at = (this.#places[place] ?? 0) - 1;
      if (at < 0 || (this.view.getUint32(at + HASH) === hash && this.#isKey(at, key))) return place;
    }
    return -1;
  }

  #isKey(at: number, key: RequestKey): boolean {
    const keyAt = at + KEY;
    const keyEnd = keyAt + this.view.getUint16(at + KEY_LENGTH);
    return equalBytes(this.view, keyAt, keyEnd, key.view, 0, key.length);
  }

  #grow(length: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.max(length, Math.min(2 * this.bytes.length, this.#limits.bytes)));
    bytes.set(this.bytes.subarray(0, this.#used));
    this.bytes = bytes;
    this.view = viewOn(bytes);
  }
}

/** FNV-1a, mixed: its low bits choose the place. */
function hashOf({ view, length }: RequestKey): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ view.getUint8(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3ce5);
  return (hash ^ (hash >>> 13)) >>> 0;
}
