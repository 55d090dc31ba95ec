/**
 * The registrar (RFC 3261 10.3). A registration is a session of the online table: a device that is known refreshes it
 * from memory, in one go; a new one logs in through the same use case as everybody.
 */
import type { LoginOutcome } from '../login/login.ts';
import { HOPS_MAX } from '../redirect/admission.ts';
import type { Credentials } from './auth.ts';
import {
  admitAttempt,
  challenge,
  credentialOf,
  deny,
  isVerifiedHere,
  markUsed,
  readCredentials,
  useOf,
} from './auth.ts';
import { bindingsOf, contactValue, remainingS } from './bindings.ts';
import type { Binding } from './bindings.ts';
import {
  admitStranger,
  answer,
  answerFailure,
  answerStranger,
  HOPS,
  hopsOf,
  isOurs,
  ownUri,
  sipAddress,
  unsupported,
} from './context.ts';
import type { Inbound, SipContext } from './context.ts';
import type { SipRequest } from './message.ts';
import { planOf } from './register-plan.ts';
import type { Plan, Wanted } from './register-plan.ts';
import type { ExtraHeader } from './response.ts';

const SUPPORTED: ReadonlySet<string> = new Set(['path', 'outbound']);

export function onRegister(context: SipContext, inbound: Inbound): void {
  const { request, cameMs } = inbound;
  if (request.uri.scheme === 'other') answerStranger(context, inbound, 416);
  else if (!isOurs(context, request.uri) || !isOurs(context, request.to.uri)) answerStranger(context, inbound, 404);
  else {
    const missing = unsupported(request, SUPPORTED);
    const credentials = missing === undefined ? readCredentials(context, inbound) : 'none';
    if (missing !== undefined) answerStranger(context, inbound, 420, [['Unsupported', missing]]);
    else if (credentials === 'other') answerStranger(context, inbound, 400, [], 'Digest For Another Request');
    else if (typeof credentials === 'string') challenge(context, inbound, credentials === 'stale');
    else if (!isOwn(request, credentials.uid)) answerStranger(context, inbound, 403);
    else register(context, inbound, credentials, cameMs);
  }
}

/** Only for oneself: no third-party registration. */
function isOwn({ to, from }: SipRequest, uid: string): boolean {
  return userOf(to.uri) === uid && userOf(from.uri) === uid;
}

function userOf(uri: SipRequest['uri']): string | null {
  return uri.scheme === 'sip' || uri.scheme === 'sips' ? uri.user : null;
}

function register(context: SipContext, inbound: Inbound, credentials: Credentials, nowMs: number): void {
  const { request } = inbound;
  const bindings = bindingsOf(context.cases.table, credentials.uid);
  const use = useOf(context, bindings, credentials, nowMs);
  const isKnown = isVerifiedHere(context, bindings, credentials);
  if (use !== 'fresh') {
    // A retransmission whose answer was lost gets it again, and nothing is executed twice.
    if (use === 'repeat' && isKnown && isRepeat(context, request, bindings)) welcome(context, inbound, credentials.uid);
    else challenge(context, inbound, true);
    return;
  }
  const plan = planOf(context, request, bindings);
  if (plan.kind === 'refusal') {
    if (isKnown) answer(inbound, plan.status, plan.headers, plan.reason);
    else answerStranger(context, inbound, plan.status, plan.headers, plan.reason);
  } else if (isKnown && !isNew(context, plan)) {
    apply(context, inbound, credentials, plan, bindings);
    welcome(context, inbound, credentials.uid);
  } else if ((isKnown || admitStranger(context, inbound)) && admitAttempt(context, inbound)) {
    void registerNew(context, inbound, credentials, plan, isKnown);
  }
}

function isRepeat({ cases }: SipContext, { callId, cseq }: SipRequest, bindings: readonly Binding[]): boolean {
  const { seqHighest } = cases.table.sessions;
  return bindings.some(({ row, registration }) => registration.callId === callId && seqHighest[row] === cseq.number);
}

/** Whether the login decides: of a new device, and of every one while this node sends its clients away. */
function isNew(context: SipContext, { wanted }: Plan): boolean {
  return wanted.some(({ binding }) => binding === undefined) || (wanted.length > 0 && hasSuccessor(context));
}

/** This node is draining, and another one has room. */
export function hasSuccessor({ cases: { servers } }: SipContext): boolean {
  if (servers.state !== 'draining') return false;
  return servers.others().some(({ state, users, usersMax }) => state === 'on' && users < usersMax);
}

/** By way of the directory. The same nonce-count can't be used twice meanwhile. */
async function registerNew(
  context: SipContext,
  inbound: Inbound,
  credentials: Credentials,
  plan: Plan,
  isKnown: boolean,
): Promise<void> {
  const { waiting } = context;
  const key = `REGISTER ${credentials.nonceMs} ${credentials.count} ${credentials.uid}`;
  if (waiting.has(key)) return;
  waiting.set(key, { cancelled: false });
  try {
    const outcome = await logIn(context, inbound, credentials, plan, isKnown);
    if (outcome.kind === 'denied') await deny(context, inbound, credentials.uid, outcome.reason);
    else if (outcome.kind === 'redirect') {
      context.spent.spend(credentials.uid, credentials.nonceMs, inbound.cameMs);
      sendOn(inbound, outcome);
    } else {
      applyRest(context, inbound, credentials);
      welcome(context, inbound, credentials.uid);
    }
  } catch (error) {
    answerFailure(context, inbound, error);
  } finally {
    waiting.delete(key);
  }
}

/** All contacts that need it, one after the other; `good`: all of them, or there was none and the password is right. */
async function logIn(
  context: SipContext,
  inbound: Inbound,
  credentials: Credentials,
  plan: Plan,
  isKnown: boolean,
): Promise<Exclude<LoginOutcome, { kind: 'welcome' }> | { readonly kind: 'good' }> {
  const { cases } = context;
  const { uid } = credentials;
  const isLeaving = hasSuccessor(context);
  for (const wanted of plan.wanted) {
    if (wanted.binding !== undefined && isKnown && !isLeaving) continue;
    const outcome = await cases.login(loginRequest(inbound, credentials, wanted));
    if (outcome.kind !== 'welcome') return outcome;
    note(context, inbound, credentials, outcome.row);
  }
  if (isKnown || plan.wanted.length > 0) return { kind: 'good' };
  const verdict = await cases.authenticate({ uid, credential: credentialOf(credentials) });
  return verdict.kind === 'denied' ? verdict : { kind: 'good' };
}

/** What is left of the request after the logins. Rows are good until something is awaited, so it is planned anew. */
function applyRest(context: SipContext, inbound: Inbound, credentials: Credentials): void {
  const bindings = bindingsOf(context.cases.table, credentials.uid);
  const plan = planOf(context, inbound.request, bindings.filter(isUntouched(context, inbound)));
  if (plan.kind === 'plan') apply(context, inbound, credentials, plan, bindings);
}

/** Not (re-)registered by this very request. */
function isUntouched({ cases }: SipContext, { request }: Inbound): (binding: Binding) => boolean {
  const { seqHighest } = cases.table.sessions;
  return ({ row, registration }) => registration.callId !== request.callId || seqHighest[row] !== request.cseq.number;
}

function loginRequest(
  { request, flow }: Inbound,
  credentials: Credentials,
  { instance, contact, registration, local, lifetimeS, binding }: Wanted,
) {
  const hops = hopsOf(request);
  return {
    uid: credentials.uid,
    credential: credentialOf(credentials),
    source: flow.remote,
    lifetimeS,
    local,
    firewall: 'strong' as const,
    status: 'online' as const,
    // The device keeps the name under which it is known.
    instance: binding?.text.instance ?? instance,
    note: '',
    device: deviceOf(request),
    contact,
    registration,
    hops,
    sentBy: () => hops >= HOPS_MAX,
  };
}

const DEVICE_CHARACTERS_MAX = 256;

function deviceOf(request: SipRequest): string {
  const agent = request.header('User-Agent') ?? '';
  return agent === '' ? '' : `agent=${agent.replace(/[\p{Cc};]/gu, ' ').slice(0, DEVICE_CHARACTERS_MAX)}`;
}

/** What the session keeps of the request that made it. */
function note(
  { cases, bind }: SipContext,
  { request, flow }: Inbound,
  { nonceMs, count }: Credentials,
  row: number,
): void {
  const { sessions } = cases.table;
  sessions.seqHighest[row] = request.cseq.number;
  sessions.seqMaskLow[row] = nonceMs >>> 0;
  sessions.seqMaskHigh[row] = count;
  bind(row, flow);
}

/** Refreshes and removals, all of them at once. */
function apply(
  context: SipContext,
  inbound: Inbound,
  credentials: Credentials,
  plan: Plan,
  bindings: readonly Binding[],
): void {
  const { cases } = context;
  const { sessions } = cases.table;
  const { remote } = inbound.flow;
  for (const { binding, contact, registration, lifetimeS } of plan.wanted) {
    if (binding === undefined) continue;
    const { row, text } = binding;
    const isSame = text.contact === contact && text.registration === registration;
    cases.renew(row, lifetimeS, isSame ? undefined : { ...text, contact, registration });
    if (!sessions.isWan(row, remote)) cases.moved(row, remote);
    note(context, inbound, credentials, row);
  }
  const rows = bindings.map(({ row }) => row);
  markUsed(context, rows, credentials, inbound.cameMs);
  for (const { row } of plan.removed) cases.logout(row);
}

/** 200 with all registrations of the user (RFC 3261 10.3 step 8). */
function welcome(context: SipContext, inbound: Inbound, uid: string): void {
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
  if (headers.length > 1) headers.push(['Service-Route', `<${ownUri(context, inbound.flow, ';lr')}>`]);
  if (supported.includes('path')) for (const path of request.headers('Path')) headers.push(['Path', path]);
  // RFC 5626 6: only where the phone is directly connected.
  if (isOutbound && supported.includes('outbound') && request.headers('Via').length === 1) {
    headers.push(['Require', 'outbound']);
    if (inbound.flow.isReliable) headers.push(['Flow-Timer', String(FLOW_TIMER_S)]);
  }
  answer(inbound, 200, headers);
}
const FLOW_TIMER_S = 120;

let dateS = 0;
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
function sendOn(inbound: Inbound, { to }: Extract<LoginOutcome, { kind: 'redirect' }>): void {
  if (to.sip === null) answer(inbound, 503, [['Retry-After', '5']]);
  else {
    const hops = hopsOf(inbound.request) + 1;
    answer(inbound, 302, [['Contact', `<sip:${sipAddress(to.sip)};${HOPS}=${hops}>`]]);
  }
}
