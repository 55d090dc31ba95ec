/** STUN Binding requests (RFC 8489), so that a client can learn its outer address on the same port. */
import { crc32 } from 'node:zlib';
import { ADDRESS_BYTES, writeAddress } from './address.ts';
import type { Address } from './model.ts';

const HEADER_BYTES = 20;
const MAGIC_COOKIE = 0x2112a442;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const BINDING_ERROR = 0x0111;
const ERROR_CODE = 0x0009;
const UNKNOWN_ATTRIBUTES = 0x000a;
const XOR_MAPPED_ADDRESS = 0x0020;
const FINGERPRINT = 0x8028;
/** XORed onto the CRC-32 (section 14.7). */
const FINGERPRINT_XOR = 0x5354554e;
const FINGERPRINT_BYTES = 8;
/** More are not listed, so that the answer stays short. */
const UNKNOWN_LISTED_MAX = 8;

/** Comprehension-required attributes of RFC 8489 itself; this server asks for no credentials and ignores their values. */
const UNDERSTOOD = new Set([
  ...[0x0001, 0x0006, 0x0008, ERROR_CODE, UNKNOWN_ATTRIBUTES, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e],
  XOR_MAPPED_ADDRESS,
]);

/** A cheap test: could this be STUN (section 5), and not text? */
export function isStun(bytes: Buffer): boolean {
  return bytes.length >= HEADER_BYTES && (bytes[0] ?? 255) < 64 && bytes.readUInt32BE(4) === MAGIC_COOKIE;
}

/**
 * The answer to a Binding request from `source`: success with XOR-MAPPED-ADDRESS, or error 420 where it holds a
 * comprehension-required attribute that RFC 8489 does not know (section 6.3.1). null for everything else.
 */
export function answerStun(request: Buffer, source: Address): Buffer | null {
  if (!isStun(request) || request.readUInt16BE(0) !== BINDING_REQUEST) return null;
  const length = request.readUInt16BE(2);
  if (length % 4 !== 0 || length + HEADER_BYTES !== request.length) return null;
  const found = readAttributes(request);
  if (found === null) return null;
  const attributes =
    found.unknown.length > 0
      ? [attribute(ERROR_CODE, UNKNOWN_ATTRIBUTE), attribute(UNKNOWN_ATTRIBUTES, words(found.unknown))]
      : [attribute(XOR_MAPPED_ADDRESS, xorAddress(source, request))];
  return response(request, found.unknown.length > 0 ? BINDING_ERROR : BINDING_SUCCESS, attributes, found.fingerprint);
}
/** Class 4, number 20, reason (section 14.8). */
const UNKNOWN_ATTRIBUTE = Buffer.from('\0\0\x04\x14Unknown Attribute', 'latin1');

/** null where an attribute runs over the end or the fingerprint is wrong. */
function readAttributes(request: Buffer): { unknown: number[]; fingerprint: boolean } | null {
  const unknown: number[] = [];
  for (let at = HEADER_BYTES; at < request.length;) {
    const type = request.readUInt16BE(at);
    const length = request.readUInt16BE(at + 2);
    const next = at + 4 + ((length + 3) & ~3);
    if (next > request.length) return null;
    if (type === FINGERPRINT) {
      // It is the last attribute, and covers all before it (section 14.7).
      if (length !== 4 || next !== request.length) return null;
      return request.readUInt32BE(at + 4) === fingerprintOf(request.subarray(0, at))
        ? { unknown, fingerprint: true }
        : null;
    }
    if (type < 0x8000 && !UNDERSTOOD.has(type) && unknown.length < UNKNOWN_LISTED_MAX) unknown.push(type);
    at = next;
  }
  return { unknown, fingerprint: false };
}

function fingerprintOf(bytes: Buffer): number {
  return (crc32(bytes) ^ FINGERPRINT_XOR) >>> 0;
}

function response(request: Buffer, type: number, attributes: readonly Buffer[], fingerprint: boolean): Buffer {
  const message = Buffer.concat([request.subarray(0, HEADER_BYTES), ...attributes]);
  message.writeUInt16BE(type, 0);
  message.writeUInt16BE(message.length - HEADER_BYTES + (fingerprint ? FINGERPRINT_BYTES : 0), 2);
  if (!fingerprint) return message;
  const value = Buffer.alloc(4);
  value.writeUInt32BE(fingerprintOf(message));
  return Buffer.concat([message, attribute(FINGERPRINT, value)]);
}

function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + ((value.length + 3) & ~3));
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(value.length, 2);
  bytes.set(value, 4);
  return bytes;
}

function words(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => bytes.writeUInt16BE(value, i * 2));
  return bytes;
}

/** Section 14.2: family, port and address, XORed with the cookie and (IPv6) the transaction id. */
function xorAddress(source: Address, request: Buffer): Buffer {
  const six = source.host.includes(':');
  const plain = Buffer.alloc(ADDRESS_BYTES);
  writeAddress(plain, 0, source);
  const host = plain.subarray(six ? 0 : 12, 16);
  const value = Buffer.alloc(4 + host.length);
  value[1] = six ? 2 : 1;
  value.writeUInt16BE(source.port ^ (MAGIC_COOKIE >>> 16), 2);
  // Cookie and transaction id stand one behind the other in the header.
  host.forEach((byte, i) => (value[4 + i] = byte ^ (request[4 + i] ?? 0)));
  return value;
}
