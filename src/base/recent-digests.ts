/** As recent-map.ts, for keys that are digests and values that are small numbers: the garbage collector sees nothing of them. */

export interface RecentDigests {
  /** 0: it is not there, or no longer. */
  get(key: string): number;
  /** 1 to 255. */
  set(key: string, value: number): void;
}

/** What a key has at most, characters of ASCII. */
const KEY_BYTES_MAX = 24;
const WORDS = KEY_BYTES_MAX / 4;
/** Only who wants to gets so many keys to the same place: beyond them none is remembered. */
const PROBES_MAX = 64;

/** Holds at least the last `max` keys and at most twice as many. */
export function createRecentDigests(max: number): RecentDigests {
  // Two generations, as there.
  let younger: Table | null = null;
  let older: Table | null = null;
  return {
    get(key) {
      put(key);
      return (younger?.get() ?? 0) || (older?.get() ?? 0);
    },
    set(key, value) {
      put(key);
      if (younger === null || younger.count >= max) [older, younger] = [younger, new Table(max)];
      younger.set(value);
    },
  };
}

/** The key that is asked for. */
const bytes = Buffer.alloc(KEY_BYTES_MAX);
const words = new Uint32Array(bytes.buffer, bytes.byteOffset, WORDS);

function put(key: string): void {
  if (key.length > KEY_BYTES_MAX) throw new Error('no digest');
  // One store at a time: a call of fill() takes longer.
  for (let i = bytes.write(key, 'latin1'); i < KEY_BYTES_MAX; i++) bytes[i] = 0;
}

/** Open addressing, linear probing, at most half full. */
class Table {
  count = 0;
  readonly #mask: number;
  readonly #keys: Uint32Array;
  /** 0: the place is empty. */
  readonly #values: Uint8Array;

  constructor(max: number) {
    const size = 2 ** Math.ceil(Math.log2(2 * max));
    this.#mask = size - 1;
    this.#keys = new Uint32Array(size * WORDS);
    this.#values = new Uint8Array(size);
  }

  get(): number {
    return this.#values[this.#place()] ?? 0;
  }

  set(value: number): void {
    const place = this.#place();
    if (place < 0) return;
    if (this.#values[place] === 0) {
      this.count++;
      for (let i = 0; i < WORDS; i++) this.#keys[place * WORDS + i] = words[i] ?? 0;
    }
    this.#values[place] = value;
  }

  /** Where the key stands, or would stand; -1 where there is no place for it. */
  #place(): number {
    let place = 0;
    for (let i = 0; i < WORDS; i++) place = Math.imul(place ^ (words[i] ?? 0), 0x85ebca6b);
    place = (place ^ (place >>> 15)) & this.#mask;
    for (let probes = 0; probes < PROBES_MAX; place = (place + 1) & this.#mask, probes++) {
      if (this.#values[place] === 0 || this.#isAt(place)) return place;
    }
    return -1;
  }

  #isAt(place: number): boolean {
    for (let i = 0; i < WORDS; i++) if (this.#keys[place * WORDS + i] !== words[i]) return false;
    return true;
  }
}
