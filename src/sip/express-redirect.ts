/**
 * The express lane of INVITE, OPTIONS and their ACK: 302 to the one contact of a user whom everybody may call.
 * calls.ts does all others, and would answer these alike.
 */
import { bytesOf, equalBytes, standsAt } from '../base/bytes.ts';
import { FIELD_BYTE } from '../heartbeat/fields.ts';
import type { Address } from '../base/model.ts';
import { NETWORKS, STATUSES } from '../base/model.ts';
import { TextPlace } from '../heartbeat/session-rows.ts';
import { REGISTRATION_FIELD_BYTE } from './bindings.ts';
import { isFlowOf } from './caller.ts';
import type { SipContext } from './context.ts';
import { waitingKey } from './context.ts';
import { equalsString, isAddress, readDecimal } from './express-bytes.ts';
import type { ExpressHead, ExpressLane, IsOurs } from './express-head.ts';
import { TAG, TAG_BYTES } from './express-layout.ts';
import { reader } from './express-reader.ts';
import type { ExpressWriter } from './express-writer.ts';
import { END_OF_LINE } from './express-writer.ts';
import type { Flow } from './flow.ts';
import { AUTHORIZATION, CALL_ID, PROXY_AUTHORIZATION, PROXY_REQUIRE, REQUIRE, ROUTE } from './header-names.ts';

const SIP = bytesOf('sip:');
const MOVED = bytesOf('SIP/2.0 302 Moved Temporarily\r\n');
const CONTACT_IS = bytesOf('Contact: <');
const CLOSED = bytesOf('>\r\n');
const Q_IS = bytesOf('>;q=');
const PLUS = 0x2b;
const AT_SIGN = 0x40;
const WAN = NETWORKS.indexOf('wan');
const INVISIBLE = STATUSES.indexOf('invisible');

export function createRedirectLane(context: SipContext, writer: ExpressWriter, isOurs: IsOurs): ExpressLane {
  const { cases, counters, settings, requests } = context;
  const { table } = cases;
  const { users, sessions } = table;
  const text = new TextPlace();

  /** Whether the caller may ask: he sends from where he is registered, or strangers may. Spends a stranger's request. */
  const isAdmitted = ({ bytes, from }: ExpressHead, flow: Flow, nowMs: number): boolean => {
    const userRow = from.userAt === 0 ? -1 : users.findIn(bytes, from.userAt, from.userEnd);
    if (userRow >= 0) {
      let place = users.firstSession(userRow);
      while (place !== 0 && !isFlowOf(context, place - 1, flow)) place = sessions.nextOfUser(place - 1);
      if (place !== 0) return users.mayCallOut(userRow);
    }
    return settings.anonymous && requests.take(flow.remote.host, nowMs) === 0;
  };

  /** The session of a user whom all may call, by his only device, a visible one; else -1. */
  const rowOf = ({ bytes, uri }: ExpressHead): number => {
    const userRow = users.findIn(bytes, uri.userAt, uri.userEnd);
    if (userRow < 0 || users.devices(userRow) !== 1 || !users.isOpenToAll(userRow)) return -1;
    const row = users.firstSession(userRow) - 1;
    return sessions.status(row) === INVISIBLE ? -1 : row;
  };

  /** Whether the caller sends from where he says he is, and the callee is seen where his contact says (isDirect and isPublic). */
  const isPublic = (head: ExpressHead, flow: Flow, row: number, text: DataView, at: ContactPlace): boolean => {
    if (flow.transport !== 'udp' || sessions.network(row) !== WAN || !isFrom(head, flow.remote)) return false;
    const { contactAt, contactEnd } = at;
    if (contactEnd - contactAt < SIP.length || !standsAt(text, contactAt, SIP)) return false;
    let i = contactAt;
    while (i < contactEnd && text.getUint8(i) !== AT_SIGN) i++;
    return isAddress(text, i + 1, contactEnd, sessions.bytes, sessions.wanAt(row));
  };

  return (head, flow, nowMs) => {
    const { bytes, uri, from, to } = head;
    if (settings.calls === 'proxy' || head.has(ROUTE) || head.has(PROXY_REQUIRE)) return false;
    if (to.tagAt !== 0 || head.has(REQUIRE)) return false;
    if (head.has(AUTHORIZATION) || head.has(PROXY_AUTHORIZATION)) return false;
    if (!isOurs(head, from)) return false;
    if (uri.hostAt === 0 || uri.userAt === 0 || bytes[uri.userAt] === PLUS) return false;
    if (!isOurs(head, uri)) return false;
    const row = rowOf(head);
    if (row < 0) return false;
    sessions.findText(row, text);
    const place = readContact(text);
    if (place === null || (settings.calls === 'auto' && !isPublic(head, flow, row, text.bytes, place))) return false;
    if (mayRun(context, head, head.method) || !isAdmitted(head, flow, nowMs)) return false;
    counters.locatesUser++;
    writer.begin(MOVED, flow);
    writer.put(CONTACT_IS);
    writer.copy(text.bytes, place.contactAt, place.contactEnd);
    if (place.qEnd === place.qAt) writer.put(CLOSED);
    else {
      writer.put(Q_IS);
      writer.copy(text.bytes, place.qAt, place.qEnd);
      writer.put(END_OF_LINE);
    }
    writer.send(flow);
    return true;
  };
}

/** Whether the first Via names this address, and its port. */
function isFrom({ bytes, view, viaHostAt, viaHostEnd, viaPortEnd }: ExpressHead, { host, port }: Address): boolean {
  return (
    equalsString(view, viaHostAt, viaHostEnd, host) && readDecimal(bytes, viaHostEnd + 1, viaPortEnd, PORT_MAX) === port
  );
}
const PORT_MAX = 65_535;

/** An ACK to one of the stateless answers, which are all that have this tag, needs nothing more. */
export function isAckOfStateless(context: SipContext, head: ExpressHead): boolean {
  const { view, to } = head;
  if (head.has(ROUTE) || to.tagAt === 0) return false;
  reader.writeTag();
  if (!equalBytes(view, to.tagAt, to.tagEnd, view, TAG, TAG + TAG_BYTES)) return false;
  return !mayRun(context, head, 'INVITE');
}

/** Whether the request may be one that is being worked on: a retransmission, or its ACK, is for who works on it. */
export function mayRun({ transactions, waiting }: SipContext, head: ExpressHead, method: string): boolean {
  if (transactions.count() === 0 && transactions.read.isEmpty() && waiting.size === 0) return false;
  const { bytes, from, cseq } = head;
  const text = (begin: number, behind: number): string => bytes.toString('latin1', begin, behind);
  const branch = text(head.branchAt, head.branchEnd);
  const { sentBy } = head;
  if (transactions.mayKnow(method, branch, sentBy)) return true;
  const callId = text(head.at(CALL_ID), head.end(CALL_ID));
  return waiting.size > 0 && waiting.has(waitingKey(branch, sentBy, callId, cseq, text(from.tagAt, from.tagEnd)));
}

export interface ContactPlace {
  readonly contactAt: number;
  readonly contactEnd: number;
  readonly qAt: number;
  readonly qEnd: number;
}

/** Where contact and q stand in the text of a session; null of a native client, and of a contact behind a Path. */
export function readContact(text: TextPlace): ContactPlace | null {
  const pathAt = text.end;
  if (pathAt === text.at || text.bytes.getUint8(pathAt - 1) !== REGISTRATION_FIELD_BYTE) return null;
  const instanceAt = fieldAt(text, pathAt, REGISTRATION_FIELD_BYTE);
  const regIdAt = fieldAt(text, instanceAt, REGISTRATION_FIELD_BYTE);
  const qAt = fieldAt(text, regIdAt, REGISTRATION_FIELD_BYTE);
  const callIdAt = fieldAt(text, qAt, FIELD_BYTE);
  const contactAt = fieldAt(text, callIdAt, FIELD_BYTE);
  return { contactAt, contactEnd: callIdAt - 1, qAt, qEnd: regIdAt - 1 };
}

/** Where the field begins that ends before the separator in front of `next`. */
function fieldAt({ bytes, at }: TextPlace, next: number, separator: number): number {
  let i = next - 1;
  while (i > at) {
    // Separators are control characters: four bytes without one are passed over.
    if (i - 4 >= at && hasNoControl(bytes.getInt32(i - 4))) i -= 4;
    else if (bytes.getUint8(i - 1) === separator) break;
    else i--;
  }
  return i;
}

function hasNoControl(four: number): boolean {
  return ((four - 0x20202020) & ~four & 0x80808080) === 0;
}
