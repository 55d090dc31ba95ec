/**
 * Requests that follow our Record-Route (RFC 3261 16.4, 16.6; RFC 5626 5.3): its token, which is good for this call
 * only, names the flow to the other side. No dialog is kept for it.
 */
import type { Inbound, SipContext } from './context.ts';
import { admitStranger, answerStranger } from './context.ts';
import { fork } from './fork.ts';
import type { Flow } from './flow.ts';
import { forwardRequest } from './forward-message.ts';
import type { SipRequest } from './message.ts';
import { viaOf } from './outgoing.ts';
import type { Routed } from './routing.ts';
import { isLoop, loopHash, takeRoutes } from './routing.ts';

/** Whether the request was for somebody behind us, and has been dealt with. Those without a Route never are. */
export function onRouted(context: SipContext, inbound: Inbound): boolean {
  const { request } = inbound;
  const routed = takeRoutes(context, request);
  const last = routed.own.at(-1);
  if (last === undefined) return false;
  if (last.user === null || request.toTag === undefined) {
    // Our address as outbound proxy: the Request-URI decides. Whoever else it should go to by us is none of our users.
    if (routed.rest.length === 0) return false;
    refuse(context, inbound, 403);
    return true;
  }
  const flow = context.tokens.read(last.user, request.callId);
  if (flow === 'forged') refuse(context, inbound, 403);
  else if (flow === 'closed') refuse(context, inbound, 430);
  else if (request.maxForwards === 0) refuse(context, inbound, 483);
  else if (isLoop(context, request)) refuse(context, inbound, 482);
  else sendOn(context, inbound, routed, flow);
  return true;
}

function refuse(context: SipContext, inbound: Inbound, status: number): void {
  if (inbound.request.method !== 'ACK') answerStranger(context, inbound, status);
}

function sendOn(context: SipContext, inbound: Inbound, { uri, own, rest }: Routed, flow: Flow): void {
  const { request } = inbound;
  if (request.method === 'ACK') {
    const via = viaOf(context, flow, `${context.ids.branch()}.${loopHash(request)}`);
    flow.send(forwardRequest(request, { uri, via, recordRoute: [], route: rest }, context.settings.realm));
    return;
  }
  // Whoever comes from elsewhere than the call's own flow holds its token, and may have heard it from the wire.
  if (!isFromItsSide(context, inbound, own[0]?.user ?? null) && !admitStranger(context, inbound)) return;
  const groups = [[{ uri, flow, route: rest }]];
  fork(context, inbound, { groups, ringMs: 0, hasMore: false });
}

function isFromItsSide({ tokens }: SipContext, { request, flow }: Inbound, token: string | null): boolean {
  if (token === null) return false;
  const own = tokens.read(token, request.callId);
  if (typeof own === 'string') return false;
  return own.isReliable ? own.id === flow.id : isSource(request, own);
}

function isSource({ source }: SipRequest, { remote }: Flow): boolean {
  return source !== null && source.port === remote.port && source.host === remote.host;
}
