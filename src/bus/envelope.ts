/**
 * What a message between nodes looks like: a MAC with the cluster key, a space, and JSON. The MAC covers the subject
 * too (and in an answer the request's nonce), so that a message says the same thing nowhere else.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface Envelope {
  /** Name of the node that sent it. */
  readonly from: string;
  /** Differs between two nodes of one name, and between two runs of one node. */
  readonly run: string;
  /** The sender's clock, epoch milliseconds. */
  readonly at: number;
  /** 16 random bytes as hex: no two messages are equal. */
  readonly nonce: string;
  readonly kind: string;
  readonly body: unknown;
}

/** Longer messages are neither sent nor read. */
export const MESSAGE_BYTES_MAX = 64 * 1024;
const MAC_CHARACTERS = 43;

/** `context`: the subject, or for an answer the nonce of its request. */
export function seal(key: string, context: string, envelope: Envelope): Buffer {
  const json = JSON.stringify(envelope);
  return Buffer.from(`${macOf(key, context, json)} ${json}`);
}

/** null: not made with this key for this context, or nothing that this program could have made. */
export function unseal(key: string, context: string, bytes: Uint8Array): Envelope | null {
  if (bytes.length > MESSAGE_BYTES_MAX) return null;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const json = text.slice(MAC_CHARACTERS + 1);
  const given = Buffer.from(text.slice(0, MAC_CHARACTERS));
  const expected = Buffer.from(macOf(key, context, json));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  return JSON.parse(json) as Envelope;
}

/** Names the cluster in subjects without giving its key away. */
export function clusterId(key: string): string {
  return createHmac('sha256', key).update('bus id').digest('hex').slice(0, 16);
}

function macOf(key: string, context: string, json: string): string {
  // The prefix keeps messages apart from all else that is made with the cluster key.
  return createHmac('sha256', key).update(`bus:${context}\n`).update(json).digest('base64url');
}
