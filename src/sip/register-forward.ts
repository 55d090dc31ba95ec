/**
 * A REGISTER of a user whom another node has: sent on there with this node on the Path (RFC 3327 5.2), since phones
 * follow no redirect, and its answer sent back. What the other node needs to know stands in a statement.
 */
import type { Address, ServerRecord } from '../base/model.ts';
import type { Timer } from '../base/ports.ts';
import { HOPS_MAX } from '../redirect/admission.ts';
import type { Credentials } from './auth.ts';
import { deny } from './auth.ts';
import type { Inbound, SipContext } from './context.ts';
import { answer, ownUri, sipAddress } from './context.ts';
import type { EdgeStatement } from './edge-statements.ts';
import type { Flow } from './flow.ts';
import { forwardRequest, relayResponse } from './forward-message.ts';
import { parseMessage, SipRequest } from './message.ts';
import type { SipResponse } from './message.ts';
import { viaOf } from './outgoing.ts';
import { sendOn } from './register-answer.ts';
import type { Relay, Relayed } from './relays.ts';
import { viaLines } from './response.ts';
import { encodeUtf8 } from './syntax.ts';
import { escapeUser } from './uri.ts';

/** An owner who does not answer for so long has lost his user. */
const OWNER_SILENCE_MS = 2_000;

interface Owner {
  readonly name: string;
  readonly sip: Address;
}

/**
 * Registers at the node that has the user. False: it does not answer, or does not have him (any more); else the phone has
 * its answer. `known`: what is kept of him; null: nothing. `hops`: how often the request was sent on, this time included.
 */
export async function registerAt(
  context: SipContext,
  inbound: Inbound,
  credentials: Credentials,
  { name, sip, ...to }: ServerRecord,
  known: Pick<Relay, 'algorithm' | 'ha1'> | null,
  hops: number,
): Promise<boolean> {
  const { uid, nonceMs, count } = credentials;
  const { relays, spent, cases } = context;
  const endsMs = inbound.cameMs + context.settings.expiresMaxS * 1000;
  spent.spend(uid, nonceMs, inbound.cameMs);
  if (known !== null) relays.keep(uid, { owner: name, ...known, endsMs }, nonceMs, count);
  if (sip === null || hops > HOPS_MAX) {
    answer(inbound, 503, [['Retry-After', '5']]);
    return true;
  }
  if (inbound.request.maxForwards === 0) {
    answer(inbound, 483);
    return true;
  }
  const signed = signedRegister(context, inbound, { name, sip }, hops);
  if (signed === null) {
    answer(inbound, 513);
    return true;
  }
  const response = await ask(context, signed, context.flows.flowTo(sip));
  if (response === null || response.status === MOVED) {
    if (response === null) cases.servers.suspect(name);
    relays.forget(uid);
    return false;
  }
  if (response.status === FORBIDDEN) {
    relays.forget(uid);
    await deny(context, inbound, uid, 'wrong-secret');
  } else if (response.status === UNAUTHORIZED) {
    // Of an earlier release, which knows no statements.
    relays.forget(uid);
    sendOn(inbound, { name, sip, ...to });
  } else {
    bindRelayed(context, inbound.flow, { uid, owner: name, path: pathOf(context, inbound.flow) });
    sendBack(context, inbound, response);
  }
  return true;
}
const MOVED = 302;
const UNAUTHORIZED = 401;
const FORBIDDEN = 403;

/** The request for the owner; null where it is too long, or has too many headers, with what we add. */
function signedRegister(
  context: SipContext,
  { request, flow }: Inbound,
  { name, sip }: Owner,
  hops: number,
): SipRequest | null {
  const hop = {
    uri: request.requestUri,
    via: viaOf(context, context.flows.flowTo(sip), context.ids.branch()),
    vias: viaLines(request),
    recordRoute: [],
    route: [],
    more: `Path: ${pathOf(context, flow)}\r\n`,
  };
  // The owner checks the answer to our challenge.
  const bytes = forwardRequest(request, hop, null);
  if (bytes === null) return null;
  const signed = context.statements.sign(bytes, name, { kind: 'register', source: flow.remote, hops });
  const parsed = signed.length > DATAGRAM_BYTES_MAX ? null : parseMessage(signed);
  return parsed instanceof SipRequest ? parsed : null;
}
/** What no phone says, and a datagram surely holds. */
const DATAGRAM_BYTES_MAX = 16 * 1024;

/** Our value of Path for requests to the phone behind this flow. */
export function pathOf(context: SipContext, flow: Flow): string {
  const { settings, port, tokens } = context;
  return `<sip:${tokens.makePath(flow)}@${sipAddress({ host: settings.advertise, port })};lr>`;
}

/** The phone's answer. */
function sendBack(context: SipContext, { request, flow }: Inbound, response: SipResponse): void {
  // What it asks for comes to us first (RFC 3608 6.3).
  const isRegistered = response.status < 300 && response.headers('Contact').length > 0;
  const route = isRegistered ? `Service-Route: <${ownUri(context, flow, ';lr')}>\r\n` : '';
  flow.send(relayResponse(viaLines(request), response, route));
}

/** The registration came over this flow, and ends with it, be it that it has ended meanwhile. */
export function bindRelayed(context: SipContext, flow: Flow, relayed: Relayed): void {
  if (flow.isReliable && context.flows.findConnection(flow.id) === undefined) tellClosed(context, relayed);
  else context.relays.bind(flow, relayed);
}

/** The connection of a phone has ended, and so have its registrations. */
export function tellClosed(context: SipContext, { uid, owner, path }: Relayed): void {
  const { sip } = context.cases.servers.other(owner) ?? { sip: null };
  if (sip === null) return;
  const lines = [`Call-ID: ${context.ids.token()}`, 'CSeq: 1 REGISTER', `Path: ${path}`, 'Contact: *', 'Expires: 0'];
  void askOwner(context, uid, { name: owner, sip }, lines, { kind: 'closed', source: sip, hops: 1 });
}

/** A REGISTER of our own making. Resolves with the final response; null where none came in time. */
export function askOwner(
  context: SipContext,
  uid: string,
  { name, sip }: Owner,
  lines: readonly string[],
  statement: EdgeStatement,
): Promise<SipResponse | null> {
  const { flows, ids, statements } = context;
  const out = flows.flowTo(sip);
  const user = `<sip:${escapeUser(uid)}@${sipAddress(sip)}>`;
  const all = [
    `REGISTER sip:${sipAddress(sip)} SIP/2.0`,
    `Via: ${viaOf(context, out, ids.branch())}`,
    'Max-Forwards: 70',
    `From: ${user};tag=${ids.token()}`,
    `To: ${user}`,
    // It has no credentials; nobody takes it for a request without a statement.
    'Require: path',
    ...lines,
    'Content-Length: 0',
  ];
  const bytes = Buffer.from(encodeUtf8(`${all.join('\r\n')}\r\n\r\n`), 'latin1');
  const signed = parseMessage(statements.sign(bytes, name, statement));
  if (!(signed instanceof SipRequest)) throw new Error('malformed REGISTER');
  return ask(context, signed, out);
}

/** Resolves with the final response; null where none came in time. */
function ask(context: SipContext, request: SipRequest, flow: Flow): Promise<SipResponse | null> {
  const bytes = Buffer.from(request.text, 'latin1');
  return new Promise((resolve) => {
    let isOver = false as boolean;
    const end = (response: SipResponse | null): void => {
      isOver = true;
      silence?.cancel();
      resolve(response);
    };
    let silence: Timer | undefined = undefined as Timer | undefined;
    const { method, topVia } = request;
    const transaction = context.transactions.openClient({ method, branch: topVia.branch }, bytes, flow, {
      onResponse: (response) => {
        if (response.status >= 200) end(response.whole);
      },
      onEnd: () => {
        end(null);
      },
    });
    if (isOver) return;
    silence = context.timers.after(OWNER_SILENCE_MS, () => {
      transaction.end('timeout');
    });
  });
}
