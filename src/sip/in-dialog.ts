/**
 * Requests that follow a Route of ours (RFC 3261 16.4, 16.6; RFC 5626 5.3). Of a Record-Route the token, which is good for
 * this call only, names the flow to the other side; no dialog is kept for it. Of a Path (RFC 3327) it names the flow to
 * the phone that registered through us.
 */
import { sameAddress } from '../base/address.ts';
import type { Inbound, SipContext } from './context.ts';
import { admitStranger, answerStranger, readOf } from './context.ts';
import { fork } from './fork.ts';
import type { Flow } from './flow.ts';
import { forwardRequest } from './forward-message.ts';
import { viaOf } from './outgoing.ts';
import { viaLines } from './response.ts';
import type { Routed } from './routing.ts';
import { isLoop, loopHash, takeRoutes } from './routing.ts';

/** Whether the request was for somebody behind us, and has been dealt with. Those without a Route never are. */
export function onRouted(context: SipContext, inbound: Inbound): boolean {
  const { request } = inbound;
  const routed = takeRoutes(context, request);
  const last = routed.own.at(-1);
  if (last === undefined) return false;
  if (last !== null && request.toTag === undefined && onPath(context, inbound, routed, last)) return true;
  if (last === null || request.toTag === undefined) {
    // Our address as outbound proxy: the Request-URI decides. Whoever else it should go to by us is none of our users.
    if (routed.rest.length === 0) return false;
    refuse(context, inbound, 403);
    return true;
  }
  const flow = context.tokens.read(last, request.callId);
  if (!isAcceptable(context, inbound, flow)) return true;
  // Whoever comes from elsewhere than the call's own flow holds its token, and may have heard it from the wire.
  const isOfCall = isFromItsSide(context, inbound, routed.own[0] ?? null);
  if (isOfCall || mayPass(context, inbound)) pass(context, inbound, routed, flow);
  return true;
}

/** Answers where not. */
function isAcceptable(context: SipContext, inbound: Inbound, flow: Flow | 'forged' | 'closed'): flow is Flow {
  const { request } = inbound;
  if (flow === 'forged') refuse(context, inbound, 403);
  else if (flow === 'closed') refuse(context, inbound, 430);
  else if (request.maxForwards === 0) refuse(context, inbound, 483);
  else if (isLoop(context, request)) refuse(context, inbound, 482);
  else return true;
  return false;
}

/** Whether it came by the Path of a phone that registered through us: from its registrar, to the phone. */
function onPath(context: SipContext, inbound: Inbound, routed: Routed, token: string): boolean {
  const flow = context.tokens.readPath(token);
  const isNode = isFromNode(context, inbound);
  if (flow === 'forged' && !isNode) return false;
  // A token that a node holds was ours once: connections do not outlive the process.
  const way = flow === 'forged' ? 'closed' : flow;
  if (isAcceptable(context, inbound, way) && (isNode || mayPass(context, inbound))) {
    pass(context, inbound, routed, way);
  }
  return true;
}

function isFromNode({ cases }: SipContext, { request: { source } }: Inbound): boolean {
  return source !== null && cases.servers.others().some(({ sip }) => sip !== null && sameAddress(sip, source));
}

function refuse(context: SipContext, inbound: Inbound, status: number): void {
  if (inbound.request.method !== 'ACK') answerStranger(context, inbound, status);
}

/** One of a stranger's requests; an ACK is one too, but is not answered. */
function mayPass(context: SipContext, inbound: Inbound): boolean {
  if (inbound.request.method !== 'ACK') return admitStranger(context, inbound);
  return context.requests.take(inbound.flow.remote.host, context.cases.clock.now()) === 0;
}

/** Sends it there. */
export function pass(
  context: SipContext,
  inbound: Inbound,
  { uri, rest }: Pick<Routed, 'uri' | 'rest'>,
  flow: Flow,
): void {
  const request = readOf(inbound);
  if (request.method === 'ACK') {
    const via = viaOf(context, flow, `${context.ids.branch()}.${loopHash(request)}`);
    const hop = { uri, via, vias: viaLines(request), recordRoute: [], route: rest };
    const bytes = forwardRequest(request, hop, context.settings.realm);
    if (bytes !== null) flow.send(bytes);
    return;
  }
  const groups = [[{ uri, flow, route: rest }]];
  fork(context, inbound, { groups, ringMs: 0, hasMore: false });
}

function isFromItsSide({ tokens }: SipContext, { request, flow }: Inbound, token: string | null): boolean {
  if (token === null) return false;
  const own = tokens.read(token, request.callId);
  if (typeof own === 'string') return false;
  return own.isReliable ? own.id === flow.id : request.source !== null && sameAddress(request.source, own.remote);
}
