/** Answers that a source gets at most once a second, whatever it sends. */
import type { Address } from '../base/model.ts';

const PERIOD_MS = 1_000;

/**
 * Answers whether this source (ip:port) may have another one now. A table of fixed size: of two sources at the same
 * place the later one counts. `places`: a power of two; `seed`: random 32 bits, so that nobody can aim at a place.
 */
export function createOnceASecond(places: number, seed: number): (source: Address, nowMs: number) => boolean {
  const tags = new Uint32Array(places);
  const lastMs = new Float64Array(places).fill(-Infinity);
  return ({ host, port }, nowMs) => {
    let hash = seed ^ port;
    for (let i = 0; i < host.length; i++) hash = Math.imul(hash ^ host.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ port ^ (hash >>> 15), 0x85ebca6b);
    const tag = (hash ^ (hash >>> 13)) >>> 0;
    const place = tag & (places - 1);
    const sinceMs = nowMs - (lastMs[place] ?? 0);
    if (tags[place] === tag && sinceMs >= 0 && sinceMs < PERIOD_MS) return false;
    tags[place] = tag;
    lastMs[place] = nowMs;
    return true;
  };
}
