/** Who sends a request: by the address from which he is registered, else by Digest (RFC 3261 22). */
import { checkTicket, isAsker } from '../redirect/tickets.ts';
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
import type { Credentials } from './auth.ts';
import { bindingsOf } from './bindings.ts';
import type { Inbound, SipContext, Waiting } from './context.ts';
import { admitStranger, answerFailure, answerStranger, transactionOf } from './context.ts';
import { TICKET_HEADER } from './forward-message.ts';

/** Who asks; '' is nobody known. */
export interface Caller {
  readonly uid: string;
  readonly mayCallOut: boolean;
  /** `address`: he sends from where he is registered, which a datagram can feign; `ticket`: another node vouches for him. */
  readonly proof: 'digest' | 'address' | 'ticket' | 'none';
}

const ANONYMOUS: Caller = { uid: '', mayCallOut: true, proof: 'none' };

/** What is done for the caller. As long as its promise is pending, retransmissions are absorbed; a CANCEL marks `waiting`. */
export type ForCaller = (caller: Caller, waiting: Waiting) => Promise<void> | undefined;

/**
 * Does it for the caller once it is known who that is; everybody else is answered here. A failure is answered 503 or
 * 500. `mayBeAnonymous`: where the settings let strangers call, they need not say who they are.
 */
export function withCaller(context: SipContext, inbound: Inbound, then: ForCaller, mayBeAnonymous = false): void {
  if (context.waiting.size > 0 && context.waiting.has(transactionOf(inbound.request))) return;
  const known = registeredCaller(context, inbound) ?? vouchedCaller(context, inbound);
  if (known !== null) {
    run(context, inbound, (waiting) => then(known, waiting));
    return;
  }
  byCredentials(context, inbound, then, mayBeAnonymous);
}

/**
 * The same for what goes on in the caller's name: to come from the address where he is registered proves nothing where
 * the sender of a datagram can feign it.
 */
export function withProvenCaller(context: SipContext, inbound: Inbound, then: ForCaller): void {
  if (inbound.flow.isReliable) withCaller(context, inbound, then);
  else if (!context.waiting.has(transactionOf(inbound.request))) byCredentials(context, inbound, then, false);
}

function byCredentials(context: SipContext, inbound: Inbound, then: ForCaller, mayBeAnonymous: boolean): void {
  const credentials = readCredentials(context, inbound);
  if (typeof credentials !== 'string') authenticate(context, inbound, credentials, then);
  else if (mayBeAnonymous && context.settings.anonymous && credentials === 'none') {
    if (admitStranger(context, inbound)) run(context, inbound, (waiting) => then(ANONYMOUS, waiting));
  } else if (credentials === 'other') answerStranger(context, inbound, 400, [], 'Digest For Another Request');
  else challenge(context, inbound, credentials === 'stale');
}

/** An address alone can be feigned, and asking the directory costs: then it is one of a stranger's requests. */
export function mayAskDirectory(context: SipContext, inbound: Inbound, { proof }: Caller): boolean {
  return proof !== 'address' || admitStranger(context, inbound);
}

/** Who sends from the very address from which he is registered. */
function registeredCaller({ cases }: SipContext, { request, flow }: Inbound): Caller | null {
  const { uri } = request.from;
  if ((uri.scheme !== 'sip' && uri.scheme !== 'sips') || uri.user === null) return null;
  const { table } = cases;
  const userRow = table.users.find(uri.user);
  if (userRow < 0 || !table.rowsOf(userRow).some((row) => table.sessions.isWan(row, flow.remote))) return null;
  return { uid: uri.user, mayCallOut: table.users.profile(userRow).mayCallOut, proof: 'address' };
}

/** Whom another node has sent here by itself, with a ticket under the cluster key for this very callee. */
function vouchedCaller({ cases, clusterKey }: SipContext, { request }: Inbound): Caller | null {
  const text = request.header(TICKET_HEADER);
  const { from, uri } = request;
  if (text === undefined || from.uri.scheme === 'other' || from.uri.scheme === 'tel' || from.uri.user === null)
    return null;
  const target = 'user' in uri ? (uri.user ?? '') : '';
  const expected = { purpose: 'call', server: cases.servers.me.name, target } as const;
  const ticket = checkTicket(clusterKey, text, expected, cases.clock.now());
  if (ticket.outcome !== 'good' || !isAsker(ticket.asker, from.uri.user)) return null;
  // The other node sends nobody here who may not call out.
  return { uid: from.uri.user, mayCallOut: true, proof: 'ticket' };
}

function authenticate(context: SipContext, inbound: Inbound, credentials: Credentials, then: ForCaller): void {
  const { uid } = credentials;
  const { from } = inbound.request;
  if ((from.uri.scheme !== 'sip' && from.uri.scheme !== 'sips') || from.uri.user !== uid) {
    answerStranger(context, inbound, 403);
    return;
  }
  const { table, clock } = context.cases;
  const bindings = bindingsOf(table, uid);
  if (useOf(context, bindings, credentials, inbound.cameMs) === 'spent') {
    challenge(context, inbound, true);
  } else if (isVerifiedHere(context, bindings, credentials)) {
    const rows = bindings.map(({ row }) => row);
    markUsed(context, rows, credentials, inbound.cameMs);
    const { mayCallOut } = table.users.profile(table.users.find(uid));
    run(context, inbound, (waiting) => then({ uid, mayCallOut, proof: 'digest' }, waiting));
  } else if (admitStranger(context, inbound) && admitAttempt(context, inbound)) {
    run(context, inbound, async (waiting) => {
      const verdict = await context.cases.authenticate({ uid, credential: credentialOf(credentials) });
      if (verdict.kind === 'denied') {
        await deny(context, inbound, uid, verdict.reason);
        return;
      }
      context.spent.spend(uid, credentials.nonceMs, clock.now());
      await then({ uid, mayCallOut: verdict.mayCallOut, proof: 'digest' }, waiting);
    });
  }
}

/** Retransmissions are absorbed until its end, and a CANCEL finds it. */
function run(context: SipContext, inbound: Inbound, work: (waiting: Waiting) => Promise<void> | undefined): void {
  const state = { cancelled: false };
  const pending = work(state);
  if (pending === undefined) return;
  const { waiting } = context;
  const key = transactionOf(inbound.request);
  waiting.set(key, state);
  pending
    .catch((error: unknown) => {
      answerFailure(context, inbound, error);
    })
    .finally(() => waiting.delete(key));
}
