/** Messages as a proxy sends them on (RFC 3261 16.6 steps 1–8, 16.7 steps 3–9): what it has no part in stays as it is. */
import { CREDENTIALS, DROPS, IN_REQUEST, IN_RESPONSE } from './dropped-headers.ts';
import { CALL_ID, FROM, ROUTE, TO } from './header-names.ts';
import type { SipHead } from './head.ts';
import { HEADERS_MAX } from './head.ts';
import type { AnyRequest, AnyResponse, SipRequest } from './message.ts';
import { MESSAGE_BYTES_MAX } from './message.ts';
import { decodeUtf8, encodeUtf8, unfold, unquote } from './syntax.ts';
import { formatVia } from './via.ts';

/** What differs in the request that is sent on. */
export interface Hop {
  /** The Request-URI. */
  readonly uri: string;
  /** Value of our Via. */
  readonly via: string;
  /** The Via lines below it: viaLines() of the request. */
  readonly vias: string;
  /** Values of our Record-Route, the next hop's side first. */
  readonly recordRoute: readonly string[];
  /** Values of Route from the next hop on. */
  readonly route: readonly string[];
  /** Lines of our own, in front of those of the request. */
  readonly more?: string;
}

const MAX_FORWARDS_USUAL = 70;
export const TICKET_HEADER = 'VS-Ticket';
/** Via, Max-Forwards, Content-Length and a ticket. */
const OWN_LINES = 4;

/**
 * The request for the next hop. The answer to a challenge of `realm`, which is ours, goes no further; null: it does. null
 * is answered where with what we add it is too long, or has too many headers.
 */
export function forwardRequest(request: AnyRequest, hop: Hop, realm: string | null): Buffer | null {
  const { recordRoute, route } = hop;
  const lines = request.kind === 'read' ? request.lines : request.fields.length / 4;
  if (lines + recordRoute.length + route.length + OWN_LINES > HEADERS_MAX) return null;
  let head =
    `${request.method} ${hop.uri} SIP/2.0\r\nVia: ${hop.via}\r\n${hop.vias}` +
    `Max-Forwards: ${(request.maxForwards ?? MAX_FORWARDS_USUAL + 1) - 1}\r\n`;
  for (const value of recordRoute) head += `Record-Route: ${value}\r\n`;
  for (const value of route) head += `Route: ${encodeUtf8(value)}\r\n`;
  head += hop.more ?? '';
  const bytes = (request.kind === 'read' ? request.behind(head, realm) : null) ?? behind(request.whole, head, realm);
  return bytes.length > MESSAGE_BYTES_MAX ? null : bytes;
}

function behind(request: SipRequest, head: string, realm: string | null): Buffer {
  const kept = linesWithout(request, (number, at, end) => {
    const drop = DROPS[number] ?? 0;
    return drop === CREDENTIALS
      ? realm !== null && isForRealm(request.text.slice(at, end), realm)
      : (drop & IN_REQUEST) !== 0;
  });
  return joined(head + kept, request.body);
}

/** Whether credentials are for this realm, however they spell it; in doubt, where it stands within a value, they are. */
export function isForRealm(credentials: string, realm: string): boolean {
  // As it nearly always is written.
  if (credentials.includes(`realm="${realm}"`)) return true;
  for (const [, value = ''] of credentials.matchAll(REALM)) {
    if (decodeUtf8(value.startsWith('"') ? unquote(unfold(value)) : value) === realm) return true;
  }
  return false;
}
const REALM = /\brealm\s*=\s*("(?:[^"\\]|\\[^])*"|[^\s,"]+)/gi;

/**
 * The response for whoever sent the request: its Vias are those of the request as it came (`vias`: viaLines() of it),
 * whatever the other end made of them. `more`: header lines besides its own.
 */
export function relayResponse(vias: string, response: AnyResponse, more = ''): Buffer {
  if (response.kind === 'read' && more === '') return response.relayed(vias);
  const { text, fields, body } = response.whole;
  const line = text.slice(0, text.indexOf('\n')).trimEnd();
  const kept = linesWithout({ text, fields }, (number) => ((DROPS[number] ?? 0) & IN_RESPONSE) !== 0);
  return joined(`${line}\r\n${vias}${kept}${more}`, body);
}

/** The header lines as they stand, but for those that are dropped. Neighbours are copied at once. */
function linesWithout(
  { text, fields }: Pick<SipHead, 'text' | 'fields'>,
  isDropped: (number: number, at: number, end: number) => boolean,
): string {
  let lines = '';
  let from = -1;
  let to = -1;
  for (let i = 0; i < fields.length; i += 4) {
    const start = fields[i + 1] ?? 0;
    const end = fields[i + 3] ?? 0;
    if (isDropped(fields[i] ?? 0, start, end)) continue;
    if (start !== to + LINE_END) {
      if (from >= 0) lines += `${text.slice(from, to)}\r\n`;
      from = start;
    }
    to = end;
  }
  return from < 0 ? lines : `${lines}${text.slice(from, to)}\r\n`;
}
const LINE_END = 2;

function joined(head: string, body: Buffer): Buffer {
  const whole = `${head}Content-Length: ${body.length}\r\n\r\n`;
  const bytes = Buffer.allocUnsafe(whole.length + body.length);
  bytes.write(whole, 'latin1');
  bytes.set(body, whole.length);
  return bytes;
}

/** The CANCEL of a request that we sent (RFC 3261 9.1): a transaction of its own with the same branch. */
export function makeCancel(request: SipRequest): Buffer {
  return Buffer.from(
    `CANCEL ${request.requestUri} SIP/2.0\r\n` +
      `Via: ${formatVia(request.topVia)}\r\n` +
      linesOf(request, [ROUTE, FROM, TO, CALL_ID]) +
      'Max-Forwards: 70\r\n' +
      `CSeq: ${request.cseq.number} CANCEL\r\n` +
      'Content-Length: 0\r\n\r\n',
    'latin1',
  );
}

/** The header lines with these numbers as they stand. */
function linesOf({ text, fields }: SipHead, numbers: readonly number[]): string {
  let lines = '';
  for (let i = 0; i < fields.length; i += 4) {
    if (numbers.includes(fields[i] ?? 0)) lines += `${text.slice(fields[i + 1], fields[i + 3])}\r\n`;
  }
  return lines;
}
