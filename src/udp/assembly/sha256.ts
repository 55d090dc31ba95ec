/** SHA-256 of whole blocks (RFC 6234 6.2), where OpenSSL's can't be called. */
import { BLOCK_BYTES, CONTEXT } from '../express-layout';

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
// prettier-ignore
const K = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const SCHEDULE = memory.data(256);

/** Takes the `length` bytes from `from` on into the state at CONTEXT. */
export function hashBlocks(from: i32, length: i32): void {
  for (let at = from; at < from + length; at += BLOCK_BYTES) hashBlock(at);
}

function hashBlock(at: i32): void {
  for (let t = 0; t < 16; t++) store<u32>(SCHEDULE + t * 4, bswap<u32>(load<u32>(at + t * 4)));
  for (let t = SCHEDULE + 64; t < SCHEDULE + 256; t += 4) {
    const x = load<u32>(t - 15 * 4);
    const y = load<u32>(t - 2 * 4);
    const low = rotr<u32>(x, 7) ^ rotr<u32>(x, 18) ^ (x >> 3);
    const high = rotr<u32>(y, 17) ^ rotr<u32>(y, 19) ^ (y >> 10);
    store<u32>(t, load<u32>(t - 16 * 4) + low + load<u32>(t - 7 * 4) + high);
  }
  let a = load<u32>(CONTEXT);
  let b = load<u32>(CONTEXT + 4);
  let c = load<u32>(CONTEXT + 8);
  let d = load<u32>(CONTEXT + 12);
  let e = load<u32>(CONTEXT + 16);
  let f = load<u32>(CONTEXT + 20);
  let g = load<u32>(CONTEXT + 24);
  let h = load<u32>(CONTEXT + 28);
  for (let t = 0; t < 256; t += 4) {
    const choice = (e & f) ^ (~e & g);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const high = rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25);
    const low = rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22);
    const first = h + high + choice + load<u32>(K + t) + load<u32>(SCHEDULE + t);
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + low + majority;
  }
  add(0, a);
  add(4, b);
  add(8, c);
  add(12, d);
  add(16, e);
  add(20, f);
  add(24, g);
  add(28, h);
}

function add(at: i32, word: u32): void {
  store<u32>(CONTEXT + at, load<u32>(CONTEXT + at) + word);
}
