/** Requests of a session: repeat → mac → window → use case → signed reply (PROTOCOL.md, what the node does with one). */
import { createHmac } from 'node:crypto';
import { formatAddress } from '../base/address.ts';
import { VserverError } from '../base/errors.ts';
import type { Address } from '../base/model.ts';
import type { DatagramSocket } from '../base/ports.ts';
import type { DeviceUpdate } from '../heartbeat/online.ts';
import { acceptSeq } from '../heartbeat/replay-window.ts';
import { SESSION_OPEN } from '../heartbeat/session-rows.ts';
import { equalSecrets, macOf } from '../login/proof.ts';
import { encode, encodeSigned } from './encode.ts';
import { DATAGRAM_BYTES_MAX } from './message.ts';
import type { Request } from './message.ts';
import type { Inbound } from './outbound.ts';
import { sendUnverified, sendVerified } from './outbound.ts';
import { errorReply, locatedReply, serversReply } from './replies.ts';
import type { ReplyText } from './replies.ts';
import type { UdpContext } from './server.ts';

/** A probe proves a source for one to two of these spans. */
const PROBE_SPAN_S = 30;

/** One signed request while it is worked on; an answer that comes later finds its session by the cookie. */
interface Asked extends Inbound {
  readonly cookie: string;
  readonly mac: string;
  /** Which of the session's signed requests it is. */
  readonly number: number;
}

export function onSigned(
  context: UdpContext,
  request: Request,
  bytes: Buffer,
  socket: DatagramSocket,
  from: Address,
): void {
  const { table, clock } = context.cases;
  const { sessions } = table;
  const inbound = { socket, from, id: request.id, length: bytes.length };
  const row = sessions.find(request.cookie ?? '');
  const mac = request.mac?.toLowerCase() ?? '';
  if (row < 0 || request.seq < 0 || !isSigned(sessions.key(row), request, mac, bytes)) {
    if (row >= 0) context.counters.wrongMacs++;
    context.refuseUnknown(inbound);
    return;
  }
  const nowS = Math.floor(clock.now() / 1000);
  const repeated = context.memory.find(mac, row, sessions.requests[row] ?? 0, nowS);
  if (repeated !== null) context.counters.repeats++;
  if (repeated instanceof Buffer) {
    if (sessions.isWan(row, from)) socket.send(repeated, from);
    else sendUnverified(inbound, repeated);
    return;
  }
  if (request.verb === 'Ok') {
    context.notices.acknowledged(sessions.cookie(row), request.id);
    return;
  }
  if (sessions.state[row] !== SESSION_OPEN) {
    context.refuseUnknown(inbound);
    return;
  }
  if (repeated === null) {
    if (acceptSeq(sessions.seqHighest, sessions.seqMaskLow, sessions.seqMaskHigh, row, request.seq) !== 'fresh') {
      context.counters.datagramsDropped++;
      return;
    }
    sessions.requests[row] = (sessions.requests[row] ?? 0) + 1;
  }
  const asked: Asked = { ...inbound, cookie: sessions.cookie(row), mac, number: sessions.requests[row] ?? 0 };
  carryOut(context, request, row, asked, nowS);
}

function isSigned(key: Uint8Array, request: Request, mac: string, bytes: Buffer): boolean {
  if (request.macLineAt < 0) return false;
  const body = request.bodyAt < bytes.length ? bytes.subarray(request.bodyAt) : undefined;
  return equalSecrets(macOf(key, bytes, request.macLineAt, body), mac);
}

function carryOut(context: UdpContext, request: Request, row: number, asked: Asked, nowS: number): void {
  const { cases } = context;
  const { table } = cases;
  const verified = table.sessions.isWan(row, asked.from);
  if (!verified && request.probe !== null && isProbe(context, request.probe, asked, nowS)) {
    cases.moved(row, asked.from);
  }
  switch (request.verb) {
    case 'Heartbeat':
      context.counters.heartbeats++;
      cases.heard(row, deviceUpdate(request));
      answer(context, row, asked, heartbeatReply(context, table.sessions.isWan(row, asked.from), asked, nowS));
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
      later(context, asked, configReply(context, table.uidOf(row), request.etag));
      return;
    case 'Servers':
      cases.heard(row);
      answer(context, row, asked, serversReply(cases.servers.all()));
      return;
    case 'Logout':
      cases.logout(row);
      answer(context, row, asked, { verb: 'Ok', argument: '' });
      return;
    default:
      // Hello and Login need no session: here they are out of place.
      answer(context, row, asked, errorReply(new VserverError('BAD_REQUEST')));
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

function heartbeatReply(context: UdpContext, verified: boolean, asked: Asked, nowS: number): ReplyText {
  const wan = formatAddress(asked.from);
  if (!verified) return { verb: 'Ok', argument: '', headers: { wan, probe: probeFor(context, asked, nowS) } };
  const { servers } = context.cases;
  const [next] = servers.state === 'draining' ? servers.alternatives() : [];
  return next === undefined
    ? { verb: 'Ok', argument: '', headers: { wan } }
    : { verb: 'Redirect', argument: formatAddress(next) };
}

/** The token that this source has to return: stateless, bound to session, source and time. */
function probeFor(context: UdpContext, { cookie, from }: Asked, atS: number): string {
  return createHmac('sha256', context.probeKey)
    .update(`${cookie} ${formatAddress(from)} ${Math.floor(atS / PROBE_SPAN_S)}`)
    .digest('hex')
    .slice(0, 12);
}

function isProbe(context: UdpContext, probe: string, asked: Asked, nowS: number): boolean {
  return [0, PROBE_SPAN_S].some((agoS) => equalSecrets(probeFor(context, asked, nowS - agoS), probe));
}

function locate(context: UdpContext, target: string, row: number, asked: Asked): void {
  const { cases } = context;
  const asker = cases.table.uidOf(row);
  const ticketFor = context.ticketsFor(asker, 'locate', 0);
  const here = cases.locateHere(asker, target);
  if (here === undefined) {
    const located = cases.locateElsewhere(asker, target);
    later(
      context,
      asked,
      located.then((one) => locatedReply(one, ticketFor)),
    );
  } else answer(context, row, asked, locatedReply(here, ticketFor));
}

async function configReply(context: UdpContext, uid: string, etag: string | null): Promise<ReplyText> {
  const document = await context.cases.config(uid, context.settings.configPasswords);
  if (document === null) return errorReply(new VserverError('NO_SUCH_USER'));
  if (document.etag === etag) {
    context.counters.configsNotModified++;
    return { verb: 'NotModified', argument: '', headers: { etag } };
  }
  context.counters.configsSent++;
  return { verb: 'Config', argument: uid, headers: { etag: document.etag }, body: document.body.toString('utf8') };
}

/** The answer when the directory has given its own, to the session if it is still known then. */
function later(context: UdpContext, asked: Asked, reply: Promise<ReplyText>): void {
  reply
    .catch((error: unknown) => errorReply(context.failureOf(error)))
    .then(
      (text) => {
        const row = context.cases.table.sessions.find(asked.cookie);
        if (row >= 0) answer(context, row, asked, text);
      },
      (error: unknown) => {
        context.failureOf(error);
      },
    );
}

function answer(context: UdpContext, row: number, asked: Asked, reply: ReplyText): void {
  const { sessions } = context.cases.table;
  const nowS = Math.floor(context.cases.clock.now() / 1000);
  const key = sessions.key(row);
  const sign = ({ verb, argument, headers, body }: ReplyText): Buffer =>
    encodeSigned(key, macOf, verb, argument, asked.id, headers, body);
  let bytes = sign(reply);
  if (sessions.isWan(row, asked.from)) {
    if (bytes.length > DATAGRAM_BYTES_MAX) {
      context.memory.remember(asked.mac, row, asked.number, nowS, null);
      if (sendVerified(asked, bytes)) return;
      bytes = sign(errorReply(new VserverError('TOO_LONG')));
    }
    asked.socket.send(bytes, asked.from);
  } else {
    if (bytes.length > asked.length) bytes = sign({ verb: 'Error', argument: '413' });
    if (bytes.length > asked.length) bytes = encode('Error', '413', asked.id);
    sendUnverified(asked, bytes);
  }
  context.memory.remember(asked.mac, row, asked.number, nowS, bytes);
}
