/**
 * Tickets (PROTOCOL.md, "Tickets"): what one server tells the next about a client that it sends there, under the
 * cluster key. A ticket never replaces the proof of a login.
 *
 * 150 bytes as 200 characters of base64url: version and purpose, hops, expiry, the hashes of target, server and issuer,
 * the asker, mac. A uid of up to 64 characters may have 256 bytes: one of more than 96 is there as its hash.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { HOPS_MAX } from './admission.ts';

export const TICKET_VALID_S = 60;
const TICKET_CHARACTERS_MAX = 200;

/** `call`: from node to node only, so that no ticket that a client was given makes him a caller who is vouched for. */
export type TicketPurpose = 'login' | 'locate' | 'call';

/** Who was sent here. */
export type Asker =
  | { readonly kind: 'uid'; readonly uid: string }
  /** A long uid: its SHA-256, first 16 bytes. */
  | { readonly kind: 'hash'; readonly hash: Buffer };

export interface NewTicket {
  readonly purpose: TicketPurpose;
  readonly asker: string;
  /** The uid that is looked for, or that logs in. */
  readonly target: string;
  /** Name of the server that it is for. */
  readonly server: string;
  /** Name of the server that gives it out. */
  readonly issuer: string;
  /** How often the client was sent on, this time included: 1 to 3. */
  readonly hops: number;
}

export interface ExpectedTicket {
  readonly purpose: TicketPurpose;
  /** This server's name. */
  readonly server: string;
  /** null: any (a request for the server list has none). */
  readonly target: string | null;
}

export type TicketCheck =
  | {
      readonly outcome: 'good';
      readonly asker: Asker;
      readonly hops: number;
      /** Whether the server of this name gave it out: a login is never sent back there. */
      readonly isFrom: (server: string) => boolean;
    }
  | { readonly outcome: 'forged' | 'expired' | 'misused' };

const TARGET_AT = 6;
const SERVER_AT = TARGET_AT + 12;
const ISSUER_AT = SERVER_AT + 12;
const ASKER_AT = ISSUER_AT + 8;
const MAC_BYTES = 16;
const ASKER_BYTES_MAX = 150 - ASKER_AT - MAC_BYTES;
const ASKER_HASH_BYTES = 16;

/** By purpose; the second byte says that the asker is there as a hash. A change of the layout takes new numbers. */
const KINDS = { login: [5, 6], locate: [7, 8], call: [9, 10] } as const;

/** Throws a RangeError where `hops` is none of 1 to 3: whoever asks must stop before. */
export function issueTicket(key: string, ticket: NewTicket, nowMs: number): string {
  if (!Number.isInteger(ticket.hops) || ticket.hops < 1 || ticket.hops > HOPS_MAX) {
    throw new RangeError(`no ticket for hop ${ticket.hops}`);
  }
  const uid = Buffer.from(ticket.asker);
  const readable = uid.length <= ASKER_BYTES_MAX;
  const head = Buffer.alloc(ASKER_AT);
  head[0] = KINDS[ticket.purpose][readable ? 0 : 1];
  head[1] = ticket.hops;
  head.writeUInt32BE(Math.floor(nowMs / 1000) + TICKET_VALID_S, 2);
  head.set(hashOf(ticket.target, 12), TARGET_AT);
  head.set(hashOf(ticket.server, 12), SERVER_AT);
  head.set(hashOf(ticket.issuer, 8), ISSUER_AT);
  const signed = Buffer.concat([head, readable ? uid : hashOf(ticket.asker, ASKER_HASH_BYTES)]);
  return Buffer.concat([signed, macOf(key, signed)]).toString('base64url');
}

/** `misused`: genuine, but for another purpose, server or target. */
export function checkTicket(key: string, text: string, expected: ExpectedTicket, nowMs: number): TicketCheck {
  if (text.length > TICKET_CHARACTERS_MAX) return { outcome: 'forged' };
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length < ASKER_AT + 1 + MAC_BYTES) return { outcome: 'forged' };
  const signed = bytes.subarray(0, bytes.length - MAC_BYTES);
  if (!timingSafeEqual(bytes.subarray(signed.length), macOf(key, signed))) return { outcome: 'forged' };
  if (signed.readUInt32BE(2) * 1000 < nowMs) return { outcome: 'expired' };
  const [readable, hashed] = KINDS[expected.purpose];
  if (
    (signed[0] !== readable && signed[0] !== hashed) ||
    !hashOf(expected.server, 12).equals(signed.subarray(SERVER_AT, ISSUER_AT)) ||
    (expected.target !== null && !hashOf(expected.target, 12).equals(signed.subarray(TARGET_AT, SERVER_AT)))
  ) {
    return { outcome: 'misused' };
  }
  const asker = signed.subarray(ASKER_AT);
  return {
    outcome: 'good',
    asker: signed[0] === readable ? { kind: 'uid', uid: asker.toString('utf8') } : { kind: 'hash', hash: asker },
    hops: signed[1] ?? HOPS_MAX,
    isFrom: (server) => hashOf(server, 8).equals(signed.subarray(ISSUER_AT, ASKER_AT)),
  };
}

/** What the ticket of a login says of its way here. One that is not good is no ticket: the proof decides. */
export function sentOn(
  key: string,
  text: string | null,
  expected: { readonly server: string; readonly uid: string },
  nowMs: number,
): { readonly hops: number; readonly sentBy: (server: string) => boolean } {
  const { server, uid } = expected;
  const check = text === null ? undefined : checkTicket(key, text, { purpose: 'login', server, target: uid }, nowMs);
  return check?.outcome === 'good' ? { hops: check.hops, sentBy: check.isFrom } : { hops: 0, sentBy: () => false };
}

/** Whether the ticket was given to this user: so the lists of the one who is looked for are held against it. */
export function isAsker(asker: Asker, uid: string): boolean {
  return asker.kind === 'uid' ? asker.uid === uid : hashOf(uid, ASKER_HASH_BYTES).equals(asker.hash);
}

function hashOf(text: string, length: number): Buffer {
  return createHash('sha256').update(text).digest().subarray(0, length);
}

function macOf(key: string, signed: Buffer): Buffer {
  // The prefix keeps tickets apart from all else that is made with the cluster key.
  return createHmac('sha256', key).update('ticket:').update(signed).digest().subarray(0, MAC_BYTES);
}
