/** Messages as a proxy sends them on (RFC 3261 16.6 steps 1–8, 16.7 steps 3–9): what it has no part in stays as it is. */
import {
  AUTHORIZATION,
  CALL_ID,
  CONTENT_LENGTH,
  FROM,
  MAX_FORWARDS,
  PROXY_AUTHORIZATION,
  ROUTE,
  TO,
  VIA,
} from './header-names.ts';
import type { SipHead } from './head.ts';
import type { SipRequest, SipResponse } from './message.ts';
import { viaLines } from './response.ts';
import { encodeUtf8 } from './syntax.ts';
import { formatVia } from './via.ts';

/** What differs in the request that is sent on. */
export interface Hop {
  /** The Request-URI. */
  readonly uri: string;
  /** Value of our Via. */
  readonly via: string;
  /** Values of our Record-Route, the next hop's side first. */
  readonly recordRoute: readonly string[];
  /** Values of Route from the next hop on. */
  readonly route: readonly string[];
  /** Lines of our own, in front of those of the request. */
  readonly more?: string;
}

const MAX_FORWARDS_USUAL = 70;
/** Between nodes: who the caller is (redirect/tickets.ts). Never sent on as it came. */
export const TICKET_HEADER = 'VS-Ticket';

/** The request for the next hop. The answer to a challenge of `realm`, which is ours, goes no further; null: it does. */
export function forwardRequest(request: SipRequest, hop: Hop, realm: string | null): Buffer {
  const { text, fields, body } = request;
  let head = `${request.method} ${hop.uri} SIP/2.0\r\nVia: ${hop.via}\r\n${viaLines(request)}`;
  head += `Max-Forwards: ${(request.maxForwards ?? MAX_FORWARDS_USUAL + 1) - 1}\r\n`;
  for (const value of hop.recordRoute) head += `Record-Route: ${value}\r\n`;
  for (const value of hop.route) head += `Route: ${encodeUtf8(value)}\r\n`;
  head += hop.more ?? '';
  const ours = realm === null ? null : `realm="${realm}"`;
  for (let i = 0; i < fields.length; i += 4) {
    const number = fields[i] ?? 0;
    if (number === VIA || number === ROUTE || number === MAX_FORWARDS || number === CONTENT_LENGTH) continue;
    const line = text.slice(fields[i + 1], fields[i + 3]);
    const isAnswer = number === AUTHORIZATION || number === PROXY_AUTHORIZATION;
    if (isAnswer && ours !== null && line.includes(ours)) continue;
    if (number === 0 && isTicket(line)) continue;
    head += `${line}\r\n`;
  }
  return joined(head, body);
}

function isTicket(line: string): boolean {
  return line.slice(0, TICKET_HEADER.length).toLowerCase() === TICKET_HEADER.toLowerCase();
}

/**
 * The response for whoever sent the request: its Vias are those of the request as it came, whatever the other end made
 * of them. `more`: header lines besides its own.
 */
export function relayResponse(request: SipRequest, response: SipResponse, more = ''): Buffer {
  const { text, fields, body } = response;
  let head = `${text.slice(0, text.indexOf('\n')).trimEnd()}\r\n${viaLines(request)}`;
  for (let i = 0; i < fields.length; i += 4) {
    const number = fields[i];
    if (number === VIA || number === CONTENT_LENGTH) continue;
    head += `${text.slice(fields[i + 1], fields[i + 3])}\r\n`;
  }
  return joined(head + more, body);
}

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
