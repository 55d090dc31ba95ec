/** The SIP edge: message → parse → transaction that waits for it, or else the handler of its method (methods.ts). */
import { sharedTimers } from '../base/shared-timers.ts';
import type { EndReason } from '../login/session-ends.ts';
import type { DeliverTo } from '../messages/delivery.ts';
import type { Flows, SipContext, SipDeps } from './context.ts';
import { answerStranger } from './context.ts';
import type { Flow, FlowHandlers } from './flow.ts';
import { createExpress } from './express.ts';
import { readMessage } from './flow.ts';
import { createEdgeStatements } from './edge-statements.ts';
import { createFlowTokens } from './flow-tokens.ts';
import { EDGE } from './header-names.ts';
import { createHandOver } from './hand-over.ts';
import { createIds } from './ids.ts';
import type { SipProblem, SipRequest } from './message.ts';
import { createDelivery } from './messages.ts';
import { onRequest } from './methods.ts';
import { createNotifier } from './notify.ts';
import { tellClosed } from './register-forward.ts';
import { createRelays } from './relays.ts';
import { createSessionFlows } from './session-flows.ts';
import { createSpentNonces } from './spent-nonces.ts';
import { SubscriptionDialogs } from './subscription-dialogs.ts';
import { createTransactions } from './transactions.ts';

export interface SipServer {
  readonly handlers: FlowHandlers;
  /** For what is sent without having been asked for. */
  readonly context: SipContext;
  /** The listeners are open; before, what comes is dropped. */
  opened(at: { readonly port: number; readonly tlsPort: number | null; readonly flows: Flows }): void;
  /** A session has ended, of whatever edge. */
  sessionEnded(row: number, reason: EndReason, uid: string): void;
  /** Brings a message to the telephone of this session. */
  readonly deliver: DeliverTo;
  /** Each second. */
  readonly turn: () => void;
  /** From now on the end of a connection ends no session: they are kept over the restart of the node. */
  stop(): void;
}

export function createSip(deps: SipDeps): SipServer {
  const { cases, counters, settings } = deps;
  const timers = sharedTimers(deps.timers);
  const { table, clock } = cases;
  const bound = createSessionFlows(table, Math.floor(clock.now() / 1000));
  const ids = createIds(deps.random);
  let isOpen = false;
  let isStopping = false;
  const context: SipContext = {
    ...deps,
    timers,
    domains: new Set(settings.domains),
    spent: createSpentNonces(),
    waiting: new Map(),
    intake: cases.intake,
    transactions: createTransactions(timers, (remote) => context.flows.flowTo(remote)),
    ids,
    tokens: createFlowTokens(deps.clusterKey, ids.token(), clock, () => context.flows),
    statements: createEdgeStatements({ ...deps, name: cases.servers.me.name, clock }),
    relays: createRelays(),
    subscriptions: new SubscriptionDialogs(),
    port: 0,
    tlsPort: null,
    flows: NOT_OPEN,
    bind: (row, flow) => {
      bound.bind(row, flow);
    },
    unbind: (flow) => {
      if (!isStopping) endAll(cases, bound.take(flow));
    },
    flowOf: (row) => bound.flowOf(row, context.flows),
  };

  cases.presence.attach('sip', createNotifier(context));
  const express = createExpress(context);

  return {
    context,
    handlers: {
      admitStun: ({ host }) => deps.requests.take(host, clock.now()) === 0,
      onMessage(bytes, flow) {
        counters.datagramsReceived++;
        if (flow.remote.port === 0 || (isOpen && express(bytes, flow))) return;
        const message = isOpen ? readMessage(bytes, flow) : null;
        if (message === null) counters.datagramsDropped++;
        else if (message.kind === 'response') {
          if (!context.transactions.receiveResponse(message)) counters.datagramsDropped++;
        } else if (message.kind === 'problem') refuseMalformed(context, message, flow);
        else if (isStateless(message) || !context.transactions.receiveRequest(message)) {
          const back = answerFlow(message, flow, context.flows);
          onRequest(context, { request: message, flow: back, cameMs: clock.now() });
        }
      },
      onClosed(flow) {
        context.transactions.flowClosed(flow);
        if (isStopping) return;
        context.unbind(flow);
        for (const relayed of context.relays.take(flow)) tellClosed(context, relayed);
      },
    },
    opened(at) {
      context.port = at.port;
      context.tlsPort = at.tlsPort;
      context.flows = at.flows;
      isOpen = true;
    },
    sessionEnded(row, _reason, uid) {
      const { sessions } = table;
      if (sessions.text(row).contact === '') return;
      bound.forget(row);
      context.spent.spendKept(uid, sessions.nonceMs(row), clock.now());
    },
    deliver: createDelivery(context),
    turn: createHandOver(context),
    stop() {
      isStopping = true;
      context.transactions.close();
    },
  };
}

function refuseMalformed(context: SipContext, message: SipProblem, flow: Flow): void {
  context.counters.datagramsMalformed++;
  const back = answerFlow(message, flow, context.flows);
  answerStranger(context, { request: message, flow: back }, message.status, [], message.reason);
}

/** The sessions of these cookies. */
function endAll(cases: SipDeps['cases'], cookies: readonly string[]): void {
  for (const cookie of cookies) {
    const row = cases.table.findOpen(cookie);
    if (row >= 0) cases.logout(row);
  }
}

/** A REGISTER makes no transaction, but where another node has sent it on. */
function isStateless(request: SipRequest): boolean {
  return request.method === 'REGISTER' && request.find(EDGE) < 0;
}

/** Nothing is received before the transports are open, so nothing is sent. */
const NOT_OPEN: Flows = {
  flowTo() {
    throw new Error('the transports are not open');
  },
  findConnection: () => undefined,
};

/** RFC 3261 18.2.2 and RFC 3581 4: without rport the answer goes to the port that the Via names. */
function answerFlow(request: SipRequest | SipProblem, flow: Flow, flows: Flows): Flow {
  if (flow.transport !== 'udp' || (request.kind === 'request' && request.asksRport)) return flow;
  const { topVia } = request;
  if (topVia === null || topVia.params.has('rport')) return flow;
  const port = topVia.port ?? 5060;
  return port === flow.remote.port || port === 0 ? flow : flows.flowTo({ host: flow.remote.host, port });
}
