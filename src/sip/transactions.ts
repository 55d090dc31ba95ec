/**
 * The transactions that run (RFC 3261 17). Nothing is kept here for a request until openServer() is called, which is
 * for requests that were authenticated: before, the server answers without state.
 */
import { leave, OldestFirst } from '../base/oldest-first.ts';
import type { Address } from '../base/model.ts';
import type { Timers } from '../base/ports.ts';
import type { Flow } from './flow.ts';
import type { KeptAnswer, KeptLimits } from './kept-answers.ts';
import { createKeptAnswers } from './kept-answers.ts';
import type { AnyResponse, ReadResponse, SipRequest, SipResponse } from './message.ts';
import { RequestKey } from './request-key.ts';
import { T1, Transaction } from './transaction.ts';
import type { Asked, TransactionParts, TransactionTable, TransactionUser } from './transaction.ts';
import { CLIENT } from './transaction-client.ts';
import { INVITE_CLIENT } from './transaction-invite-client.ts';
import { INVITE_SERVER } from './transaction-invite-server.ts';
import { SERVER } from './transaction-server.ts';
import { BRANCH_COOKIE, formatVia } from './via.ts';

export interface TransactionLimits {
  readonly count: number;
  /** Of all requests and what is sent again for them. */
  readonly bytes: number;
  /** Of what is left of those that are done. */
  readonly kept: KeptLimits;
}

export const LIMITS: TransactionLimits = {
  count: 20_000,
  bytes: 64 * 2 ** 20,
  kept: { count: 32_768, bytes: 16 * 2 ** 20 },
};

export interface ClientRequest {
  readonly method: string;
  readonly branch: string;
}

export interface ReadRequests {
  /**
   * Of one over datagrams, no INVITE, that nobody knows: its answer, made beforehand, for a numeric address. Until it is
   * answered the request counts as one that is being worked on.
   */
  open(key: RequestKey, answer: Uint8Array, to: Address): KeptAnswer;
  /** Sends the answer, or another one. */
  answer(opened: KeptAnswer, flow: Flow, another?: Uint8Array): void;
  /** Whether no answer is kept, of whatever request. A method: an object with accessors is a slow map to V8. */
  isEmpty(): boolean;
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
  /** The same for one to a request with this method and branch. */
  receiveRead(method: string, branch: string, response: ReadResponse): boolean;
  /** For a request that receiveRequest() did not know and that is no ACK. */
  openServer(asked: Asked, user: TransactionUser): Transaction;
  /** Whether receiveRequest() may know the request that has this key: see SERVER_KEY. */
  knows(key: RequestKey): boolean;
  /** Requests of which only the key was read. */
  readonly read: ReadRequests;
  /** Sends the request in `bytes`. Its top Via is ours, with this branch, which is unique. No ACK. */
  openClient(request: ClientRequest, bytes: Buffer, flow: Flow, user: TransactionUser): Transaction;
  /** The INVITE that this CANCEL means (RFC 3261 9.2). */
  inviteOf(cancel: SipRequest): Transaction | undefined;
  /** Ends the transactions on a connection that has ended. */
  flowClosed(flow: Flow): void;
  /** Of those that run. */
  count(): number;
  /** Ends all. */
  close(): void;
}

/**
 * Where there is no room for a new one, it takes that of the oldest that lingers, or else of the oldest. `flowTo`: over
 * datagrams.
 */
export function createTransactions(timers: Timers, flowTo: (remote: Address) => Flow, limits = LIMITS): Transactions {
  const running = new Map<string, Transaction>();
  const unfinished = new OldestFirst<Transaction>();
  /** Those that only answer retransmissions. */
  const lingering = new OldestFirst<Transaction>();
  const onFlow = createFlowIndex();
  const answered = createAnswered(timers, flowTo, limits.kept);
  let bytes = 0;
  /** How many of those that run are of servers. */
  let servers = 0;

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
    answered: answered.keep,
    forget(tx) {
      running.delete(tx.key);
      if (isOfServer(tx)) servers--;
      leave(tx.place);
      bytes -= tx.size;
      onFlow.remove(tx);
    },
  };

  const open = (parts: TransactionParts): Transaction => {
    // Two with the same key can't be told apart; the later one is the one that its user knows to be new.
    running.get(parts.key)?.end('dropped');
    if (running.size >= limits.count) dropOldest();
    const tx = new Transaction(table, parts);
    bytes += tx.size;
    while (bytes > limits.bytes && running.size > 0) dropOldest();
    running.set(tx.key, tx);
    if (isOfServer(tx)) servers++;
    tx.place = unfinished.add(tx);
    onFlow.add(tx);
    tx.handle({ type: 'start' });
    return tx;
  };

  const receive = (method: string, branch: string, response: AnyResponse): boolean => {
    const tx = running.get(clientKey(method, branch));
    tx?.handle({ type: 'response', response });
    return tx !== undefined;
  };

  return {
    receiveRequest(request) {
      const isAck = request.method === 'ACK';
      const key = serverKey(request, isAck ? 'INVITE' : request.method);
      const tx = running.get(key);
      tx?.handle({ type: isAck ? 'ack' : 'request' });
      // Of an INVITE all that runs stays.
      return tx !== undefined || (request.method !== 'INVITE' && !isAck && answered.repeat(key));
    },
    mayKnow(method, branch, sentBy) {
      if (!branch.startsWith(BRANCH_COOKIE)) return true;
      const key = branchKey(method, branch, sentBy);
      return running.has(key) || answered.has(key);
    },
    knows: (key) => answered.knows(key) || (servers > 0 && running.has(key.text)),
    receiveResponse(response) {
      return receive(response.cseq.method, response.branch, response);
    },
    receiveRead: receive,
    openServer: (asked, user) => open(partsOfServer(asked, user)),
    read: answered.read,
    openClient: (request, bytes, flow, user) => open(partsOfClient(request, bytes, flow, user)),
    inviteOf: (cancel) => running.get(serverKey(cancel, 'INVITE')),
    flowClosed: onFlow.end,
    count: () => running.size,
    close() {
      for (const tx of running.values()) tx.end('dropped');
      answered.clear();
    },
  };
}

function partsOfServer(asked: Asked, user: TransactionUser): TransactionParts {
  const { read, flow } = asked;
  const { method } = read ?? asked.request;
  const [states, first] = method === 'INVITE' ? INVITE_SERVING : SERVING;
  return { states, first, key: read?.key ?? serverKey(asked.request, method), asked, bytes: null, flow, user };
}
const INVITE_SERVING = [INVITE_SERVER, 'proceeding'] as const;
const SERVING = [SERVER, 'trying'] as const;

function partsOfClient({ method, branch }: ClientRequest, bytes: Buffer, flow: Flow, user: TransactionUser) {
  const [states, first] = method === 'INVITE' ? INVITE_ASKING : ASKING;
  return { states, first, key: clientKey(method, branch), asked: null, bytes, flow, user };
}
const INVITE_ASKING = [INVITE_CLIENT, 'calling'] as const;
const ASKING = [CLIENT, 'trying'] as const;

/** What is left of requests over datagrams that have their last answer (17.2.2, timer J). */
function createAnswered(timers: Timers, flowTo: (remote: Address) => Flow, limits: KeptLimits) {
  const kept = createKeptAnswers(() => timers.now(), 64 * T1, limits);
  const bytes = new RequestKey();
  const find = (key: string): KeptAnswer | null => (kept.isEmpty() ? null : kept.find(bytes.set(key)));
  const read: ReadRequests = {
    open: (key, answer, to) => kept.add(key, answer, to),
    answer(opened, flow, another) {
      const last = another === undefined ? opened : kept.replace(opened, another);
      last.sent();
      flow.send(last.bytes);
    },
    isEmpty: () => kept.isEmpty(),
  };
  return {
    read,
    has: (key: string): boolean => find(key) !== null,
    knows: (key: RequestKey): boolean => kept.find(key) !== null,
    /** True where the request is known: where it has its answer, that is sent again. */
    repeat: (key: string): boolean => {
      const known = find(key);
      if (known?.isSent === true) flowTo(known.to).send(known.bytes);
      return known !== null;
    },
    keep: ({ key, flow }: Transaction, answer: Buffer): void => {
      if (!flow.isReliable) kept.add(bytes.set(key), answer, flow.remote).sent();
    },
    clear: () => {
      kept.clear();
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

function isOfServer({ key }: Transaction): boolean {
  return key.startsWith(SERVER_KEY);
}

/** RFC 3261 17.2.3. An ACK looks for its INVITE, and so does the search for what a CANCEL means. */
function serverKey(request: SipRequest, method: string): string {
  const { branch, sentBy } = request;
  if (branch.startsWith(BRANCH_COOKIE)) return branchKey(method, branch, sentBy);
  const { topVia, requestUri, fromTag = '', callId, cseq } = request;
  // RFC 2543. The To tag is left out: that of an ACK is of the response, and CSeq tells requests of a dialog apart.
  return `server ${method} ${cseq.number} ${callId} ${fromTag} ${requestUri} ${formatVia(topVia)}`;
}

/** In front of method, branch, and `host:port` of the first Via, the keys of nearly all requests. */
export const SERVER_KEY = 'server ';

function branchKey(method: string, branch: string, sentBy: string): string {
  return `${SERVER_KEY}${method} ${branch} ${sentBy}`;
}

/** RFC 3261 17.1.3. */
function clientKey(method: string, branch: string): string {
  return `client ${method} ${branch}`;
}
