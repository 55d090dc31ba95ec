/**
 * The registrar (RFC 3261 10.3). A registration is a session of the online table: a device that is known refreshes it
 * from memory, in one go; a new one logs in through the same use case as everybody.
 */
import type { ServerRecord } from '../base/model.ts';
import { entered, isTooLate } from '../login/intake.ts';
import type { LoginOutcome } from '../login/login.ts';
import type { Credentials } from './auth.ts';
import { admitAttempt, challenge, credentialOf, deny, isVerifiedHere, readCredentials, useOf } from './auth.ts';
import { bindingsOf, ha1OfKey, rowsOf } from './bindings.ts';
import type { Binding } from './bindings.ts';
import {
  admitStranger,
  answer,
  answerFailure,
  answerStranger,
  hold,
  isOurs,
  transactionOf,
  unsupported,
} from './context.ts';
import type { Inbound, SipContext } from './context.ts';
import type { Vouched } from './edge-statements.ts';
import { EDGE } from './header-names.ts';
import type { SipRequest } from './message.ts';
import { sendOn, welcome } from './register-answer.ts';
import { registerAt } from './register-forward.ts';
import { planOf } from './register-plan.ts';
import type { Plan } from './register-plan.ts';
import { apply, loginRequest, note, originOf } from './register-session.ts';
import type { Origin } from './register-session.ts';
import type { Relay } from './relays.ts';
import { relayNonceUse } from './relays.ts';
import type { NonceUse } from './spent-nonces.ts';

const SUPPORTED: ReadonlySet<string> = new Set(['path', 'outbound']);

export function onRegister(context: SipContext, inbound: Inbound): void {
  const { request, cameMs } = inbound;
  if (request.find(EDGE) >= 0) onSentOn(context, inbound);
  else if (request.uri.scheme === 'other') answerStranger(context, inbound, 416);
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

/** Another node sends it on: it has challenged the phone, and what is not for this realm it has refused. */
function onSentOn(context: SipContext, inbound: Inbound): void {
  const vouched = context.statements.read(inbound.request);
  if (typeof vouched === 'string') {
    context.counters.wrongMacs++;
    if (vouched === 'forged') answerStranger(context, inbound, 403, [], 'Statement Not Good');
    // A node made it: 403 would tell that one, and the phone behind it, that the password is wrong.
    else answerStranger(context, inbound, 503, [['Retry-After', '5']], 'Statement Out Of Time');
    return;
  }
  const held = { ...hold(context, inbound), vouched };
  if (vouched.kind === 'closed') {
    endClosed(context, held);
    return;
  }
  const credentials = vouched.kind === 'handed-over' ? handedOver(held, vouched) : readCredentials(context, held);
  if (typeof credentials === 'string' || !isOwn(held.request, credentials.uid)) answer(held, 403);
  else register(context, held, credentials, held.cameMs);
}

/** The other node has checked them when the phone registered there. */
function handedOver({ request }: Inbound, { algorithm }: Extract<Vouched, { kind: 'handed-over' }>): Credentials {
  return { uid: userOf(request.to.uri) ?? '', algorithm, nonce: '', nonceMs: 0, count: 0, isGood: () => true };
}

/** Ends what was registered over a connection of the other node. */
function endClosed(context: SipContext, inbound: Inbound): void {
  const { request } = inbound;
  const [path] = request.headers('Path');
  for (const { row, registration } of bindingsOf(context.cases.table, userOf(request.to.uri) ?? '')) {
    if (registration.edge === path) context.cases.logout(row);
  }
  answer(inbound, 200);
}

/** Only for oneself: no third-party registration. */
function isOwn({ to, from }: SipRequest, uid: string): boolean {
  return userOf(to.uri) === uid && userOf(from.uri) === uid;
}

function userOf(uri: SipRequest['uri']): string | null {
  return uri.scheme === 'sip' || uri.scheme === 'sips' ? uri.user : null;
}

function register(context: SipContext, inbound: Inbound, credentials: Credentials, nowMs: number): void {
  const bindings = bindingsOf(context.cases.table, credentials.uid);
  const relay = bindings.length === 0 ? relayOf(context, inbound, credentials) : undefined;
  const isHere = isVerifiedHere(context, rowsOf(bindings), credentials);
  const use = nonceUseOf(context, inbound, credentials, bindings, relay, nowMs);
  if (use !== 'fresh') {
    // A retransmission whose answer was lost gets it again, and nothing is executed twice.
    const isAgain = use === 'repeat' && isHere && isRepeat(context, inbound.request, bindings);
    if (isAgain) welcome(context, inbound, credentials.uid);
    else challenge(context, inbound, true);
    return;
  }
  const isTrusted = isHere || relay !== undefined || inbound.vouched !== undefined;
  const plan = planOf(context, inbound, bindings);
  if (plan.kind === 'refusal') {
    if (isTrusted) answer(inbound, plan.status, plan.headers, plan.reason);
    else answerStranger(context, inbound, plan.status, plan.headers, plan.reason);
  } else if (isHere && !isNew(context, plan)) {
    apply(context, inbound, credentials, plan, bindings);
    welcome(context, inbound, credentials.uid);
  } else {
    const key = attemptKey(inbound, credentials);
    // Repeated while it is under way: that is going to be answered.
    if (context.waiting.has(key)) return;
    if (!isTrusted && !(admitStranger(context, inbound) && admitAttempt(context, inbound))) return;
    void registerNew(context, inbound, key, {
      ...{ credentials, plan, isHere, relay, isInTurn: false },
      origin: originOf(inbound),
      complete: () => {
        complete(context, inbound, credentials);
      },
    });
  }
}

/** Of a registration under way: the same nonce-count can't be used twice meanwhile. */
function attemptKey({ request, vouched }: Inbound, { nonce, count, uid }: Credentials): string {
  return vouched === undefined ? loginKey(nonce, count, uid) : transactionOf(request);
}

/** The nonce itself, not only its time: a stranger can get one of the same millisecond, and name another's uid. */
export function loginKey(nonce: string, count: number, uid: string): string {
  return `REGISTER ${nonce} ${count} ${uid}`;
}

/** Before the directory is asked: as many as it can answer at once are being registered. */
export function refuseNow({ intake, counters, cases }: SipContext, inbound: Inbound): void {
  counters.loginsFailed++;
  answer(inbound, 503, [['Retry-After', String(intake.appointment(cases.clock.now()))]]);
}

/** Of a user whom another node has, as far as is known here, and whose credentials are good. */
function relayOf(context: SipContext, { cameMs, vouched }: Inbound, credentials: Credentials): Relay | undefined {
  const relay = vouched === undefined ? context.relays.find(credentials.uid, cameMs) : undefined;
  return relay?.algorithm === credentials.algorithm && credentials.isGood(relay.ha1) ? relay : undefined;
}

function nonceUseOf(
  context: SipContext,
  { vouched }: Inbound,
  credentials: Credentials,
  bindings: readonly Binding[],
  relay: Relay | undefined,
  nowMs: number,
): NonceUse {
  if (vouched !== undefined) return 'fresh';
  if (relay === undefined) return useOf(context, rowsOf(bindings), credentials, nowMs);
  const { uid, nonceMs, count } = credentials;
  return relayNonceUse(relay, context.spent.newest(uid, nowMs), nonceMs, count);
}

function isRepeat({ cases }: SipContext, { callId, cseq }: SipRequest, bindings: readonly Binding[]): boolean {
  const { sessions } = cases.table;
  return bindings.some(({ row, registration }) => registration.callId === callId && sessions.cseq(row) === cseq.number);
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

/** A registration that is not refreshed from memory. */
export interface Attempt {
  readonly credentials: Credentials;
  readonly plan: Plan;
  /** The credentials are those of one of his registrations here. */
  readonly isHere: boolean;
  /** Its login has entered the intake: it is its turn. */
  readonly isInTurn: boolean;
  readonly relay: Relay | undefined;
  readonly origin: Origin;
  /** All logins were good: does what is left to do, and answers. */
  readonly complete: () => void;
}

/** By way of the directory, or of another node. Never rejects. */
export async function registerNew(context: SipContext, inbound: Inbound, key: string, attempt: Attempt): Promise<void> {
  const { waiting } = context;
  waiting.set(key, { cancelled: false });
  try {
    await registerWhereHeIs(context, inbound, attempt);
  } catch (error) {
    failed(context, inbound, error);
  } finally {
    waiting.delete(key);
    // It has closed meanwhile: nobody would tell of that again.
    const { flow } = inbound;
    if (flow.isReliable && context.flows.findConnection(flow.id) === undefined) context.unbind(flow);
  }
}

/** Nobody is there to whom an error in the answer could go. */
function failed(context: SipContext, inbound: Inbound, error: unknown): void {
  try {
    answerFailure(context, inbound, error);
  } catch (another) {
    context.log.error({ err: another }, 'a REGISTER could not be answered');
  }
}

async function registerWhereHeIs(context: SipContext, inbound: Inbound, attempt: Attempt): Promise<void> {
  const { credentials, relay } = attempt;
  const { uid, algorithm } = credentials;
  const hops = attempt.origin.hops + 1;
  const isWay = inbound.vouched === undefined && mayBeWay(context, attempt);
  const { intake } = context;
  const { clock } = context.cases;
  if (relay !== undefined && isWay) {
    const owner = context.cases.servers.other(relay.owner);
    if (owner !== undefined && (await registerAt(context, inbound, credentials, owner, relay, hops))) return;
  }
  for (let tries = 1; tries <= TRIES_MAX; tries++) {
    if (tries > 1 || !attempt.isInTurn) {
      // A node that gets no answer soon takes this one for dead.
      if (inbound.vouched === undefined ? intake.isFull : intake.hasLine) {
        refuseNow(context, inbound);
        return;
      }
      await entered(intake, clock);
      if (isTooLate(inbound.cameMs, clock.now())) {
        refuseNow(context, inbound);
        intake.giveUp(clock.now());
        return;
      }
    }
    const outcome = await logIn(context, inbound, attempt).finally(() => {
      intake.leave(clock.now());
    });
    if (outcome.kind === 'denied') {
      await deny(context, inbound, uid, outcome.reason);
      return;
    }
    if (outcome.kind === 'good') {
      context.relays.forget(uid);
      attempt.complete();
      return;
    }
    context.spent.spend(uid, credentials.nonceMs, inbound.cameMs);
    const { to, ha1 } = outcome;
    if (!isWay) {
      if (inbound.vouched === undefined) context.relays.tell(uid, inbound.cameMs);
      sendOn(inbound, to);
      return;
    }
    const known = ha1 === null ? null : { algorithm, ha1 };
    if (await registerAt(context, inbound, credentials, to, known, hops)) return;
  }
  answer(inbound, 503, [['Retry-After', '5']]);
}
/**
 * Whether this node goes between: one that goes away does so only for a phone that leaves too, or that was told where to
 * go and came back all the same.
 */
function mayBeWay({ cases: { servers }, relays }: SipContext, { plan, credentials }: Attempt): boolean {
  if (servers.state === 'on' || plan.wanted.length === 0) return true;
  return relays.wasTold(credentials.uid, servers.drained?.sinceMs ?? 0);
}

/** So often the directory names an owner who is none, before the phone is told to come back. */
const TRIES_MAX = 3;

type Outcome =
  /** All contacts are registered, or there was none and the password is right. */
  | { readonly kind: 'good' }
  | Extract<LoginOutcome, { kind: 'denied' }>
  /** `ha1`: null where no login has told it. */
  | { readonly kind: 'elsewhere'; readonly to: ServerRecord; readonly ha1: string | null };

/** All contacts that need it, one after the other. */
async function logIn(context: SipContext, inbound: Inbound, attempt: Attempt): Promise<Outcome> {
  const { credentials, plan, isHere, origin } = attempt;
  const { cases } = context;
  const { uid } = credentials;
  const isLeaving = hasSuccessor(context);
  for (const wanted of plan.wanted) {
    if (wanted.binding !== undefined && isHere && !isLeaving) continue;
    const outcome = await cases.login(loginRequest(inbound, origin, credentials, wanted));
    if (outcome.kind === 'redirect') return { kind: 'elsewhere', to: outcome.to, ha1: ha1OfKey(outcome.key).ha1 };
    if (outcome.kind === 'denied') return outcome;
    note(context, inbound, origin, credentials, outcome.row);
  }
  if (isHere || plan.wanted.length > 0) return { kind: 'good' };
  const verdict = await cases.authenticate({ uid, credential: credentialOf(credentials) });
  if (verdict.kind === 'denied') return verdict;
  // Nothing to log in: what there is may be at another node.
  const found = inbound.vouched === undefined ? await cases.locateElsewhere(uid, uid) : null;
  return found?.kind === 'see-also' ? { kind: 'elsewhere', to: found.server, ha1: null } : { kind: 'good' };
}

/** What is left of the request after the logins, and the answer. */
export function complete(context: SipContext, inbound: Inbound, credentials: Credentials): void {
  applyRest(context, inbound, credentials);
  welcome(context, inbound, credentials.uid);
}

/** Rows are good until something is awaited, so it is planned anew. */
function applyRest(context: SipContext, inbound: Inbound, credentials: Credentials): void {
  const bindings = bindingsOf(context.cases.table, credentials.uid);
  const plan = planOf(context, inbound, bindings.filter(isUntouched(context, inbound)));
  if (plan.kind === 'plan') apply(context, inbound, credentials, plan, bindings);
}

/** Not (re-)registered by this very request. */
function isUntouched({ cases }: SipContext, { request }: Inbound): (binding: Binding) => boolean {
  const { sessions } = cases.table;
  return ({ row, registration }) =>
    registration.callId !== request.callId || sessions.cseq(row) !== request.cseq.number;
}
