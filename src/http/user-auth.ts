/** Who fetches his CONFIG: by session, HTTP Basic (RFC 7617) or HTTP Digest (RFC 7616). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { VserverError } from '../base/errors.ts';
import { isUid } from '../base/model.ts';
import type { Entry } from '../directory/directory.ts';
import { dummyCheck } from '../directory/passwords.ts';
import type { DigestAnswer } from '../login/digest.ts';
import { digestChallenge, isDigestGood, readDigest, verifierFor } from '../login/digest.ts';
import type { Denial } from '../login/login.ts';
import type { HttpDeps } from './deps.ts';
import type { Gates } from './gates.ts';

export type UserAuth = (request: FastifyRequest, reply: FastifyReply) => string | Promise<string>;

/** Answers the uid, at once where there is a session. Throws and rejects with SESSION_UNKNOWN, LOGIN_FAILED (both with challenges), REFUSED, INSECURE, SLOW_DOWN. */
export function createUserAuth(deps: HttpDeps, gates: Gates): UserAuth {
  return (request, reply) => {
    const header = request.headers.authorization ?? '';
    if (/^basic /i.test(header)) return byBasic(deps, gates, request, reply, header);
    if (/^digest /i.test(header)) return byDigest(deps, gates, request, reply, header);
    try {
      return deps.uses.table.uidOf(gates.session(request));
    } catch (error) {
      if (error instanceof VserverError && error.status === 401) challenge(deps, gates, request, reply, false);
      throw error;
    }
  };
}

async function byBasic(
  deps: HttpDeps,
  gates: Gates,
  request: FastifyRequest,
  reply: FastifyReply,
  header: string,
): Promise<string> {
  const arrivedMs = deps.uses.clock.now();
  gates.admitAttempt(request);
  const text = Buffer.from(header.slice('basic '.length).trim(), 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) throw new VserverError('BAD_REQUEST', 'not the form of HTTP Basic');
  const [uid, password] = [text.slice(0, colon), text.slice(colon + 1)];

  const entry = isUid(uid) ? await deps.directory.find(uid) : null;
  if (entry === null) await dummyCheck(password);
  const good = entry !== null && (await deps.directory.checkPassword(entry.user, password));
  if (!good) {
    challenge(deps, gates, request, reply, false);
    return denied(gates, request, arrivedMs, uid, entry === null ? 'unknown-user' : 'wrong-secret');
  }
  return permitted(deps, gates, request, arrivedMs, entry);
}

async function byDigest(
  deps: HttpDeps,
  gates: Gates,
  request: FastifyRequest,
  reply: FastifyReply,
  header: string,
): Promise<string> {
  const { clock } = deps.uses;
  const arrivedMs = clock.now();
  // The password itself does not travel: this is good on an open wire too.
  gates.admitAttempt(request, true);
  // Node reads header bytes as Latin-1; the challenge asked for UTF-8.
  const answer = readDigest(Buffer.from(header, 'latin1').toString('utf8'));
  // Within the 30 s of its nonce an answer may be replayed from the same address (nc is not kept), and then fetches
  // what its first reply showed: the CONFIG, without passwords where the wire is open.
  // Section 3.4.6: an answer for another resource is refused, or it could be replayed there.
  if (
    answer === null ||
    answer.qop === null ||
    answer.realm !== deps.settings.realm ||
    answer.uri !== request.raw.url
  ) {
    throw new VserverError('BAD_REQUEST', 'not the answer to a digest challenge of this server');
  }
  const nonce = deps.nonces.check(answer.nonce, { host: gates.host(request), port: 0 }, clock.now());
  if (nonce !== 'good') {
    challenge(deps, gates, request, reply, nonce === 'stale');
    throw new VserverError('LOGIN_FAILED', 'the nonce is not good any more');
  }
  const entry = isUid(answer.username) ? await deps.directory.find(answer.username) : null;
  const reason = digestDenial(entry, answer, deps.settings.realm, request.method);
  if (entry === null || reason !== undefined) {
    challenge(deps, gates, request, reply, false);
    return denied(gates, request, arrivedMs, answer.username, reason ?? 'unknown-user');
  }
  return permitted(deps, gates, request, arrivedMs, entry);
}

function digestDenial(entry: Entry | null, answer: DigestAnswer, realm: string, method: string): Denial | undefined {
  if (entry === null) return 'unknown-user';
  const ha1 = verifierFor(entry.user, answer.algorithm, realm);
  if (ha1 === null) return 'one-way-password';
  return isDigestGood(answer, method, ha1) ? undefined : 'wrong-secret';
}

async function denied(
  gates: Gates,
  request: FastifyRequest,
  arrivedMs: number,
  uid: string,
  reason: Denial,
): Promise<never> {
  await gates.failed(request, arrivedMs, uid, reason);
  throw new VserverError('LOGIN_FAILED');
}

async function permitted(
  deps: HttpDeps,
  gates: Gates,
  request: FastifyRequest,
  arrivedMs: number,
  { user }: Entry,
): Promise<string> {
  const { enabled, expiresAt } = user.service;
  const expired = expiresAt !== null && expiresAt <= deps.uses.clock.now();
  if (enabled && !expired) return user.uid;
  await gates.failed(request, arrivedMs, user.uid, enabled ? 'expired' : 'disabled');
  throw new VserverError('REFUSED', enabled ? 'the account has expired' : 'the account is disabled');
}

/** Basic is not offered where a password must not be sent. */
function challenge(deps: HttpDeps, gates: Gates, request: FastifyRequest, reply: FastifyReply, stale: boolean): void {
  const { realm } = deps.settings;
  const nonce = deps.nonces.issue({ host: gates.host(request), port: 0 }, deps.uses.clock.now());
  const basic = gates.isPrivate(request) ? [`Basic realm="${realm}", charset="UTF-8"`] : [];
  reply.header('www-authenticate', [...digestChallenge(realm, nonce, stale), ...basic, 'Bearer']);
}
