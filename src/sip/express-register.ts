/**
 * The express lane of REGISTER: the refresh of the one registration of a user that changes nothing but its lifetime. registrar.ts does all others, and would answer these alike.
 */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, equalsText } from '../base/bytes.ts';
import { TextPlace } from '../heartbeat/session-rows.ts';
import { NONCE_LENGTH } from '../login/nonces.ts';
import type { SipContext, SipSettings } from './context.ts';
import { ownUri } from './context.ts';
import { isTaken } from './digest-offer.ts';
import { createChallengeLane } from './express-challenge.ts';
import { readDecimal } from './express-bytes.ts';
import { ExpressContact, INSTANCE_ID, Q, REG_ID } from './express-contact.ts';
import { DIGEST_URI, ExpressDigest, NONCE, REALM } from './express-digest.ts';
import type { ExpressHead, ExpressLane, IsOurs } from './express-head.ts';
import type { UriPlace } from './express-lines.ts';
import { readUri } from './express-lines.ts';
import { createRefusalLane, isOwn } from './express-refusal.ts';
import type { ExpressWriter } from './express-writer.ts';
import { END_OF_LINE } from './express-writer.ts';
import type { Flow, Transport } from './flow.ts';
import { AUTHORIZATION, CONTACT, EXPIRES, PATH, REQUIRE, SUPPORTED } from './header-names.ts';
import { EXPIRES_MAX } from './message.ts';
import { dateOf } from './register-answer.ts';
import { hasSuccessor } from './registrar.ts';
import { isBeyond } from './spent-nonces.ts';

export function createRegisterLane(context: SipContext, writer: ExpressWriter, isOurs: IsOurs): ExpressLane {
  const { cases, settings, spent } = context;
  const { table } = cases;
  const { users, sessions } = table;
  const digest = new ExpressDigest();
  const contact = new ExpressContact();
  const text = new TextPlace();
  const realm = bytesOf(settings.realm);
  const uri: UriPlace = { userAt: 0, userEnd: 0, hostAt: 0, hostEnd: 0 };
  /** Whoever asks comes from this address, whatever the port. */
  const source = { host: '', port: 0 };

  const isForUs = (head: ExpressHead): boolean => {
    const { view, uriAt, uriEnd, at, to } = head;
    return (
      readUri(head, uriAt, uriEnd, uri) === uriEnd &&
      isOurs(view, uri.hostAt, uri.hostEnd) &&
      isOurs(view, to.hostAt, to.hostEnd) &&
      to.tagAt === 0 &&
      at[REQUIRE] === 0
    );
  };

  const challenge = createChallengeLane(context, writer);
  const refuse = createRefusalLane(context, writer);

  const routes = new Map<Transport, Bytes>();
  /** The transports are open when the first request comes, and stay where they are. */
  const serviceRoute = (flow: Flow): Bytes => {
    const known = routes.get(flow.transport) ?? bytesOf(`\r\nService-Route: <${ownUri(context, flow, ';lr')}>\r\n`);
    if (!routes.has(flow.transport)) routes.set(flow.transport, known);
    return known;
  };

  /** The user's one session, where the request is by him and refreshes it; else -1. */
  const rowOf = (head: ExpressHead): number => {
    const { bytes, to } = head;
    if (!isOwn(head, digest)) return -1;
    const userRow = users.findIn(bytes, to.userAt, to.userEnd);
    if (userRow < 0 || users.devices[userRow] !== 1) return -1;
    const row = (users.firstSession[userRow] ?? 0) - 1;
    sessions.findText(row, text);
    if (!contact.isRegistered(head, text)) return -1;
    return head.cseq > (sessions.seqHighest[row] ?? 0) ? row : -1;
  };

  /** Whether the nonce and its count are of use after what the session keeps (nonceUse in spent-nonces.ts). */
  const isFresh = (row: number, nonceMs: number, nowMs: number): boolean => {
    const keptCount = sessions.seqMaskHigh[row] ?? 0;
    const sinceMs = (nonceMs - (sessions.seqMaskLow[row] ?? 0)) | 0;
    if (sinceMs === 0 && keptCount > 0) return digest.count > keptCount;
    if (sinceMs < 0 && keptCount > 0) return false;
    return isBeyond(spent.newest(table.uidOf(row), nowMs), nonceMs, digest.count);
  };

  return (head, flow, nowMs) => {
    if (!isForUs(head)) return false;
    const { bytes, view, at, end } = head;
    const digestAt = at[AUTHORIZATION] ?? 0;
    if (digestAt === 0) return challenge(head, flow, nowMs);
    if (at[PATH] !== 0 || at[CONTACT] === 0 || hasSuccessor(context)) return false;
    if (!digest.read(head, digestAt, end[AUTHORIZATION] ?? 0) || !contact.read(head)) return false;
    if (!isTaken(digest.isMd5 ? 'MD5' : 'SHA-256', settings.digest)) return false;
    // What RFC 5626 adds is not for here.
    if (at[SUPPORTED] !== 0 && contact.at[REG_ID] !== 0) return false;
    if (!equalsText(view, digest.at[REALM] ?? 0, digest.end[REALM] ?? 0, realm)) return false;
    if (!digest.isSame(DIGEST_URI, head.uriAt, head.uriEnd)) return false;
    const nonceAt = digest.at[NONCE] ?? 0;
    if ((digest.end[NONCE] ?? 0) - nonceAt !== NONCE_LENGTH) return false;
    const row = rowOf(head);
    const lifetimeS = lifetimeOf(head, contact.expires, settings);
    if (lifetimeS < 0 || (row < 0 && !context.intake.isFull)) return false;
    source.host = flow.remote.host;
    const nonceMs = context.nonces.goodSince(bytes, nonceAt, source, nowMs);
    if (row < 0) return nonceMs >= 0 && refuse(head, digest, flow, nonceMs, nowMs);
    if (nonceMs < 0 || !isFresh(row, nonceMs, nowMs) || !digest.isGood(sessions, row)) return false;
    cases.renew(row, lifetimeS);
    if (!sessions.isWan(row, flow.remote)) cases.moved(row, flow.remote);
    sessions.seqHighest[row] = head.cseq;
    sessions.seqMaskLow[row] = nonceMs >>> 0;
    sessions.seqMaskHigh[row] = digest.count;
    context.bind(row, flow);
    writer.begin(OK, head, flow.remote.host, flow.remote.port);
    writeContact(writer, contact, lifetimeS);
    writer.put(DATE_IS);
    writer.text(dateOf(Math.floor(nowMs / 1000)));
    writer.put(serviceRoute(flow));
    flow.send(writer.end());
    return true;
  };
}

/** Seconds; -1 where the request is to be refused, or ends the registration. */
function lifetimeOf(
  { bytes, at, end }: ExpressHead,
  param: number,
  { expiresMinS, expiresMaxS }: Pick<SipSettings, 'expiresMinS' | 'expiresMaxS'>,
): number {
  let asked = param;
  if (asked < 0 && at[EXPIRES] !== 0) {
    asked = readDecimal(bytes, at[EXPIRES] ?? 0, end[EXPIRES] ?? 0, EXPIRES_MAX);
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
function writeContact(
  writer: ExpressWriter,
  { view, at, end, uriAt, uriEnd }: ExpressContact,
  lifetimeS: number,
): void {
  writer.put(CONTACT_IS);
  writer.copy(view, uriAt, uriEnd);
  writer.put(EXPIRES_IS);
  writer.decimal(lifetimeS);
  if (at[Q] !== 0) {
    writer.put(Q_IS);
    writer.copy(view, at[Q] ?? 0, end[Q] ?? 0);
  }
  if (at[INSTANCE_ID] !== 0) {
    writer.put(INSTANCE_IS);
    writer.copy(view, at[INSTANCE_ID] ?? 0, end[INSTANCE_ID] ?? 0);
    writer.put(QUOTE);
  }
  if (at[REG_ID] !== 0) {
    writer.put(REG_ID_IS);
    writer.copy(view, at[REG_ID] ?? 0, end[REG_ID] ?? 0);
  }
  writer.put(END_OF_LINE);
}
