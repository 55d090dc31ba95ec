/**
 * The express lane of the first REGISTER of a user who is not here. He logs in by what stands in the bytes of his request,
 * which is parsed whole only where anything else than his registration comes of it. Who can't be taken in now waits for his
 * turn, or is told when to come back: of a storm of them nearly all are refused at first. What repeats a login that waits or
 * is under way is dropped.
 */
import { bytesOf } from '../base/bytes.ts';
import type { Address } from '../base/model.ts';
import type { Credentials } from './auth.ts';
import type { SipContext } from './context.ts';
import type { ExpressContact } from './express-contact.ts';
import { INSTANCE_ID, Q, REG_ID } from './express-contact.ts';
import type { ExpressDigest } from './express-digest.ts';
import { NONCE, USERNAME } from './express-digest.ts';
import type { ExpressLane } from './express-head.ts';
import { ExpressHead } from './express-head.ts';
import { createLoginLine, KeptInbound } from './express-line.ts';
import type { ExpressWriter } from './express-writer.ts';
import { END_OF_LINE } from './express-writer.ts';
import type { Flow } from './flow.ts';
import { CALL_ID, USER_AGENT } from './header-names.ts';
import { wantedOf } from './register-plan.ts';
import type { Wanted } from './register-plan.ts';
import { complete, loginKey, registerNew } from './registrar.ts';
import { isBeyond } from './spent-nonces.ts';
import { parseUri } from './uri.ts';

/** Who registers what, read of the request. */
interface Asked {
  readonly digest: ExpressDigest;
  readonly contact: ExpressContact;
  readonly lifetimeS: number;
}

export interface LoginLane {
  /** Logs in, or lets wait for it, or refuses. False: nothing has been done, it is left to the others. */
  readonly login: (head: ExpressHead, asked: Asked, flow: Flow, nowMs: number) => boolean;
  /** Logs in who has waited since `cameMs`: it is his turn. False: nothing has been done. */
  readonly loginInTurn: (head: ExpressHead, asked: Asked, flow: Flow, cameMs: number) => boolean;
}

export interface LoginLanes {
  /** Of what repeats the request by which a user is registered. */
  readonly again: ExpressLane;
  /** Of whose turn it is. */
  readonly turn: ExpressLane;
}

export function createLoginLane(context: SipContext, writer: ExpressWriter, { again, turn }: LoginLanes): LoginLane {
  const { cases, intake, nonces, requests, failedLogins, relays, spent, waiting, counters } = context;
  const { clock, table } = cases;
  /** Whoever asks comes from this address, whatever the port. */
  const source = { host: '', port: 0 };
  const kept = new ExpressHead();
  const line = createLoginLine(context, turn);

  const refuse = (flow: Flow, nowMs: number): void => {
    counters.loginsFailed++;
    writer.begin(UNAVAILABLE, flow);
    writer.put(RETRY_AFTER_IS);
    writer.decimal(intake.appointment(nowMs));
    writer.put(END_OF_LINE);
    writer.send(flow);
  };

  /** When the nonce of his was issued, by which he may log in; -1: by none, or he is here already. */
  const nonceMsOf = ({ bytes, to }: ExpressHead, digest: ExpressDigest, { host }: Address, nowMs: number): number => {
    if (table.users.findIn(bytes, to.userAt, to.userEnd) >= 0) return -1;
    source.host = host;
    return nonces.goodSince(bytes, digest.at(NONCE), source, nowMs);
  };
  const isFree = (uid: string, count: number, nonceMs: number, nowMs: number): boolean =>
    isBeyond(spent.newest(uid, nowMs), nonceMs, count) && relays.find(uid, nowMs) === undefined;

  const begin = (head: ExpressHead, key: string, flow: Flow, cameMs: number, told: Told): void => {
    const { credentials, wanted } = told;
    const message = Buffer.from(head.message);
    const inbound = new KeptInbound(message, flow, cameMs);
    void registerNew(context, inbound, key, {
      credentials,
      plan: { kind: 'plan', wanted: [wanted], removed: [] },
      isHere: false,
      isInTurn: true,
      relay: undefined,
      origin: { hops: 0, cseq: head.cseq, agent: textOf(head, USER_AGENT) },
      complete: () => {
        // From now on it is one that repeats what he is registered by.
        if (!kept.read(message) || !again(kept, flow, clock.now())) complete(context, inbound, credentials);
      },
    });
  };

  return {
    login(head, asked, flow, nowMs) {
      const { digest } = asked;
      const { host } = flow.remote;
      const nonceMs = isOwn(head, digest) ? nonceMsOf(head, digest, flow.remote, nowMs) : -1;
      if (nonceMs < 0) return false;
      const uid = uidOf(head);
      const key = loginKey(nonceOf(head, digest), digest.count, uid);
      if (waiting.has(key)) return true;
      if (!isFree(uid, digest.count, nonceMs, nowMs)) return false;
      if (requests.wait(host, nowMs) > 0 || failedLogins.wait(host, nowMs) > 0) return false;
      if (intake.hasLine) {
        requests.take(host, nowMs);
        if (intake.isFull || !line.add(key, head.message, flow, nowMs)) refuse(flow, nowMs);
        return true;
      }
      const told = toldIn(context, head, asked, nonceMs);
      if (told === null) return false;
      requests.take(host, nowMs);
      intake.enter(() => {
        begin(head, key, flow, nowMs, told);
      }, nowMs);
      return true;
    },
    loginInTurn(head, asked, flow, cameMs) {
      const { digest } = asked;
      const nonceMs = isOwn(head, digest) ? nonceMsOf(head, digest, flow.remote, cameMs) : -1;
      const uid = uidOf(head);
      if (nonceMs < 0 || !isFree(uid, digest.count, nonceMs, cameMs)) return false;
      // Those who were before him may have guessed.
      if (failedLogins.wait(flow.remote.host, clock.now()) > 0) return false;
      const told = toldIn(context, head, asked, nonceMs);
      if (told !== null) begin(head, loginKey(told.credentials.nonce, digest.count, uid), flow, cameMs, told);
      return told !== null;
    },
  };
}

/** What a login takes of its request. */
interface Told {
  readonly credentials: Credentials;
  readonly wanted: Wanted;
}

/** null where he wants what the parser of all requests has to look at. */
function toldIn(context: SipContext, head: ExpressHead, asked: Asked, nonceMs: number): Told | null {
  const { digest } = asked;
  const wanted = wantedIn(context, head, asked);
  if (wanted === null) return null;
  const credentials: Credentials = {
    uid: uidOf(head),
    algorithm: digest.isMd5 ? 'MD5' : 'SHA-256',
    nonce: nonceOf(head, digest),
    nonceMs,
    count: digest.count,
    isGood: digest.later(),
  };
  return { credentials, wanted };
}

function uidOf({ bytes, to }: ExpressHead): string {
  return bytes.toString('latin1', to.userAt, to.userEnd);
}

function nonceOf({ bytes }: ExpressHead, digest: ExpressDigest): string {
  return bytes.toString('latin1', digest.at(NONCE), digest.end(NONCE));
}

const UNAVAILABLE = bytesOf('SIP/2.0 503 Service Unavailable\r\n');
const RETRY_AFTER_IS = bytesOf('Retry-After: ');

/** Registers himself. */
export function isOwn({ from, to }: ExpressHead, digest: ExpressDigest): boolean {
  return digest.isSame(USERNAME, to.userAt, to.userEnd) && digest.isSame(USERNAME, from.userAt, from.userEnd);
}

/** What planOf() makes of the one contact; null where it is refused, or has characters that are more than a byte. */
function wantedIn(context: SipContext, head: ExpressHead, { contact, lifetimeS }: Asked): Wanted | null {
  const { bytes } = head;
  const uri = parseUri(bytes.toString('latin1', contact.uriAt, contact.uriEnd));
  if (uri === null || !ASCII.test(uri.text) || !ASCII.test(textOf(head, USER_AGENT))) return null;
  const params = new Map<string, string>();
  for (const [name, number] of PARAMS) {
    if (!contact.has(number)) continue;
    const value = bytes.toString('latin1', contact.at(number), contact.end(number));
    if (!ASCII.test(value)) return null;
    params.set(name, value);
  }
  const said = {
    contact: { displayName: '', uri, params },
    callId: textOf(head, CALL_ID),
    lifetimeS,
    path: '',
    edge: '',
  };
  const wanted = wantedOf(context, [], said);
  return 'status' in wanted ? null : wanted;
}
const PARAMS = [
  ['q', Q],
  ['reg-id', REG_ID],
  ['+sip.instance', INSTANCE_ID],
] as const;
const ASCII = /^[\x20-\x7e]*$/;

/** '' where the header is missing. */
function textOf(head: ExpressHead, header: number): string {
  return head.bytes.toString('latin1', head.at(header), head.end(header));
}
