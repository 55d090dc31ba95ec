/** Distinguished names as text (RFC 4514): taking them apart and putting them together. */

/** One `type=value` of an RDN; the type in lower case, the value without escapes. */
export interface NamePart {
  readonly type: string;
  readonly value: string;
}

/** One relative name; more than one part only where it is multi-valued (`cn=a+sn=b`). */
export type Rdn = readonly NamePart[];

const DN_LENGTH_MAX = 8_192;

/** The relative names, the entry's own first; null where the text is no DN. `''` is the root: []. */
export function parseDn(dn: string): readonly Rdn[] | null {
  if (dn.length > DN_LENGTH_MAX) return null;
  if (dn.trim() === '') return [];
  const rdns: Rdn[] = [];
  for (const text of splitUnescaped(dn, ',')) {
    const rdn: NamePart[] = [];
    for (const part of splitUnescaped(text, '+')) {
      const parsed = parsePart(part);
      if (parsed === null) return null;
      rdn.push(parsed);
    }
    rdns.push(rdn);
  }
  return rdns;
}

/** `uid=a\,b` for ('uid', 'a,b'): RFC 4514 section 2.4. */
export function formatRdn(type: string, value: string): string {
  const escaped = value
    .replace(/[\\,+"<>;=]/g, '\\$&')
    .replace(/[\p{Cc}\p{Cf}]/gu, (char) => hexEscape(char))
    .replace(/^[ #]| $/g, '\\$&');
  return `${type}=${escaped}`;
}

/** The DN without its first relative name; '' where nothing is above. Escaped commas don't part names. */
export function parentDn(dn: string): string {
  const [first = ''] = splitUnescaped(dn, ',');
  return dn.slice(first.length + 1).trimStart();
}

/** One spelling a DN, for comparing: lower case, no spaces around separators, one way to escape. */
export function normalDn(dn: string): string {
  // The usual DN has nothing to take apart.
  if (PLAIN.test(dn)) return dn.toLowerCase();
  const rdns = parseDn(dn);
  if (rdns === null) return dn.trim().toLowerCase();
  return rdns
    .map((rdn) =>
      rdn
        .map((part) => formatRdn(part.type, part.value.toLowerCase()))
        .sort()
        .join('+'),
    )
    .join(',');
}
const PLAIN = /^(?:[a-zA-Z][a-zA-Z0-9-]*=[\w.@-]+(?:,(?!$)|$))+$/;

/** The relative names between the entry and `base` (the entry's own first); null where it is not below it. */
export function relativeTo(dn: string, base: string): readonly Rdn[] | null {
  const rdns = parseDn(dn);
  const above = parseDn(base);
  if (rdns === null || above === null || rdns.length < above.length) return null;
  const own = rdns.length - above.length;
  const same = above.every((rdn, i) => sameRdn(rdn, rdns[own + i]));
  return same ? rdns.slice(0, own) : null;
}

function sameRdn(a: Rdn, b: Rdn | undefined): boolean {
  return b !== undefined && spell(a) === spell(b);
}

function spell(rdn: Rdn): string {
  return rdn
    .map((part) => `${part.type}=${part.value.toLowerCase()}`)
    .sort()
    .join('+');
}

function splitUnescaped(text: string, separator: string): string[] {
  if (!text.includes('\\')) return text.split(separator);
  const parts: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === separator) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function parsePart(text: string): NamePart | null {
  const equals = text.indexOf('=');
  if (equals < 0) return null;
  const type = text.slice(0, equals).trim().toLowerCase();
  if (!TYPE.test(type)) return null;
  const value = unescapeValue(text.slice(equals + 1));
  return value === null ? null : { type, value };
}
const TYPE = /^(?:[a-z][a-z0-9-]*|\d+(?:\.\d+)*)$/;

/** Spaces at both ends don't count unless they are escaped; null where an escape is none or the bytes are no UTF-8. */
function unescapeValue(text: string): string | null {
  const trimmed = text.trimStart();
  if (!trimmed.includes('\\')) return trimmed.trimEnd();
  const bytes: Buffer[] = [];
  let end = 0;
  for (const [token] of trimmed.matchAll(TOKEN)) {
    if (token === '\\') return null;
    const hex = token.startsWith('\\') && token.length === 3;
    const piece = hex
      ? Buffer.from(token.slice(1), 'hex')
      : Buffer.from(token.startsWith('\\') ? token.slice(1) : token);
    bytes.push(piece);
    if (token !== ' ') end = bytes.length;
  }
  try {
    return UTF8.decode(Buffer.concat(bytes.slice(0, end)));
  } catch {
    return null;
  }
}
const TOKEN = /\\[0-9a-fA-F]{2}|\\.|[^\\ ]+| |\\/gsu;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function hexEscape(char: string): string {
  return [...Buffer.from(char)].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
}
