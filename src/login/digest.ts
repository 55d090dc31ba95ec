/** Digest (RFC 7616 for HTTP, RFC 8760 for SIP): the challenge, the reading of an answer, and its check. */
import { hexHash } from '../base/hashes.ts';
import type { User } from '../base/model.ts';
import { isPlainText, verifiers } from '../directory/passwords.ts';

/** The strongest first, as the RFC wants (section 3.7). */
export const DIGEST_ALGORITHMS = ['SHA-256', 'MD5'] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

export interface DigestAnswer {
  readonly username: string;
  readonly realm: string;
  readonly uri: string;
  readonly algorithm: DigestAlgorithm;
  readonly nonce: string;
  /** null: of a client that knows RFC 2069 only; `nc` and `cnonce` are '' then. */
  readonly qop: 'auth' | null;
  readonly nc: string;
  readonly cnonce: string;
  readonly response: string;
}

export function digestChallenge(
  realm: string,
  nonce: string,
  stale: boolean,
  algorithms: readonly DigestAlgorithm[] = DIGEST_ALGORITHMS,
): string[] {
  return algorithms.map(
    (algorithm) =>
      `Digest realm="${realm}", qop="auth", algorithm=${algorithm}, nonce="${nonce}", charset=UTF-8${stale ? ', stale=true' : ''}`,
  );
}

/**
 * Reads `Digest name=value, …`, whose UTF-8 is decoded. null: not the answer to a challenge of ours (what is missing,
 * given twice or of another kind). RFC 3261 22.4 has SIP servers take an answer without qop; only MD5 is that old.
 */
export function readDigest(header: string): DigestAnswer | null {
  const fields = readFields(header, 'digest '.length);
  if (fields === null) return null;
  // By their places in NAMES: to take them all apart at once costs as much as to read them.
  const username = fields[0];
  const realm = fields[1];
  const nonce = fields[2];
  const uri = fields[3];
  const response = fields[4]?.toLowerCase();
  const cnonce = fields[5];
  const nc = fields[6];
  const qop = fields[7];
  const algorithm = algorithmOf(fields[8] ?? 'MD5');
  if (username === undefined || realm === undefined || uri === undefined || nonce === undefined) return null;
  if (algorithm === undefined || response === undefined) return null;
  if (qop === undefined) {
    if (algorithm !== 'MD5') return null;
    return { username, realm, uri, algorithm, nonce, qop: null, nc: '', cnonce: '', response };
  }
  if (qop !== 'auth' || nc === undefined || cnonce === undefined || !/^[0-9a-f]{8}$/i.test(nc)) return null;
  return { username, realm, uri, algorithm, nonce, qop, nc, cnonce, response };
}

function algorithmOf(name: string): DigestAlgorithm | undefined {
  if (name === 'MD5' || name === 'SHA-256') return name;
  return DIGEST_ALGORITHMS.find((one) => one === name.toUpperCase());
}

/** Section 3.4.1. `ha1` is lower-case hex. */
export function isDigestGood(answer: DigestAnswer, method: string, ha1: string): boolean {
  const { algorithm, uri, nonce, qop, nc, cnonce, response } = answer;
  const name = algorithm === 'MD5' ? 'md5' : 'sha256';
  const ha2 = hexHash(name, `${method}:${uri}`);
  const expected = hexHash(name, `${ha1}:${nonce}:${qop === null ? '' : `${nc}:${cnonce}:auth:`}${ha2}`);
  // Their length is known to everybody.
  if (response.length !== expected.length) return false;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) difference |= expected.charCodeAt(i) ^ response.charCodeAt(i);
  return difference === 0;
}

/** HA1: the stored verifier, else of a password stored as plain text; null where the password is one-way. */
export function verifierFor({ uid, secret }: User, algorithm: DigestAlgorithm, realm: string): string | null {
  const stored = algorithm === 'MD5' ? secret.ha1Md5 : secret.ha1Sha256;
  if (stored !== null) return stored;
  const { password } = secret;
  if (password === null || password === '' || !isPlainText(password)) return null;
  const made = verifiers(uid, realm, password);
  return algorithm === 'MD5' ? made.ha1Md5 : made.ha1Sha256;
}

const FIELDS_MAX = 20;
const NAME_CHARACTERS_MAX = 32;
/** In the order in which readDigest() takes them. */
const NAMES = ['username', 'realm', 'nonce', 'uri', 'response', 'cnonce', 'nc', 'qop', 'algorithm'] as const;
/** Which of NAMES has this length and first letter (no two have both), +1. */
const BY_SHAPE = new Uint8Array(16 * 32);
NAMES.forEach((name, i) => (BY_SHAPE[shapeOf(name.length, name.charCodeAt(0))] = i + 1));
function shapeOf(length: number, first: number): number {
  return ((length & 15) << 5) | (first & 31);
}

const TAB = 0x09;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
const IN_NAME = Uint8Array.from({ length: 256 }, (_, code) => (/[A-Za-z0-9*]/.test(String.fromCharCode(code)) ? 1 : 0));
const ENDS_BARE = Uint8Array.from({ length: 256 }, (_, code) => (/[\s",]/.test(String.fromCharCode(code)) ? 1 : 0));

/** The values of NAMES in `name=value, name="value"`; null where the text is anything else, or says something twice. */
function readFields(text: string, from: number): (string | undefined)[] | null {
  const values = new Array<string | undefined>(NAMES.length).fill(undefined);
  let others: Set<string> | undefined;
  let i = from;
  for (let count = 0; i < text.length; count++) {
    const nameAt = skipSpaces(text, i);
    i = nameAt;
    while (IN_NAME[text.charCodeAt(i)] === 1) i++;
    const nameEnd = i;
    i = skipSpaces(text, i);
    const isNamed = nameEnd > nameAt && nameEnd <= nameAt + NAME_CHARACTERS_MAX && count < FIELDS_MAX;
    if (!isNamed || text.charCodeAt(i) !== EQUALS) return null;
    const valueAt = skipSpaces(text, i + 1);
    const isQuoted = text.charCodeAt(valueAt) === QUOTE;
    const valueEnd = isQuoted ? quotedEnd(text, valueAt) : bareEnd(text, valueAt);
    if (valueEnd < 0) return null;
    const value = isQuoted ? unescaped(text.slice(valueAt + 1, valueEnd - 1)) : text.slice(valueAt, valueEnd);
    const known = numberOf(text, nameAt, nameEnd);
    if (known < 0) {
      const name = text.slice(nameAt, nameEnd).toLowerCase();
      if (others?.has(name) === true) return null;
      (others ??= new Set()).add(name);
    } else if (values[known] === undefined) values[known] = value;
    else return null;
    i = skipSpaces(text, valueEnd);
    if (i < text.length && text.charCodeAt(i++) !== COMMA) return null;
  }
  return values;
}

/** Which of NAMES stands there, in any case; -1: none. */
function numberOf(text: string, at: number, end: number): number {
  const number = (BY_SHAPE[shapeOf(end - at, text.charCodeAt(at))] ?? 0) - 1;
  const name = NAMES[number] ?? '';
  if (name.length !== end - at) return -1;
  for (let i = 0; i < name.length; i++) if ((text.charCodeAt(at + i) | 0x20) !== name.charCodeAt(i)) return -1;
  return number;
}

function skipSpaces(text: string, at: number): number {
  let i = at;
  for (let code = text.charCodeAt(i); code === SPACE || code === TAB; code = text.charCodeAt(i)) i++;
  return i;
}

function bareEnd(text: string, at: number): number {
  let i = at;
  while (i < text.length && ENDS_BARE[text.charCodeAt(i)] !== 1) i++;
  return i;
}

/** Behind the quote that ends what the quote at `at` begins; -1: none does. */
function quotedEnd(text: string, at: number): number {
  let i = at + 1;
  while (i < text.length && text.charCodeAt(i) !== QUOTE) i += text.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i < text.length ? i + 1 : -1;
}

function unescaped(quoted: string): string {
  return quoted.includes('\\') ? quoted.replace(/\\(.)/g, '$1') : quoted;
}
