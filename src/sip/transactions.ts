/**
 * The transactions that run (RFC 3261 17). Nothing is kept here for a request until openServer() is called, which is
 * for requests that were authenticated: before, the server answers without state.
 */
import { leave, OldestFirst } from '../base/oldest-first.ts';
import type { Timers } from '../base/ports.ts';
import type { Flow } from './flow.ts';
import type { SipRequest, SipResponse } from './message.ts';
import { Transaction } from './transaction.ts';
import type { TransactionParts, TransactionTable, TransactionUser } from './transaction.ts';
import { CLIENT } from './transaction-client.ts';
import { INVITE_CLIENT } from './transaction-invite-client.ts';
import { INVITE_SERVER } from './transaction-invite-server.ts';
import { SERVER } from './transaction-server.ts';
import { BRANCH_COOKIE, formatVia } from './via.ts';

export interface TransactionLimits {
  readonly count: number;
  /** Of all requests and what is sent again for them. */
  readonly bytes: number;
}

const LIMITS: TransactionLimits = { count: 20_000, bytes: 64 * 2 ** 20 };

export interface ClientRequest {
  readonly method: string;
  readonly branch: string;
}

export interface Transactions {
  /** True where the request belongs to a server transaction, which has dealt with it: a retransmission, or an ACK. */
  receiveRequest(request: SipRequest): boolean;
  /**
   * Whether receiveRequest() may know the request that has this branch and `host:port` in its first Via; always where
   * the branch alone does not tell (RFC 2543).
   */
  mayKnow(method: string, branch: string, sentBy: string): boolean;
  /** True where the response belongs to a client transaction, which has dealt with it. */
  receiveResponse(response: SipResponse): boolean;
  /** The same for a response of which only this was read; false also where its transaction needs all of it. */
  receiveStatus(method: string, branch: string, status: number): boolean;
  /** For a request that receiveRequest() did not know and that is no ACK. */
  openServer(request: SipRequest, flow: Flow, user: TransactionUser): Transaction;
  /** As openServer(), for a request of which only this was read, no INVITE, that mayKnow() did not know. */
  openRead(method: string, branch: string, sentBy: string, flow: Flow): Transaction;
  /** Sends the request in `bytes`. Its top Via is ours, with this branch, which is unique. No ACK. */
  openClient(request: ClientRequest, bytes: Buffer, flow: Flow, user: TransactionUser): Transaction;
  /** The INVITE that this CANCEL means (RFC 3261 9.2). */
  inviteOf(cancel: SipRequest): Transaction | undefined;
  /** Ends the transactions on a connection that has ended. */
  flowClosed(flow: Flow): void;
  readonly count: number;
  /** Ends all. */
  close(): void;
}

const READ = { states: SERVER, first: 'trying', request: null, bytes: null, user: {} } as const;

/** Where there is no room for a new one, it takes that of the oldest that lingers, or else of the oldest. */
export function createTransactions(timers: Timers, limits = LIMITS): Transactions {
  const running = new Map<string, Transaction>();
  const unfinished = new OldestFirst<Transaction>();
  /** Those that only answer retransmissions. */
  const lingering = new OldestFirst<Transaction>();
  const onFlow = createFlowIndex();
  let bytes = 0;

  const dropOldest = (): void => (lingering.oldest() ?? unfinished.oldest())?.end('dropped');

  const table: TransactionTable = {
    timers,
    lingers(tx) {
      leave(tx.place);
      tx.place = lingering.add(tx);
    },
    grown(by) {
      bytes += by;
    },
    forget(tx) {
      running.delete(tx.key);
      leave(tx.place);
      bytes -= tx.size;
      onFlow.remove(tx);
    },
  };

  const open = (parts: TransactionParts): Transaction => {
    const { key } = parts;
    // Two with the same key can't be told apart; the later one is the one that its user knows to be new.
    running.get(key)?.end('dropped');
    if (running.size >= limits.count) dropOldest();
    const tx = new Transaction(table, parts);
    bytes += tx.size;
    while (bytes > limits.bytes && running.size > 0) dropOldest();
    running.set(tx.key, tx);
    tx.place = unfinished.add(tx);
    onFlow.add(tx);
    tx.handle({ type: 'start' });
    return tx;
  };

  return {
    receiveRequest(request) {
      const isAck = request.method === 'ACK';
      const tx = running.get(serverKey(request, isAck ? 'INVITE' : request.method));
      tx?.handle({ type: isAck ? 'ack' : 'request' });
      return tx !== undefined;
    },
    mayKnow: (method, branch, sentBy) =>
      !branch.startsWith(BRANCH_COOKIE) || running.has(branchKey(method, branch, sentBy)),
    receiveResponse(response) {
      const tx = running.get(clientKey(response.cseq.method, response.branch));
      tx?.handle({ type: 'response', status: response.status, response });
      return tx !== undefined;
    },
    receiveStatus(method, branch, status) {
      const tx = running.get(clientKey(method, branch));
      if (tx?.user.onStatus === undefined) return false;
      tx.handle({ type: 'response', status, response: null });
      return true;
    },
    openServer(request, flow, user) {
      const isInvite = request.method === 'INVITE';
      const states = isInvite ? INVITE_SERVER : SERVER;
      const first = isInvite ? 'proceeding' : 'trying';
      return open({ states, first, key: serverKey(request, request.method), request, bytes: null, flow, user });
    },
    openRead: (method, branch, sentBy, flow) => open({ ...READ, key: branchKey(method, branch, sentBy), flow }),
    openClient({ method, branch }, bytes, flow, user) {
      const isInvite = method === 'INVITE';
      const states = isInvite ? INVITE_CLIENT : CLIENT;
      const first = isInvite ? 'calling' : 'trying';
      return open({ states, first, key: clientKey(method, branch), request: null, bytes, flow, user });
    },
    inviteOf: (cancel) => running.get(serverKey(cancel, 'INVITE')),
    flowClosed: onFlow.end,
    get count() {
      return running.size;
    },
    close() {
      for (const tx of running.values()) tx.end('dropped');
    },
  };
}

/** The transactions of each flow that can close. */
function createFlowIndex() {
  const byId = new Map<string, Set<Transaction>>();
  return {
    /** Ends those on a flow that has closed. */
    end: ({ id }: Flow): void => {
      for (const tx of byId.get(id) ?? []) tx.end('transport');
    },
    add(tx: Transaction): void {
      // Of datagrams the id is made anew each time.
      if (!tx.flow.isReliable) return;
      const { id } = tx.flow;
      byId.set(id, (byId.get(id) ?? new Set()).add(tx));
    },
    remove(tx: Transaction): void {
      if (!tx.flow.isReliable) return;
      const { id } = tx.flow;
      const others = byId.get(id);
      others?.delete(tx);
      if (others?.size === 0) byId.delete(id);
    },
  };
}

/** RFC 3261 17.2.3. An ACK looks for its INVITE, and so does the search for what a CANCEL means. */
function serverKey(request: SipRequest, method: string): string {
  const { branch, sentBy } = request;
  if (branch.startsWith(BRANCH_COOKIE)) return branchKey(method, branch, sentBy);
  const { topVia, requestUri, fromTag = '', callId, cseq } = request;
  // RFC 2543. The To tag is left out: that of an ACK is of the response, and CSeq tells requests of a dialog apart.
  return `server ${method} ${cseq.number} ${callId} ${fromTag} ${requestUri} ${formatVia(topVia)}`;
}

function branchKey(method: string, branch: string, sentBy: string): string {
  return `server ${method} ${branch} ${sentBy}`;
}

/** RFC 3261 17.1.3. */
function clientKey(method: string, branch: string): string {
  return `client ${method} ${branch}`;
}
