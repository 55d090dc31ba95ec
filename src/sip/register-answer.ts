/** What a REGISTER is answered: all registrations of the user, or where he is. */
import type { ServerRecord } from '../base/model.ts';
import { bindingsOf, contactValue, remainingS } from './bindings.ts';
import type { Inbound, SipContext } from './context.ts';
import { answer, HOPS, hopsOf, ownUri, sipAddress } from './context.ts';
import type { ExtraHeader } from './response.ts';

/** 200 with all registrations of the user (RFC 3261 10.3 step 8). */
export function welcome(context: SipContext, inbound: Inbound, uid: string): void {
  const { request } = inbound;
  const { table, clock } = context.cases;
  const nowS = Math.floor(clock.now() / 1000);
  const headers: ExtraHeader[] = [];
  let isOutbound = false;
  const supported = request.headers('Supported');
  for (const binding of bindingsOf(table, uid)) {
    headers.push(['Contact', contactValue(binding, remainingS(table, binding.row, nowS))]);
    const { regId, instanceId, callId } = binding.registration;
    isOutbound ||= callId === request.callId && regId !== '' && instanceId !== '';
  }
  headers.push(['Date', dateOf(nowS)]);
  // Another node that has sent it on gives its own.
  if (headers.length > 1 && inbound.vouched === undefined) {
    headers.push(['Service-Route', `<${ownUri(context, inbound.flow, ';lr')}>`]);
  }
  if (supported.includes('path')) for (const path of request.headers('Path')) headers.push(['Path', path]);
  // RFC 5626 6: only where the phone is directly connected.
  if (isOutbound && supported.includes('outbound') && request.headers('Via').length === 1) {
    headers.push(['Require', 'outbound']);
    if (inbound.flow.isReliable) headers.push(['Flow-Timer', String(FLOW_TIMER_S)]);
  }
  answer(inbound, 200, headers);
}
const FLOW_TIMER_S = 120;

let dateS = -1;
let dateText = '';
/** The value of a Date header. */
export function dateOf(nowS: number): string {
  if (nowS !== dateS) {
    dateS = nowS;
    dateText = new Date(nowS * 1000).toUTCString();
  }
  return dateText;
}

/** 302 to the server that has him, or has room. */
export function sendOn(inbound: Inbound, { sip }: ServerRecord): void {
  if (sip === null) answer(inbound, 503, [['Retry-After', '5']]);
  else {
    const hops = hopsOf(inbound.request) + 1;
    answer(inbound, 302, [['Contact', `<sip:${sipAddress(sip)};${HOPS}=${hops}>`]]);
  }
}
