import type { Random } from '../../src/base/ports.ts';

/** A small generator (mulberry32), so that a failure can be run again by its seed: numbers from 0 below what is said. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** The port, so that keys, nonces and cookies too are the same at each run. */
export function seededRandom(seed: number): Random {
  const next = randomOf(seed);
  return { bytes: (length) => Buffer.from(Array.from({ length }, () => next(256))) };
}

/** One to three changes: a byte, a bit, a cut, a piece put in or left out, the end doubled. */
export function mutated(bytes: Buffer, pieces: readonly Buffer[], random: (below: number) => number): Buffer {
  let out = Buffer.from(bytes);
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(out.length + 1);
    const piece = pieces[random(pieces.length)] ?? Buffer.alloc(0);
    switch (random(6)) {
      case 0:
        if (out.length > 0) out[at % out.length] = random(256);
        break;
      case 1:
        out = out.subarray(0, at);
        break;
      case 2:
        out = Buffer.concat([out.subarray(0, at), piece, out.subarray(at)]);
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + random(20))]);
        break;
      case 4:
        out = Buffer.concat([out, out.subarray(at)]);
        break;
      default:
        if (out.length > 0) out[at % out.length] = (out[at % out.length] ?? 0) ^ (1 << random(8));
    }
  }
  return out;
}
