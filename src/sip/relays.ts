/**
 * Users whose phones talk to this node while their registrations are another one's (RFC 3327: this node is on the Path).
 * What is kept of them spares the directory at each refresh; where it was forgotten, the directory is asked again.
 */
import { createRecentMap } from '../base/recent-map.ts';
import type { DigestAlgorithm } from '../login/digest.ts';
import type { Flow } from './flow.ts';
import type { NonceUse, UsedNonce } from './spent-nonces.ts';
import { isBeyond } from './spent-nonces.ts';

export interface Relay {
  /** Name of the node that has the user. */
  readonly owner: string;
  readonly algorithm: DigestAlgorithm;
  readonly ha1: string;
  /** Epoch milliseconds: by then his registrations have expired. */
  readonly endsMs: number;
  /** The nonces of his phones by their time, the newest last, with the highest count of each. */
  readonly nonces: ReadonlyMap<number, number>;
}

/** A registration over a connection, which ends with that. */
export interface Relayed {
  readonly uid: string;
  readonly owner: string;
  /** Our value of Path. */
  readonly path: string;
}

export interface Relays {
  find(uid: string, nowMs: number): Relay | undefined;
  /** A request with this nonce and count was good. */
  keep(uid: string, relay: Omit<Relay, 'nonces'>, nonceMs: number, count: number): void;
  forget(uid: string): void;
  /** The phone was told to register elsewhere. */
  tell(uid: string, nowMs: number): void;
  /** Since then. */
  wasTold(uid: string, sinceMs: number): boolean;
  /** The registration came over this flow. */
  bind(flow: Flow, relayed: Relayed): void;
  /** Those of a connection that has ended. */
  take(flow: Flow): readonly Relayed[];
}

/** More are held for a while; each is some 500 bytes. */
const USERS_MAX = 50_000;
const NONCES_MAX = 10;
const USERS_OF_CONNECTION_MAX = 1_000;

export function createRelays(): Relays {
  const relays = createRecentMap<Relay>(USERS_MAX);
  const told = createRecentMap<number>(USERS_MAX);
  const onFlow = new Map<string, Map<string, Relayed>>();
  return {
    find(uid, nowMs) {
      const relay = relays.get(uid);
      return relay !== undefined && relay.endsMs > nowMs ? relay : undefined;
    },
    keep(uid, relay, nonceMs, count) {
      const nonces = new Map(relays.get(uid)?.nonces);
      nonces.delete(nonceMs);
      nonces.set(nonceMs, count);
      for (const oldest of nonces.keys()) if (nonces.size > NONCES_MAX) nonces.delete(oldest);
      relays.set(uid, { ...relay, nonces });
    },
    forget(uid) {
      relays.delete(uid);
    },
    tell(uid, nowMs) {
      told.set(uid, nowMs);
    },
    wasTold: (uid, sinceMs) => (told.get(uid) ?? -Infinity) >= sinceMs,
    bind(flow, relayed) {
      if (!flow.isReliable) return;
      const users = onFlow.get(flow.id) ?? new Map<string, Relayed>();
      onFlow.set(flow.id, users);
      if (users.size < USERS_OF_CONNECTION_MAX || users.has(relayed.uid)) users.set(relayed.uid, relayed);
    },
    take({ id }) {
      const users = onFlow.get(id);
      onFlow.delete(id);
      return [...(users?.values() ?? [])];
    },
  };
}

/** What nonce and count are to a user of whom no session is here; `spentMs`: the time of the newest nonce he used. */
export function relayNonceUse(
  { nonces }: Relay,
  newest: UsedNonce | undefined,
  issuedMs: number,
  count: number,
): NonceUse {
  const kept = nonces.get(issuedMs);
  if (kept !== undefined) return count > kept ? 'fresh' : 'spent';
  return isBeyond(newest, issuedMs, count) ? 'fresh' : 'spent';
}
