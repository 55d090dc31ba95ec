/** Digest (RFC 7616 for HTTP, RFC 8760 for SIP): the challenge, the reading of an answer, and its check. */
import { hash, timingSafeEqual } from 'node:crypto';
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
  const fields = readFields(header.slice('digest '.length));
  if (fields === null) return null;
  const algorithm = DIGEST_ALGORITHMS.find((one) => one === (fields.get('algorithm') ?? 'MD5').toUpperCase());
  const username = fields.get('username');
  const realm = fields.get('realm');
  const uri = fields.get('uri');
  const nonce = fields.get('nonce');
  const response = fields.get('response')?.toLowerCase();
  if (username === undefined || realm === undefined || uri === undefined || nonce === undefined) return null;
  if (algorithm === undefined || response === undefined) return null;
  const read = { username, realm, uri, algorithm, nonce, response };
  if (!fields.has('qop')) return algorithm === 'MD5' ? { ...read, qop: null, nc: '', cnonce: '' } : null;
  const [nc, cnonce] = [fields.get('nc'), fields.get('cnonce')];
  if (fields.get('qop') !== 'auth' || nc === undefined || cnonce === undefined) return null;
  return /^[0-9a-f]{8}$/i.test(nc) ? { ...read, qop: 'auth', nc, cnonce } : null;
}

/** Section 3.4.1. `ha1` is lower-case hex. */
export function isDigestGood(answer: DigestAnswer, method: string, ha1: string): boolean {
  const h = (text: string): string => hash(answer.algorithm === 'MD5' ? 'md5' : 'sha256', text, 'hex');
  const ha2 = h(`${method}:${answer.uri}`);
  const more = answer.qop === null ? '' : `${answer.nc}:${answer.cnonce}:auth:`;
  const expected = h(`${ha1}:${answer.nonce}:${more}${ha2}`);
  // Their length is known to everybody.
  const given = Buffer.from(answer.response, 'latin1');
  return given.length === expected.length && timingSafeEqual(Buffer.from(expected, 'latin1'), given);
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
const FIELD = /\s*([A-Za-z0-9*]{1,32})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))\s*(?:,|$)/y;

function unescaped(quoted: string): string {
  return quoted.includes('\\') ? quoted.replace(/\\(.)/g, '$1') : quoted;
}

/** `name=value, name="value"`; null where the text is anything else, or says something twice. */
function readFields(text: string): Map<string, string> | null {
  const fields = new Map<string, string>();
  FIELD.lastIndex = 0;
  while (FIELD.lastIndex < text.length) {
    const match = FIELD.exec(text);
    if (match === null || fields.size === FIELDS_MAX) return null;
    const name = (match[1] ?? '').toLowerCase();
    if (fields.has(name)) return null;
    const [, , quoted, bare = ''] = match;
    fields.set(name, quoted === undefined ? bare : unescaped(quoted));
  }
  return fields;
}
