/** The SIP edge: message → parse → limits → registrar or redirect → answer. Stateless, as RFC 3261 8.2.7 allows. */
import type { Address } from '../base/model.ts';
import type { EndReason } from '../login/session-ends.ts';
import type { Inbound, SipContext, SipDeps } from './context.ts';
import { answer, answerStranger, isOurs, transactionOf } from './context.ts';
import type { Flow, FlowHandlers } from './flow.ts';
import { readMessage } from './flow.ts';
import type { SipRequest } from './message.ts';
import { onUserRequest } from './redirect.ts';
import { onRegister } from './registrar.ts';
import type { ExtraHeader } from './response.ts';
import { createSpentNonces } from './spent-nonces.ts';
import type { Via } from './via.ts';

export interface SipServer {
  readonly handlers: FlowHandlers;
  /** The listeners are open. `flowTo`: over UDP, to an address that did not send from there. */
  opened(at: { readonly port: number; readonly tlsPort: number | null; readonly flowTo: (to: Address) => Flow }): void;
  /** A session has ended, of whatever edge. */
  sessionEnded(row: number, reason: EndReason, uid: string): void;
  /** From now on the end of a connection ends no session: they are kept over the restart of the node. */
  stop(): void;
}

/** What stands in Allow: answered with something else than 405. */
const ALLOWED = 'INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, REFER, SUBSCRIBE';
/** Only within a dialog, and there is none here. */
const IN_DIALOG: ReadonlySet<string> = new Set(['BYE', 'INFO', 'UPDATE', 'PRACK', 'NOTIFY']);
const FOR_USERS: ReadonlySet<string> = new Set(['INVITE', 'OPTIONS', 'MESSAGE', 'REFER', 'SUBSCRIBE']);
const NOT_HERE: ReadonlySet<string> = new Set(['PUBLISH']);
const CAPABILITIES: readonly ExtraHeader[] = [
  ['Allow', ALLOWED],
  ['Accept', 'application/sdp'],
  ['Supported', 'path, outbound'],
];

export function createSip(deps: SipDeps): SipServer {
  const { cases, counters, settings } = deps;
  const { table, clock } = cases;
  const bound = createBound();
  let flowTo: ((to: Address) => Flow) | null = null;
  let isStopping = false;
  const context: SipContext = {
    ...deps,
    domains: new Set(settings.domains),
    spent: createSpentNonces(),
    waiting: new Map(),
    port: 0,
    tlsPort: null,
    bind: (row, flow) => {
      // The usual case costs nothing: no connection has any session.
      if (flow.isReliable || bound.any()) bound.bind(table.sessions.cookie(row), flow);
    },
  };

  return {
    handlers: {
      onMessage(bytes, flow) {
        counters.datagramsReceived++;
        if (flow.remote.port === 0) return;
        const message = readMessage(bytes, flow);
        if (message === null || message.kind === 'response') counters.datagramsDropped++;
        else if (message.kind === 'problem') {
          counters.datagramsMalformed++;
          const back = answerFlow(message.topVia, flow, flowTo);
          answerStranger(context, { request: message, flow: back }, message.status, [], message.reason);
        } else {
          const back = answerFlow(message.topVia, flow, flowTo);
          onRequest(context, { request: message, flow: back, cameMs: clock.now() });
        }
      },
      onClosed(flow) {
        if (isStopping) return;
        for (const cookie of bound.take(flow)) {
          const row = table.findOpen(cookie);
          if (row >= 0) cases.logout(row);
        }
      },
    },
    opened(at) {
      context.port = at.port;
      context.tlsPort = at.tlsPort;
      flowTo = at.flowTo;
    },
    sessionEnded(row, _reason, uid) {
      const { sessions } = table;
      if (sessions.text(row).contact === '') return;
      bound.forget(sessions.cookie(row));
      context.spent.spendKept(uid, sessions.seqMaskLow[row] ?? 0, clock.now());
    },
    stop() {
      isStopping = true;
    },
  };
}

/** RFC 3261 18.2.2 and RFC 3581 4: without rport the answer goes to the port that the Via names. */
function answerFlow(topVia: Via | null, flow: Flow, flowTo: ((to: Address) => Flow) | null): Flow {
  if (topVia === null || flow.transport !== 'udp' || flowTo === null || topVia.params.has('rport')) return flow;
  const port = topVia.port ?? 5060;
  return port === flow.remote.port || port === 0 ? flow : flowTo({ host: flow.remote.host, port });
}

function onRequest(context: SipContext, inbound: Inbound): void {
  const { request } = inbound;
  const { method } = request;
  if (method === 'REGISTER') onRegister(context, inbound);
  else if (method === 'ACK') return;
  else if (method === 'CANCEL') onCancel(context, inbound);
  else if (IN_DIALOG.has(method) || request.toTag !== undefined) answerStranger(context, inbound, 481);
  else if (method === 'OPTIONS' && isForServer(context, request)) answerStranger(context, inbound, 200, CAPABILITIES);
  else if (FOR_USERS.has(method)) onUserRequest(context, inbound);
  else answerStranger(context, inbound, NOT_HERE.has(method) ? 405 : 501, [['Allow', ALLOWED]]);
}

function isForServer(context: SipContext, { uri, maxForwards }: SipRequest): boolean {
  return maxForwards !== 0 && uri.scheme !== 'tel' && isOurs(context, uri) && 'user' in uri && uri.user === null;
}

/** RFC 3261 9.2: only an INVITE that still waits for the directory can be cancelled. */
function onCancel(context: SipContext, inbound: Inbound): void {
  const waiting = context.waiting.get(transactionOf(inbound.request));
  if (waiting === undefined) {
    answerStranger(context, inbound, 481);
    return;
  }
  waiting.cancelled = true;
  answer(inbound, 200);
}

/** Which sessions live no longer than which connection. */
function createBound() {
  const flowOf = new Map<string, string>();
  const cookiesOf = new Map<string, Set<string>>();
  const forget = (cookie: string): void => {
    const id = flowOf.get(cookie);
    if (id === undefined) return;
    flowOf.delete(cookie);
    const cookies = cookiesOf.get(id);
    cookies?.delete(cookie);
    if (cookies?.size === 0) cookiesOf.delete(id);
  };
  return {
    forget,
    any: () => flowOf.size > 0,
    bind(cookie: string, flow: Flow): void {
      if (!flow.isReliable) {
        forget(cookie);
        return;
      }
      const { id } = flow;
      if (flowOf.get(cookie) === id) return;
      forget(cookie);
      flowOf.set(cookie, id);
      const cookies = cookiesOf.get(id);
      if (cookies === undefined) cookiesOf.set(id, new Set([cookie]));
      else cookies.add(cookie);
    },
    take({ id }: Flow): string[] {
      const cookies = [...(cookiesOf.get(id) ?? [])];
      for (const cookie of cookies) forget(cookie);
      return cookies;
    },
  };
}
