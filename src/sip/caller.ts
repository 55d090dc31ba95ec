/** Who sends a request: by the flow over which he is registered, else by Digest (RFC 3261 22). */
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
import type { Credentials, Role } from './auth.ts';
import { bindingRowsOf } from './bindings.ts';
import type { Inbound, SipContext, Waiting } from './context.ts';
import { admitStranger, answer, answerFailure, answerStranger, isOurs, transactionOf } from './context.ts';
import type { Flow } from './flow.ts';
import { TICKET_HEADER } from './forward-message.ts';
import type { SipRequest } from './message.ts';
import { nameOfUri } from './uri.ts';

/** Who asks; '' is nobody known. */
export interface Caller {
  readonly uid: string;
  readonly mayCallOut: boolean;
  readonly proof: Proof;
}

/**
 * How he proved it. `address`: a datagram from where he is registered, which anybody can feign; `repeat`: a Digest that was
 * good before, which anybody can have copied from the wire; `ticket`: another node vouches for him; `none`: a stranger.
 */
type Proof = 'digest' | 'connection' | 'ticket' | 'address' | 'repeat' | 'none';

const ANONYMOUS: Caller = { uid: '', mayCallOut: true, proof: 'none' };

/** What is done for the caller. As long as its promise is pending, retransmissions are absorbed; a CANCEL marks `waiting`. */
export type ForCaller = (caller: Caller, waiting: Waiting) => Promise<void> | undefined;

/**
 * Does it for the caller once it is known who that is; everybody else is answered here. A failure is answered 503 or
 * 500. As a proxy we take the word of other nodes, and that of strangers where the settings let them call.
 */
export function withCaller(context: SipContext, inbound: Inbound, then: ForCaller, role: Role = 'server'): void {
  if (context.waiting.size > 0 && context.waiting.has(transactionOf(inbound.request))) return;
  const name = nameOfCaller(context, inbound.request);
  const credentials = readCredentials(context, inbound, role);
  const known =
    registeredCaller(context, inbound, name, credentials === 'none') ??
    (role === 'proxy' ? vouchedCaller(context, inbound) : null);
  if (known !== null) run(context, inbound, (waiting) => then(known, waiting));
  else if (role === 'proxy' && context.settings.anonymous && credentials === 'none') {
    if (admitStranger(context, inbound)) run(context, inbound, (waiting) => then(ANONYMOUS, waiting));
  } else if (name === null) answerStranger(context, inbound, 403);
  else if (credentials === 'other') answerStranger(context, inbound, 400, [], 'Digest For Another Request');
  else if (typeof credentials === 'string') challenge(context, inbound, credentials === 'stale', role);
  else authenticate(context, inbound, { credentials, name, role }, then);
}

/** The same for what lasts, or goes on in the caller's name: see isProven(). */
export function withProvenCaller(context: SipContext, inbound: Inbound, then: ForCaller): void {
  withCaller(context, inbound, (caller, waiting) =>
    isProven(context, inbound, caller) ? then(caller, waiting) : undefined,
  );
}

/** Whether nobody else can have sent it in the caller's name; challenges where somebody could. */
export function isProven(context: SipContext, inbound: Inbound, { proof }: Caller, role: Role = 'server'): boolean {
  if (proof !== 'address' && proof !== 'repeat') return true;
  challenge(context, inbound, proof === 'repeat', role);
  return false;
}

/** An address alone can be feigned, and asking the directory costs: then it is one of a stranger's requests. */
export function mayAskDirectory(context: SipContext, inbound: Inbound, { proof }: Caller): boolean {
  return proof !== 'address' || admitStranger(context, inbound);
}

/**
 * The uid or number that the From names; null where it is of another domain. Whoever was sent here by another node has
 * the address of that in his From.
 */
function nameOfCaller(context: SipContext, { from: { uri } }: SipRequest): string | null {
  if (uri.scheme === 'sip' || uri.scheme === 'sips') {
    const isOfNode = isOurs(context, uri) || context.cases.servers.others().some(({ sip }) => sip?.host === uri.host);
    if (!isOfNode) return null;
  }
  return nameOfUri(uri);
}

/** Who sends over the very connection, or from the very address, by which he is registered. */
function registeredCaller(
  context: SipContext,
  { flow }: Inbound,
  uid: string | null,
  byAddress: boolean,
): Caller | null {
  if (uid === null || !(flow.isReliable || byAddress)) return null;
  const { table } = context.cases;
  const userRow = table.users.find(uid);
  if (userRow < 0 || !table.rowsOf(userRow).some((row) => isFlowOf(context, row, flow))) return null;
  const proof = flow.isReliable ? 'connection' : 'address';
  return { uid, mayCallOut: table.users.mayCallOut(userRow), proof };
}

/** Whether the flow is that of this session's registration, as far as it shows. */
export function isFlowOf({ cases, flowOf }: SipContext, row: number, flow: Flow): boolean {
  return flow.isReliable ? flowOf(row)?.id === flow.id : cases.table.sessions.isWan(row, flow.remote);
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

interface Claim {
  readonly credentials: Credentials;
  /** Of the From. */
  readonly name: string;
  readonly role: Role;
}

function authenticate(context: SipContext, inbound: Inbound, claim: Claim, then: ForCaller): void {
  const { credentials, name, role } = claim;
  const { uid } = credentials;
  // His number ends with his uid (DIRECTORY.md section 1).
  if (!name.endsWith(uid)) {
    answerStranger(context, inbound, 403);
    return;
  }
  const { table } = context.cases;
  const rows = bindingRowsOf(table, uid);
  const use = useOf(context, rows, credentials, inbound.cameMs);
  if (use === 'spent') challenge(context, inbound, true, role);
  else if (name === uid && isVerifiedHere(context, rows, credentials)) {
    markUsed(context, rows, credentials, inbound.cameMs);
    const mayCallOut = table.users.mayCallOut(table.users.find(uid));
    run(context, inbound, (waiting) => then({ uid, mayCallOut, proof: proofOf(use) }, waiting));
  } else if (admitStranger(context, inbound) && admitAttempt(context, inbound)) {
    run(context, inbound, (waiting) => authenticateByDirectory(context, inbound, claim, waiting, then));
  }
}

async function authenticateByDirectory(
  context: SipContext,
  inbound: Inbound,
  { credentials, name, role }: Claim,
  waiting: Waiting,
  then: ForCaller,
): Promise<void> {
  const { cases } = context;
  const { uid } = credentials;
  const verdict = await cases.authenticate({ uid, credential: credentialOf(credentials) });
  if (verdict.kind === 'denied') {
    await deny(context, inbound, uid, verdict.reason);
    return;
  }
  if (name !== uid && !(await isNumberOf(context, name, uid))) {
    answer(inbound, 403);
    return;
  }
  // Asked only now: another request may have come with the same count meanwhile.
  const rows = bindingRowsOf(cases.table, uid);
  const use = useOf(context, rows, credentials, inbound.cameMs);
  if (use === 'spent') {
    challenge(context, inbound, true, role);
    return;
  }
  markUsed(context, rows, credentials, inbound.cameMs);
  await then({ uid, mayCallOut: verdict.mayCallOut, proof: proofOf(use) }, waiting);
}

async function isNumberOf({ cases }: SipContext, number: string, uid: string): Promise<boolean> {
  const located = await cases.locateElsewhere(uid, number);
  return located.kind !== 'unknown' && located.uid === uid;
}

function proofOf(use: 'fresh' | 'repeat'): Proof {
  return use === 'fresh' ? 'digest' : 'repeat';
}

/** Retransmissions are absorbed until its end, and a CANCEL finds it. */
export function run(
  context: SipContext,
  inbound: Inbound,
  work: (waiting: Waiting) => Promise<void> | undefined,
): void {
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
