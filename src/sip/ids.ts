/** Random names of our own: branches, tags, Call-IDs. */
import type { Random } from '../base/ports.ts';
import { BRANCH_COOKIE } from './via.ts';

export interface Ids {
  /** 16 characters of a token, 96 bits: nobody who does not see it can guess it. */
  token(): string;
  /** For a Via of ours (RFC 3261 8.1.1.7). */
  branch(): string;
}

const BYTES = 12;
const POOL_BYTES = BYTES * 256;

/** Draws many at once: a call of the random source costs more than what it gives. */
export function createIds(random: Random): Ids {
  let pool: Buffer = Buffer.alloc(0);
  let at = 0;
  const token = (): string => {
    if (at === pool.length) [pool, at] = [random.bytes(POOL_BYTES), 0];
    return pool.toString('base64url', at, (at += BYTES));
  };
  return { token, branch: () => BRANCH_COOKIE + token() };
}
