/**
 * A node that is drained registers its telephones at another one by itself, at the pace of the drain, with itself on the
 * Path: a phone would not come before its next refresh, and would follow no redirect then. Calls go on to reach it by way
 * of this node as long as that runs, and again when it is back.
 */
import type { ServerRecord } from '../base/model.ts';
import { createRecentMap } from '../base/recent-map.ts';
import type { Binding } from './bindings.ts';
import { bindingsOf, contactValue, ha1Of, remainingS } from './bindings.ts';
import type { SipContext } from './context.ts';
import type { EdgeStatement } from './edge-statements.ts';
import type { Flow } from './flow.ts';
import { askOwner, bindRelayed, pathOf } from './register-forward.ts';

/** Rows of users that are looked at in one turn. */
const ROWS_A_TURN = 10_000;

/** Who was refused there is tried again after this; so many of them are known. */
const REFUSED_MS = 30_000;
const REFUSED_MAX = 10_000;

/** Each second while the node is drained. */
export type HandOverTurn = () => void;

/** A registration as it goes to the other node. */
interface Handed {
  readonly cookie: string;
  readonly flow: Flow | undefined;
  readonly path: string;
  readonly lines: readonly string[];
  readonly statement: EdgeStatement;
}

export function createHandOver(context: SipContext): HandOverTurn {
  const { servers, table, clock } = context.cases;
  const { users } = table;
  const under = new Set<string>();
  /** By uid, until when he is left here. */
  const refused = createRecentMap<number>(REFUSED_MAX);
  let next = 0;
  return () => {
    if (servers.state !== 'draining') return;
    const nowMs = clock.now();
    for (let rows = Math.min(users.used, ROWS_A_TURN); rows > 0; rows--) {
      const row = next < users.used ? next : 0;
      next = row + 1;
      if (!users.isUsed(row)) continue;
      const uid = users.uid(row);
      const isLeft = under.has(uid) || (refused.get(uid) ?? 0) > nowMs;
      const bindings = isLeft ? [] : bindingsOf(table, uid);
      if (bindings.length === 0) continue;
      const to = servers.successor();
      if (to === undefined) {
        // It is his turn again when the next second's are.
        next = row;
        return;
      }
      under.add(uid);
      handOver(context, uid, bindings, to)
        .then((outcome) => {
          if (outcome === 'refused') refused.set(uid, clock.now() + REFUSED_MS);
        })
        .catch((error: unknown) => {
          context.log.error({ err: error, uid }, 'hand-over failed');
        })
        .finally(() => under.delete(uid));
    }
  };
}

/** All his telephones, one after the other; what does not arrive is tried again. */
async function handOver(
  context: SipContext,
  uid: string,
  bindings: readonly Binding[],
  { name, sip }: ServerRecord,
): Promise<'done' | 'silent' | 'refused'> {
  const { table, servers } = context.cases;
  if (sip === null) return 'silent';
  // Collected first: with the first one there, all sessions here may be ended.
  const all = bindings.map((binding) => handed(context, binding)).filter((one) => one !== null);
  for (const { cookie, flow, path, lines, statement } of all) {
    const response = await askOwner(context, uid, { name, sip }, lines, statement);
    if (response === null) {
      servers.suspect(name);
      return 'silent';
    }
    if (response.status >= 300) {
      context.log.warn({ uid, node: name, status: response.status }, 'a registration could not be handed over');
      return 'refused';
    }
    if (flow !== undefined) bindRelayed(context, flow, { uid, owner: name, path });
    const row = table.findOpen(cookie);
    // The other node has told us, where there is a bus.
    if (row >= 0) context.cases.logout(row);
  }
  return 'done';
}

/** null where nobody reaches the phone any more. */
function handed(context: SipContext, binding: Binding): Handed | null {
  const { table, clock } = context.cases;
  const { sessions } = table;
  const { row, registration } = binding;
  const flow = registration.edge === '' ? context.flowOf(row) : undefined;
  const path = flow === undefined ? registration.edge : pathOf(context, flow);
  if (path === '') return null;
  const leftS = remainingS(table, row, Math.floor(clock.now() / 1000));
  const lifetimeS = Math.max(leftS, context.settings.expiresMinS);
  const agent = /^agent=(.*)$/.exec(binding.text.device)?.[1];
  return {
    cookie: sessions.cookie(row),
    flow,
    path,
    lines: [
      `Call-ID: ${registration.callId}`,
      `CSeq: ${Math.max(1, sessions.cseq(row))} REGISTER`,
      `Path: ${registration.path === '' ? path : `${path}, ${registration.path}`}`,
      `Contact: ${contactValue(binding, lifetimeS)}`,
      ...(agent === undefined ? [] : [`User-Agent: ${agent}`]),
    ],
    statement: {
      kind: 'handed-over',
      source: sessions.wan(row),
      hops: 1,
      algorithm: ha1Of(table, row).algorithm,
    },
  };
}
