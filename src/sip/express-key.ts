/** By what the server transaction of a request is found, read on its bytes. */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, standsAt } from '../base/bytes.ts';
import type { ExpressHead } from './express-head.ts';
import type { RequestKey } from './request-key.ts';
import { SERVER_KEY } from './transactions.ts';
import { BRANCH_COOKIE } from './via.ts';

const COOKIE = bytesOf(BRANCH_COOKIE);
const SPACE = bytesOf(' ');
const COLON = bytesOf(':');

/** With what the keys of requests with this method begin. */
export function serverKeyOf(method: string): Bytes {
  return bytesOf(`${SERVER_KEY}${method} `);
}

/** The key of the request as transactions have it; false where its branch says nothing (RFC 2543), or there is no room. */
export function readKey(
  { view, branchAt, branchEnd, viaHostAt, viaHostEnd, viaPortEnd }: ExpressHead,
  start: Bytes,
  key: RequestKey,
): boolean {
  if (branchEnd - branchAt < COOKIE.length || !standsAt(view, branchAt, COOKIE)) return false;
  key.start(start);
  if (!key.add(view, branchAt, branchEnd) || !key.add(SPACE.view, 0, 1)) return false;
  if (!key.add(view, viaHostAt, Math.max(viaHostEnd, viaPortEnd))) return false;
  return viaPortEnd > viaHostEnd || key.add(COLON.view, 0, 1);
}
