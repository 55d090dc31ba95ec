/**
 * The express lane of the first REGISTER of a user who is not here. He logs in by what stands in the bytes of his request,
 * which is parsed whole only where anything else than his registration comes of it. Who can't be taken in now is told when
 * to come back: of a storm of them nearly all are refused at first. What repeats a login that is under way is dropped.
 */
import { bytesOf } from '../base/bytes.ts';
import type { Credentials } from './auth.ts';
import type { Inbound, SipContext } from './context.ts';
import type { ExpressContact } from './express-contact.ts';
import { INSTANCE_ID, Q, REG_ID } from './express-contact.ts';
import type { ExpressDigest } from './express-digest.ts';
import { NONCE, USERNAME } from './express-digest.ts';
import type { ExpressLane } from './express-head.ts';
import { ExpressHead } from './express-head.ts';
import type { ExpressWriter } from './express-writer.ts';
import { END_OF_LINE } from './express-writer.ts';
import type { Flow } from './flow.ts';
import { readMessage } from './flow.ts';
import { CALL_ID, USER_AGENT } from './header-names.ts';
import { SipRequest } from './message.ts';
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

/** False: nothing has been done, it is left to the others. */
export type LoginLane = (head: ExpressHead, asked: Asked, flow: Flow, nowMs: number) => boolean;

/** `again`: the lane of what repeats the request by which a user is registered. */
export function createLoginLane(context: SipContext, writer: ExpressWriter, again: ExpressLane): LoginLane {
  const { cases, intake, nonces, requests, failedLogins, relays, spent, waiting, counters } = context;
  const { clock, table } = cases;
  /** Whoever asks comes from this address, whatever the port. */
  const source = { host: '', port: 0 };
  const kept = new ExpressHead();

  const refuse = (flow: Flow, nowMs: number): void => {
    counters.loginsFailed++;
    writer.begin(UNAVAILABLE, flow);
    writer.put(RETRY_AFTER_IS);
    writer.decimal(intake.appointment(nowMs));
    writer.put(END_OF_LINE);
    writer.send(flow);
  };

  return (head, asked, flow, nowMs) => {
    const { bytes, to } = head;
    const { digest } = asked;
    const { host } = flow.remote;
    if (!isOwn(head, digest) || table.users.findIn(bytes, to.userAt, to.userEnd) >= 0) return false;
    source.host = host;
    const nonceMs = nonces.goodSince(bytes, digest.at(NONCE), source, nowMs);
    if (nonceMs < 0) return false;
    const uid = bytes.toString('latin1', to.userAt, to.userEnd);
    const nonce = bytes.toString('latin1', digest.at(NONCE), digest.end(NONCE));
    const key = loginKey(nonce, digest.count, uid);
    if (waiting.has(key)) return true;
    if (!isBeyond(spent.newest(uid, nowMs), nonceMs, digest.count) || relays.find(uid, nowMs) !== undefined)
      return false;
    if (requests.wait(host, nowMs) > 0 || failedLogins.wait(host, nowMs) > 0) return false;
    if (intake.isFull) {
      requests.take(host, nowMs);
      refuse(flow, nowMs);
      return true;
    }
    const wanted = wantedIn(context, head, asked);
    if (wanted === null) return false;
    requests.take(host, nowMs);
    const credentials: Credentials = {
      uid,
      algorithm: digest.isMd5 ? 'MD5' : 'SHA-256',
      nonce,
      nonceMs,
      count: digest.count,
      isGood: digest.later(),
    };
    const message = Buffer.from(head.message);
    const inbound = new KeptInbound(message, flow, nowMs);
    void registerNew(context, inbound, key, {
      credentials,
      plan: { kind: 'plan', wanted: [wanted], removed: [] },
      isHere: false,
      relay: undefined,
      origin: { hops: 0, cseq: head.cseq, agent: textOf(head, USER_AGENT) },
      complete: () => {
        // From now on it is one that repeats what he is registered by.
        if (!kept.read(message) || !again(kept, flow, clock.now())) complete(context, inbound, credentials);
      },
    });
    return true;
  };
}

const UNAVAILABLE = bytesOf('SIP/2.0 503 Service Unavailable\r\n');
const RETRY_AFTER_IS = bytesOf('Retry-After: ');

/** Registers himself. */
export function isOwn({ from, to }: ExpressHead, digest: ExpressDigest): boolean {
  return digest.isSame(USERNAME, to.userAt, to.userEnd) && digest.isSame(USERNAME, from.userAt, from.userEnd);
}

/** A request of the express lane, parsed when it is asked for. */
class KeptInbound implements Inbound {
  readonly flow: Flow;
  readonly cameMs: number;
  readonly #message: Buffer;
  #request: SipRequest | null = null;

  constructor(message: Buffer, flow: Flow, cameMs: number) {
    this.#message = message;
    this.flow = flow;
    this.cameMs = cameMs;
  }

  get request(): SipRequest {
    if (this.#request !== null) return this.#request;
    const request = readMessage(this.#message, this.flow);
    if (!(request instanceof SipRequest)) throw new Error('a request was taken that is none');
    this.#request = request;
    return request;
  }
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
