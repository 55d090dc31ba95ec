/** The login: find the user → verify → permitted? → admitted here? → write the location → open the session → answer. */
import type { Address, Firewall, ServerRecord, Status } from '../base/model.ts';
import { isUid } from '../base/model.ts';
import { VserverError } from '../base/errors.ts';
import type { Clock, Random } from '../base/ports.ts';
import type { Directory, Entry } from '../directory/directory.ts';
import { dummyCheck } from '../directory/passwords.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import { networkOf } from '../heartbeat/online.ts';
import type { DeviceText, NewSession } from '../heartbeat/session-rows.ts';
import { COOKIE_BYTES, KEY_BYTES } from '../heartbeat/session-layout.ts';
import { keptOf } from '../heartbeat/profile.ts';
import { admit } from '../redirect/admission.ts';
import type { Admission } from '../redirect/admission.ts';
import type { ServerImage } from '../redirect/servers.ts';
import type { DigestAlgorithm } from './digest.ts';
import { verifierFor } from './digest.ts';
import type { UidLocks } from './locks.ts';
import type { OtherNodes } from './other-nodes.ts';
import type { SessionEnds } from './session-ends.ts';
import { equalSecrets, proofOf, sessionKey, verifierOf } from './proof.ts';
import { arrival } from './whereabouts.ts';

/** How the client proves who he is. */
export type Credential =
  | { readonly kind: 'proof'; readonly nonce: string; readonly cnonce: string; readonly proof: string }
  | { readonly kind: 'password'; readonly password: string }
  /** SIP Digest: `isGood` says whether the response was made with this HA1. */
  | { readonly kind: 'digest'; readonly algorithm: DigestAlgorithm; readonly isGood: (ha1: string) => boolean };

export interface LoginRequest extends DeviceText {
  readonly uid: string;
  readonly credential: Credential;
  /** Where the request came from; port 0 where only an address is known (HTTP). */
  readonly source: Address;
  /** Seconds of silence after which the session ends; absent: as the settings say. */
  readonly lifetimeS?: number;
  readonly local: Address | null;
  readonly firewall: Firewall;
  readonly status: Status;
  /** From the client's ticket: how often he was sent on, and whether the server of this name did it last. */
  readonly hops: number;
  readonly sentBy: (server: string) => boolean;
}

export interface Welcome {
  readonly kind: 'welcome';
  readonly row: number;
  readonly cookie: string;
  /** K as 64 hex characters. */
  readonly key: string;
}

export type Denial = 'unknown-user' | 'wrong-secret' | 'one-way-password' | 'disabled' | 'expired';

export type LoginOutcome =
  | Welcome
  /** `key`: K as 64 hex characters, so that the redirect can be signed. */
  | { readonly kind: 'redirect'; readonly to: ServerRecord; readonly key: string }
  | { readonly kind: 'denied'; readonly reason: Denial };

export type Authenticated =
  { readonly kind: 'good'; readonly mayCallOut: boolean } | { readonly kind: 'denied'; readonly reason: Denial };

export interface LoginDeps {
  readonly directory: Directory;
  readonly table: OnlineTable;
  readonly servers: ServerImage;
  readonly locks: UidLocks;
  readonly ends: SessionEnds;
  readonly others: Pick<OtherNodes, 'has' | 'taken'>;
  /** Nobody knows whether the write of this user's login came through. */
  readonly doubt: (uid: string) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly realm: string;
  /** Seconds of silence after which the session ends. */
  readonly lifetimeS: number;
}

/** A location that others keep changing under our hands is given up after so many tries. */
const WRITES_MAX = 4;

/** Rejects with DIRECTORY_UNAVAILABLE, NO_ROOM, OVERLOADED, SLOW_DOWN; everything else is an outcome. */
export async function login(deps: LoginDeps, request: LoginRequest): Promise<LoginOutcome> {
  if (!isUid(request.uid)) return denied('unknown-user');
  return deps.locks.run(request.uid, () => loginInTurn(deps, request));
}

async function loginInTurn(deps: LoginDeps, request: LoginRequest): Promise<LoginOutcome> {
  let entry = await deps.directory.find(request.uid);
  const verdict = await verify(deps, entry, request);
  if (typeof verdict === 'string') return denied(verdict);

  for (let tries = 1; entry !== null && tries <= WRITES_MAX; tries++) {
    const refusal = refusalOf(entry, deps.clock.now());
    if (refusal !== undefined) return denied(refusal);
    const admission = await admissionOf(deps, entry, request);
    if (admission.kind === 'no-room') throw new VserverError('NO_ROOM', undefined, { retryAfter: 5 });
    if (admission.kind === 'redirect') {
      deps.servers.sentTo(admission.to.name);
      return { ...admission, key: verdict.key.toString('hex') };
    }

    const session = sessionFor(deps, request, verdict.key);
    const replaced = deps.table.replacedBy(request.uid, request.instance, entry.user.service.devicesMax);
    const hidden = willBeHidden(deps.table, request, replaced);
    const location = arrival(entry.location, session, hidden, deps.servers.me, deps.clock.now());
    const written = await deps.directory
      .writeLocation(request.uid, location, entry.location.epoch)
      .catch((error: unknown) => {
        deps.doubt(request.uid);
        throw error;
      });
    if (written === 'written') {
      const former = entry.location.server?.name ?? deps.servers.me.name;
      if (former !== deps.servers.me.name) deps.others.taken(former, request.uid, location.epoch, request.source);
      deps.ends.replaced(request, entry.user.service.devicesMax);
      const { epoch, logoutAt } = location;
      const row = deps.table.open(
        { ...keptOf(entry.user, entry.version), epoch, logoutAt },
        session,
        Math.floor(deps.clock.now() / 1000),
      );
      // Another device changed its status while this was written, and its own write has lost against this one.
      const userRow = deps.table.sessions.user(row);
      if (deps.table.isHidden(userRow) !== hidden) deps.ends.visibilityChanged(userRow);
      return { kind: 'welcome', row, cookie: session.cookie, key: verdict.key.toString('hex') };
    }
    // Another login came first, here or elsewhere: what it wrote decides anew.
    entry = written === 'unknown' ? null : await deps.directory.find(request.uid);
  }
  if (entry === null) return denied('unknown-user');
  // Not CONFLICT: to a client 409 says that he is logged in elsewhere.
  throw new VserverError('OVERLOADED', 'too many logins of this user at once', { retryAfter: 1 });
}

/** Whether he may do what he asks for without a session. Rejects with DIRECTORY_UNAVAILABLE. */
export async function authenticate(
  deps: Pick<LoginDeps, 'directory' | 'clock' | 'random' | 'realm'>,
  request: Pick<LoginRequest, 'uid' | 'credential'>,
): Promise<Authenticated> {
  if (!isUid(request.uid)) return denied('unknown-user');
  const entry = await deps.directory.find(request.uid);
  const verdict = await verify(deps, entry, request);
  if (typeof verdict === 'string') return denied(verdict);
  const refusal = entry === null ? 'unknown-user' : refusalOf(entry, deps.clock.now());
  if (entry === null || refusal !== undefined) return denied(refusal ?? 'unknown-user');
  return { kind: 'good', mayCallOut: entry.user.service.mayCallOut };
}

function denied(reason: Denial): { readonly kind: 'denied'; readonly reason: Denial } {
  return { kind: 'denied', reason };
}

/** The session key where the credential is good: of the proof's making, or random after a password. */
async function verify(
  deps: Pick<LoginDeps, 'directory' | 'random' | 'realm'>,
  entry: Entry | null,
  { uid, credential }: Pick<LoginRequest, 'uid' | 'credential'>,
): Promise<Denial | { key: Buffer }> {
  if (credential.kind !== 'password') return verifyByVerifier(entry, uid, credential, deps.realm);
  if (entry === null) {
    // An unknown uid takes as long as a wrong password.
    await dummyCheck(credential.password);
    return 'unknown-user';
  }
  const good = await deps.directory.checkPassword(entry.user, credential.password);
  return good ? { key: deps.random.bytes(KEY_BYTES) } : 'wrong-secret';
}

function verifyByVerifier(
  entry: Entry | null,
  uid: string,
  credential: Exclude<Credential, { kind: 'password' }>,
  realm: string,
): Denial | { key: Buffer } {
  const algorithm = credential.kind === 'proof' ? 'SHA-256' : credential.algorithm;
  const verifier = entry === null ? null : verifierFor(entry.user, algorithm, realm);
  // Without a verifier the same work is done over a worthless one, so that the time tells nothing.
  const ha1 = verifier ?? verifierOf(uid, realm, '');
  const isGood =
    credential.kind === 'digest'
      ? credential.isGood(ha1)
      : equalSecrets(proofOf(ha1, credential.nonce, credential.cnonce, uid), credential.proof);
  if (entry === null) return 'unknown-user';
  if (verifier === null) return 'one-way-password';
  if (!isGood) return 'wrong-secret';
  // Of a Digest login the verifier itself is kept, for the refreshes of the registration.
  if (credential.kind === 'digest') return { key: Buffer.from(ha1.padEnd(2 * KEY_BYTES, '0'), 'hex') };
  return { key: Buffer.from(sessionKey(ha1, credential.nonce, credential.cnonce), 'hex') };
}

function refusalOf(entry: Entry, nowMs: number): Denial | undefined {
  const { enabled, expiresAt } = entry.user.service;
  if (!enabled) return 'disabled';
  return expiresAt !== null && expiresAt <= nowMs ? 'expired' : undefined;
}

async function admissionOf(deps: LoginDeps, entry: Entry, request: LoginRequest): Promise<Admission> {
  const owner = entry.location.server;
  const candidate = {
    owner: owner === null ? undefined : deps.servers.other(owner.name),
    devicesMax: entry.user.service.devicesMax,
    isHere: deps.table.users.find(request.uid) >= 0,
    hops: request.hops,
    sentBy: request.sentBy,
  };
  const admission = admit(candidate, deps.servers);
  if (admission.kind !== 'redirect' || admission.to.name !== owner?.name) return admission;
  // All devices live on the owner, unless he does not answer, or has lost the user.
  if (await deps.others.has(admission.to, request.uid)) return admission;
  const isHere = deps.table.users.find(request.uid) >= 0;
  return admit({ ...candidate, owner: undefined, isHere }, deps.servers);
}

function sessionFor(deps: LoginDeps, request: LoginRequest, key: Buffer): NewSession {
  return {
    cookie: deps.random.bytes(COOKIE_BYTES).toString('hex'),
    key,
    wan: request.source,
    local: request.local,
    network: networkOf(request.source, request.local),
    firewall: request.firewall,
    status: request.status,
    instance: request.instance,
    note: request.note,
    device: request.device,
    contact: request.contact,
    registration: request.registration,
    lifetimeS: request.lifetimeS ?? deps.lifetimeS,
  };
}

/** Invisible with this device, and with every other one that stays. */
function willBeHidden(table: OnlineTable, request: LoginRequest, replaced: readonly number[]): boolean {
  if (request.status !== 'invisible') return false;
  const userRow = table.users.find(request.uid);
  if (userRow < 0) return true;
  return table.devices(userRow).every((device) => device.status === 'invisible' || replaced.includes(device.row));
}
