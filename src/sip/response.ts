/** Responses to requests (RFC 3261 8.2.6), well formed or not. */
import { CALL_ID, CSEQ, FROM, TO, VIA } from './header-names.ts';
import type { SipProblem, SipRequest } from './message.ts';
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
  const { text, fields } = request;
  let head = `SIP/2.0 ${status} ${oneLine(reason)}\r\n`;
  let others = '';
  let firstVia = true;
  let copied = 0;
  for (let i = 0; i < fields.length; i += 4) {
    const number = fields[i];
    if (number !== VIA && number !== FROM && number !== TO && number !== CALL_ID && number !== CSEQ) continue;
    const value = unfold(text.slice(fields[i + 2], fields[i + 3]));
    if (number === VIA) {
      head += firstVia ? `Via: ${firstViaValue(request, value)}\r\n` : `Via: ${value}\r\n`;
      firstVia = false;
      continue;
    }
    // Of a header that wrongly comes twice, the first.
    if ((copied & (1 << number)) !== 0) continue;
    copied |= 1 << number;
    if (number === FROM) others += `From: ${value}\r\n`;
    else if (number === TO) others += `To: ${value}${tagFor(request, status, value, toTag)}\r\n`;
    else if (number === CALL_ID) others += `Call-ID: ${value}\r\n`;
    else others += `CSeq: ${value}\r\n`;
  }
  head += others;
  for (const [name, value] of extraHeaders) head += `${name}: ${oneLine(value)}\r\n`;
  head += `Content-Length: ${body?.length ?? 0}\r\n\r\n`;
  const bytes = Buffer.allocUnsafe(head.length + (body?.length ?? 0));
  bytes.write(head, 'latin1');
  if (body !== undefined) bytes.set(body, head.length);
  return bytes;
}

/** Whoever adds a header has taken care of what he puts into it; a line end would be another header. */
function oneLine(text: string): string {
  if (text.includes('\n') || text.includes('\r')) throw new Error('line end in a header');
  return encodeUtf8(text);
}

/** The first Via header with what was noted at its receipt; the further Vias of the same line stay as they are. */
function firstViaValue(request: SipRequest | SipProblem, value: string): string {
  const { topVia, source } = request;
  if (topVia === null || source === null) return value;
  const noted = viaReceivedFrom(topVia, source);
  return noted === topVia ? value : formatVia(noted) + value.slice(itemEnd(value, 0, value.length));
}

/** `;tag=…` for a To without one; '' where it has one, where it is malformed, and for 100. */
function tagFor(request: SipRequest | SipProblem, status: number, to: string, toTag: string | undefined): string {
  if (status === 100) return '';
  if (request.kind === 'problem') {
    // A malformed To is sent back as it came: it can't be told whether it has a tag.
    return /;\s*tag\s*=/i.test(to) ? '' : `;tag=${toTag ?? statelessTag(request.header('Call-ID') ?? '')}`;
  }
  if (request.toTag !== undefined) return '';
  const { topVia, fromTag = '', callId, cseq } = request;
  return `;tag=${toTag ?? statelessTag(`${topVia.branch}\n${fromTag}\n${callId}\n${cseq.number}`)}`;
}

/** 64 bits of FNV-1a in two lanes: spreads well and costs little; nothing secret hangs on it. */
function statelessTag(seed: string): string {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (let i = 0; i < seed.length; i++) {
    const code = seed.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b);
  }
  return (a >>> 0).toString(36) + (b >>> 0).toString(36);
}
