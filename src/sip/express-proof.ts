/** Who sends a request other than REGISTER: by its Digest, on its bytes, from the memory of the caller's only registration. */
import { bytesOf, equalsText } from '../base/bytes.ts';
import { TextPlace } from '../heartbeat/session-rows.ts';
import { NONCE_LENGTH } from '../login/nonces.ts';
import type { SipContext } from './context.ts';
import { isTaken } from './digest-offer.ts';
import { DIGEST_URI, ExpressDigest, NONCE, REALM, USERNAME } from './express-digest.ts';
import type { ExpressHead } from './express-head.ts';
import { readContact } from './express-redirect.ts';
import type { Flow } from './flow.ts';
import { isFresh } from './spent-nonces.ts';

export interface ExpressProof {
  /**
   * The row of the caller's session where he has proved in this header, and not before, that it is he; else -1. Nothing is
   * noted.
   */
  rowOf(head: ExpressHead, header: number, flow: Flow, nowMs: number): number;
  /** The nonce-count of the request that rowOf() has looked at last is used up. */
  use(row: number, nowMs: number): void;
}

export function createExpressProof(context: SipContext): ExpressProof {
  const { cases, settings, spent, nonces } = context;
  const { table } = cases;
  const { users, sessions } = table;
  const digest = new ExpressDigest();
  const realm = bytesOf(settings.realm);
  const text = new TextPlace();
  /** Whoever asks comes from this address, whatever the port. */
  const source = { host: '', port: 0 };
  let nonceMs = 0;
  let count = 0;

  /** The caller's session, where it is his only one and that of a phone; else -1. */
  const sessionOf = ({ bytes, from }: ExpressHead): number => {
    if (from.userAt === 0 || !digest.isSame(USERNAME, from.userAt, from.userEnd)) return -1;
    const userRow = users.findIn(bytes, from.userAt, from.userEnd);
    if (userRow < 0 || users.devices(userRow) !== 1) return -1;
    const row = users.firstSession(userRow) - 1;
    sessions.findText(row, text);
    return readContact(text) === null ? -1 : row;
  };

  return {
    rowOf(head, header, flow, nowMs) {
      if (!head.has(header) || !digest.read(head, header)) return -1;
      if (!isTaken(digest.isMd5 ? 'MD5' : 'SHA-256', settings.digest)) return -1;
      if (!equalsText(head.view, digest.at(REALM), digest.end(REALM), realm)) return -1;
      if (!digest.isSame(DIGEST_URI, head.uriAt, head.uriEnd)) return -1;
      if (digest.end(NONCE) - digest.at(NONCE) !== NONCE_LENGTH) return -1;
      const row = sessionOf(head);
      if (row < 0) return -1;
      source.host = flow.remote.host;
      nonceMs = nonces.goodSince(head.bytes, digest.at(NONCE), source, nowMs);
      ({ count } = digest);
      const isNext = nonceMs >= 0 && isFresh(spent, table, row, nonceMs, count, nowMs);
      return isNext && digest.isGood(sessions, row, head.method) ? row : -1;
    },
    use(row, nowMs) {
      // As markUsed() in auth.ts.
      if (sessions.nonceMs(row) !== nonceMs >>> 0) spent.use(table.uidOf(row), nonceMs, count, nowMs);
      else sessions.counted(row, count);
    },
  };
}
