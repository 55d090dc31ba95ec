/** Via (RFC 3261 20.42) with rport and received (RFC 3581). */
import type { Address } from '../base/model.ts';
import { DIGIT, formatParams, itemEnd, parseNumber, parseParams, skip, SPACE, TOKEN } from './syntax.ts';
import type { Params } from './syntax.ts';
import { hostEndAt, parseHost } from './uri.ts';

export interface Via {
  /** Upper case: UDP, TCP, TLS, WS, WSS, SCTP or any other token. */
  readonly transport: string;
  /** The sent-by; IPv6 without brackets. */
  readonly host: string;
  readonly port: number | null;
  /** '' where there is none, as with RFC 2543. */
  readonly branch: string;
  readonly params: Params;
}

/** The branch of RFC 3261 begins so; any other is of RFC 2543 and may not be unique. */
export const BRANCH_COOKIE = 'z9hG4bK';

/** Whether the branch identifies the transaction (RFC 3261 17.2.3; the cookie alone does not, RFC 4475 3.2.1). */
export function isUniqueBranch(branch: string): boolean {
  return branch.length > BRANCH_COOKIE.length && branch.startsWith(BRANCH_COOKIE);
}

/** The first Via in `at`–`end`; null where it is malformed. What follows its comma is not looked at. */
export function parseVia(text: string, at = 0, end = text.length): Via | null {
  const stop = itemEnd(text, at, end);
  let i = skip(text, at, stop, SPACE);
  let transportAt = i + 8;
  if (!text.startsWith('SIP/2.0/', i)) {
    transportAt = skipProtocol(text, i, stop);
    if (transportAt < 0) return null;
  }
  const transportEnd = skip(text, transportAt, stop, TOKEN);
  i = skip(text, transportEnd, stop, SPACE);
  if (transportEnd === transportAt || i === transportEnd) return null;
  const hostEnd = hostEndAt(text, i, stop);
  const host = parseHost(text, i, hostEnd);
  if (host === null) return null;
  let port: number | null = null;
  i = skip(text, hostEnd, stop, SPACE);
  if (text.charCodeAt(i) === 0x3a && i < stop) {
    const portAt = skip(text, i + 1, stop, SPACE);
    const portEnd = skip(text, portAt, stop, DIGIT);
    port = parseNumber(text, portAt, portEnd, 65_535);
    if (port < 0) return null;
    i = portEnd;
  }
  const params = parseParams(text, i, stop);
  if (params === null) return null;
  const transport = text.slice(transportAt, transportEnd).toUpperCase();
  return { transport, host, port, branch: params.get('branch') ?? '', params };
}

/** The offset behind `SIP / 2.0 /`, -1 where something else stands there. */
function skipProtocol(text: string, at: number, end: number): number {
  PROTOCOL.lastIndex = at;
  const match = PROTOCOL.exec(text.length === end ? text : text.slice(0, end));
  return match === null ? -1 : at + match[0].length;
}
const PROTOCOL = /SIP[ \t\r\n]*\/[ \t\r\n]*2\.0[ \t\r\n]*\/[ \t\r\n]*/iy;

export function formatVia(via: Via): string {
  const host = via.host.includes(':') ? `[${via.host}]` : via.host;
  const port = via.port === null ? '' : `:${via.port}`;
  return `SIP/2.0/${via.transport} ${host}${port}${formatParams(via.params)}`;
}

/**
 * The Via as a server notes it on receipt: `received` where the sent-by is not the source (RFC 3261 18.2.1), and with
 * `rport` where the client asks for it (RFC 3581 4). What the client itself put there is replaced.
 */
export function viaReceivedFrom(via: Via, source: Address): Via {
  const asked = via.params.has('rport');
  if (!asked && via.host === source.host && !via.params.has('received')) return via;
  const params = new Map(via.params);
  params.delete('received');
  if (asked) params.set('rport', String(source.port));
  if (asked || via.host !== source.host) params.set('received', source.host);
  return { ...via, params };
}

/** All Vias of a comma-separated list; null where one is malformed. */
export function parseVias(text: string): Via[] | null {
  const list: Via[] = [];
  let at = 0;
  for (;;) {
    const end = itemEnd(text, at, text.length);
    const via = parseVia(text, at, end);
    if (via === null) return null;
    list.push(via);
    if (end >= text.length) return list;
    at = end + 1;
  }
}
