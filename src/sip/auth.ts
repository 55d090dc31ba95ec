/** Digest on SIP requests (RFC 3261 22, RFC 8760): challenge, reading, and the check from memory. */
import { denialTime } from '../login/denial.ts';
import type { DigestAlgorithm, DigestAnswer } from '../login/digest.ts';
import { digestChallenge, isDigestGood, readDigest } from '../login/digest.ts';
import type { Credential, Denial } from '../login/login.ts';
import { ha1Of } from './bindings.ts';
import type { Inbound, SipContext, SipSettings } from './context.ts';
import { answer, answerStranger } from './context.ts';
import { isTaken, offeredTo } from './digest-offer.ts';
import type { SipRequest } from './message.ts';
import type { ExtraHeader } from './response.ts';
import type { NonceUse } from './spent-nonces.ts';
import { nonceUse } from './spent-nonces.ts';
import { formatAddress } from '../base/address.ts';
import { parseUri, sameSipUri } from './uri.ts';

/** What a request brings to prove who sent it; nothing of it is verified yet but the nonce. */
export interface Credentials {
  readonly uid: string;
  readonly algorithm: DigestAlgorithm;
  readonly nonce: string;
  /** When it was given out. */
  readonly nonceMs: number;
  readonly count: number;
  readonly isGood: (ha1: string) => boolean;
}

/** `none`: no answer to a challenge of ours; `stale`: the nonce is not good (any more); `other`: for another request. */
export type ReadCredentials = Credentials | 'none' | 'stale' | 'other';

/** What we are to a request: who answers it, or who sends it on (RFC 3261 22.2 and 22.3). */
export type Role = 'server' | 'proxy';

/** Phones that know our nonce from their registration prove by it, unasked, who calls. */
const CREDENTIALS = { server: ['Authorization'], proxy: ['Proxy-Authorization', 'Authorization'] } as const;
const CHALLENGES = { server: [401, 'WWW-Authenticate'], proxy: [407, 'Proxy-Authenticate'] } as const;

export function readCredentials(
  context: SipContext,
  { request, flow, cameMs, vouched }: Inbound,
  role: Role = 'server',
): ReadCredentials {
  const digest = digestOf(request, context.settings, role);
  if (digest === null) return 'none';
  const isVouched = vouched !== undefined;
  // The node that gave it out watches its use; by the clock of that node nothing is compared here.
  const nonceMs = isVouched ? 0 : context.nonces.since(digest.nonce, sourceOf(flow.remote.host), cameMs);
  if (nonceMs < 0) return 'stale';
  if (!isSameUri(digest.uri, request)) return 'other';
  return {
    uid: digest.username,
    algorithm: digest.algorithm,
    nonce: digest.nonce,
    nonceMs,
    // Without qop there is nothing to count: the nonce is good for this one request.
    count: isVouched ? 0 : digest.qop === null ? 1 : Number.parseInt(digest.nc, 16),
    isGood: (ha1) => isDigestGood(digest, request.method, ha1),
  };
}

/** The answer for our realm: a request may carry those for others too. */
function digestOf(request: SipRequest, settings: SipSettings, role: Role): DigestAnswer | null {
  for (const name of CREDENTIALS[role]) {
    for (const value of request.headers(name)) {
      if (!/^digest\s/i.test(value)) continue;
      const digest = readDigest(value);
      if (digest?.realm === settings.realm && isTaken(digest.algorithm, settings.digest)) return digest;
    }
  }
  return null;
}

/** The same for all ports: a phone behind a NAT, or with a new connection, goes on with its nonce. */
function sourceOf(host: string): { readonly host: string; readonly port: number } {
  return { host, port: 0 };
}

function isSameUri(text: string, { requestUri, uri }: SipRequest): boolean {
  if (text === requestUri) return true;
  const other = parseUri(text);
  if (other === null || other.scheme === 'other' || other.scheme === 'tel') return false;
  return (uri.scheme === 'sip' || uri.scheme === 'sips') && sameSipUri(other, uri);
}

/**
 * 401 or 407 with a new nonce, the same before anything is looked up, for known and unknown users alike. `stale`: what
 * came with the old one may have been right.
 */
export function challenge(context: SipContext, inbound: Inbound, stale: boolean, role: Role = 'server'): void {
  const nonce = context.nonces.issue(sourceOf(inbound.flow.remote.host), context.cases.clock.now());
  const { realm, digest } = context.settings;
  const values = digestChallenge(realm, nonce, stale, offeredTo(inbound.request.header('User-Agent') ?? '', digest));
  const [status, name] = CHALLENGES[role];
  const headers = values.map((value): ExtraHeader => [name, value]);
  answerStranger(context, inbound, status, headers);
}

/** Whether the credentials are those of one of these sessions, the user's registrations here. */
export function isVerifiedHere(
  { cases }: SipContext,
  rows: readonly number[],
  { algorithm, isGood }: Credentials,
): boolean {
  return rows.some((row) => {
    const known = ha1Of(cases.table, row);
    return known.algorithm === algorithm && isGood(known.ha1);
  });
}

export function useOf(
  { cases, spent }: SipContext,
  rows: readonly number[],
  { uid, nonceMs, count }: Credentials,
  nowMs: number,
): NonceUse {
  return nonceUse(cases.table, rows, spent.newest(uid, nowMs), nonceMs, count);
}

/** The nonce-count was used for a good request: it won't be good again. */
export function markUsed(
  { cases, spent }: SipContext,
  rows: readonly number[],
  used: Credentials,
  nowMs: number,
): void {
  const { sessions } = cases.table;
  const low = used.nonceMs >>> 0;
  let isKept = false;
  for (const row of rows) {
    if (sessions.nonceMs(row) !== low) continue;
    sessions.counted(row, used.count);
    isKept = true;
  }
  if (!isKept) spent.use(used.uid, used.nonceMs, used.count, nowMs);
}

export function credentialOf({ algorithm, isGood }: Credentials): Credential {
  return { kind: 'digest', algorithm, isGood };
}

/** 403, whatever the reason was; where another node asks, it is that node that counts and delays. */
export async function deny(context: SipContext, inbound: Inbound, uid: string, reason: Denial): Promise<void> {
  const { clock } = context.cases;
  const { remote } = inbound.flow;
  if (inbound.vouched !== undefined) {
    answer(inbound, 403);
    return;
  }
  context.failedLogins.take(remote.host, clock.now());
  context.log.warn({ source: formatAddress(remote), uid: uid.slice(0, 128), reason, edge: 'sip' }, 'login failed');
  await denialTime({ clock, timers: context.timers }, inbound.cameMs);
  answer(inbound, 403);
}

/** Whether the directory may be asked for this source: it has not guessed too often. Answers where not. */
export function admitAttempt(context: SipContext, inbound: Inbound): boolean {
  const waitS = context.failedLogins.wait(inbound.flow.remote.host, context.cases.clock.now());
  if (waitS > 0) {
    answerStranger(context, inbound, 503, [['Retry-After', String(waitS)]]);
    return false;
  }
  return true;
}
