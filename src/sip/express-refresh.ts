/** The express lane of the refresh of the one registration of a user that changes nothing but its lifetime, and of its repeat. */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf } from '../base/bytes.ts';
import { TextPlace } from '../heartbeat/session-rows.ts';
import { remainingS } from './bindings.ts';
import type { SipContext, SipSettings } from './context.ts';
import { ownUri } from './context.ts';
import { readDecimal } from './express-bytes.ts';
import type { ExpressContact } from './express-contact.ts';
import { INSTANCE_ID, Q, REG_ID } from './express-contact.ts';
import type { ExpressDigest } from './express-digest.ts';
import { NONCE } from './express-digest.ts';
import type { ExpressHead } from './express-head.ts';
import { isOwn } from './express-login.ts';
import type { ExpressWriter } from './express-writer.ts';
import { END_OF_LINE } from './express-writer.ts';
import type { Flow, Transport } from './flow.ts';
import { EXPIRES } from './header-names.ts';
import { EXPIRES_MAX } from './message.ts';
import { dateOf } from './register-answer.ts';
import { isFresh } from './spent-nonces.ts';

export interface RefreshLane {
  /** The user's one session, where the request is by him and about its contact; else -1. */
  readonly rowOf: (head: ExpressHead) => number;
  /** Refreshes that session. False: nothing has been done, it is left to the others. */
  readonly refresh: (head: ExpressHead, row: number, flow: Flow, nowMs: number) => boolean;
}

/** `digest` and `contact`: of the request, when it is called. */
export function createRefreshLane(
  context: SipContext,
  writer: ExpressWriter,
  digest: ExpressDigest,
  contact: ExpressContact,
): RefreshLane {
  const { cases, settings, spent } = context;
  const { table } = cases;
  const { users, sessions } = table;
  const text = new TextPlace();
  /** Whoever asks comes from this address, whatever the port. */
  const source = { host: '', port: 0 };

  const routes = new Map<Transport, Bytes>();
  /** The transports are open when the first request comes, and stay where they are. */
  const serviceRoute = (flow: Flow): Bytes => {
    let known = routes.get(flow.transport);
    if (known === undefined) {
      known = bytesOf(`\r\nService-Route: <${ownUri(context, flow, ';lr')}>\r\n`);
      routes.set(flow.transport, known);
    }
    return known;
  };

  const rowOf = (head: ExpressHead): number => {
    const { bytes, to } = head;
    if (!isOwn(head, digest)) return -1;
    const userRow = users.findIn(bytes, to.userAt, to.userEnd);
    if (userRow < 0 || users.devices(userRow) !== 1) return -1;
    const row = users.firstSession(userRow) - 1;
    sessions.findText(row, text);
    if (!contact.isRegistered(head, text)) return -1;
    return row;
  };

  /** Whether the session was registered last by this very request. */
  const isRepeat = (row: number, cseq: number, nonceMs: number): boolean =>
    cseq === sessions.cseq(row) &&
    nonceMs >>> 0 === sessions.nonceMs(row) &&
    digest.count === sessions.nonceCount(row) &&
    digest.count > 0;

  const refresh = (head: ExpressHead, row: number, flow: Flow, nowMs: number): boolean => {
    source.host = flow.remote.host;
    const nonceMs = context.nonces.goodSince(head.bytes, digest.at(NONCE), source, nowMs);
    if (nonceMs < 0) return false;
    const isAgain = isRepeat(row, head.cseq, nonceMs);
    const isNext =
      !isAgain && head.cseq > sessions.cseq(row) && isFresh(spent, table, row, nonceMs, digest.count, nowMs);
    if (!(isAgain || isNext) || !digest.isGood(sessions, row)) return false;
    const nowS = Math.floor(nowMs / 1000);
    let lifetimeS = remainingS(table, row, nowS);
    if (isNext) {
      lifetimeS = lifetimeOf(head, contact.expires, settings);
      cases.renew(row, lifetimeS);
      if (!sessions.isWan(row, flow.remote)) cases.moved(row, flow.remote);
      sessions.registered(row, head.cseq, nonceMs, digest.count);
      context.bind(row, flow);
    }
    writer.begin(OK, flow);
    writeContact(writer, contact, lifetimeS);
    writer.put(DATE_IS);
    writer.text(dateOf(nowS));
    writer.put(serviceRoute(flow));
    writer.send(flow);
    return true;
  };

  return { rowOf, refresh };
}

/** Seconds; -1 where the request is to be refused, or ends the registration. */
export function lifetimeOf(
  head: ExpressHead,
  param: number,
  { expiresMinS, expiresMaxS }: Pick<SipSettings, 'expiresMinS' | 'expiresMaxS'>,
): number {
  let asked = param;
  if (asked < 0 && head.has(EXPIRES)) {
    asked = readDecimal(head.bytes, head.at(EXPIRES), head.end(EXPIRES), EXPIRES_MAX);
    if (asked < 0) return -1;
  }
  const lifetimeS = asked < 0 ? expiresMaxS : Math.min(asked, expiresMaxS);
  return lifetimeS > 0 && lifetimeS >= expiresMinS ? lifetimeS : -1;
}

const OK = bytesOf('SIP/2.0 200 OK\r\n');
const DATE_IS = bytesOf('Date: ');
const CONTACT_IS = bytesOf('Contact: <');
const EXPIRES_IS = bytesOf('>;expires=');
const Q_IS = bytesOf(';q=');
const INSTANCE_IS = bytesOf(';+sip.instance="');
const REG_ID_IS = bytesOf(';reg-id=');
const QUOTE = bytesOf('"');

/** As contactValue() in bindings.ts. */
function writeContact(writer: ExpressWriter, contact: ExpressContact, lifetimeS: number): void {
  const { view, uriAt, uriEnd } = contact;
  writer.put(CONTACT_IS);
  writer.copy(view, uriAt, uriEnd);
  writer.put(EXPIRES_IS);
  writer.decimal(lifetimeS);
  if (contact.has(Q)) {
    writer.put(Q_IS);
    writer.copy(view, contact.at(Q), contact.end(Q));
  }
  if (contact.has(INSTANCE_ID)) {
    writer.put(INSTANCE_IS);
    writer.copy(view, contact.at(INSTANCE_ID), contact.end(INSTANCE_ID));
    writer.put(QUOTE);
  }
  if (contact.has(REG_ID)) {
    writer.put(REG_ID_IS);
    writer.copy(view, contact.at(REG_ID), contact.end(REG_ID));
  }
  writer.put(END_OF_LINE);
}
