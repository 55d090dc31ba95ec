/**
 * Requests and failed logins a source: an IPv4 address, or an IPv6 /64, which is what one site is given.
 *
 * A token bucket kept as one number, the time at which it is full again (the generic cell rate algorithm). The table
 * has a fixed size: a source may stand in one of 8 places, and the fullest bucket of these makes room for a new one.
 */

export interface RateLimit {
  /** Seconds to wait, 0 where this request may go on; then a token is spent. */
  take(host: string, nowMs: number): number;
  /** The same without spending a token. */
  wait(host: string, nowMs: number): number;
}

export interface RateLimitOptions {
  /** Tokens that come back in `periodMs`; 0 = no limit. */
  readonly tokens: number;
  readonly periodMs: number;
  /** Tokens in a full bucket: what may come at once. At least 1. */
  readonly burst: number;
  /** Buckets to keep; rounded up to a power of two. */
  readonly sourcesMax: number;
  /** Random 32 bits, so that nobody can aim at the places of another source. */
  readonly seed: number;
}

const WAYS = 8;
/** Stands for the upper half of an IPv4 source: no unicast IPv6 prefix begins so. */
const IPV4 = 0xffffffff;

const UNLIMITED: RateLimit = { take: () => 0, wait: () => 0 };

export function createRateLimit(options: RateLimitOptions): RateLimit {
  if (options.tokens === 0) return UNLIMITED;
  const sets = 2 ** Math.ceil(Math.log2(Math.max(options.sourcesMax / WAYS, 1)));
  const upper = new Uint32Array(sets * WAYS);
  const lower = new Uint32Array(sets * WAYS);
  /** When the bucket is full again, ms; 0 where the place was never taken. */
  const fullAtMs = new Float64Array(sets * WAYS);
  const tokenMs = options.periodMs / options.tokens;
  // Half a token's grace: sums of fractions must not refuse what is allowed.
  const toleranceMs = (options.burst - 0.5) * tokenMs;

  const place = (a: number, b: number): number => {
    const first = (mix(a, b, options.seed) & (sets - 1)) * WAYS;
    let victim = first;
    for (let at = first; at < first + WAYS; at++) {
      if (upper[at] === a && lower[at] === b) return at;
      if ((fullAtMs[at] ?? 0) < (fullAtMs[victim] ?? 0)) victim = at;
    }
    upper[victim] = a;
    lower[victim] = b;
    fullAtMs[victim] = 0;
    return victim;
  };

  const ask = (host: string, nowMs: number, spend: boolean): number => {
    readSource(host);
    const at = place(source.upper, source.lower);
    const from = Math.max(fullAtMs[at] ?? 0, nowMs);
    const excessMs = from - nowMs - toleranceMs;
    if (excessMs > 0) return Math.max(1, Math.ceil(excessMs / 1000));
    if (spend) fullAtMs[at] = from + tokenMs;
    return 0;
  };
  return { take: (host, nowMs) => ask(host, nowMs, true), wait: (host, nowMs) => ask(host, nowMs, false) };
}

function mix(a: number, b: number, seed: number): number {
  let hash = Math.imul(a ^ seed, 0x9e3779b1) ^ Math.imul(b ^ (seed >>> 16) ^ (seed << 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** The source last read: a scratch object, so that a request of a known source allocates nothing. Mostly it is the one before. */
const source = { host: '', upper: 0, lower: 0 };
const groups = new Uint16Array(8);

/** `host`: numeric, as canonicalHost() spells it. */
function readSource(host: string): void {
  if (host === source.host) return;
  source.host = host;
  if (!host.includes(':')) {
    source.upper = IPV4;
    source.lower = readIPv4(host);
    return;
  }
  // The first four groups count. `::` stands for zeros: groups behind it move to the end when their number is known.
  groups.fill(0);
  let count = 0;
  let gapAt = -1;
  let value = 0;
  for (let i = 0; i <= host.length; i++) {
    const code = i < host.length ? host.charCodeAt(i) : COLON;
    if (code !== COLON) value = (value << 4) | ((code & 15) + (code > 57 ? 9 : 0));
    else if (i > 0 && host.charCodeAt(i - 1) !== COLON) {
      if (count < 8) groups[count++] = value;
      // A dotted tail fills two groups; both are in the lower half, which does not count.
      if (i === host.length && host.includes('.') && count < 8) count++;
      value = 0;
    } else if (gapAt < 0 && i > 0 && i < host.length) gapAt = count;
  }
  if (gapAt >= 0) groups.copyWithin(8 - (count - gapAt), gapAt, count).fill(0, gapAt, 8 - (count - gapAt));
  source.upper = (((groups[0] ?? 0) << 16) | (groups[1] ?? 0)) >>> 0;
  source.lower = (((groups[2] ?? 0) << 16) | (groups[3] ?? 0)) >>> 0;
}
const COLON = 58;

function readIPv4(host: string): number {
  let address = 0;
  let byte = 0;
  for (let i = 0; i < host.length; i++) {
    const code = host.charCodeAt(i);
    if (code === 46) {
      address = (address << 8) | byte;
      byte = 0;
    } else byte = byte * 10 + code - 48;
  }
  return ((address << 8) | byte) >>> 0;
}
