/**
 * Via, From and To as they nearly always are written: what every message is asked for is read, and it is made sure that
 * parseVia() and parseNameAddr() would take them, which make objects of them only where somebody wants more.
 */
import { DIGIT, HOST, isClass, parseNumber, PLAIN_USER, skip, TOKEN } from './syntax.ts';
import { parseHost } from './uri.ts';
import type { Via } from './via.ts';

const PROTOCOL = 'SIP/2.0/';
const BRANCH = 'branch=';
const RPORT = 'rport';
const RECEIVED = 'received=';
const SIP = '<sip:';
const TAG = ';tag=';
const SPACE = 0x20;
const QUOTE = 0x22;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const CLOSE = 0x3e;
const AT_SIGN = 0x40;
const BACKSLASH = 0x5c;

/** What of the first Via is asked for of every message. */
export interface TopVia {
  /** '' where there is none, as with RFC 2543. */
  readonly branch: string;
  /** `host:port`; ends with the colon where the port is not told. */
  readonly sentBy: string;
  /** Whether it has `rport` without a value, and no `received`: so a client asks for an answer to where it sends from. */
  readonly asksRport: boolean;
  /** null: not parsed yet, but well formed. */
  readonly whole: Via | null;
}

/** Of the one Via in `at`–`end`; null where it is out of the ordinary, or malformed. */
export function ordinaryVia(text: string, at: number, end: number): TopVia | null {
  if (!text.startsWith(PROTOCOL, at)) return null;
  const transportAt = at + PROTOCOL.length;
  const transportEnd = skip(text, transportAt, end, TOKEN);
  if (transportEnd === transportAt || text.charCodeAt(transportEnd) !== SPACE) return null;
  const hostAt = transportEnd + 1;
  const hostEnd = ordinaryHostEnd(text, hostAt, end);
  let i = portEnd(text, hostEnd, end);
  const sentByEnd = i;
  let branch = '';
  let rport: 'none' | 'asked' | 'told' = 'none';
  let isReceived = false;
  while (i >= 0 && i < end) {
    if (text.charCodeAt(i) !== SEMICOLON) return null;
    const nameAt = i + 1;
    if (branch === '' && text.startsWith(BRANCH, nameAt)) {
      const branchAt = nameAt + BRANCH.length;
      i = skip(text, branchAt, end, TOKEN);
      if (i === branchAt) return null;
      branch = text.slice(branchAt, i);
    } else if (rport === 'none' && text.startsWith(RPORT, nameAt)) {
      i = nameAt + RPORT.length;
      rport = text.charCodeAt(i) === EQUALS && i < end ? 'told' : 'asked';
      if (rport === 'asked') continue;
      const valueAt = i + 1;
      i = skip(text, valueAt, end, DIGIT);
      if (i === valueAt) return null;
    } else if (!isReceived && text.startsWith(RECEIVED, nameAt)) {
      isReceived = true;
      i = ipv4End(text, nameAt + RECEIVED.length, end);
    } else return null;
  }
  if (i !== end) return null;
  const sentBy = text.slice(hostAt, sentByEnd);
  return {
    branch,
    sentBy: sentByEnd === hostEnd ? `${sentBy}:` : sentBy,
    asksRport: rport === 'asked' && !isReceived,
    whole: null,
  };
}

/** The tag of the From or To in `at`–`end`, undefined where it has none; null where it is out of the ordinary, or malformed. */
export function ordinaryTag(text: string, at: number, end: number): string | undefined | null {
  let i = at;
  if (text.charCodeAt(i) === QUOTE && i < end) {
    i++;
    for (let code = text.charCodeAt(i); i < end && code !== QUOTE; code = text.charCodeAt(++i)) {
      if (code === BACKSLASH) return null;
    }
    i++;
    if (text.charCodeAt(i) === SPACE) i++;
  }
  if (!text.startsWith(SIP, i)) return null;
  const userAt = i + SIP.length;
  const userEnd = skip(text, userAt, end, PLAIN_USER);
  if (userEnd === userAt || text.charCodeAt(userEnd) !== AT_SIGN) return null;
  i = portEnd(text, ordinaryHostEnd(text, userEnd + 1, end), end);
  if (i < 0 || i >= end || text.charCodeAt(i) !== CLOSE) return null;
  if (++i === end) return undefined;
  if (!text.startsWith(TAG, i)) return null;
  const tagAt = i + TAG.length;
  return tagAt < end && skip(text, tagAt, end, TOKEN) === end ? text.slice(tagAt, end) : null;
}

/** The name that was found good last: most are the same. */
let known = '';

/** Where the IPv4 address or the name in lower case ends that begins at `at`; -1 where there is none. */
function ordinaryHostEnd(text: string, at: number, end: number): number {
  const addressEnd = ipv4End(text, at, end);
  if (addressEnd >= 0 && (addressEnd === end || !isClass(text, addressEnd, HOST))) return addressEnd;
  const nameEnd = skip(text, at, end, HOST);
  if (nameEnd > at && nameEnd - at === known.length && text.startsWith(known, at)) return nameEnd;
  const name = text.slice(at, nameEnd);
  if (parseHost(text, at, nameEnd) !== name) return -1;
  known = name;
  return nameEnd;
}

function ipv4End(text: string, at: number, end: number): number {
  let i = at;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && (i >= end || text.charCodeAt(i++) !== DOT)) return -1;
    const partAt = i;
    i = skip(text, i, Math.min(end, i + 4), DIGIT);
    const isPadded = text.charCodeAt(partAt) === ZERO && i > partAt + 1;
    if (isPadded || parseNumber(text, partAt, i, 255) < 0) return -1;
  }
  return i;
}

/** The offset behind `:port` where it stands at `at`, else `at`; -1 where it is none or has a leading zero, or `at` is -1. */
function portEnd(text: string, at: number, end: number): number {
  if (at < 0 || at >= end || text.charCodeAt(at) !== COLON) return at;
  const digitsEnd = skip(text, at + 1, end, DIGIT);
  return text.charCodeAt(at + 1) === ZERO || parseNumber(text, at + 1, digitsEnd, 65_535) < 0 ? -1 : digitsEnd;
}
