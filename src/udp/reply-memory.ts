/**
 * The replies to signed requests of the last 32 s, so that a repeated request gets the same reply again and nothing
 * is executed twice (PROTOCOL.md, "repeat").
 *
 * A log of bytes in chunks, and chains through it of the replies whose macs begin alike, the youngest first. The log grows while its oldest chunk
 * still holds young replies, up to a bound; then the oldest chunk is overwritten. What was lost is safe: the replay
 * window refuses the repeated request silently.
 */
import { ADDRESS_BYTES, readAddress } from '../base/address.ts';
import type { Address } from '../base/model.ts';
import { columnOf } from '../heartbeat/columns.ts';

/** Seconds for which a reply is remembered. */
const REPEAT_S = 32;
/** Of a session's last requests so many are repeated. */
const REPEAT_REQUESTS = 4;
/** Longer replies are made anew. */
const REMEMBERED_BYTES_MAX = 1_200;

export interface ReplyMemory {
  /**
   * `mac`: of the request, as four words; `session`: its row; `request`: which of the session's signed requests this
   * was. null, and a reply of more than 1,200 bytes: to be made anew.
   */
  remember(mac: Uint32Array, session: number, request: number, nowS: number, reply: Uint8Array | null): void;
  /** The same of an Ok that told the address which stands at `from` in `addresses`, in the form of writeAddress(). */
  rememberOk(
    mac: Uint32Array,
    session: number,
    request: number,
    nowS: number,
    addresses: Uint8Array,
    from: number,
  ): void;
  /**
   * `lastRequest`: number of the session's last signed request. The reply is a view, good until the next remember(); of an
   * Ok the address that it told, of which and of the request it is made again; `make anew`: a repeat, but its reply was not
   * kept; null: no repeat.
   */
  find(mac: Uint32Array, session: number, lastRequest: number, nowS: number): Buffer | Address | 'make anew' | null;
  /**
   * Fetches from memory where the replies to the first `count` of these requests will be noted, whose macs begin with these
   * words. What it answers says nothing, as in SessionRows.lookAhead().
   */
  lookAhead(firstWords: Uint32Array, count: number): number;
}

/**
 * An entry: mac (4 words), session, request, second, length of the reply + 1 (0: to be made anew, OK: an address follows),
 * the next older entry of its chain (2 words, as in the table of chains); then the reply. With an address it is as long as
 * a line of the processor's cache: nearly all replies are such, and of a million users they are written far away.
 */
const HEAD_WORDS = 10;
const LENGTH = 7;
const OK = 0xffffffff;
const OK_WORDS = 16;
const OLDER = 8;
const CHUNK_BYTES = 1024 * 1024;
const CHUNK_WORDS = CHUNK_BYTES / 4;
/** Of the log there is a chain for as many bytes, of which one is looked for no further than this. */
const BYTES_A_CHAIN = 128;
const STEPS_MAX = 32;

interface Chunk {
  readonly index: number;
  readonly words: Uint32Array;
  readonly bytes: Buffer;
  /** Rises with every use of any chunk: tells a place in this use from one in an earlier use. */
  use: number;
  filledWords: number;
  /** Second of its youngest entry. */
  youngestS: number;
}

/** `bytesMax`: bound of the log, in steps of 1 MiB and at least one; the chains take a sixteenth of it in addition. */
export function createReplyMemory(bytesMax: number): ReplyMemory {
  const log = createLog(Math.max(1, Math.floor(bytesMax / CHUNK_BYTES)));
  /** Of each chain its youngest entry: chunk × CHUNK_WORDS + word, and the use of that chunk (0: there is none). */
  const chainsMax = 2 ** Math.ceil(Math.log2(Math.max(bytesMax, CHUNK_BYTES) / BYTES_A_CHAIN));
  const chains = columnOf(Uint32Array, 2 * chainsMax);
  const chainOf = (firstWord: number): number => (firstWord << 1) & (chains.length - 1);

  /** Begins an entry of so many words in all; where in `log.chunk`. */
  const begin = (mac: Uint32Array, session: number, request: number, nowS: number, wordsNeeded: number): number => {
    const chunk = log.room(wordsNeeded, nowS);
    const at = chunk.filledWords;
    const { words } = chunk;
    words[at] = mac[0] ?? 0;
    words[at + 1] = mac[1] ?? 0;
    words[at + 2] = mac[2] ?? 0;
    words[at + 3] = mac[3] ?? 0;
    words[at + 4] = session;
    words[at + 5] = request;
    words[at + 6] = nowS;
    chunk.filledWords = at + wordsNeeded;
    chunk.youngestS = nowS;

    const chain = chainOf(mac[0] ?? 0);
    words[at + OLDER] = chains[chain] ?? 0;
    words[at + OLDER + 1] = chains[chain + 1] ?? 0;
    chains[chain] = chunk.index * CHUNK_WORDS + at;
    chains[chain + 1] = chunk.use;
    return at;
  };

  return {
    remember(mac, session, request, nowS, reply) {
      const kept = reply !== null && reply.length <= REMEMBERED_BYTES_MAX ? reply : null;
      const at = begin(mac, session, request, nowS, HEAD_WORDS + Math.ceil((kept?.length ?? 0) / 4));
      const { words, bytes } = log.chunk;
      words[at + LENGTH] = kept === null ? 0 : kept.length + 1;
      if (kept !== null) bytes.set(kept, (at + HEAD_WORDS) * 4);
    },
    rememberOk(mac, session, request, nowS, addresses, from) {
      const at = begin(mac, session, request, nowS, OK_WORDS);
      const { words, bytes } = log.chunk;
      words[at + LENGTH] = OK;
      const to = (at + HEAD_WORDS) * 4;
      for (let i = 0; i < ADDRESS_BYTES; i++) bytes[to + i] = addresses[from + i] ?? 0;
    },
    find(mac, session, lastRequest, nowS) {
      const chain = chainOf(mac[0] ?? 0);
      let place = chains[chain] ?? 0;
      let use = chains[chain + 1] ?? 0;
      for (let step = 0; step < STEPS_MAX; step++) {
        const chunk = log.chunks[Math.floor(place / CHUNK_WORDS)];
        // Overwritten since, and so was whatever is older.
        if (chunk?.use !== use) return null;
        const { words } = chunk;
        const at = place % CHUNK_WORDS;
        place = words[at + OLDER] ?? 0;
        use = words[at + OLDER + 1] ?? 0;
        if (words[at] !== mac[0] || words[at + 1] !== mac[1] || words[at + 2] !== mac[2] || words[at + 3] !== mac[3]) {
          continue;
        }
        if (words[at + 4] !== session || lastRequest - (words[at + 5] ?? 0) >= REPEAT_REQUESTS) continue;
        if (nowS - (words[at + 6] ?? 0) > REPEAT_S) continue;
        const from = (at + HEAD_WORDS) * 4;
        if (words[at + LENGTH] === OK) return readAddress(chunk.bytes, from) ?? 'make anew';
        const length = (words[at + LENGTH] ?? 0) - 1;
        return length < 0 ? 'make anew' : chunk.bytes.subarray(from, from + length);
      }
      return null;
    },
    lookAhead(firstWords, count) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum ^= chains[chainOf(firstWords[i] ?? 0)] ?? 0;
      return sum;
    },
  };
}

interface ReplyLog {
  readonly chunks: readonly Chunk[];
  /** The one that room() gave last. */
  readonly chunk: Chunk;
  /** The chunk that the next entry goes into. */
  room(words: number, nowS: number): Chunk;
}

function createLog(chunksMax: number): ReplyLog {
  const chunks: Chunk[] = [];
  // Full from the beginning: the first entry makes one.
  let current: Chunk = {
    ...{ index: 0, words: new Uint32Array(0), bytes: Buffer.alloc(0), use: 0 },
    ...{ filledWords: CHUNK_WORDS, youngestS: 0 },
  };
  let lastUse = 0;
  return {
    chunks,
    get chunk() {
      return current;
    },
    room(words, nowS) {
      if (current.filledWords + words <= CHUNK_WORDS) return current;
      let next = chunks.reduce<Chunk | undefined>(
        (old, chunk) => (old && old.use < chunk.use ? old : chunk),
        undefined,
      );
      if (next === undefined || (chunks.length < chunksMax && nowS - next.youngestS <= REPEAT_S)) {
        const memory = columnOf(Uint32Array, CHUNK_WORDS);
        next = {
          index: chunks.length,
          words: memory,
          bytes: Buffer.from(memory.buffer, memory.byteOffset, CHUNK_BYTES),
          use: 0,
          filledWords: 0,
          youngestS: nowS,
        };
        chunks.push(next);
      }
      next.use = ++lastUse;
      next.filledWords = 0;
      current = next;
      return next;
    },
  };
}
