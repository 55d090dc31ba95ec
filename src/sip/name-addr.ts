/** `"Name" <uri>;params`: the value of From, To, Contact, Route and their like (RFC 3261 20.10, 25.1). */
import {
  decodeUtf8,
  formatParams,
  itemEnd,
  parseParams,
  quote,
  quotedEnd,
  skip,
  SPACE,
  TOKEN,
  trimEnd,
  unfold,
  unquote,
} from './syntax.ts';
import type { Params } from './syntax.ts';
import { parseUri } from './uri.ts';
import type { Uri } from './uri.ts';

export interface NameAddr {
  /** '' where there is none. */
  readonly displayName: string;
  readonly uri: Uri;
  /** Those of the header, not those of the URI. */
  readonly params: Params;
}

/** The one name-addr or addr-spec in `at`–`end`; null where it is malformed or more than one. */
export function parseNameAddr(text: string, at = 0, end = text.length): NameAddr | null {
  let i = skip(text, at, end, SPACE);
  let displayName = '';
  if (text.charCodeAt(i) === 0x22 && i < end) {
    const close = quotedEnd(text, i, end);
    if (close < 0) return null;
    displayName = decodeUtf8(unquote(unfold(text.slice(i, close))));
    i = skip(text, close, end, SPACE);
    if (text.charCodeAt(i) !== 0x3c) return null;
  } else {
    const open = text.indexOf('<', i);
    if (open < 0 || open >= end) return parseAddrSpec(text, i, end);
    if (open > i) {
      if (skip(text, i, open, TOKEN | SPACE) !== open) return null;
      displayName = unfold(text.slice(i, trimEnd(text, i, open)));
      i = open;
    }
  }
  const close = text.indexOf('>', i);
  if (close < 0 || close >= end) return null;
  const uri = parseUri(text, i + 1, close);
  if (uri === null) return null;
  const params = parseParams(text, close + 1, end);
  return params === null ? null : { displayName, uri, params };
}

/** Without brackets all parameters are the header's, and the URI has neither `?` nor `,` (RFC 3261 20.10). */
function parseAddrSpec(text: string, at: number, end: number): NameAddr | null {
  const semicolon = text.indexOf(';', at);
  const specEnd = semicolon < 0 || semicolon > end ? end : semicolon;
  const uriEnd = trimEnd(text, at, specEnd);
  for (let i = at; i < uriEnd; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x3f || code === 0x2c) return null;
  }
  const uri = parseUri(text, at, uriEnd);
  if (uri === null) return null;
  const params = parseParams(text, specEnd, end);
  return params === null ? null : { displayName: '', uri, params };
}

/** All of the comma-separated list in `from`–`to`; null where one of them is malformed. */
export function parseNameAddrs(text: string, from = 0, to = text.length): NameAddr[] | null {
  const list: NameAddr[] = [];
  let at = from;
  for (;;) {
    const end = itemEnd(text, at, to);
    const item = parseNameAddr(text, at, end);
    if (item === null) return null;
    list.push(item);
    if (end >= to) return list;
    at = end + 1;
  }
}

export function formatNameAddr(address: NameAddr): string {
  const name = address.displayName === '' ? '' : `${quote(address.displayName)} `;
  return `${name}<${address.uri.text}>${formatParams(address.params)}`;
}
