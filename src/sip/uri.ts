/** SIP, SIPS and TEL URIs (RFC 3261 19.1, RFC 3966): parse, print, compare. */
import { isIPv4, isIPv6 } from 'node:net';
import { canonicalHost } from '../base/address.ts';
import {
  decodeUtf8,
  DIGIT,
  HOST,
  isClass,
  lowerCase,
  NO_PARAMS,
  parseNumber,
  skip,
  URI_PARAM,
  USER,
} from './syntax.ts';
import type { Params } from './syntax.ts';

export interface SipUri {
  readonly scheme: 'sip' | 'sips';
  /** As it was written. */
  readonly text: string;
  /** Escapes decoded; null where the URI names only a host. */
  readonly user: string | null;
  /** As written; null where there is none. */
  readonly password: string | null;
  /** Lower-case name or canonical address; IPv6 without brackets, as in Address. */
  readonly host: string;
  readonly port: number | null;
  /** Names and values in lower case, escapes decoded. */
  readonly params: Params;
  /** What stands behind `?`, as written; '' where there is nothing. */
  readonly headers: string;
}

export interface TelUri {
  readonly scheme: 'tel';
  readonly text: string;
  /** Without visual separators; begins with `+` where it is a global number. */
  readonly number: string;
  readonly params: Params;
}

/** A URI of a scheme that this server does not know; a request to one is answered 416. */
export interface OtherUri {
  readonly scheme: 'other';
  readonly text: string;
}

export type Uri = SipUri | TelUri | OtherUri;

/** The URI in `at`–`end` of the text, without angle brackets and spaces around; null where it is malformed. */
export function parseUri(text: string, at = 0, end = text.length): Uri | null {
  const colon = text.indexOf(':', at);
  if (colon < 0 || colon >= end) return null;
  const scheme = colon - at === 3 && text.startsWith('sip', at) ? 'sip' : text.slice(at, colon).toLowerCase();
  if (scheme === 'sip' || scheme === 'sips') return parseSip(scheme, text, at, colon + 1, end);
  const whole = text.slice(at, end);
  if (scheme === 'tel') return parseTel(whole);
  return OTHER.test(whole) ? { scheme: 'other', text: whole } : null;
}
const OTHER = /^[a-z][a-z0-9+.-]*:[^\s<>"\0-\x1f\x7f]*$/i;

function parseSip(scheme: 'sip' | 'sips', text: string, start: number, at: number, end: number): SipUri | null {
  let user: string | null = null;
  let password: string | null = null;
  let hostAt = at;
  const sign = text.indexOf('@', at);
  if (sign >= 0 && sign < end) {
    const userEnd = skip(text, at, sign, USER);
    if (userEnd === at) return null;
    if (userEnd < sign) {
      if (text.charCodeAt(userEnd) !== 0x3a || skip(text, userEnd + 1, sign, USER) !== sign) return null;
      password = text.slice(userEnd + 1, sign);
    }
    user = unescape(text.slice(at, userEnd));
    if (user === null || (password !== null && unescape(password) === null)) return null;
    hostAt = sign + 1;
  }
  const hostEnd = hostEndAt(text, hostAt, end);
  const host = parseHost(text, hostAt, hostEnd);
  if (host === null) return null;
  let port: number | null = null;
  let i = hostEnd;
  if (i < end && text.charCodeAt(i) === 0x3a) {
    const portEnd = skip(text, i + 1, end, DIGIT);
    port = parseNumber(text, i + 1, portEnd, 65_535);
    if (port < 0) return null;
    i = portEnd;
  }
  let paramsEnd = end;
  let headers = '';
  if (i < end) {
    const question = text.indexOf('?', i);
    if (question >= 0 && question < end) {
      paramsEnd = question;
      headers = text.slice(question + 1, end);
      if (!HEADERS.test(headers)) return null;
    }
  }
  const params = i === paramsEnd ? NO_PARAMS : parseUriParams(text, i, paramsEnd);
  if (params === null) return null;
  return { scheme, text: text.slice(start, end), user, password, host, port, params, headers };
}
const HNV = "(?:[A-Za-z0-9_.!~*'()[\\]/?:+$-]|%[0-9A-Fa-f]{2})";
const HEADERS = new RegExp(`^${HNV}+=${HNV}*(?:&${HNV}+=${HNV}*)*$`);

/** Where the host that begins at `at` ends, an IPv6 reference with its brackets. */
export function hostEndAt(text: string, at: number, end: number): number {
  if (text.charCodeAt(at) !== 0x5b) return skip(text, at, end, HOST);
  const close = text.indexOf(']', at);
  return close < 0 || close >= end ? at : close + 1;
}

/** The host in `at`–`end`: a name, IPv4 or `[IPv6]`; null where it is none of them (RFC 3261 25.1, RFC 5954). */
export function parseHost(text: string, at: number, end: number): string | null {
  if (end === at || end - at > 255) return null;
  if (text.charCodeAt(at) === 0x5b) {
    // The grammar of RFC 3261 allows a third colon before an IPv4 part, and it must be borne (RFC 5118 4.10).
    const six = text.slice(at + 1, end - 1).replace(/:::(?=\d+\.)/, '::');
    return isIPv6(six) && !six.includes('%') ? canonicalHost(six) : null;
  }
  const host = lowerCase(text, at, end);
  const label = host.lastIndexOf('.', host.length - 2) + 1;
  // The last label of a name begins with a letter; else it is an address or nothing.
  if (isClass(host, label, DIGIT)) return isIPv4(host) ? host : null;
  return NAME.test(host) ? host : null;
}
const NAME = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?\.?$/;

function parseUriParams(text: string, at: number, end: number): Params | null {
  const params = new Map<string, string>();
  let i = at;
  while (i < end) {
    if (text.charCodeAt(i) !== 0x3b) return null;
    const nameEnd = skip(text, i + 1, end, URI_PARAM);
    const name = unescape(text.slice(i + 1, nameEnd))?.toLowerCase();
    if (name === undefined || name === '' || params.has(name)) return null;
    let value: string | null = '';
    let next = nameEnd;
    if (nameEnd < end && text.charCodeAt(nameEnd) === 0x3d) {
      next = skip(text, nameEnd + 1, end, URI_PARAM);
      value = unescape(text.slice(nameEnd + 1, next));
      if (value === null) return null;
    }
    params.set(name, value.toLowerCase());
    i = next;
  }
  return params;
}

/** Decodes `%hh`; null where a `%` is followed by anything else. Bytes that are no UTF-8 are taken as Latin-1. */
function unescape(text: string): string | null {
  if (!text.includes('%')) return text;
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return null;
  return decodeUtf8(text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))));
}

function parseTel(text: string): TelUri | null {
  const semicolon = text.indexOf(';');
  const written = text.slice(4, semicolon < 0 ? text.length : semicolon);
  const params = semicolon < 0 ? NO_PARAMS : parseUriParams(text, semicolon, text.length);
  if (params === null || !TEL.test(written)) return null;
  return { scheme: 'tel', text, number: written.replace(/[-.()]/g, ''), params };
}
const TEL = /^(?:\+[-.()]*[0-9][-.()0-9]*|[-.()]*[0-9A-Fa-f*#][-.()0-9A-Fa-f*#]*)$/;

/** `sip:user@host:port;params`, the user escaped where it must be. */
export function formatSipUri(uri: {
  readonly scheme?: 'sip' | 'sips';
  readonly user?: string | null;
  readonly host: string;
  readonly port?: number | null;
  readonly params?: Params;
}): string {
  const user = uri.user === undefined || uri.user === null ? '' : `${escapeUser(uri.user)}@`;
  const host = uri.host.includes(':') ? `[${uri.host}]` : uri.host;
  const port = uri.port === undefined || uri.port === null ? '' : `:${uri.port}`;
  let params = '';
  for (const [name, value] of uri.params ?? NO_PARAMS) {
    params += value === '' ? `;${escapeParam(name)}` : `;${escapeParam(name)}=${escapeParam(value)}`;
  }
  return `${uri.scheme ?? 'sip'}:${user}${host}${port}${params}`;
}

/** Escapes what RFC 3261 does not allow in a user part. */
export function escapeUser(user: string): string {
  // Nearly all are.
  return PLAIN.test(user) ? user : escape(user, /[^A-Za-z0-9_.!~*'()&=+$,;?/-]/g);
}

const PLAIN = /^[A-Za-z0-9_.-]+$/;

function escapeParam(text: string): string {
  return escape(text, /[^A-Za-z0-9_.!~*'()[\]/:&+$-]/g);
}

function escape(text: string, others: RegExp): string {
  return Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(others, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

/** Whether two SIP URIs are equivalent (RFC 3261 19.1.4). */
export function sameSipUri(a: SipUri, b: SipUri): boolean {
  if (a.text === b.text) return true;
  if (a.scheme !== b.scheme || a.user !== b.user || a.host !== b.host || a.port !== b.port) return false;
  if ((a.password === null ? null : unescape(a.password)) !== (b.password === null ? null : unescape(b.password))) {
    return false;
  }
  for (const [name, value] of a.params) {
    const other = b.params.get(name);
    if (other === undefined ? STRICT_PARAMS.has(name) : other !== value) return false;
  }
  for (const name of b.params.keys()) if (STRICT_PARAMS.has(name) && !a.params.has(name)) return false;
  return sameHeaders(a.headers, b.headers);
}
/** These count also where only one of the two URIs has them. */
const STRICT_PARAMS: ReadonlySet<string> = new Set(['user', 'ttl', 'method', 'maddr', 'transport']);

function sameHeaders(a: string, b: string): boolean {
  if (a === b) return true;
  const sorted = (headers: string): string => headers.split('&').map(canonicalHeader).sort().join('&');
  return sorted(a) === sorted(b);
}

function canonicalHeader(header: string): string {
  const equals = header.indexOf('=');
  return `${header.slice(0, equals).toLowerCase()}=${unescape(header.slice(equals + 1)) ?? ''}`;
}

/** The URI as a request line may have it: without what stands behind `?` (RFC 3261 19.1.1). */
export function requestUriOf(uri: Uri): string {
  return 'headers' in uri && uri.headers !== '' ? uri.text.slice(0, -uri.headers.length - 1) : uri.text;
}

/** The uid or number (`0`, country code, uid) that a URI stands for; null where it names only a host. */
export function nameOfUri(uri: Uri): string | null {
  if (uri.scheme === 'other') return null;
  const name = uri.scheme === 'tel' ? uri.number : uri.user;
  return name === null ? null : nameOf(name);
}

/** The same for what stands there as text. */
export function nameOf(text: string): string {
  return /^\+\d+$/.test(text) ? `0${text.slice(1)}` : text;
}
