/** Login proof and message authentication (PROTOCOL.md section 1). H, proof and K are lower-case hex text. */
import { createHmac, hash } from 'node:crypto';

export { equalSecrets } from '../directory/passwords.ts';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
export const MAC_CHARACTERS = 32;

/** H: the HA1 of RFC 7616 for SHA-256. */
export function verifierOf(uid: string, realm: string, password: string): string {
  return hash('sha256', `${uid}:${realm}:${password}`, 'hex');
}

export function proofOf(verifier: string, nonce: string, cnonce: string, uid: string): string {
  return hmacOfText(verifier, `${nonce}:${cnonce}:${uid}`);
}

/** K of a datagram login. */
export function sessionKey(verifier: string, nonce: string, cnonce: string): string {
  return hmacOfText(verifier, `session:${nonce}:${cnonce}`);
}

/** What stands after `Bearer`; `key` is K as text or the 32 bytes behind it. */
export function httpToken(cookie: string, key: string | Uint8Array): string {
  return `${cookie}.${hmacOf(typeof key === 'string' ? Buffer.from(key, 'hex') : key, HTTP, HTTP.length)}`;
}
const HTTP = Buffer.from('http');

/**
 * The mac of a message: over its bytes before the line that holds `mac` (that is, up to `end`), and with a body, then
 * CRLF and the body.
 * `key` is the 32 bytes behind K.
 */
export function macOf(key: Uint8Array, bytes: Uint8Array, end = bytes.length, body?: Uint8Array): string {
  return hmacOf(key, bytes, end, body).slice(0, MAC_CHARACTERS);
}

/**
 * HMAC (RFC 2104) made of two one-shot hashes over buffers that stay: 1.5 µs, where createHmac takes 2.4, twice a
 * heartbeat and once a request over HTTP.
 */
function hmacOf(key: Uint8Array, bytes: Uint8Array, end: number, body?: Uint8Array): string {
  if (key.length !== DIGEST_BYTES) throw new Error('a session key has 32 bytes');
  const length = body === undefined ? end : end + CRLF.length + body.length;
  if (length > SHORT_BYTES_MAX) return longHmac(key, bytes.subarray(0, end), body);
  // As keys the characters of the hex text are used, not the bytes behind them.
  for (let i = 0; i < DIGEST_BYTES; i++) {
    const pair = HEX_PAIRS[key[i] ?? 0] ?? 0;
    innerPads[i] = pair ^ 0x3636;
    outerPads[i] = pair ^ 0x5c5c;
  }
  inner.set(end === bytes.length ? bytes : bytes.subarray(0, end), BLOCK_BYTES);
  if (body !== undefined) {
    inner.set(CRLF, BLOCK_BYTES + end);
    inner.set(body, BLOCK_BYTES + end + CRLF.length);
  }
  const digest = hash('sha256', inner.subarray(0, BLOCK_BYTES + length), 'binary');
  outer.write(digest, BLOCK_BYTES, DIGEST_BYTES, 'latin1');
  return hash('sha256', outer, 'hex');
}

/** Constant in time: two macs, 32 hex characters each, without regard to case. */
export function equalMacs(a: string, b: string): boolean {
  if (a.length !== MAC_CHARACTERS || b.length !== MAC_CHARACTERS) return false;
  let difference = 0;
  // Upper and lower case differ in bit 5, hex digits of different value in others too.
  for (let i = 0; i < MAC_CHARACTERS; i++) difference |= (a.charCodeAt(i) ^ b.charCodeAt(i)) & ~0x20;
  return difference === 0;
}

const CRLF = Buffer.from('\r\n');
/** Longer messages (a CONFIG) are rare. */
const SHORT_BYTES_MAX = 4_096;
const inner = Buffer.alloc(BLOCK_BYTES + SHORT_BYTES_MAX);
const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);
/** The pads of the key, two characters at a time. */
const innerPads = new Uint16Array(inner.buffer, inner.byteOffset, DIGEST_BYTES);
const outerPads = new Uint16Array(outer.buffer, outer.byteOffset, DIGEST_BYTES);
/** The two hex characters of each byte as they lie in memory. */
const HEX_PAIRS = Uint16Array.from({ length: 256 }, (_, byte) => {
  const pair = Buffer.from(byte.toString(16).padStart(2, '0'));
  return new Uint16Array(pair.buffer.slice(pair.byteOffset, pair.byteOffset + 2))[0] ?? 0;
});

/** `key`: 64 lower-case hex characters. */
function hmacOfText(key: string, text: string): string {
  const bytes = Buffer.from(text);
  return hmacOf(Buffer.from(key, 'hex'), bytes, bytes.length);
}

function longHmac(key: Uint8Array, head: Uint8Array, body: Uint8Array | undefined): string {
  const hmac = createHmac('sha256', Buffer.from(key).toString('hex')).update(head);
  if (body !== undefined) hmac.update(CRLF).update(body);
  return hmac.digest('hex');
}
