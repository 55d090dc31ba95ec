/** Requests for a user: a 302 to where he is (RFC 3261 8.3), or sent there by us (16), once it is known who asks. */
import { HOPS_MAX } from '../redirect/admission.ts';
import { issueTicket } from '../redirect/tickets.ts';
import { parseRegistration } from './bindings.ts';
import type { Callee } from './callee.ts';
import { findCallee, forwardTo } from './callee.ts';
import type { Caller } from './caller.ts';
import { isProven, withCaller } from './caller.ts';
import type { Inbound, SipContext, Waiting } from './context.ts';
import { answer, answerStranger, HOPS, hopsOf, isOurs, readOf, sipAddress } from './context.ts';
import { fork } from './fork.ts';
import type { Cause, ForkTarget, Plan, Step } from './fork.ts';
import { TICKET_HEADER } from './forward-message.ts';
import type { SipRequest } from './message.ts';
import { targetOfDevice, targetOfUri } from './outgoing.ts';
import { contactsOf, isPublic } from './redirect.ts';
import { isLoop } from './routing.ts';
import { escapeUser, nameOfUri } from './uri.ts';

/** One request on its way. */
interface Call {
  readonly context: SipContext;
  readonly inbound: Inbound;
  readonly caller: Caller;
  readonly isInvite: boolean;
  /** Sent on by us in any case, as the forwarding of a call that is. */
  readonly isProxied: boolean;
}

export function onUserRequest(context: SipContext, inbound: Inbound): void {
  const { request } = inbound;
  const { uri } = request;
  // 8.3: what the request requires is not for us; 16.3 step 5: but this is.
  const required = request.headers('Proxy-Require');
  const name = nameOfUri(uri);
  if (request.toTag !== undefined) answerStranger(context, inbound, 481);
  else if (request.maxForwards === 0) answerStranger(context, inbound, 483);
  else if (uri.scheme === 'other') answerStranger(context, inbound, 416);
  else if (uri.scheme !== 'tel' && !isOurs(context, uri)) answerStranger(context, inbound, 404);
  else if (required.length > 0) answerStranger(context, inbound, 420, [['Unsupported', required.join(', ')]]);
  else if (name === null) answerStranger(context, inbound, 404);
  else if (hopsOf(request) > HOPS_MAX || isLoop(context, request)) answerStranger(context, inbound, 482);
  else {
    withCaller(context, inbound, (caller, waiting) => callUser(context, inbound, caller, name, waiting), 'proxy');
  }
}

/** Sends the request to the user of this name, or answers where he is. */
export function callUser(
  context: SipContext,
  inbound: Inbound,
  caller: Caller,
  name: string,
  waiting: Waiting,
): Promise<void> | undefined {
  const isInvite = readOf(inbound).method === 'INVITE';
  const call = { context, inbound, caller, isInvite, isProxied: false };
  const step = after(findCallee(context, inbound, caller, name), (callee) => stepTo(call, callee));
  if (!(step instanceof Promise)) {
    perform(call, step);
    return undefined;
  }
  return step.then((found) => {
    if (waiting.cancelled) answer(inbound, 487);
    else perform(call, found);
  });
}

function after<T, U>(value: T | Promise<T>, then: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(then) : then(value);
}

/** What is done about the request, and by whom its forwarding goes on. */
type Found = (Step & { readonly callee: Callee }) | null;

function perform({ context, inbound, caller, isInvite }: Call, found: Found): void {
  if (found === null) return;
  if (found.kind === 'answer') {
    answer(inbound, found.status, found.headers);
    return;
  }
  if (!isProven(context, inbound, caller, 'proxy')) return;
  let { callee } = found;
  fork(context, inbound, found.plan, (cause) => {
    const to = isInvite ? forwardingFor(callee, cause) : '';
    if (to === '' || callee.kind !== 'devices') return null;
    const call = { context, inbound, caller, isInvite, isProxied: true };
    const next = after(forwardTo(context, inbound, caller, to, callee.trail), (other) => stepTo(call, other));
    return after(next, (step) => {
      // Whoever can't be reached there was not reached here before: that is what the caller is told.
      if (step === null || (step.kind === 'answer' && step.status >= 400)) return null;
      ({ callee } = step);
      return step;
    });
  });
}

function forwardingFor(callee: Callee, cause: Cause): string {
  if (callee.kind !== 'devices') return '';
  const { busy, noAnswer, unreachable } = callee.forwarding;
  return { busy, 'no-answer': noAnswer, unreachable, other: '' }[cause];
}

/** null: nothing is answered. */
function stepTo(call: Call, callee: Callee): Found | Promise<Found> {
  switch (callee.kind) {
    case 'dropped':
      return null;
    case 'refused':
      return { kind: 'answer', status: callee.status, callee };
    case 'server':
      return { ...stepToServer(call, callee), callee };
    case 'uri': {
      const target = goesThroughUs(call, () => false) ? targetOfUri(call.context, callee.uri) : null;
      if (target !== null) return { kind: 'try', plan: planOf([[target]]), callee };
      return { kind: 'answer', status: 302, headers: [['Contact', `<${callee.uri.text}>`]], callee };
    }
    case 'devices':
      return stepToDevices(call, callee);
  }
}

/** Whether we send the request on, or tell the caller where it goes. `isHidden`: he could not reach it himself. */
function goesThroughUs({ context, inbound, caller, isProxied }: Call, isHidden: () => boolean): boolean {
  const { calls } = context.settings;
  // Strangers get no state of ours.
  if (caller.proof === 'none') return false;
  if (calls !== 'auto' || isProxied) return calls === 'proxy' || isProxied;
  return isHidden() || !isDirect(inbound.request, inbound.flow.transport);
}

/** Whether the caller himself sent it from a public address, where the callee's requests reach him. */
function isDirect(request: SipRequest, transport: string): boolean {
  const { source, topVia } = request;
  if (transport !== 'udp' || source === null || request.headers('Via').length > 1) return false;
  return topVia.host === source.host && (topVia.port ?? 5060) === source.port;
}

function stepToServer(call: Call, { uid, server }: Extract<Callee, { kind: 'server' }>): Step {
  const { context, inbound, caller } = call;
  const { clusterKey, flows, cases } = context;
  const hops = hopsOf(inbound.request) + 1;
  if (server.sip === null) return { kind: 'answer', status: 480 };
  if (hops > HOPS_MAX) return { kind: 'answer', status: 482 };
  const uri = `sip:${escapeUser(uid)}@${sipAddress(server.sip)};${HOPS}=${hops}`;
  if (!goesThroughUs(call, () => false)) return { kind: 'answer', status: 302, headers: [['Contact', `<${uri}>`]] };
  const names = { asker: caller.uid, target: uid, server: server.name, issuer: cases.servers.me.name };
  const ticket = issueTicket(clusterKey, { purpose: 'call', ...names, hops }, cases.clock.now());
  const more = `${TICKET_HEADER}: ${ticket}\r\n`;
  return { kind: 'try', plan: planOf([[{ uri, flow: flows.flowTo(server.sip), route: [], more }]]) };
}

function stepToDevices(call: Call, callee: Extract<Callee, { kind: 'devices' }>): Found | Promise<Found> {
  const { context, inbound, caller, isInvite } = call;
  const { uid, devices, forwarding, trail } = callee;
  const followsUp = isInvite && (forwarding.busy !== '' || forwarding.noAnswer !== '' || forwarding.unreachable !== '');
  const isSentOn = goesThroughUs(call, () => followsUp || !devices.every(isPublic));
  if (isSentOn) {
    const groups = groupsOf(call, callee);
    const hasMore = isInvite && forwarding.noAnswer !== '';
    const plan = { groups, ringMs: forwarding.noAnswerSeconds * 1000, hasMore };
    if (groups.length > 0) return { kind: 'try', plan, callee };
  }
  // A client without SIP is only there to be told of.
  const contacts = contactsOf(uid, isSentOn ? devices.filter(({ contact }) => contact === '') : devices);
  if (contacts.length > 0) return { kind: 'answer', status: 302, headers: contacts, callee };
  if (forwarding.unreachable === '' || !isInvite) return { kind: 'answer', status: 480, callee };
  return after(forwardTo(context, inbound, caller, forwarding.unreachable, trail), (other) => stepTo(call, other));
}

function planOf(groups: readonly (readonly ForkTarget[])[]): Plan {
  return { groups, ringMs: 0, hasMore: false };
}

/** The devices that speak SIP and can be reached, those of the same q together, the highest first. */
function groupsOf(call: Call, { uid, devices }: Extract<Callee, { kind: 'devices' }>): ForkTarget[][] {
  const { context, inbound, caller } = call;
  const byQ = new Map<number, ForkTarget[]>();
  for (const device of devices) {
    const target = targetOfDevice(context, device);
    // Who calls himself rings at his other phones.
    if (target === null || (uid === caller.uid && target.flow.id === inbound.flow.id)) continue;
    const { q } = parseRegistration(device.registration);
    const key = q === '' ? 1 : Number(q);
    const group = byQ.get(key);
    if (group === undefined) byQ.set(key, [target]);
    else group.push(target);
  }
  return [...byQ].sort(([a], [b]) => b - a).map(([, group]) => group);
}
