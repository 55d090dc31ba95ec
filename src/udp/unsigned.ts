/** Requests without a session: Hello, Login, and what comes with a ticket. */
import { createHash } from 'node:crypto';
import { formatAddress } from '../base/address.ts';
import { VserverError } from '../base/errors.ts';
import type { Address } from '../base/model.ts';
import type { DatagramSocket } from '../base/ports.ts';
import { denialTime } from '../login/denial.ts';
import type { LoginOutcome } from '../login/login.ts';
import { macOf } from '../login/proof.ts';
import { namedAsker } from '../locator/asker.ts';
import { HOPS_MAX } from '../redirect/admission.ts';
import { releaseOf } from '../redirect/server-record.ts';
import { checkTicket } from '../redirect/tickets.ts';
import type { UdpContext } from './context.ts';
import { encode, encodeSigned } from './encode.ts';
import type { Request } from './message.ts';
import type { Inbound } from './outbound.ts';
import { sendError, sendUnverified } from './outbound.ts';
import { locatedReply, refusalOf, serversReply } from './replies.ts';
import type { ReplyText } from './replies.ts';

/** More logins than this under way or waiting for their denial are refused. */
const LOGINS_MAX = 10_000;
/** Session number under which the replies to logins are remembered: no row has it. */
const LOGINS = 0xffffffff;

export function onUnsigned(
  context: UdpContext,
  request: Request,
  bytes: Buffer,
  socket: DatagramSocket,
  from: Address,
): void {
  const inbound: Inbound = { socket, from, id: request.id, length: bytes.length };
  switch (request.verb) {
    case 'Hello':
      sendUnverified(inbound, helloReply(context, inbound));
      return;
    case 'Login':
      onLogin(context, request, bytes, inbound);
      return;
    case 'Locate':
    case 'Servers':
      if (request.ticket === null) context.refuseUnknown(inbound, true);
      else withTicket(context, request, inbound, request.ticket);
      return;
    default:
      context.refuseUnknown(inbound, true);
  }
}

export function helloReply(context: UdpContext, { from, id }: Inbound): Buffer {
  const { servers, clock } = context.cases;
  return encode('Hello', servers.me.name.replaceAll(' ', '_'), id, {
    wan: formatAddress(from),
    time: new Date(clock.now()).toISOString(),
    version: releaseOf(servers.me.version),
  });
}

function onLogin(context: UdpContext, request: Request, bytes: Buffer, inbound: Inbound): void {
  const nowMs = context.cases.clock.now();
  if (!context.settings.loginDatagram) {
    sendError(inbound, refusalOf(new VserverError('DATAGRAM_LOGIN_OFF')));
    return;
  }
  const { nonce, proof } = request;
  if (nonce === null || proof === null || context.nonces.check(nonce, inbound.from, nowMs) !== 'good') {
    challenge(context, request.argument, inbound);
    return;
  }
  // Repeats of a good login get the same Welcome again; they are known by all of their bytes.
  const digest = digestOf(bytes);
  const repeated = context.memory.find(digest, LOGINS, 0, Math.floor(nowMs / 1000));
  if (repeated instanceof Buffer) {
    context.counters.repeats++;
    inbound.socket.send(repeated, inbound.from);
    return;
  }
  if (context.usedNonces.isUsed(nonce, nowMs)) {
    challenge(context, request.argument, inbound);
    return;
  }
  const waitS = context.failedLogins.wait(inbound.from.host, nowMs);
  if (waitS > 0 || context.loginsUnderWay.size >= LOGINS_MAX) {
    context.counters.rateLimited++;
    sendError(inbound, refusalOf(new VserverError('SLOW_DOWN', undefined, { retryAfter: Math.max(waitS, 1) })));
    return;
  }
  // The same login twice at once: the first one is answered.
  if (context.loginsUnderWay.has(nonce)) return;
  context.loginsUnderWay.add(nonce);
  void tryLogin(context, request, { nonce, proof, digest }, inbound, nowMs);
}

/** 128 bits of SHA-256, as the reply memory knows requests. */
function digestOf(bytes: Buffer): Uint32Array {
  const digest = createHash('sha256').update(bytes).digest();
  return Uint32Array.from([0, 4, 8, 12], (at) => digest.readUInt32BE(at));
}

function challenge(context: UdpContext, uid: string, inbound: Inbound): void {
  const nonce = context.nonces.issue(inbound.from, context.cases.clock.now());
  sendUnverified(inbound, encode('Challenge', uid, inbound.id, { nonce, realm: context.settings.realm }));
}

interface Proof {
  readonly nonce: string;
  readonly proof: string;
  /** Of the whole datagram. */
  readonly digest: Uint32Array;
}

async function tryLogin(
  context: UdpContext,
  request: Request,
  proof: Proof,
  inbound: Inbound,
  nowMs: number,
): Promise<void> {
  try {
    const outcome = await context.cases.loginInTurn(loginRequest(context, request, proof, inbound, nowMs));
    if (outcome.kind === 'denied') await deny(context, request.argument, outcome.reason, inbound, nowMs);
    else welcome(context, request, proof, inbound, outcome);
  } catch (error) {
    sendError(inbound, refusalOf(context.failureOf(error)));
  } finally {
    context.loginsUnderWay.delete(proof.nonce);
  }
}

function loginRequest(
  context: UdpContext,
  request: Request,
  { nonce, proof }: Proof,
  { from }: Inbound,
  nowMs: number,
) {
  const uid = request.argument;
  const sent = context.sentOn(request.ticket, uid, nowMs);
  return {
    uid,
    credential: { kind: 'proof' as const, nonce, cnonce: request.cnonce ?? '', proof: proof.toLowerCase() },
    source: from,
    local: request.local,
    firewall: request.firewall ?? ('strong' as const),
    status: request.status ?? ('online' as const),
    instance: request.instance ?? '',
    note: '',
    device: request.device ?? '',
    contact: '',
    registration: '',
    ...sent,
  };
}

/** The good proof came with a good nonce: the source is verified, and the nonce is spent. */
function welcome(
  context: UdpContext,
  request: Request,
  { nonce, digest }: Proof,
  inbound: Inbound,
  outcome: Exclude<LoginOutcome, { kind: 'denied' }>,
): void {
  const { clock, servers, table } = context.cases;
  const nowMs = clock.now();
  context.usedNonces.use(nonce, nowMs);
  const key = Buffer.from(outcome.key, 'hex');
  let reply: Buffer;
  if (outcome.kind === 'redirect') {
    const uid = request.argument;
    const ticket = context.ticketsFor('login', uid, uid, context.sentOn(request.ticket, uid, nowMs).hops)(outcome.to);
    reply = encodeSigned(key, macOf, 'Redirect', formatAddress(outcome.to.udp), inbound.id, { ticket });
  } else {
    reply = encodeSigned(key, macOf, 'Welcome', request.argument, inbound.id, {
      cookie: outcome.cookie,
      heartbeat: context.settings.heartbeat,
      expires: context.settings.expires,
      wan: formatAddress(inbound.from),
      network: table.device(outcome.row).network,
      server: servers.me.name,
      servers: servers.alternatives().map(formatAddress).join(';') || undefined,
    });
  }
  context.memory.remember(digest, LOGINS, 0, Math.floor(nowMs / 1000), reply);
  inbound.socket.send(reply, inbound.from);
}

async function deny(context: UdpContext, uid: string, reason: string, inbound: Inbound, cameMs: number): Promise<void> {
  const { timers, cases } = context;
  context.failedLogins.take(inbound.from.host, cases.clock.now());
  context.log.warn({ source: formatAddress(inbound.from), uid, reason, edge: 'udp' }, 'login failed');
  await denialTime({ clock: cases.clock, timers }, cameMs);
  sendError(inbound, { status: 403, reason: 'refused' });
}

function withTicket(context: UdpContext, request: Request, inbound: Inbound, text: string): void {
  const { cases } = context;
  const { servers, clock } = cases;
  const target = request.verb === 'Locate' ? request.argument : null;
  const expected = { purpose: 'locate' as const, server: servers.me.name, target };
  const ticket = checkTicket(context.clusterKey, text, expected, clock.now());
  if (ticket.outcome !== 'good') {
    context.refuseUnknown(inbound, true);
    return;
  }
  if (target === null) {
    sendText(inbound, serversReply(servers.all()));
    return;
  }
  const asker = namedAsker(cases.table, ticket.asker, target);
  const ticketFor = context.ticketsFor('locate', asker, target, ticket.hops);
  const here = cases.locateHere(asker, target);
  Promise.resolve(here ?? cases.locateAnywhere(asker, target)).then(
    (located) => {
      if (located.kind === 'unknown') sendError(inbound, refusalOf(new VserverError('NO_SUCH_USER')));
      // Sent on too often: two servers take each other for the owner, so he is nowhere.
      else if (located.kind === 'see-also' && ticket.hops >= HOPS_MAX) {
        sendText(inbound, { verb: 'Offline', argument: located.uid });
      } else sendText(inbound, locatedReply(located, ticketFor));
    },
    (error: unknown) => {
      sendError(inbound, refusalOf(context.failureOf(error)));
    },
  );
}

function sendText(inbound: Inbound, { verb, argument, headers, body }: ReplyText): void {
  sendUnverified(inbound, encode(verb, argument, inbound.id, headers, body));
}
