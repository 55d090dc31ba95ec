/** What the HTTP edge is given: use cases and ports. Each part of it takes only what it needs of this. */
import type { Admin } from '../admin/admin.ts';
import type { TlsFiles } from '../base/certificate.ts';
import type { Log, Random, Timers } from '../base/ports.ts';
import type { Directory } from '../directory/directory.ts';
import type { Nonces } from '../login/nonces.ts';
import type { RateLimit } from '../login/rate-limit.ts';
import type { UseCases } from '../login/use-cases.ts';

export interface HttpSettings {
  /** Digest realm. */
  readonly realm: string;
  /** Seconds, as the login tells them to the client. */
  readonly heartbeatS: number;
  readonly expiresS: number;
  readonly adminToken: string;
  /** Signs tickets. */
  readonly clusterKey: string;
  /** Addresses of reverse proxies whose X-Forwarded-For and -Proto are believed. */
  readonly proxies: readonly string[];
  /** Secrets are taken over plain HTTP from anywhere. */
  readonly insecure: boolean;
  /** PEM files; null: plain HTTP. */
  readonly tls: TlsFiles | null;
}

/** One thing that the node works with. */
export interface Readiness {
  readonly dependency: string;
  readonly ok: boolean;
  /** Nobody can log in without it. */
  readonly needed: boolean;
  /** For people; '' where there is nothing to say. Never a secret. */
  readonly detail: string;
}

/** What the node counts, read at each scrape. Counters only rise. */
export interface NodeNumbers {
  readonly sessions: number;
  readonly users: number;
  /** Counter, by outcome: welcome, redirect, denied … */
  readonly logins: Readonly<Record<string, number>>;
  /** Counter. */
  readonly heartbeats: number;
  /** Counter, by outcome: user, see-also, offline, unknown. */
  readonly locates: Readonly<Record<string, number>>;
  readonly directoryUp: boolean;
  /** Location writes that wait for the directory. */
  readonly outboxWaiting: number;
  /** Counter, by outcome: delivered, stored, refused. */
  readonly messages: Readonly<Record<string, number>>;
  /** Of presence, by clients and SIP phones. */
  readonly subscriptions: number;
  /** Counter. */
  readonly natRebindings: number;
  /** Counter, by outcome: logout (of whatever reason), silence. */
  readonly ends: Readonly<Record<string, number>>;
  /** Counter, by kind: received, and of these dropped, malformed, rate-limited, wrong-mac, repeat. */
  readonly datagrams: Readonly<Record<string, number>>;
  /** Counter: XML fragments left out of a CONFIG. */
  readonly rejectedFragments: number;
  /** Counter, by what was mended: dropped, rewritten, cleared. */
  readonly drift: Readonly<Record<string, number>>;
  /** null: this is no node of a cluster. */
  readonly bus: {
    readonly isUp: boolean;
    /** Counter, by kind: sent, received, and refused as forged, stale or replayed; unanswered requests. */
    readonly messages: Readonly<Record<string, number>>;
  } | null;
}

export interface HttpDeps {
  readonly settings: HttpSettings;
  readonly uses: UseCases;
  readonly admin: Admin;
  /** For Basic and Digest, which open no session. */
  readonly directory: Pick<Directory, 'find' | 'checkPassword'>;
  readonly nonces: Nonces;
  /** Unauthenticated requests a source, shared with the other edges. */
  readonly requests: RateLimit;
  /** Failed logins a source, shared with the other edges. */
  readonly failures: RateLimit;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  ready(): readonly Readiness[];
  numbers(): NodeNumbers;
  /** Stops the node by and by; `logout`: everybody is logged out instead of kept for the next start. */
  stop(logout: boolean): void;
}
