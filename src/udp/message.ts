/**
 * Requests of the client protocol (PROTOCOL.md section 1), from bytes: one pass, no object a header, strings only for
 * the headers that stand there. The signed Heartbeat is the hot path.
 */
import { isUtf8 } from 'node:buffer';
import { parseAddress } from '../base/address.ts';
import type { Address, Firewall, Status } from '../base/model.ts';
import { FIREWALLS, isUid, STATUSES } from '../base/model.ts';
import { classOfByte, lookUp, nameByte, nameTable, CONTROL, HIGH, LINE_FEED } from './names.ts';
import { decimal32, isHex32, isId, memberOf, visible } from './values.ts';

export const DATAGRAM_BYTES_MAX = 1_200;

/** `Ok` is the client's answer to a request that the server sent; its id begins with `s`. */
const VERBS = [
  ...['Hello', 'Login', 'Heartbeat', 'Status', 'Locate', 'Config', 'Servers', 'Logout', 'Message', 'Ok'],
  ...['Watch', 'Unwatch', 'Buddy'],
] as const;
export type RequestVerb = (typeof VERBS)[number];

/** Every header that the protocol knows: none may stand twice in a message. */
export const HEADERS = [
  ...['id', 'cookie', 'seq', 'mac', 'cnonce', 'nonce', 'proof', 'instance', 'local', 'firewall', 'status', 'note'],
  ...['device', 'ticket', 'probe', 'etag', 'pad', 'realm', 'retry-after', 'wan', 'network', 'heartbeat', 'expires'],
  ...['server', 'servers', 'time', 'version', 'alias', 'telephone', 'sip', 'last-seen', 'type', 'msg'],
] as const;
export type HeaderName = (typeof HEADERS)[number];

/** What is absent is null. Syntax is checked here, meaning (also the mac) by the server. */
export interface Request {
  readonly kind: 'request';
  readonly verb: RequestVerb;
  /** The uid of Login, Locate and Message, the words of Watch, Unwatch and Buddy; '' elsewhere (Status has `status`). */
  readonly argument: string;
  readonly id: string;
  /** Offset of its 32 hex digits; -1 where there is none. */
  readonly cookieAt: number;
  /** 32 bits; -1 where there is none. */
  readonly seq: number;
  /** Offset of its 32 hex digits; -1 where there is none. */
  readonly macAt: number;
  /** Offset of the line that holds `mac`: the mac is made over the bytes before it. -1 where there is none. */
  readonly macLineAt: number;
  /** Offset of the body, which runs to the end; the length of the datagram where there is none. */
  readonly bodyAt: number;
  readonly cnonce: string | null;
  readonly nonce: string | null;
  readonly proof: string | null;
  readonly instance: string | null;
  readonly local: Address | null;
  readonly firewall: Firewall | null;
  readonly status: Status | null;
  readonly note: string | null;
  readonly device: string | null;
  readonly ticket: string | null;
  readonly probe: string | null;
  readonly etag: string | null;
  /** Media type of the body. */
  readonly type: string | null;
  readonly msg: string | null;
}

/** A request with an id that must not be carried out: answered `Error <status> <reason>`. */
export interface Malformed {
  readonly kind: 'malformed';
  readonly status: 400 | 413;
  readonly id: string;
  /** For people; holds nothing that came in the datagram. */
  readonly reason: string;
}

type Draft = { -readonly [K in keyof Request]: Request[K] };

/** null: no request with an id, to be dropped without an answer. */
export function decode(bytes: Buffer): Request | Malformed | null {
  const end = Math.min(bytes.length, DATAGRAM_BYTES_MAX);
  const verb = verbAt(bytes, end);
  if (verb === null) return null;
  const request = draft(verb);
  const tooLong = bytes.length > DATAGRAM_BYTES_MAX;
  let fault = tooLong ? 'longer than 1200 bytes' : '';
  fault ||= readArgument(request, bytes, end);
  if (request.argument !== '' && takesNoArgument(verb)) return null;
  fault = readHeaders(request, bytes, end, fault);
  if (request.id === '') return null;
  fault ||= bodyFault(bytes, request.bodyAt, end) || (line.high ? textFault(bytes) : '') || missing(request);
  if (verb === 'Ok') return fault === '' && request.id.startsWith('s') ? request : null;
  return fault === '' ? request : { kind: 'malformed', status: tooLong ? 413 : 400, id: request.id, reason: fault };
}

/** The bytes that the mac of a signed message is made over: those before its line; with a body, CRLF and the body. */
export function macInput(bytes: Buffer, message: { readonly macLineAt: number; readonly bodyAt: number }): Buffer {
  const head = bytes.subarray(0, message.macLineAt);
  if (message.bodyAt >= bytes.length) return head;
  return Buffer.concat([head, CRLF, bytes.subarray(message.bodyAt)]);
}
const CRLF = Buffer.from('\r\n');

function draft(verb: RequestVerb): Draft {
  return {
    kind: 'request',
    verb,
    argument: '',
    id: '',
    cookieAt: -1,
    seq: -1,
    macAt: -1,
    macLineAt: -1,
    bodyAt: 0,
    cnonce: null,
    nonce: null,
    proof: null,
    instance: null,
    local: null,
    firewall: null,
    status: null,
    note: null,
    device: null,
    ticket: null,
    probe: null,
    etag: null,
    type: null,
    msg: null,
  };
}

/** The line last read: a scratch object, so that the scan returns four things without making one. */
const line = {
  /** Offset behind the text, spaces at the end left out. */
  end: 0,
  /** Offset of the next line; -1 where this one has no line end. */
  next: 0,
  control: false,
  /** A byte above 127 was seen, in this line or an earlier one of the datagram. */
  high: false,
};

function readLine(bytes: Buffer, from: number, end: number): void {
  line.control = false;
  let at = from;
  for (; at < end; at++) {
    const kind = classOfByte[bytes[at] ?? 0];
    if (kind === 0) continue;
    if (kind === LINE_FEED) break;
    if (kind === HIGH) line.high = true;
    else if (kind === CONTROL || at + 1 >= end || bytes[at + 1] !== 10) line.control = true;
  }
  line.next = at < end ? at + 1 : -1;
  if (at < end && at > from && bytes[at - 1] === 13) at--;
  while (at > from && bytes[at - 1] === 32) at--;
  line.end = at;
}

const verbs = nameTable(VERBS);

function verbAt(bytes: Buffer, end: number): RequestVerb | null {
  let hash = 0;
  let at = 0;
  for (; at < end; at++) {
    const byte = nameByte[bytes[at] ?? 0] ?? 0;
    if (byte === 0) break;
    hash = (hash * 33 + byte) & 0xffff;
  }
  // The verb ends with a space or the line; a datagram that ends with it has no id.
  if (at === end || (bytes[at] !== 32 && bytes[at] !== 13 && bytes[at] !== 10)) return null;
  const index = lookUp(verbs, hash, bytes, 0, at);
  return index < 0 ? null : (VERBS[index] ?? null);
}

/**
 * Hello, Config and Servers are replies where they have an argument: answering them would let two servers talk each
 * other into a loop. The other verbs without an argument have none in any message.
 */
function takesNoArgument(verb: RequestVerb): boolean {
  return !namesUser(verb) && verb !== 'Status' && !takesWords(verb);
}

function namesUser(verb: RequestVerb): boolean {
  return verb === 'Login' || verb === 'Locate' || verb === 'Message';
}

/** Of these the handler reads the argument. */
function takesWords(verb: RequestVerb): boolean {
  return verb === 'Watch' || verb === 'Unwatch' || verb === 'Buddy';
}

/** The first line; returns what is wrong with it, or ''. Leaves `bodyAt` at the next line. */
function readArgument(request: Draft, bytes: Buffer, end: number): string {
  const from = request.verb.length;
  line.high = false;
  readLine(bytes, from, end);
  request.bodyAt = line.next;
  if (line.end > from) request.argument = text(bytes, from + (bytes[from] === 32 ? 1 : 0), line.end);
  if (line.control) return 'a control character';
  if (namesUser(request.verb)) {
    return bytes[from] === 32 && isUid(request.argument) ? '' : 'not a uid';
  }
  if (request.verb !== 'Status') return '';
  request.status = memberOf(STATUSES, request.argument);
  request.argument = '';
  return request.status === null ? 'not a status' : '';
}

const headers = nameTable(HEADERS);
/** By header: the message in which it was last seen, counted from 1. A scratch array, so that none is made a message. */
const seenIn = new Float64Array(HEADERS.length);
let reading = 0;

/** All header lines from `bodyAt` on; returns the first thing that was wrong. Leaves `bodyAt` at the body. */
function readHeaders(request: Draft, bytes: Buffer, end: number, found: string): string {
  let fault = found;
  reading++;
  let at = request.bodyAt;
  while (at >= 0 && at < end) {
    let hash = 0;
    let colon = at;
    for (; colon < end; colon++) {
      const byte = nameByte[bytes[colon] ?? 0] ?? 0;
      if (byte === 0) break;
      hash = (hash * 33 + byte) & 0xffff;
    }
    readLine(bytes, colon, end);
    const { next } = line;
    if (colon === at && line.end === at && next >= 0 && !line.control) {
      request.bodyAt = next;
      return fault;
    }
    if (colon === at || bytes[colon] !== 58) fault ||= 'not a header line';
    else if (line.control) fault ||= 'a control character';
    else if (next < 0) fault ||= 'the last line has no end';
    else {
      const index = lookUp(headers, hash, bytes, at, colon);
      if (index >= 0 && seenIn[index] === reading) fault ||= `${HEADERS[index] ?? ''}: twice`;
      else {
        if (request.macAt >= 0) fault ||= 'mac: not the last header';
        if (index >= 0) seenIn[index] = reading;
        const problem = take(request, HEADERS[index], bytes, at, colon + 1);
        if (problem !== '') fault ||= `${HEADERS[index] ?? ''}: ${problem}`;
      }
    }
    at = next;
  }
  if (at < 0) fault ||= 'the last line has no end';
  request.bodyAt = bytes.length;
  return fault;
}

/** Keeps the value of a known header, from behind its colon to `line.end`; returns what is wrong with it, or ''. */
function take(request: Draft, header: string | undefined, bytes: Buffer, lineAt: number, afterColon: number): string {
  const to = line.end;
  let from = afterColon;
  while (from < to && bytes[from] === 32) from++;
  switch (header) {
    case 'id':
      if (!isId(bytes, from, to)) return 'not 1 to 32 letters, digits, dots, dashes';
      request.id = bytes.toString('latin1', from, to);
      return '';
    case 'cookie':
      if (!isHex32(bytes, from, to)) return NOT_HEX32;
      request.cookieAt = from;
      return '';
    case 'seq':
      request.seq = decimal32(bytes, from, to);
      return request.seq < 0 ? 'not a 32-bit number' : '';
    case 'mac':
      if (!isHex32(bytes, from, to)) return NOT_HEX32;
      request.macAt = from;
      request.macLineAt = lineAt;
      return '';
    case 'cnonce':
      request.cnonce = visible(bytes, from, to, 64);
      return request.cnonce === null ? 'not 1 to 64 visible characters' : '';
    case 'nonce':
      request.nonce = visible(bytes, from, to, 64);
      return request.nonce === null ? 'not 1 to 64 visible characters' : '';
    case 'proof':
      request.proof = visible(bytes, from, to, 64);
      return request.proof?.length === 64 ? '' : 'not 64 hex digits';
    case 'probe':
      request.probe = visible(bytes, from, to, 64);
      return request.probe === null ? 'not 1 to 64 visible characters' : '';
    case 'ticket':
      request.ticket = visible(bytes, from, to, 200);
      return request.ticket === null ? 'not 1 to 200 visible characters' : '';
    default:
      return takeRare(request, header, bytes, from, to);
  }
}
const NOT_HEX32 = 'not 32 hex digits';

function takeRare(request: Draft, header: string | undefined, bytes: Buffer, from: number, to: number): string {
  switch (header) {
    case 'instance':
      request.instance = text(bytes, from, to);
      return charactersIn(request.instance) <= 64 ? '' : 'longer than 64 characters';
    case 'note':
      request.note = text(bytes, from, to);
      return charactersIn(request.note) <= 96 ? '' : 'longer than 96 characters';
    case 'device':
      request.device = text(bytes, from, to);
      return to - from <= 512 ? '' : 'longer than 512 bytes';
    case 'local':
      request.local = parseAddress(text(bytes, from, to));
      return request.local === null ? 'not ip:port' : '';
    case 'firewall':
      request.firewall = memberOf(FIREWALLS, text(bytes, from, to));
      return request.firewall === null ? 'not a firewall type' : '';
    case 'status':
      request.status ??= memberOf(STATUSES, text(bytes, from, to));
      return request.status === null ? 'not a status' : '';
    case 'etag':
      request.etag = visible(bytes, from, to, 128);
      return request.etag === null ? 'not 1 to 128 visible characters' : '';
    case 'type':
      request.type = text(bytes, from, to);
      return to - from <= 255 ? '' : 'longer than 255 bytes';
    case 'msg':
      request.msg = visible(bytes, from, to, 64);
      return request.msg === null ? 'not 1 to 64 visible characters' : '';
    default:
      return ''; // pad, and headers that only replies have
  }
}

/** What else the verb needs on the wire. */
function missing(request: Draft): string {
  if (request.verb !== 'Login') return '';
  if (request.cnonce === null) return 'cnonce: missing';
  if (request.nonce !== null && request.proof === null) return 'proof: missing';
  return request.nonce === null && request.proof !== null ? 'nonce: missing' : '';
}

/** Lines and tabs may stand in a body, other control characters not. */
function bodyFault(bytes: Buffer, bodyAt: number, end: number): string {
  for (let at = bodyAt; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte > 127) line.high = true;
    else if ((byte < 32 && byte !== 9 && byte !== 10 && byte !== 13) || byte === 127) return 'a control character';
  }
  return '';
}

function textFault(bytes: Buffer): string {
  if (!isUtf8(bytes)) return 'not UTF-8';
  return C1.test(bytes.toString('utf8')) ? 'a control character' : '';
}
const C1 = /[\u0080-\u009f]/;

function text(bytes: Buffer, from: number, to: number): string {
  return bytes.toString(line.high ? 'utf8' : 'latin1', from, to);
}

function charactersIn(value: string): number {
  return value.length <= 64 ? value.length : Array.from(value).length;
}
