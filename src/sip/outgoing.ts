/** Requests of our own (RFC 3261 8.1), each in a client transaction. */
import { isIP } from 'node:net';
import { sameAddress } from '../base/address.ts';
import type { Device } from '../heartbeat/online.ts';
import type { SipContext } from './context.ts';
import { sipAddress } from './context.ts';
import type { Flow } from './flow.ts';
import { HEADERS_MAX } from './head.ts';
import { MESSAGE_BYTES_MAX } from './message.ts';
import { parseRegistration } from './bindings.ts';
import { parseNameAddr } from './name-addr.ts';
import type { ExtraHeader } from './response.ts';
import { encodeUtf8 } from './syntax.ts';
import type { EndReason, TransactionUser } from './transaction.ts';
import type { ClientRequest } from './transactions.ts';
import type { Uri } from './uri.ts';
import { requestUriOf } from './uri.ts';

/** Where a request goes. */
export interface Target {
  /** The Request-URI. */
  readonly uri: string;
  readonly flow: Flow;
  /** Values of Route, the first first (RFC 3261 12.2.1.1, loose routing). */
  readonly route: readonly string[];
}

export interface OwnRequest {
  readonly method: string;
  /** Values of these headers, tags and brackets included. */
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  /** 1 to CSEQ_MAX. */
  readonly cseq: number;
  /** Others, Contact and Content-Type among them. */
  readonly headers?: readonly ExtraHeader[];
  readonly body?: Uint8Array;
}

/**
 * Called once, with the status of the final response. Without one: 408 (none came in time), 503 (the connection closed,
 * or too much was going on), or 513 (with what others put into it, it is too long or has too many headers).
 */
export type OnFinal = (status: number) => void;

/**
 * The device of an open session, over its flow (RFC 5626) or by way of the node that it talks to (RFC 3327); null where
 * it speaks no SIP, the flow is closed, or that node does not run.
 */
export function targetOfSession(context: SipContext, row: number): Target | null {
  const { contact, registration } = context.cases.table.sessions.text(row);
  return targetOfDevice(context, { row, contact, registration });
}

/** The same, where its texts have been read. */
export function targetOfDevice(
  context: SipContext,
  { row, contact, registration }: Pick<Device, 'row' | 'contact' | 'registration'>,
): Target | null {
  if (contact === '') return null;
  const { path, edge } = parseRegistration(registration);
  const flow = edge === '' ? context.flowOf(row) : flowToEdge(context, edge);
  if (flow === undefined) return null;
  return { uri: contact, flow, route: [edge, path].filter((value) => value !== '') };
}

/** To the node that has put itself on the Path; undefined where it does not run. */
function flowToEdge({ cases, flows }: SipContext, edge: string): Flow | undefined {
  const uri = parseNameAddr(edge)?.uri;
  if (uri?.scheme !== 'sip' || uri.port === null) return undefined;
  const at = { host: uri.host, port: uri.port };
  const runs = cases.servers.others().some(({ sip }) => sip !== null && sameAddress(sip, at));
  return runs ? flows.flowTo(at) : undefined;
}

/** The address that a URI names, over UDP; null where that is no address of UDP. */
export function targetOfUri({ flows }: SipContext, uri: Uri): Target | null {
  if (uri.scheme !== 'sip' || isIP(uri.host) === 0) return null;
  const { host, port, params } = uri;
  if ((params.get('transport') ?? 'udp') !== 'udp' || port === 0) return null;
  return { uri: requestUriOf(uri), flow: flows.flowTo({ host, port: port ?? 5060 }), route: [] };
}

/** Values must hold no line end. The target may be kept: on a connection that has closed the outcome is 503. */
export function sendRequest(context: SipContext, target: Target, request: OwnRequest, onFinal: OnFinal): void {
  const { uri, flow, route } = target;
  const { method, from, to, callId, cseq, headers = [], body } = request;
  if (flow.isReliable && context.flows.findConnection(flow.id) === undefined) {
    onFinal(503);
    return;
  }
  const branch = context.ids.branch();
  let head = `${method} ${uri} SIP/2.0\r\n${fieldLine('Via', viaOf(context, flow, branch))}`;
  for (const value of route) head += fieldLine('Route', value);
  head += `Max-Forwards: 70\r\n${fieldLine('From', from)}${fieldLine('To', to)}${fieldLine('Call-ID', callId)}`;
  head += `CSeq: ${cseq} ${method}\r\n`;
  for (const [name, value] of headers) head += fieldLine(name, value);
  head += `Content-Length: ${body?.length ?? 0}\r\n\r\n`;
  const length = head.length + (body?.length ?? 0);
  if (length > MESSAGE_BYTES_MAX || route.length + headers.length + OWN_HEADERS > HEADERS_MAX) {
    onFinal(513);
    return;
  }
  const bytes = Buffer.allocUnsafe(length);
  bytes.write(head, 'latin1');
  if (body !== undefined) bytes.set(body, head.length);
  openOwn(context, { method, branch }, bytes, flow, onFinal);
}
/** Via, Max-Forwards, From, To, Call-ID, CSeq and Content-Length. */
const OWN_HEADERS = 7;

function fieldLine(name: string, value: string): string {
  if (value.includes('\n') || value.includes('\r')) throw new Error(`line end in ${name}`);
  return `${name}: ${encodeUtf8(value)}\r\n`;
}

/** Sends the request in `bytes`, whose top Via is ours with this branch. */
export function openOwn(
  { transactions }: SipContext,
  request: ClientRequest,
  bytes: Buffer,
  flow: Flow,
  onFinal: OnFinal,
): void {
  transactions.openClient(request, bytes, flow, new Asking(onFinal));
}

class Asking implements TransactionUser {
  readonly #onFinal: OnFinal;

  constructor(onFinal: OnFinal) {
    this.#onFinal = onFinal;
  }

  onStatus(status: number): void {
    if (status >= 200) this.#onFinal(status);
  }

  onEnd(reason: EndReason): void {
    this.#onFinal(reason === 'timeout' ? 408 : 503);
  }
}

/** The Via that we add on this flow (RFC 3261 18.1.1). */
export function viaOf({ settings, port, tlsPort }: SipContext, { transport }: Flow, branch: string): string {
  const sentBy = sipAddress({
    host: settings.advertise,
    port: transport === 'tls' && tlsPort !== null ? tlsPort : port,
  });
  return `SIP/2.0/${transport.toUpperCase()} ${sentBy};branch=${branch}${transport === 'udp' ? ';rport' : ''}`;
}

/** What stands behind the @ of our users: the realm where it is a name of the DNS, else the address of this node. */
export function ownHost({ settings: { realm, advertise }, port }: SipContext): string {
  return realm.includes('.') && isIP(realm) === 0 ? realm : sipAddress({ host: advertise, port });
}
