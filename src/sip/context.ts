/** What the handlers of SIP requests share: settings, use cases, answers and the limits before them. */
import { isIP } from 'node:net';
import type { Counters } from '../base/counters.ts';
import { VserverError } from '../base/errors.ts';
import type { Address } from '../base/model.ts';
import type { Log, Random, Timers } from '../base/ports.ts';
import type { Intake } from '../login/intake.ts';
import type { Nonces } from '../login/nonces.ts';
import type { RateLimit } from '../login/rate-limit.ts';
import type { UseCases } from '../login/use-cases.ts';
import type { DigestOffer } from './digest-offer.ts';
import type { EdgeStatements, Vouched } from './edge-statements.ts';
import type { Flow } from './flow.ts';
import type { FlowTokens } from './flow-tokens.ts';
import type { Ids } from './ids.ts';
import type { AnyRequest, ReadRequest, SipProblem, SipRequest } from './message.ts';
import type { Relays } from './relays.ts';
import { makeResponse } from './response.ts';
import type { ExtraHeader } from './response.ts';
import type { SpentNonces } from './spent-nonces.ts';
import type { SubscriptionDialogs } from './subscription-dialogs.ts';
import type { Asked, Transaction, TransactionUser } from './transaction.ts';
import type { Transactions } from './transactions.ts';
import type { Transports } from './transports.ts';
import type { Uri } from './uri.ts';

export interface SipSettings {
  readonly realm: string;
  /** Hosts of URIs that are this node's: lower-case names and canonical addresses, the realm among them. */
  readonly domains: readonly string[];
  /** Told to clients and peers. */
  readonly advertise: string;
  readonly expiresMinS: number;
  readonly expiresMaxS: number;
  /** Which algorithms are offered and taken. */
  readonly digest: DigestOffer;
  /** Whoever is not registered here is redirected without a challenge. */
  readonly anonymous: boolean;
  /** Whether requests for users are answered with where they are, or sent there. */
  readonly calls: 'redirect' | 'proxy' | 'auto';
}

export interface SipDeps {
  readonly cases: UseCases;
  readonly counters: Counters;
  /** SIP's own: they live longer than others. Good for any port of a source. */
  readonly nonces: Nonces;
  /** Unauthenticated requests a source, shared by all edges. */
  readonly requests: RateLimit;
  /** Failed logins a source, shared by all edges. */
  readonly failedLogins: RateLimit;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Signs what goes to other nodes, and flow tokens. */
  readonly clusterKey: string;
  readonly settings: SipSettings;
}

/** A request, and where its answer goes. */
export interface Inbound extends Asked {
  readonly cameMs: number;
  /** Of a request that hold() took: answers go through it. */
  readonly transaction?: Transaction | undefined;
  /** Of a REGISTER that another node has sent on: what it says of it. */
  readonly vouched?: Vouched;
}

/** A request with its server transaction. */
export type Held = Inbound & { readonly transaction: Transaction };

/** The ways out of this node. */
export type Flows = Pick<Transports, 'flowTo' | 'findConnection'>;

export interface SipContext extends SipDeps {
  readonly domains: ReadonlySet<string>;
  readonly spent: SpentNonces;
  /** Requests that wait for the directory, by transaction. */
  readonly waiting: Map<string, Waiting>;
  /** That of the use cases. */
  readonly intake: Intake;
  readonly transactions: Transactions;
  readonly ids: Ids;
  /** By the row of the subscription. */
  readonly subscriptions: SubscriptionDialogs;
  readonly tokens: FlowTokens;
  /** For REGISTERs between nodes. */
  readonly statements: EdgeStatements;
  readonly relays: Relays;
  /** Of the UDP and TCP listeners, known when they are open. */
  port: number;
  tlsPort: number | null;
  flows: Flows;
  /** A session that came over a connection lives no longer than that. */
  readonly bind: (row: number, flow: Flow) => void;
  /** This connection has closed: its sessions end. */
  readonly unbind: (flow: Flow) => void;
  /** The flow over which the session was registered; undefined where it is closed. */
  readonly flowOf: (row: number) => Flow | undefined;
}

export interface Waiting {
  cancelled: boolean;
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  202: 'Accepted',
  302: 'Moved Temporarily',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  412: 'Conditional Request Failed',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  423: 'Interval Too Brief',
  430: 'Flow Failed',
  480: 'Temporarily Unavailable',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  487: 'Request Terminated',
  489: 'Bad Event',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  513: 'Message Too Large',
};

export function reasonOf(status: number): string {
  return REASONS[status] ?? 'Unknown';
}

/** What can be answered: a request, or what is none. */
export type Answerable = Inbound | { readonly request: SipProblem; readonly flow: Flow; readonly transaction?: never };

export function answer(
  { request, flow, transaction }: Answerable,
  status: number,
  headers: readonly ExtraHeader[] = NO_HEADERS,
  reason = reasonOf(status),
): void {
  const bytes = makeResponse(request, status, reason, headers);
  if (transaction === undefined) flow.send(bytes);
  else transaction.respond(status, bytes);
}
const NO_HEADERS: readonly ExtraHeader[] = [];

/**
 * Opens the server transaction (RFC 3261 17.2): from now on it deals with the retransmissions of the request, and
 * answers to what comes back go through it. Only for requests whose sender is known, for it is state.
 */
export function hold({ transactions }: SipContext, inbound: Inbound, user: TransactionUser = {}): Held {
  const { read, flow, cameMs } = inbound;
  const transaction = transactions.openServer(inbound, user);
  if (read !== undefined) return new ReadInbound(read, flow, cameMs, transaction);
  return { request: inbound.request, flow, cameMs, transaction };
}

/** A request that is parsed where somebody asks for more than what was read of it. */
export class ReadInbound<T extends Transaction | undefined = undefined> {
  readonly read: ReadRequest;
  readonly flow: Flow;
  readonly cameMs: number;
  readonly transaction: T;

  constructor(read: ReadRequest, flow: Flow, cameMs: number, transaction: T) {
    this.read = read;
    this.flow = flow;
    this.cameMs = cameMs;
    this.transaction = transaction;
  }

  get request(): SipRequest {
    return this.read.whole;
  }
}

/** As much of the request as was read. */
export function readOf(inbound: Inbound): AnyRequest {
  return inbound.read ?? inbound.request;
}

/**
 * Spends one of the unauthenticated requests that this source has. False: it is told to slow down where it can't be
 * a spoofed one, and gets nothing otherwise.
 */
export function admitStranger({ requests, cases, counters }: SipContext, inbound: Answerable): boolean {
  const waitS = requests.take(inbound.flow.remote.host, cases.clock.now());
  if (waitS === 0) return true;
  counters.rateLimited++;
  if (inbound.flow.isReliable) answer(inbound, 503, [['Retry-After', String(waitS)]]);
  return false;
}

/** An answer to somebody who is not authenticated. */
export function answerStranger(
  context: SipContext,
  inbound: Answerable,
  status: number,
  headers?: readonly ExtraHeader[],
  reason?: string,
): void {
  if (admitStranger(context, inbound)) answer(inbound, status, headers, reason);
}

/** Where an error does not say. */
export const RETRY_AFTER_S = 5;

/** The answer to a use case that failed; what is not expected goes to the log. */
export function answerFailure(context: SipContext, inbound: Inbound, error: unknown): void {
  if (!(error instanceof VserverError)) {
    context.log.error({ err: error, method: inbound.request.method }, 'SIP request failed');
    answer(inbound, 500);
    return;
  }
  answer(inbound, 503, [['Retry-After', String(error.retryAfter ?? RETRY_AFTER_S)]]);
}

/** Whether the URI names this node by one of its domains or addresses. */
export function isOurs(context: SipContext, uri: Uri): boolean {
  return (uri.scheme === 'sip' || uri.scheme === 'sips') && context.domains.has(uri.host);
}

/** Whether the URI leads to this very node: its port counts, where it has one. */
export function isThisServer(context: SipContext, uri: Uri): boolean {
  if ((uri.scheme !== 'sip' && uri.scheme !== 'sips') || !isOurs(context, uri)) return false;
  // A name without a port leads here by DNS, whatever the port is.
  if (uri.port === null && isIP(uri.host) === 0) return true;
  const port = uri.port ?? (uri.scheme === 'sips' || uri.params.get('transport') === 'tls' ? 5061 : 5060);
  return port === context.port || port === context.tlsPort;
}

/** Extensions that the request requires and this server does not know; undefined where there are none. */
export function unsupported(request: SipRequest, supported: ReadonlySet<string>): string | undefined {
  const missing = request.headers('Require').filter((tag) => !supported.has(tag.toLowerCase()));
  return missing.length === 0 ? undefined : missing.join(', ');
}

/** The same for a request, its retransmissions and its CANCEL (RFC 3261 17.2.3). */
export function transactionOf({ branch, sentBy, callId, cseq, fromTag = '' }: SipRequest): string {
  return waitingKey(branch, sentBy, callId, cseq.number, fromTag);
}

/** What transactionOf() makes of its parts; `sentBy` is the `host:port` of the first Via. */
export function waitingKey(branch: string, sentBy: string, callId: string, cseq: number, fromTag: string): string {
  return `${branch} ${sentBy} ${callId} ${cseq} ${fromTag}`;
}

/** How many servers sent this request on already, as the Contact of a 302 of ours says in the Request-URI. */
export function hopsOf({ uri }: SipRequest): number {
  const hops = uri.scheme === 'other' ? undefined : uri.params.get(HOPS);
  return hops !== undefined && /^\d$/.test(hops) ? Number(hops) : 0;
}
export const HOPS = 'vs-hops';

/** A URI of this node, by which requests come over the same transport as on this flow. */
export function ownUri(
  { settings, port, tlsPort }: SipContext,
  { transport }: Pick<Flow, 'transport'>,
  params = '',
  user = '',
): string {
  const at = (number: number): string =>
    `${user === '' ? '' : `${user}@`}${sipAddress({ host: settings.advertise, port: number })}`;
  if (transport === 'tls' && tlsPort !== null) return `sip:${at(tlsPort)};transport=tls${params}`;
  // Nobody connects to a WebSocket by such a URI: what it is for goes over the open connection.
  return transport === 'udp' ? `sip:${at(port)}${params}` : `sip:${at(port)};transport=${transport}${params}`;
}

export function sipAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
