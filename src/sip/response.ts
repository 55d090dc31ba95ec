/** Responses to requests (RFC 3261 8.2.6), well formed or not. */
import { CALL_ID, CSEQ, FROM, TO, VIA } from './header-names.ts';
import type { AnyRequest, SipProblem, SipRequest } from './message.ts';
import { statelessTag } from './stateless-tag.ts';
import { encodeUtf8, itemEnd, unfold } from './syntax.ts';
import { formatVia, viaReceivedFrom } from './via.ts';

/** Name and value; both without CR and LF. */
export type ExtraHeader = readonly [name: string, value: string];

/**
 * The response as bytes: Via (the first with `received` and `rport`), From, To, Call-ID and CSeq of the request, the
 * extra headers in their order, Content-Length and the body. To gets `toTag` where it has none; without one a tag that
 * is the same for each retransmission of the request and for its CANCEL (RFC 3261 8.2.7), except in a 100.
 */
export function makeResponse(
  request: SipRequest | SipProblem,
  status: number,
  reason: string,
  extraHeaders: readonly ExtraHeader[] = [],
  body?: Uint8Array,
  toTag?: string,
): Buffer {
  const { fields } = request;
  let head = `SIP/2.0 ${status} ${oneLine(reason)}\r\n`;
  let firstVia = true;
  for (let i = 0; i < fields.length; i += 4) {
    if (fields[i] !== VIA) continue;
    const value = valueAt(request, i);
    head += `Via: ${firstVia ? firstViaValue(request, value) : value}\r\n`;
    firstVia = false;
  }
  // Of a header that wrongly comes twice, the first.
  const from = request.find(FROM);
  const to = request.find(TO);
  const callId = request.find(CALL_ID);
  const cseq = request.find(CSEQ);
  if (from >= 0) head += `From: ${valueAt(request, from)}\r\n`;
  if (to >= 0) {
    const value = valueAt(request, to);
    head += `To: ${value}${tagFor(request, status, value, toTag)}\r\n`;
  }
  if (callId >= 0) head += `Call-ID: ${valueAt(request, callId)}\r\n`;
  if (cseq >= 0) head += `CSeq: ${valueAt(request, cseq)}\r\n`;
  for (const [name, value] of extraHeaders) head += `${name}: ${oneLine(value)}\r\n`;
  head += `Content-Length: ${body?.length ?? 0}\r\n\r\n`;
  const bytes = Buffer.allocUnsafe(head.length + (body?.length ?? 0));
  bytes.write(head, 'latin1');
  if (body !== undefined) bytes.set(body, head.length);
  return bytes;
}

function valueAt({ text, fields }: SipRequest | SipProblem, field: number): string {
  return unfold(text.slice(fields[field + 2], fields[field + 3]));
}

/** Whoever adds a header has taken care of what he puts into it; a line end would be another header. */
function oneLine(text: string): string {
  if (text.includes('\n') || text.includes('\r')) throw new Error('line end in a header');
  return encodeUtf8(text);
}

/** The first Via header with what was noted at its receipt; the further Vias of the same line stay as they are. */
function firstViaValue(request: SipRequest | SipProblem, value: string): string {
  const { source } = request;
  if (source === null) return value;
  // As it usually is: nothing has to be taken apart and put together again.
  if (request.kind === 'request' && request.asksRport && !value.includes('"')) {
    const end = itemEnd(value, 0, value.length);
    const asked = RPORT.exec(value.slice(0, end));
    if (asked !== null) {
      const at = asked.index + asked[0].length;
      return `${value.slice(0, at)}=${source.port}${value.slice(at, end)};received=${source.host}${value.slice(end)}`;
    }
  }
  const { topVia } = request;
  if (topVia === null) return value;
  const noted = viaReceivedFrom(topVia, source);
  return noted === topVia ? value : formatVia(noted) + value.slice(itemEnd(value, 0, value.length));
}

/** The parameter without a value. */
const RPORT = /;rport(?=;|$)/;

/** `;tag=…` for a To without one; '' where it has one, where it is malformed, and for 100. */
function tagFor(request: SipRequest | SipProblem, status: number, to: string, toTag: string | undefined): string {
  if (status === 100) return '';
  if (request.kind === 'problem') {
    // A malformed To is sent back as it came: it can't be told whether it has a tag.
    return /;\s*tag\s*=/i.test(to) ? '' : `;tag=${toTag ?? statelessTag(request.header('Call-ID') ?? '')}`;
  }
  if (request.toTag !== undefined) return '';
  const { branch, fromTag = '', callId, cseq } = request;
  return `;tag=${toTag ?? statelessTag(branch, fromTag, callId, String(cseq.number))}`;
}

/** The Via lines of the request as a proxy sends them on (RFC 3261 18.2.1) and as they stand in its responses. */
export function viaLines(request: AnyRequest): string {
  if (request.kind === 'read') return request.vias;
  const { text, fields } = request;
  let lines = '';
  for (let i = 0; i < fields.length; i += 4) {
    if (fields[i] !== VIA) continue;
    const value = unfold(text.slice(fields[i + 2], fields[i + 3]));
    lines += `Via: ${lines === '' ? firstViaValue(request, value) : value}\r\n`;
  }
  return lines;
}
