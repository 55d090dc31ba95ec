/** A registration as a session: what a login of it says, what the session keeps, and how it is refreshed and ended. */
import type { LoginRequest } from '../login/login.ts';
import { HOPS_MAX } from '../redirect/admission.ts';
import type { Credentials } from './auth.ts';
import { credentialOf, markUsed } from './auth.ts';
import type { Binding } from './bindings.ts';
import type { Inbound, SipContext } from './context.ts';
import { hopsOf } from './context.ts';
import type { Plan, Wanted } from './register-plan.ts';

/** What a registration takes of its request beside the contacts. */
export interface Origin {
  /** As hopsOf(). */
  readonly hops: number;
  readonly cseq: number;
  readonly agent: string;
}

export function originOf({ request }: Inbound): Origin {
  return { hops: hopsOf(request), cseq: request.cseq.number, agent: request.header('User-Agent') ?? '' };
}

export function loginRequest(
  { flow, vouched }: Pick<Inbound, 'flow' | 'vouched'>,
  origin: Origin,
  credentials: Credentials,
  { instance, contact, registration, local, lifetimeS, binding }: Wanted,
): LoginRequest {
  const hops = vouched?.hops ?? origin.hops;
  return {
    uid: credentials.uid,
    credential: credentialOf(credentials),
    source: vouched?.source ?? flow.remote,
    lifetimeS,
    local,
    firewall: 'strong' as const,
    status: 'online' as const,
    // The device keeps the name under which it is known.
    instance: binding?.text.instance ?? instance,
    note: '',
    device: deviceOf(origin),
    contact,
    registration,
    hops,
    sentBy: (server: string) => hops >= HOPS_MAX || server === vouched?.edge,
  };
}

const DEVICE_CHARACTERS_MAX = 256;

function deviceOf({ agent }: Origin): string {
  return agent === '' ? '' : `agent=${agent.replace(/[\p{Cc};]/gu, ' ').slice(0, DEVICE_CHARACTERS_MAX)}`;
}

/** What the session keeps of the request that made it. */
export function note(
  { cases, bind }: SipContext,
  { flow }: Pick<Inbound, 'flow'>,
  { cseq }: Pick<Origin, 'cseq'>,
  { nonceMs, count }: Credentials,
  row: number,
): void {
  const { sessions } = cases.table;
  sessions.registered(row, cseq, nonceMs, count);
  bind(row, flow);
}

/** Refreshes and removals, all of them at once. */
export function apply(
  context: SipContext,
  inbound: Inbound,
  credentials: Credentials,
  plan: Plan,
  bindings: readonly Binding[],
): void {
  const { cases } = context;
  const { sessions } = cases.table;
  const source = inbound.vouched?.source ?? inbound.flow.remote;
  for (const { binding, contact, registration, lifetimeS } of plan.wanted) {
    if (binding === undefined) continue;
    const { row, text } = binding;
    const isSame = text.contact === contact && text.registration === registration;
    cases.renew(row, lifetimeS, isSame ? undefined : { ...text, contact, registration });
    if (!sessions.isWan(row, source)) cases.moved(row, source);
    note(context, inbound, { cseq: inbound.request.cseq.number }, credentials, row);
  }
  const rows = bindings.map(({ row }) => row);
  markUsed(context, rows, credentials, inbound.cameMs);
  for (const { row } of plan.removed) cases.logout(row);
}
