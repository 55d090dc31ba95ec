/** What the handlers of signed and unsigned requests share. */
import type { Counters } from '../base/counters.ts';
import { VserverError } from '../base/errors.ts';
import type { ServerRecord } from '../base/model.ts';
import type { Log, Random, Timers } from '../base/ports.ts';
import type { LoginRequest } from '../login/login.ts';
import { createUsedNonces } from '../login/nonces.ts';
import type { Nonces, UsedNonces } from '../login/nonces.ts';
import type { RateLimit } from '../login/rate-limit.ts';
import type { UseCases } from '../login/use-cases.ts';
import { HOPS_MAX } from '../redirect/admission.ts';
import { issueTicket, sentOn } from '../redirect/tickets.ts';
import type { TicketPurpose } from '../redirect/tickets.ts';
import { createOnceASecond } from './once-a-second.ts';
import type { Inbound } from './outbound.ts';
import { sendError } from './outbound.ts';
import { refusalOf } from './replies.ts';
import { createReplyMemory } from './reply-memory.ts';
import type { ReplyMemory } from './reply-memory.ts';
import { createServerRequests } from './server-requests.ts';
import type { ServerRequests } from './server-requests.ts';

export interface UdpSettings {
  readonly realm: string;
  /** Seconds. */
  readonly heartbeat: number;
  /** Seconds. */
  readonly expires: number;
  readonly loginDatagram: boolean;
  readonly configPasswords: boolean;
}

export interface UdpDeps {
  readonly cases: UseCases;
  readonly counters: Counters;
  readonly nonces: Nonces;
  /** Unauthenticated requests a source, shared by all edges. */
  readonly requests: RateLimit;
  /** Failed logins a source, shared by all edges. */
  readonly failedLogins: RateLimit;
  readonly clusterKey: string;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly settings: UdpSettings;
}

export interface UdpContext extends UdpDeps {
  readonly memory: ReplyMemory;
  readonly serverRequests: ServerRequests;
  readonly usedNonces: UsedNonces;
  /** Nonces of logins that wait for the directory. */
  readonly loginsUnderWay: Set<string>;
  readonly probeKey: Buffer;
  /** Spends one of the unauthenticated requests that this host has; false where it was told to slow down. */
  admitStranger(inbound: Inbound): boolean;
  /** `Error 401`, at most once a second a source. `isAdmitted`: admitStranger() was asked before. */
  refuseUnknown(inbound: Inbound, isAdmitted: boolean): void;
  /** The failure to tell the client; what is not expected goes to the log. */
  failureOf(error: unknown): VserverError;
  /**
   * Makes tickets for this asker, who was sent on `hops` times before. `target` as it was asked for: the next server is
   * asked by the same name.
   */
  ticketsFor(purpose: TicketPurpose, asker: string, target: string, hops: number): (server: ServerRecord) => string;
  /** What the client's login ticket says; of a bad one, nothing. */
  sentOn(ticket: string | null, uid: string, nowMs: number): Pick<LoginRequest, 'hops' | 'sentBy'>;
}

const REPLY_MEMORY_BYTES = 64 * 1024 * 1024;
const USED_NONCES_MAX = 500_000;
/** Sources that are told errors at most once a second. */
const ERROR_SOURCES = 65_536;

export function contextOf(deps: UdpDeps): UdpContext {
  const { cases, counters, clusterKey, log, random } = deps;
  const { clock, servers } = cases;
  const mayBeTold = createOnceASecond(ERROR_SOURCES, random.bytes(4).readUInt32LE());
  const admitStranger = (inbound: Inbound): boolean => {
    const nowMs = clock.now();
    const { host } = inbound.from;
    const waitS = deps.requests.take(host, nowMs);
    if (waitS === 0) return true;
    counters.rateLimited++;
    // The limit is that of the host, so its ports are told as one.
    const slowDown = refusalOf(new VserverError('SLOW_DOWN', undefined, { retryAfter: waitS }));
    if (mayBeTold({ host, port: 0 }, nowMs)) sendError(inbound, slowDown);
    return false;
  };
  return {
    ...deps,
    memory: createReplyMemory(REPLY_MEMORY_BYTES),
    serverRequests: createServerRequests({ table: cases.table, timers: deps.timers, random }),
    usedNonces: createUsedNonces(USED_NONCES_MAX),
    loginsUnderWay: new Set<string>(),
    probeKey: random.bytes(32),
    admitStranger,
    refuseUnknown: (inbound: Inbound, isAdmitted: boolean) => {
      // By ip:port: clients behind one address are told each, or after a crash of this node most would wait long.
      if (!mayBeTold(inbound.from, clock.now())) counters.datagramsDropped++;
      else if (isAdmitted || admitStranger(inbound)) sendError(inbound, { status: 401, reason: 'log in again' });
    },
    failureOf: (error: unknown): VserverError => {
      if (error instanceof VserverError) return error;
      log.error({ err: error }, 'unexpected failure');
      return new VserverError('INTERNAL');
    },
    ticketsFor: (purpose: TicketPurpose, asker: string, target: string, hops: number) => (server: ServerRecord) =>
      issueTicket(
        clusterKey,
        {
          ...{ purpose, asker, target, hops: Math.min(hops + 1, HOPS_MAX) },
          ...{ server: server.name, issuer: servers.me.name },
        },
        clock.now(),
      ),
    sentOn: (ticket: string | null, uid: string, nowMs: number) =>
      sentOn(clusterKey, ticket, { server: servers.me.name, uid }, nowMs),
  };
}
