/** What stands before the routes: rate limits, sessions, the admin token, and the same slow answer to failed logins. */
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { VserverError } from '../base/errors.ts';
import type { HttpDeps } from './deps.ts';
import { denialTime } from '../login/denial.ts';
import { equalSecrets, httpToken } from '../login/proof.ts';
import type { Denial } from '../login/login.ts';
import { createPeers } from './peer.ts';

export type FailureReason = Denial | 'wrong-admin-token';

export interface Gates {
  /** The client's address. */
  host(request: FastifyRequest): string;
  /** Whether nobody can read what travels here. */
  isPrivate(request: FastifyRequest): boolean;
  /** Throws INSECURE where a secret must not be sent. */
  requirePrivate(request: FastifyRequest): void;
  /** Counts a request of nobody known; throws SLOW_DOWN. */
  admitStranger(request: FastifyRequest): void;
  /** A secret is about to be checked; throws SLOW_DOWN, INSECURE (not where it travels as a digest). */
  admitAttempt(request: FastifyRequest, asDigest?: boolean): void;
  /** Logs and counts the failure; resolves when the answer may go out. */
  failed(request: FastifyRequest, arrivedMs: number, uid: string, reason: FailureReason): Promise<void>;
  /** The row of the session whose token the request carries. A sign of life. Throws SESSION_UNKNOWN, INSECURE. */
  session(request: FastifyRequest): number;
  /** Rejects with LOGIN_FAILED, INSECURE, SLOW_DOWN where the request does not carry the admin token. */
  requireAdmin(request: FastifyRequest): Promise<void>;
}

export function createGates(deps: HttpDeps): Gates {
  const { uses, requests, failures, timers, log, settings } = deps;
  const { table, clock } = uses;
  const peers = createPeers(settings);
  // The last good token of each connection: a client that keeps its connection is asked for the proof only once. As
  // long as the session of that cookie is open, its key and with it the token stay the same.
  const proven = new WeakMap<Socket, string>();
  const isGood = (socket: Socket, cookie: string, row: number, token: string): boolean => {
    if (isSame(proven.get(socket) ?? '', token)) return true;
    const good = isSame(httpToken(cookie, table.sessions.key(row)), token);
    if (good) proven.set(socket, token);
    return good;
  };

  const gates: Gates = {
    host: (request) => peers.host(request.raw),
    isPrivate: (request) => peers.isPrivate(request.raw),
    requirePrivate(request) {
      if (!peers.isPrivate(request.raw)) throw new VserverError('INSECURE');
    },
    admitStranger(request) {
      refuseFor(requests.take(peers.host(request.raw), clock.now()));
    },
    admitAttempt(request, asDigest = false) {
      if (!asDigest) gates.requirePrivate(request);
      const nowMs = clock.now();
      const host = peers.host(request.raw);
      refuseFor(requests.take(host, nowMs));
      refuseFor(failures.wait(host, nowMs));
    },
    async failed(request, arrivedMs, uid, reason) {
      const source = peers.host(request.raw);
      log.warn({ source, uid: uid.slice(0, 128), reason, requestId: request.id }, 'login failed');
      failures.take(source, clock.now());
      await denialTime({ clock, timers }, arrivedMs);
    },
    session(request) {
      const token = bearer(request);
      if (token === undefined) return unknownSession(gates, request);
      gates.requirePrivate(request);
      if (!SESSION_TOKEN.test(token)) return unknownSession(gates, request);
      const cookie = token.slice(0, COOKIE_CHARACTERS);
      const row = table.findOpen(cookie);
      if (row < 0 || !isGood(request.raw.socket, cookie, row, token)) return unknownSession(gates, request);
      uses.heard(row);
      return row;
    },
    async requireAdmin(request) {
      const arrivedMs = clock.now();
      const token = bearer(request);
      if (token === undefined) {
        gates.admitStranger(request);
        throw new VserverError('LOGIN_FAILED', 'the admin token is missing');
      }
      gates.requirePrivate(request);
      // The right one is never held up by the failures of others at the same address: it is too long to be guessed.
      if (settings.adminToken !== '' && equalSecrets(settings.adminToken, token)) return;
      gates.admitAttempt(request);
      await gates.failed(request, arrivedMs, '', 'wrong-admin-token');
      throw new VserverError('LOGIN_FAILED', 'wrong admin token');
    },
  };
  return gates;
}

const COOKIE_CHARACTERS = 32;
const SESSION_TOKEN = /^[0-9a-f]{32}\.[0-9a-f]{64}$/;

/** Constant in time for texts of the same length, which is no secret here. Without the copies of timingSafeEqual. */
function isSame(expected: string, token: string): boolean {
  if (expected.length !== token.length) return false;
  let difference = 0;
  for (let i = 0; i < token.length; i++) difference |= expected.charCodeAt(i) ^ token.charCodeAt(i);
  return difference === 0;
}

/** The token of `Authorization: Bearer` (RFC 6750 section 2.1). */
export function bearer(request: FastifyRequest): string | undefined {
  const header = request.headers.authorization;
  return header !== undefined && /^bearer /i.test(header) ? header.slice(7).trim() : undefined;
}

function unknownSession(gates: Gates, request: FastifyRequest): never {
  gates.admitStranger(request);
  throw new VserverError('SESSION_UNKNOWN');
}

function refuseFor(waitS: number): void {
  if (waitS > 0) throw new VserverError('SLOW_DOWN', undefined, { retryAfter: waitS });
}
