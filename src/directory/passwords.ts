/**
 * Stored passwords: the schemes of DIRECTORY.md section 2, the one that we write, and the digest verifiers.
 * What takes long runs in libuv's threads or in slices, a few at a time, so that heartbeats go on meanwhile.
 */
import { hash as argon2, parseOptions, verify as verifyArgon2 } from '@node-rs/argon2';
import { hash, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { VserverError } from '../base/errors.ts';
import { cryptLike } from './crypt.ts';

/** `unsupported`: a scheme that we can't check; where the backend has a bind, that can tell. */
export type Checked = 'match' | 'mismatch' | 'unsupported';

/** Longer ones never match: the work grows with the length. */
const PASSWORD_BYTES_MAX = 512;
/** Longer stored values are not the hash of any scheme here. */
const STORED_CHARACTERS_MAX = 1_024;
const PBKDF2_ITERATIONS_MAX = 3_000_000;
const ARGON2_KIB_MAX = 256 * 1024;
/** Memory times passes: what the time of an argon2 depends on; about a second. */
const ARGON2_WORK_MAX = 2 * 1024 * 1024;

/** OWASP's recommendation; about 20 ms and 19 MiB. */
const ARGON2_OPTIONS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/**
 * Whether `stored` (plain text or `{SCHEME}…`, the scheme in any case) is that of `password`. A malformed hash and
 * an empty password never match. A wrong password takes as long as dummyCheck, or longer.
 * @throws VserverError OVERLOADED where too many checks are waiting.
 */
export async function checkStored(stored: string, password: string): Promise<Checked> {
  if (!isAcceptable(password) || stored.length > STORED_CHARACTERS_MAX) return 'mismatch';
  const scheme = SCHEME.exec(stored);
  if (scheme === null) return quick(equalSecrets(stored, password), password);
  const hashed = stored.slice(scheme[0].length);
  const name = (scheme[1] ?? '').toUpperCase();
  const digest = DIGESTS.get(name);
  if (digest !== undefined) return quick(isDigestOf(digest, hashed, password), password);
  switch (name) {
    case 'PBKDF2-SHA256':
      return slowly(() => checkPbkdf2(hashed, password));
    case 'ARGON2':
      return slowly(() => checkArgon2(hashed, password));
    case 'CRYPT':
      return slowly(() => checkCrypt(hashed, password));
    default:
      return 'unsupported';
  }
}

/** `{WORD}` at its beginning makes a stored password one of a scheme, known or not. */
export function isPlainText(stored: string): boolean {
  return !SCHEME.test(stored);
}
const SCHEME = /^\{([^{}\s]{1,32})\}/;

/**
 * The form in which we store a password: `{ARGON2}$argon2id$…`.
 * @throws VserverError INVALID_RECORD for an empty or overlong password, OVERLOADED where too many are waiting.
 */
export async function hashPassword(password: string): Promise<string> {
  if (!isAcceptable(password)) {
    throw new VserverError('INVALID_RECORD', `a password has 1 to ${PASSWORD_BYTES_MAX} bytes`);
  }
  return slowly(async () => `{ARGON2}${await argon2(password, ARGON2_OPTIONS)}`);
}

export interface Verifiers {
  readonly ha1Md5: string;
  readonly ha1Sha256: string;
}

/** HA1 of RFC 7616 section 3.4.2 for both algorithms, lower-case hex. */
export function verifiers(uid: string, realm: string, password: string): Verifiers {
  const text = `${uid}:${realm}:${password}`;
  return { ha1Md5: hash('md5', text, 'hex'), ha1Sha256: hash('sha256', text, 'hex') };
}

/** The work of a check for a user who does not exist, so that the time does not tell. */
export async function dummyCheck(password: string): Promise<void> {
  if (isAcceptable(password)) await slowly(() => checkArgon2(NOBODYS, password));
}
/** Of a random password that nobody kept; the parameters are those of ARGON2_OPTIONS. */
const NOBODYS = '$argon2id$v=19$m=19456,t=2,p=1$RuNy54gYfkBGUDXFLpvFUg$AKq2Uciu6zF4akwHqv/VycV425s2vhMvkmNCHmpq7hw';

/** The time depends on the length of `given` alone, whose sender knows it. */
export function equalSecrets(secret: string, given: string): boolean {
  let difference = secret.length ^ given.length;
  for (let i = 0; i < given.length; i++) difference |= secret.charCodeAt(i % secret.length) ^ given.charCodeAt(i);
  return difference === 0;
}

function isAcceptable(password: string): boolean {
  return password !== '' && Buffer.byteLength(password) <= PASSWORD_BYTES_MAX;
}

/** A wrong guess at a fast scheme is held up, or the time would tell known uids from unknown ones. */
async function quick(matches: boolean, password: string): Promise<Checked> {
  if (matches) return 'match';
  await dummyCheck(password);
  return 'mismatch';
}

interface Digest {
  readonly algorithm: string;
  readonly bytes: number;
  readonly salted: boolean;
}
const DIGESTS: ReadonlyMap<string, Digest> = new Map([
  ['SHA', { algorithm: 'sha1', bytes: 20, salted: false }],
  ['SSHA', { algorithm: 'sha1', bytes: 20, salted: true }],
  ['SHA256', { algorithm: 'sha256', bytes: 32, salted: false }],
  ['SSHA256', { algorithm: 'sha256', bytes: 32, salted: true }],
  ['SHA512', { algorithm: 'sha512', bytes: 64, salted: false }],
  ['SSHA512', { algorithm: 'sha512', bytes: 64, salted: true }],
]);

/** RFC 2307 and its later kin: base64 of digest and salt. */
function isDigestOf({ algorithm, bytes, salted }: Digest, hashed: string, password: string): boolean {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(hashed)) return false;
  const stored = Buffer.from(hashed, 'base64');
  if (salted ? stored.length <= bytes : stored.length !== bytes) return false;
  const computed = hash(algorithm, Buffer.concat([Buffer.from(password), stored.subarray(bytes)]), 'buffer');
  return timingSafeEqual(computed, stored.subarray(0, bytes));
}

/** `iterations$salt$hash` of OpenLDAP's pw-pbkdf2 and passlib, in base64 with `.` for `+` and without padding. */
async function checkPbkdf2(hashed: string, password: string): Promise<Checked> {
  const [, iterations, salt, hash64] = /^(\d{1,10})\$([\w./+-]{0,256})\$([\w./+-]{43})=?$/.exec(hashed) ?? [];
  if (iterations === undefined || salt === undefined || hash64 === undefined) return 'mismatch';
  const count = Number(iterations);
  if (count < 1) return 'mismatch';
  if (count > PBKDF2_ITERATIONS_MAX) return 'unsupported';
  const stored = Buffer.from(hash64.replaceAll('.', '+'), 'base64');
  const computed = await derive(password, Buffer.from(salt.replaceAll('.', '+'), 'base64'), count, 32, 'sha256');
  return stored.length === 32 && timingSafeEqual(computed, stored) ? 'match' : 'mismatch';
}
const derive = promisify(pbkdf2);

async function checkArgon2(hashed: string, password: string): Promise<Checked> {
  try {
    const { memoryCost, timeCost } = parseOptions(hashed);
    if (memoryCost > ARGON2_KIB_MAX || memoryCost * timeCost > ARGON2_WORK_MAX) return 'unsupported';
    return (await verifyArgon2(hashed, password)) ? 'match' : 'mismatch';
  } catch {
    return 'mismatch'; // no argon2 in its PHC form
  }
}

async function checkCrypt(hashed: string, password: string): Promise<Checked> {
  const computed = await cryptLike(hashed, Buffer.from(password));
  if (computed === 'unsupported') return 'unsupported';
  return computed !== 'malformed' && equalSecrets(computed.hash, hashed) ? 'match' : 'mismatch';
}

const RUNNING_MAX = 4;
/** At 20 ms each on two cores, those at the end of the queue wait about three seconds. */
const WAITING_MAX = 256;
let running = 0;
const waiting: (() => void)[] = [];

/** Runs a few slow checks at once and lets a bounded number wait. */
async function slowly<T>(work: () => Promise<T>): Promise<T> {
  if (running >= RUNNING_MAX) {
    if (waiting.length >= WAITING_MAX) throw new VserverError('OVERLOADED', undefined, { retryAfter: 5 });
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else running++;
  try {
    return await work();
  } finally {
    // The next one takes over the place of this one, so that nobody slips in between.
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}
