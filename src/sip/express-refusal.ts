/**
 * The express lane of a login that can't be taken in now: told when to come back, before anything else of it is looked at.
 * Of a storm of them nearly all are refused at first.
 */
import { bytesOf } from '../base/bytes.ts';
import type { SipContext } from './context.ts';
import type { ExpressDigest } from './express-digest.ts';
import { USERNAME } from './express-digest.ts';
import type { ExpressHead } from './express-head.ts';
import type { ExpressWriter } from './express-writer.ts';
import { END_OF_LINE } from './express-writer.ts';
import type { Flow } from './flow.ts';
import { loginKey } from './registrar.ts';
import { isBeyond } from './spent-nonces.ts';

const UNAVAILABLE = bytesOf('SIP/2.0 503 Service Unavailable\r\n');
const RETRY_AFTER_IS = bytesOf('Retry-After: ');

/** By `digest`, read of the request, whose nonce was given out here at `nonceMs`. False: it is left to the others. */
export type RefusalLane = (
  head: ExpressHead,
  digest: ExpressDigest,
  flow: Flow,
  nonceMs: number,
  nowMs: number,
) => boolean;

export function createRefusalLane(context: SipContext, writer: ExpressWriter): RefusalLane {
  const { cases, intake, requests, failedLogins, relays, spent, waiting, counters } = context;
  const { users } = cases.table;
  return (head, digest, flow, nonceMs, nowMs) => {
    const { bytes, to } = head;
    const { host, port } = flow.remote;
    if (!intake.isFull || !isOwn(head, digest) || users.findIn(bytes, to.userAt, to.userEnd) >= 0) return false;
    const uid = bytes.toString('latin1', to.userAt, to.userEnd);
    if (!isBeyond(spent.newest(uid, nowMs), nonceMs, digest.count)) return false;
    if (relays.find(uid, nowMs) !== undefined) return false;
    // Repeated while it is under way: that is going to be answered.
    if (waiting.has(loginKey(nonceMs, digest.count, uid))) return true;
    if (requests.wait(host, nowMs) > 0 || failedLogins.wait(host, nowMs) > 0) return false;
    requests.take(host, nowMs);
    counters.loginsFailed++;
    writer.begin(UNAVAILABLE, head, host, port);
    writer.put(RETRY_AFTER_IS);
    writer.decimal(intake.appointment(nowMs));
    writer.put(END_OF_LINE);
    flow.send(writer.end());
    return true;
  };
}

/** Registers himself. */
export function isOwn({ from, to }: ExpressHead, digest: ExpressDigest): boolean {
  return digest.isSame(USERNAME, to.userAt, to.userEnd) && digest.isSame(USERNAME, from.userAt, from.userEnd);
}
