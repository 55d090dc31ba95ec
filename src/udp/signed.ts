/** Requests of a session: repeat → mac → window → use case → signed reply (PROTOCOL.md, what the node does with one). */
import { createHmac } from 'node:crypto';
import { formatAddress } from '../base/address.ts';
import { VserverError } from '../base/errors.ts';
import type { Address } from '../base/model.ts';
import type { DatagramSocket } from '../base/ports.ts';
import type { DeviceUpdate } from '../heartbeat/online.ts';
import { acceptSeq, takenOf } from '../heartbeat/replay-window.ts';
import type { SessionRows } from '../heartbeat/session-rows.ts';
import { SESSION_OPEN } from '../heartbeat/session-columns.ts';
import { equalSecrets, isMacAt, macOf } from '../login/proof.ts';
import type { UdpContext } from './context.ts';
import { encodeSigned } from './encode.ts';
import { DATAGRAM_BYTES_MAX } from './message.ts';
import { messageReply } from './messages.ts';
import type { Request } from './message.ts';
import type { Inbound } from './outbound.ts';
import { sendUnverified, sendVerified } from './outbound.ts';
import { errorReply, locatedReply, serversReply } from './replies.ts';
import type { ReplyText } from './replies.ts';
import { readHex32 } from './values.ts';
import { buddyReply, unwatchReply, watchReply } from './watching.ts';

/** A probe proves a source for one to two of these spans. */
const PROBE_SPAN_S = 30;

/** One signed request while it is worked on; an answer that comes later finds its session by the cookie. */
interface Asked extends Inbound {
  /** As four words. */
  readonly mac: Uint32Array;
  /** Which of the session's signed requests it is; -1 for a repeat, whose long reply is made anew. */
  number: number;
  /** Whether it came from the address that the session is known to have. */
  isVerified: boolean;
}

export function onSigned(
  context: UdpContext,
  request: Request,
  bytes: Buffer,
  socket: DatagramSocket,
  from: Address,
): void {
  const { sessions } = context.cases.table;
  const { id } = request;
  const row = rowOf(sessions, request, bytes);
  const isSigned = row >= 0 && isMacGood(sessions, row, request, bytes);
  if (row >= 0 && !isSigned) context.counters.wrongMacs++;
  if (request.verb === 'Ok') {
    // No request: it is never answered, good or not.
    if (isSigned) context.serverRequests.acknowledged(sessions.cookie(row), id);
    return;
  }
  // Written out: an object spread here costs as much as the two macs.
  const asked: Asked = {
    socket,
    from,
    id,
    length: bytes.length,
    mac: macWords,
    number: -1,
    isVerified: false,
  };
  if (!isSigned || request.seq < 0) {
    context.refuseUnknown(asked, false);
    return;
  }
  readHex32(bytes, request.macAt, macWords);
  asked.isVerified = sessions.isWan(row, from);
  const nowS = Math.floor(context.cases.clock.now() / 1000);
  const repeated = context.memory.find(asked.mac, row, takenOf(sessions.words, sessions.windowAt(row)), nowS);
  if (repeated !== null) context.counters.repeats++;
  if (typeof repeated === 'object' && repeated !== null) {
    const again = 'host' in repeated ? signed(context, row, id, okReply(repeated)) : repeated;
    if (asked.isVerified) socket.send(again, from);
    else sendUnverified(asked, again);
  } else if (sessions.state(row) !== SESSION_OPEN) {
    context.refuseUnknown(asked, false);
  } else if (repeated !== null) {
    carryOut(context, request, bytes, row, asked, nowS);
  } else if (acceptSeq(sessions.words, sessions.windowAt(row), request.seq) === 'fresh') {
    asked.number = takenOf(sessions.words, sessions.windowAt(row));
    carryOut(context, request, bytes, row, asked, nowS);
  } else context.counters.datagramsDropped++;
}

/** Of the request that is worked on; whoever answers later keeps a copy. */
const macWords = new Uint32Array(4);
const cookieWords = new Uint32Array(4);

function rowOf(sessions: SessionRows, { cookieAt }: Request, bytes: Buffer): number {
  if (cookieAt < 0) return -1;
  readHex32(bytes, cookieAt, cookieWords);
  return sessions.findWords(cookieWords);
}

function isMacGood(sessions: SessionRows, row: number, { macAt, macLineAt, bodyAt }: Request, bytes: Buffer): boolean {
  return macAt >= 0 && isMacAt(sessions.bytes, sessions.keyAt(row), bytes, macLineAt, bodyAt, macAt);
}

function carryOut(context: UdpContext, request: Request, bytes: Buffer, row: number, asked: Asked, nowS: number): void {
  const { cases } = context;
  const { table } = cases;
  if (!asked.isVerified && request.probe !== null && isProbe(context, row, request.probe, asked, nowS)) {
    cases.moved(row, asked.from);
    asked.isVerified = true;
  }
  switch (request.verb) {
    case 'Heartbeat':
      context.counters.heartbeats++;
      cases.heard(row, deviceUpdate(request));
      answer(context, row, asked, heartbeatReply(context, row, asked, nowS));
      return;
    case 'Status':
      cases.heard(row, { ...(request.status && { status: request.status }), note: request.note ?? '' });
      answer(context, row, asked, { verb: 'Ok', argument: '' });
      return;
    case 'Locate':
      cases.heard(row);
      locate(context, request.argument, row, asked);
      return;
    case 'Config':
      cases.heard(row);
      later(context, row, asked, configReply(context, table.uidOf(row), request.etag));
      return;
    case 'Servers':
      cases.heard(row);
      answer(context, row, asked, serversReply(cases.servers.all()));
      return;
    case 'Logout':
      cases.logout(row);
      answer(context, row, asked, { verb: 'Ok', argument: '' });
      return;
    case 'Message':
      cases.heard(row);
      later(context, row, asked, messageReply(context, request, bytes, row));
      return;
    case 'Watch':
      cases.heard(row);
      answer(context, row, asked, watchReply(cases, row, request.argument));
      return;
    case 'Unwatch':
      cases.heard(row);
      answer(context, row, asked, unwatchReply(cases, row, request.argument));
      return;
    case 'Buddy':
      cases.heard(row);
      later(context, row, asked, buddyReply(cases, row, request.argument));
      return;
    case 'Hello':
    case 'Login':
    case 'Ok':
      throw new Error(`${request.verb} is no request of a session`);
  }
}

function deviceUpdate({ local, firewall, status, device }: Request): DeviceUpdate | undefined {
  if (local === null && firewall === null && status === null && device === null) return undefined;
  return {
    ...(local && { local }),
    ...(firewall && { firewall }),
    ...(status && { status }),
    ...(device !== null && { device }),
  };
}

function heartbeatReply(context: UdpContext, row: number, asked: Asked, nowS: number): ReplyText {
  const { servers, table } = context.cases;
  if (!asked.isVerified) {
    const wan = formatAddress(asked.from);
    const probe = probeFor(context, row, asked, nowS);
    const reply = { verb: 'Ok', argument: '', headers: { wan, probe } } as const;
    // A long IPv6 address does not fit; without the token the session would never get there.
    const fits = signed(context, row, asked.id, reply).length <= asked.length;
    return fits ? reply : { ...reply, headers: { probe } };
  }
  const next = servers.successor();
  if (next === undefined) return okReply(asked.from);
  const uid = table.uidOf(row);
  const ticket = context.ticketsFor('login', uid, uid, 0)(next);
  return { verb: 'Redirect', argument: formatAddress(next.udp), headers: { ticket } };
}

/** The answer to a Heartbeat from the address that the session is known to have. */
function okReply(wan: Address): ReplyText {
  return { verb: 'Ok', argument: '', headers: { wan: formatAddress(wan) } };
}

/** The token that this source has to return: stateless, bound to session, source and time. */
function probeFor(context: UdpContext, row: number, { from }: Asked, atS: number): string {
  return createHmac('sha256', context.probeKey)
    .update(`${context.cases.table.sessions.cookie(row)} ${formatAddress(from)} ${Math.floor(atS / PROBE_SPAN_S)}`)
    .digest('hex')
    .slice(0, 12);
}

function isProbe(context: UdpContext, row: number, probe: string, asked: Asked, nowS: number): boolean {
  return [0, PROBE_SPAN_S].some((agoS) => equalSecrets(probeFor(context, row, asked, nowS - agoS), probe));
}

function locate(context: UdpContext, target: string, row: number, asked: Asked): void {
  const { cases } = context;
  const asker = cases.table.uidOf(row);
  const ticketFor = context.ticketsFor('locate', asker, target, 0);
  const here = cases.locateHere(asker, target);
  if (here !== undefined) {
    answer(context, row, asked, locatedReply(here, ticketFor));
    return;
  }
  const located = cases.locateAnywhere(asker, target);
  later(
    context,
    row,
    asked,
    located.then((one) => locatedReply(one, ticketFor)),
  );
}
async function configReply(context: UdpContext, uid: string, etag: string | null): Promise<ReplyText> {
  const document = await context.cases.config(uid, context.settings.configPasswords);
  if (document === null) return errorReply(new VserverError('NO_SUCH_USER'));
  if (document.etag === etag) return { verb: 'NotModified', argument: '', headers: { etag } };
  return { verb: 'Config', argument: uid, headers: { etag: document.etag }, body: document.body.toString('utf8') };
}

/** The answer when the directory has given its own, to the session if it is still known then. */
function later(context: UdpContext, row: number, asked: Asked, text: Promise<ReplyText>): void {
  const { sessions } = context.cases.table;
  const cookie = sessions.cookie(row);
  const kept = { ...asked, mac: asked.mac.slice() };
  text
    .catch((error: unknown) => errorReply(context.failureOf(error)))
    .then(
      (one) => {
        const rowNow = sessions.find(cookie);
        if (rowNow >= 0) answer(context, rowNow, kept, one);
      },
      (error: unknown) => {
        context.failureOf(error);
      },
    );
}

function signed(context: UdpContext, row: number, id: string, { verb, argument, headers, body }: ReplyText): Buffer {
  return encodeSigned(context.cases.table.sessions.key(row), macOf, verb, argument, id, headers, body);
}

function answer(context: UdpContext, row: number, asked: Asked, text: ReplyText): void {
  const { socket, from, id } = asked;
  const nowS = Math.floor(context.cases.clock.now() / 1000);
  let bytes = signed(context, row, id, text);
  if (asked.isVerified && bytes.length > DATAGRAM_BYTES_MAX) {
    if (!sendVerified(asked, bytes)) {
      bytes = signed(context, row, id, errorReply(new VserverError('TOO_LONG')));
      socket.send(bytes, from);
    }
    remember(context, row, asked, bytes, nowS);
    return;
  }
  if (!asked.isVerified && bytes.length > asked.length)
    bytes = signed(context, row, id, { verb: 'Error', argument: '413' });
  reply(context, row, asked, bytes, nowS);
}

/** Sends what fits into a datagram, and keeps it for a repeat. */
function reply(context: UdpContext, row: number, asked: Asked, bytes: Buffer, nowS: number): void {
  if (asked.isVerified) asked.socket.send(bytes, asked.from);
  else sendUnverified(asked, bytes);
  remember(context, row, asked, bytes, nowS);
}

function remember(context: UdpContext, row: number, asked: Asked, bytes: Buffer, nowS: number): void {
  if (asked.number >= 0) context.memory.remember(asked.mac, row, asked.number, nowS, bytes);
}
