/** The edge of the client protocol: datagram → decode → limits → signed or unsigned request → use case → reply. */
import { VserverError } from '../base/errors.ts';
import type { Counters } from '../base/counters.ts';
import type { Address, ServerRecord } from '../base/model.ts';
import type { DatagramSocket, Log, Random, Timers } from '../base/ports.ts';
import { answerStun, isStun } from '../base/stun.ts';
import { createUsedNonces } from '../login/nonces.ts';
import type { Nonces, UsedNonces } from '../login/nonces.ts';
import { macOf } from '../login/proof.ts';
import type { LoginRequest } from '../login/login.ts';
import type { RateLimit } from '../login/rate-limit.ts';
import type { EndReason } from '../login/session-ends.ts';
import type { UseCases } from '../login/use-cases.ts';
import { HOPS_MAX, checkTicket, issueTicket } from '../redirect/tickets.ts';
import type { TicketPurpose } from '../redirect/tickets.ts';
import { encodeSigned } from './encode.ts';
import { decode } from './message.ts';
import type { Request } from './message.ts';
import { Notices } from './notices.ts';
import type { Inbound } from './outbound.ts';
import { sendError, sendUnverified } from './outbound.ts';
import { createOnceASecond } from './once-a-second.ts';
import { refusalOf } from './replies.ts';
import { createReplyMemory } from './reply-memory.ts';
import type { ReplyMemory } from './reply-memory.ts';
import { onSigned } from './signed.ts';
import { helloReply, onUnsigned } from './unsigned.ts';

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

/** What the handlers of signed and unsigned requests share. */
export interface UdpContext extends UdpDeps {
  readonly memory: ReplyMemory;
  readonly notices: Notices;
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
  /** Makes tickets for this asker, who was sent on `hops` times before. */
  ticketsFor(asker: string, purpose: TicketPurpose, hops: number): (target: string, server: ServerRecord) => string;
  /** What the client's login ticket says; of a bad one, nothing. */
  sentOn(ticket: string | null, uid: string, nowMs: number): Pick<LoginRequest, 'hops' | 'sentBy'>;
}

export type Receive = (socket: DatagramSocket, bytes: Buffer, from: Address) => void;

export interface UdpServer {
  /** A datagram to the port of the protocol. */
  readonly receive: Receive;
  /** A datagram to the alternate port, which only tells the address it sees. */
  readonly receiveAlternate: Receive;
  /** Tells a client whose session ended by a takeover. */
  sessionEnded(socket: DatagramSocket, row: number, reason: EndReason): void;
  close(): void;
}

const REPLY_MEMORY_BYTES = 64 * 1024 * 1024;
const USED_NONCES_MAX = 500_000;
/** Sources that are told errors at most once a second. */
const ERROR_SOURCES = 65_536;

export function createUdp(deps: UdpDeps): UdpServer {
  const context = contextOf(deps);
  const { cases, counters } = deps;

  const onDatagram = (socket: DatagramSocket, bytes: Buffer, from: Address, alternate: boolean): void => {
    counters.datagramsReceived++;
    if (from.port === 0) return;
    if (isStun(bytes)) {
      if (deps.requests.take(from.host, cases.clock.now()) > 0) return;
      const reply = answerStun(bytes, from);
      if (reply !== null) socket.send(reply, from);
      return;
    }
    const request = decode(bytes);
    if (request === null || (alternate && (request.kind === 'malformed' || request.verb !== 'Hello'))) {
      counters.datagramsDropped++;
      return;
    }
    if (request.kind === 'request' && needsSession(request)) {
      onSigned(context, request, bytes, socket, from);
      return;
    }
    const inbound: Inbound = { socket, from, id: request.id, length: bytes.length };
    if (!context.admitStranger(inbound)) return;
    if (request.kind === 'malformed') {
      counters.datagramsMalformed++;
      sendError(inbound, request);
    } else if (alternate) sendUnverified(inbound, helloReply(context, inbound));
    else onUnsigned(context, request, bytes, socket, from);
  };

  return {
    receive: (socket, bytes, from) => {
      onDatagram(socket, bytes, from, false);
    },
    receiveAlternate: (socket, bytes, from) => {
      onDatagram(socket, bytes, from, true);
    },
    sessionEnded(socket, row, reason) {
      if (reason !== 'replaced' && reason !== 'elsewhere') return;
      const { sessions } = cases.table;
      const wan = sessions.wan(row);
      if (wan.port === 0) return;
      const make = (id: string): Buffer =>
        encodeSigned(sessions.key(row), macOf, 'Error', '409 logged in elsewhere', id);
      context.notices.send(sessions.cookie(row), wan, make, (bytes, to) => {
        socket.send(bytes, to);
      });
    },
    close() {
      context.notices.close();
    },
  };
}

/** Hello and Login need none, whatever they carry; Locate and Servers may come with a ticket instead. */
function needsSession({ verb, cookie }: Request): boolean {
  return verb !== 'Hello' && verb !== 'Login' && (cookie !== null || verb === 'Ok');
}

function contextOf(deps: UdpDeps): UdpContext {
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
    notices: new Notices(deps),
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
    ticketsFor: (asker: string, purpose: TicketPurpose, hops: number) => (target: string, server: ServerRecord) =>
      issueTicket(
        clusterKey,
        {
          ...{ purpose, asker, target, hops: Math.min(hops + 1, HOPS_MAX) },
          ...{ server: server.name, issuer: servers.me.name },
        },
        clock.now(),
      ),
    sentOn: (ticket: string | null, uid: string, nowMs: number) => {
      const expected = { purpose: 'login' as const, server: servers.me.name, target: uid };
      const check = ticket === null ? undefined : checkTicket(clusterKey, ticket, expected, nowMs);
      return check?.outcome === 'good' ? { hops: check.hops, sentBy: check.isFrom } : { hops: 0, sentBy: () => false };
    },
  };
}
