/**
 * SIP messages, read lazily: one pass finds where the headers are and checks what RFC 3261 is strict about; values
 * become strings and objects only where they are asked for.
 *
 * The text of a message is latin1, one character a byte, and a copy: the datagram may be overwritten afterwards.
 */
import type { Address } from '../base/model.ts';
import { CONTACT, CONTENT_TYPE, EXPIRES, FROM, TO, VIA } from './header-names.ts';
import { scanHead, SipHead } from './head.ts';
import { parseNameAddr, parseNameAddrs } from './name-addr.ts';
import type { NameAddr } from './name-addr.ts';
import { bad, readMaxForwards, readParts, readVia } from './required-headers.ts';
import type { CSeq, Fault, Parts } from './required-headers.ts';
import { decodeUtf8, isToken, parseNumber } from './syntax.ts';
import { parseUri } from './uri.ts';
import type { Uri } from './uri.ts';
import { parseVia } from './via.ts';
import type { Via } from './via.ts';

export const MESSAGE_BYTES_MAX = 64 * 1024;
export const EXPIRES_MAX = 2 ** 32 - 1;

export interface ParseOptions {
  /** The message was cut from a stream: Content-Length is required and must be right. */
  readonly stream?: boolean;
  /** Where the message came from: goes as `received` and `rport` into the Via of its responses. */
  readonly source?: Address;
}

/** What requests and responses have in common. */
abstract class SipMessage extends SipHead {
  /** Of the first Via: see TopVia. */
  readonly branch: string;
  readonly sentBy: string;
  readonly asksRport: boolean;
  readonly fromTag: string | undefined;
  readonly toTag: string | undefined;
  readonly callId: string;
  readonly cseq: CSeq;
  /** Opaque; a copy. */
  readonly body: Buffer;
  // Not by #: a message has many fields, and those cost three times as much to make.
  private parsedVia: Via | null;
  private parsedFrom: NameAddr | null;
  private parsedTo: NameAddr | null;

  constructor(parts: Parts) {
    super(parts.head.text, parts.head.fields);
    const { via, from, to } = parts;
    this.branch = via.branch;
    this.sentBy = via.sentBy;
    this.asksRport = via.asksRport;
    this.parsedVia = via.whole;
    this.parsedFrom = typeof from === 'object' ? from : null;
    this.fromTag = typeof from === 'object' ? from.params.get('tag') : from;
    this.parsedTo = typeof to === 'object' ? to : null;
    this.toTag = typeof to === 'object' ? to.params.get('tag') : to;
    this.callId = parts.callId;
    this.cseq = parts.cseq;
    this.body = parts.body;
  }

  get topVia(): Via {
    return (this.parsedVia ??= this.#parsed(VIA, parseVia));
  }

  get from(): NameAddr {
    return (this.parsedFrom ??= this.#parsed(FROM, parseNameAddr));
  }

  get to(): NameAddr {
    return (this.parsedTo ??= this.#parsed(TO, parseNameAddr));
  }

  /** The first header of this number, which is known to be well formed. */
  #parsed<T>(number: number, parse: (text: string, at?: number, end?: number) => T | null): T {
    const field = this.find(number);
    const value = parse(this.text, this.fields[field + 2], this.fields[field + 3]);
    if (value === null) throw new Error('a malformed header was taken');
    return value;
  }

  get contentType(): string | undefined {
    return this.find(CONTENT_TYPE) < 0 ? undefined : this.header('Content-Type');
  }

  /** Seconds; undefined without the header, and MALFORMED_EXPIRES where it says no number (RFC 3261 10.3, 20.19). */
  get expires(): number | undefined {
    const field = this.find(EXPIRES);
    if (field < 0) return undefined;
    const number = parseNumber(this.text, this.fields[field + 2] ?? 0, this.fields[field + 3] ?? 0, EXPIRES_MAX);
    return number < 0 ? MALFORMED_EXPIRES : number;
  }

  /** `'*'`, the contacts in their order (none: empty), or null where one is malformed. */
  contacts(): readonly NameAddr[] | '*' | null {
    const first = this.find(CONTACT);
    if (first < 0) return [];
    const { fields, text } = this;
    const list: NameAddr[] = [];
    for (let i = first; i < fields.length; i += 4) {
      if (fields[i] !== CONTACT) continue;
      const at = fields[i + 2] ?? 0;
      const end = fields[i + 3] ?? 0;
      if (end === at + 1 && text.charCodeAt(at) === 0x2a) return this.headers('Contact').length === 1 ? '*' : null;
      const some = parseNameAddrs(text, at, end);
      if (some === null) return null;
      list.push(...some);
    }
    return list;
  }
}
/** What an `expires` that is no number counts as. */
export const MALFORMED_EXPIRES = 3_600;

export class SipRequest extends SipMessage {
  readonly kind = 'request';
  readonly method: string;
  /** As written. */
  readonly requestUri: string;
  readonly uri: Uri;
  /** null where the header is missing (RFC 2543 knows none): count it as 70. */
  readonly maxForwards: number | null;
  /** null where the caller of parseMessage did not say. */
  readonly source: Address | null;

  constructor(parts: Parts, method: string, uri: Uri, maxForwards: number | null, source: Address | null) {
    super(parts);
    this.method = method;
    this.requestUri = uri.text;
    this.uri = uri;
    this.maxForwards = maxForwards;
    this.source = source;
  }

  /** As of a ReadRequest. */
  get whole(): this {
    return this;
  }
}

/** A request of which only that was read that is looked at to send it on. */
export interface ReadRequest {
  readonly kind: 'read';
  readonly method: string;
  readonly callId: string;
  readonly toTag: string | undefined;
  readonly maxForwards: number;
  /** The Via lines, as viaLines() has them. */
  readonly vias: string;
  /** As loopHash(). */
  readonly loopHash: string;
  /** By which its server transaction is found. */
  readonly key: string;
  /** How many lines its head has, without the first. */
  readonly lines: number;
  /** Bytes. */
  readonly size: number;
  /** The same, parsed; from then on once for all. */
  readonly whole: SipRequest;
  /** `head` and behind it what of the request goes on, as forwardRequest() has it; null once another message has been read. */
  behind(head: string, realm: string | null): Buffer | null;
}

export type AnyRequest = SipRequest | ReadRequest;

export class SipResponse extends SipMessage {
  readonly kind = 'response';
  /** 100–699. */
  readonly status: number;
  readonly reason: string;

  constructor(parts: Parts, status: number, reason: string) {
    super(parts);
    this.status = status;
    this.reason = reason;
  }

  /** As of a ReadResponse. */
  get whole(): this {
    return this;
  }
}

/** A response of which only that was read that is looked at to send it on; good as long as it is being received. */
export interface ReadResponse {
  readonly kind: 'read';
  readonly status: number;
  /** The same, parsed. */
  readonly whole: SipResponse;
  /** As relayResponse(). */
  relayed(vias: string): Buffer;
}

export type AnyResponse = SipResponse | ReadResponse;

/** A request that is wrong but can be answered: give it to makeResponse with its status and reason. */
export class SipProblem extends SipHead {
  readonly kind = 'problem';
  readonly status: number;
  readonly reason: string;
  readonly method: string;
  /** null where it is malformed: it is answered as it stands. */
  readonly topVia: Via | null;
  readonly source: Address | null;

  constructor(head: SipHead, fault: Fault, method: string, source: Address | null) {
    super(head.text, head.fields);
    const field = head.find(VIA);
    this.status = fault.status;
    this.reason = fault.reason;
    this.method = method;
    this.topVia = parseVia(head.text, head.fields[field + 2], head.fields[field + 3]);
    this.source = source;
  }
}

/**
 * Reads one message, whole in `bytes`. null where it is none, or where no answer may be sent (RFC 3261 8.2.6, 17.1.1.2,
 * 18.1.2, 18.3): responses and ACKs that are malformed, requests without a Via. Never throws.
 */
export function parseMessage(bytes: Buffer, options: ParseOptions = {}): SipRequest | SipResponse | SipProblem | null {
  const start = leadingLines(bytes);
  const tooLong = bytes.length > MESSAGE_BYTES_MAX;
  const text = bytes.toString('latin1', start, tooLong ? MESSAGE_BYTES_MAX : bytes.length);
  const lf = text.indexOf('\n');
  const lineEnd = text.charCodeAt(lf - 1) === 0x0d ? lf - 1 : lf;
  if (lf < 0) return null;
  if (text.startsWith('SIP/')) return tooLong ? null : parseResponse(bytes, start, text, lineEnd, lf + 1, options);
  const line = parseRequestLine(text, lineEnd);
  if (line === null) return null;
  const scan = scanHead(text, lf + 1);
  const head = new SipHead(text, scan.fields);
  const source = options.source ?? null;
  const via = readVia(head);
  const problem = (fault: Fault): SipProblem | null =>
    line.method === 'ACK' || via === undefined ? null : new SipProblem(head, fault, line.method, source);
  if (tooLong) return problem({ status: 513, reason: 'Message Too Large' });
  if (line.fault !== null) return problem(line.fault);
  if (lineEnd === lf) return problem(bad('Bad Line End'));
  if (scan.fault !== null) return problem(bad(scan.fault));
  const parts = readParts(head, via, bytes, start + scan.bodyAt, options.stream === true);
  if ('status' in parts) return problem(parts);
  if (parts.cseq.method !== line.method) return problem(bad('CSeq Method Differs'));
  const maxForwards = readMaxForwards(head);
  if (maxForwards === undefined) return problem(bad('Bad Max-Forwards'));
  const uri = parseUri(line.uri);
  if (uri === null || (uri.scheme !== 'other' && uri.scheme !== 'tel' && uri.headers !== '')) {
    return problem(bad('Bad Request-URI'));
  }
  return new SipRequest(parts, line.method, uri, maxForwards, source);
}

/** How many bytes of CRLF stand before the start line: they are ignored (RFC 3261 7.5). */
function leadingLines(bytes: Buffer): number {
  let at = 0;
  while (bytes[at] === 0x0d || bytes[at] === 0x0a) at++;
  return at;
}

interface RequestLine {
  readonly method: string;
  readonly uri: string;
  readonly fault: Fault | null;
}

/** null where the line is not of SIP at all. */
function parseRequestLine(text: string, end: number): RequestLine | null {
  const methodEnd = text.indexOf(' ');
  const uriEnd = text.lastIndexOf(' ', end - 1);
  if (methodEnd > 0 && uriEnd > methodEnd && end - uriEnd === 8 && text.startsWith('SIP/2.0', uriEnd + 1)) {
    const method = text.slice(0, methodEnd);
    const uri = text.slice(methodEnd + 1, uriEnd);
    return isToken(method) ? { method, uri, fault: null } : null;
  }
  const match = LOOSE_REQUEST_LINE.exec(text.slice(0, Math.min(end, START_LINE_MAX)));
  if (match === null) return null;
  const [line, method = '', version = ''] = match;
  const other = version !== '2.0';
  const strict = line.split(' ');
  const fault = other
    ? { status: 505, reason: 'Version Not Supported' }
    : strict.length === 3
      ? null
      : bad('Bad Request Line');
  return { method, uri: strict[1] ?? '', fault };
}
const START_LINE_MAX = 8_192;
const LOOSE_REQUEST_LINE = /^[ \t]*([\w.!%*+`'~-]+)[ \t][^\0-\x1f]*[ \t]SIP\/(\d+\.\d+)[ \t]*$/i;

function parseResponse(
  bytes: Buffer,
  start: number,
  text: string,
  lineEnd: number,
  headAt: number,
  options: ParseOptions,
): SipResponse | null {
  const match = STATUS_LINE.exec(text.slice(0, Math.min(lineEnd, START_LINE_MAX)));
  if (match === null) return null;
  const scan = scanHead(text, headAt);
  if (scan.fault !== null) return null;
  const head = new SipHead(text, scan.fields);
  const parts = readParts(head, readVia(head), bytes, start + scan.bodyAt, options.stream === true);
  if ('status' in parts) return null;
  return new SipResponse(parts, Number(match[1]), decodeUtf8(match[2] ?? ''));
}
const STATUS_LINE = /^SIP\/2\.0 ([1-6]\d\d) ([^\r]*)$/i;
