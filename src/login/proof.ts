/** Login proof and message authentication (PROTOCOL.md section 1). H, proof and K are lower-case hex text. */
import { createHmac, hash } from 'node:crypto';
import { copyBytes, HEX_PAIRS, viewOn } from '../base/bytes.ts';
import { createHashRoom } from '../base/hashes.ts';

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
  const bytes = typeof key === 'string' ? Buffer.from(key, 'hex') : key;
  return `${cookie}.${hexOf(hmacOf(bytes, 0, HTTP, HTTP.length, HTTP.length))}`;
}
const HTTP = Buffer.from('http');

/**
 * The mac of a message: over its bytes before the line that holds `mac` (that is, up to `end`), and with a body, then
 * CRLF and the bytes from `bodyAt` on.
 * `key` is the 32 bytes behind K.
 */
export function macOf(key: Uint8Array, bytes: Uint8Array, end = bytes.length, bodyAt = bytes.length): string {
  if (key.length !== DIGEST_BYTES) throw new Error('a session key has 32 bytes');
  return hexOf(hmacOf(key, 0, bytes, end, bodyAt)).slice(0, MAC_CHARACTERS);
}

/** Where in a MacRoom a message begins: in front of it is room for the pad of the key. */
export const PAD_BYTES = BLOCK_BYTES;

/** Where messages are written whose macs are made in place. */
export interface MacRoom {
  readonly bytes: Buffer;
  /** The same. */
  readonly view: DataView;
  /** The macs from now on are made with the 32 bytes from `keyAt` on. */
  useKey(keys: Uint8Array, keyAt: number): void;
  /**
   * HMAC (RFC 2104) of the message from PAD_BYTES to `end`; what stands behind it may be overwritten. The 32 bytes, of
   * which the first 16 are the mac of a message, are good until the next call.
   */
  mac(end: number): DataView;
}

/** For messages of up to `size` bytes. */
export function createMacRoom(size: number): MacRoom {
  const inner = createHashRoom(BLOCK_BYTES + size);
  const outer = createHashRoom(BLOCK_BYTES + DIGEST_BYTES);
  return {
    bytes: inner.bytes,
    view: inner.view,
    useKey(keys, keyAt) {
      // As keys the characters of the hex text are used, not the bytes behind them.
      for (let i = 0; i < DIGEST_BYTES; i += 2) {
        const four = (HEX_PAIRS[keys[keyAt + i] ?? 0] ?? 0) | ((HEX_PAIRS[keys[keyAt + i + 1] ?? 0] ?? 0) << 16);
        inner.view.setInt32(i * 2, four ^ 0x36363636, true);
        outer.view.setInt32(i * 2, four ^ 0x5c5c5c5c, true);
      }
    },
    mac(end) {
      inner.sha256(0, end);
      copyBytes(outer.view, BLOCK_BYTES, inner.digest, 0, DIGEST_BYTES);
      outer.sha256(0, BLOCK_BYTES + DIGEST_BYTES);
      return outer.digest;
    },
  };
}

/**
 * Whether the 32 hex digits at `macAt` are the mac of the message, whose parts are told as for macOf: constant in time,
 * without regard to case.
 */
export function isMacAt(
  keys: Uint8Array,
  keyAt: number,
  bytes: Uint8Array,
  end: number,
  bodyAt: number,
  macAt: number,
): boolean {
  const mac = hmacOf(keys, keyAt, bytes, end, bodyAt);
  let difference = 0;
  for (let i = 0; i < MAC_CHARACTERS / 2; i++) {
    const at = macAt + i * 2;
    difference |= (HEX_PAIRS[mac.getUint8(i)] ?? 0) ^ ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8));
  }
  // Upper and lower case differ in bit 5, hex digits of different value in others too.
  return (difference & ~0x2020) === 0;
}

/** Over the bytes up to `end`, and where `bodyAt` is within them, over CRLF and those from there on. */
function hmacOf(keys: Uint8Array, keyAt: number, bytes: Uint8Array, end: number, bodyAt: number): DataView {
  const bodyLength = bytes.length - bodyAt;
  const length = bodyLength > 0 ? end + CRLF.length + bodyLength : end;
  if (length > SHORT_BYTES_MAX) return longHmac(keys.subarray(keyAt, keyAt + DIGEST_BYTES), bytes, end, bodyAt);
  room.bytes.set(bytes.length === end ? bytes : bytes.subarray(0, end), PAD_BYTES);
  if (bodyLength > 0) {
    room.bytes.set(CRLF, PAD_BYTES + end);
    room.bytes.set(bytes.subarray(bodyAt), PAD_BYTES + end + CRLF.length);
  }
  room.useKey(keys, keyAt);
  return room.mac(PAD_BYTES + length);
}

const CRLF = Buffer.from('\r\n');
/** Longer messages (a CONFIG) are rare. */
const SHORT_BYTES_MAX = 4_096;
const room = createMacRoom(SHORT_BYTES_MAX);

/** `key`: 64 lower-case hex characters. */
function hmacOfText(key: string, text: string): string {
  const bytes = Buffer.from(text);
  return hexOf(hmacOf(Buffer.from(key, 'hex'), 0, bytes, bytes.length, bytes.length));
}

function hexOf(digest: DataView): string {
  return Buffer.from(digest.buffer, digest.byteOffset, DIGEST_BYTES).toString('hex');
}

function longHmac(key: Uint8Array, bytes: Uint8Array, end: number, bodyAt: number): DataView {
  const hmac = createHmac('sha256', Buffer.from(key).toString('hex')).update(bytes.subarray(0, end));
  if (bodyAt < bytes.length) hmac.update(CRLF).update(bytes.subarray(bodyAt));
  return viewOn(hmac.digest());
}
