/** The headers that every message has (RFC 3261 8.1.1, 20), read and checked, and the body behind them. */
import { CALL_ID, CONTENT_LENGTH, CSEQ, FROM, MAX_FORWARDS, TO, VIA } from './header-names.ts';
import type { SipHead } from './head.ts';
import { parseNameAddr } from './name-addr.ts';
import type { NameAddr } from './name-addr.ts';
import { ordinaryTag, ordinaryVia } from './ordinary.ts';
import type { TopVia } from './ordinary.ts';
import { DIGIT, isToken, parseNumber, skip, SPACE } from './syntax.ts';
import { parseVia } from './via.ts';
import type { Via } from './via.ts';

export const CSEQ_MAX = 2 ** 31 - 1;

export interface CSeq {
  readonly number: number;
  readonly method: string;
}

/** A From or To: only its tag (undefined: it has none) of one that is not parsed yet, but well formed. */
export type Person = string | undefined | NameAddr;

export interface Parts {
  readonly head: SipHead;
  readonly via: TopVia;
  readonly from: Person;
  readonly to: Person;
  readonly callId: string;
  readonly cseq: CSeq;
  readonly body: Buffer;
}

export interface Fault {
  readonly status: number;
  readonly reason: string;
}

export function bad(reason: string): Fault {
  return { status: 400, reason };
}

/** null where it is malformed, undefined where there is none. */
export function readVia(head: SipHead): TopVia | null | undefined {
  const field = head.find(VIA);
  if (field < 0) return undefined;
  const { text, fields } = head;
  const at = fields[field + 2] ?? 0;
  const end = fields[field + 3] ?? 0;
  const ordinary = ordinaryVia(text, at, end);
  if (ordinary !== null) return ordinary;
  const whole = parseVia(text, at, end);
  return whole === null ? null : topViaOf(whole);
}

export function topViaOf(whole: Via): TopVia {
  const { branch, host, port, params } = whole;
  const asksRport = params.get('rport') === '' && !params.has('received');
  return { branch, sentBy: `${host}:${port ?? ''}`, asksRport, whole };
}

/** The headers that every message has (RFC 3261 8.1.1, 20), checked, and the body. */
export function readParts(
  head: SipHead,
  via: TopVia | null | undefined,
  bytes: Buffer,
  bodyAt: number,
  stream: boolean,
): Parts | Fault {
  if (via === null || via === undefined) return bad('Bad Via');
  const from = readPerson(head, FROM);
  if (from === null) return bad('Bad From');
  const to = readPerson(head, TO);
  if (to === null) return bad('Bad To');
  const callId = readCallId(head);
  if (callId === '') return bad('Bad Call-ID');
  const cseq = readCSeq(head);
  if (cseq === null) return bad('Bad CSeq');
  const present = bytes.length - bodyAt;
  const length = readContentLength(head);
  if (length === undefined || (length === null && stream)) return bad('Bad Content-Length');
  if (length !== null && (stream ? length !== present : length > present)) return bad('Wrong Content-Length');
  const body =
    bytes.length === bodyAt || length === 0
      ? NO_BODY
      : Buffer.from(bytes.subarray(bodyAt, bodyAt + (length ?? present)));
  return { head, via, from, to, callId, cseq, body };
}
const NO_BODY = Buffer.alloc(0);

/** null where it is missing or malformed. */
function readPerson(head: SipHead, number: number): Person | null {
  const field = head.find(number);
  if (field < 0) return null;
  const { text, fields } = head;
  const at = fields[field + 2] ?? 0;
  const end = fields[field + 3] ?? 0;
  const tag = ordinaryTag(text, at, end);
  return tag === null ? parseNameAddr(text, at, end) : tag;
}

/** '' where it is missing or holds a space or control character. */
function readCallId(head: SipHead): string {
  const field = head.find(CALL_ID);
  const callId = field < 0 ? '' : head.text.slice(head.fields[field + 2], head.fields[field + 3]);
  return CALL_ID_WORD.test(callId) ? callId : '';
}
export const CALL_ID_WORD = /^[^\0-\x20\x7f-\xff,;=&$#|^]+$/;

function readCSeq(head: SipHead): CSeq | null {
  const field = head.find(CSEQ);
  if (field < 0) return null;
  const at = head.fields[field + 2] ?? 0;
  const end = head.fields[field + 3] ?? 0;
  const digitsEnd = skip(head.text, at, end, DIGIT);
  const number = parseNumber(head.text, at, digitsEnd, CSEQ_MAX);
  const methodAt = skip(head.text, digitsEnd, end, SPACE);
  const method = head.text.slice(methodAt, end);
  return number < 0 || methodAt === digitsEnd || !isToken(method) ? null : { number, method };
}

/** null where there is none, undefined where it is no number. */
function readContentLength(head: SipHead): number | null | undefined {
  return readNumber(head, CONTENT_LENGTH, Number.MAX_SAFE_INTEGER);
}

/** As readContentLength; 0–255 (RFC 3261 20.22). */
export function readMaxForwards(head: SipHead): number | null | undefined {
  return readNumber(head, MAX_FORWARDS, 255);
}

function readNumber(head: SipHead, header: number, max: number): number | null | undefined {
  const field = head.find(header);
  if (field < 0) return null;
  const number = parseNumber(head.text, head.fields[field + 2] ?? 0, head.fields[field + 3] ?? 0, max);
  return number < 0 ? undefined : number;
}
