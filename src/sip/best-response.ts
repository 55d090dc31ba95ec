/** Which of the final responses goes upstream (RFC 3261 16.7 step 6). */
import type { SipResponse } from './message.ts';
import { encodeUtf8 } from './syntax.ts';

/** A final response; null where it is our own (408, 503, 513). */
export interface Final {
  readonly status: number;
  readonly response: SipResponse | null;
}

/** They tell the caller what he can do about it (16.7 step 6). */
const HELPFUL: ReadonlySet<number> = new Set([401, 407, 415, 420, 484]);

/** The best of them: any 6xx, else of the lowest class what helps most; real ones before our own. */
export function bestOf(finals: readonly Final[]): Final {
  let best: Final = { status: 408, response: null };
  let bestRank = Infinity;
  for (const final of finals) {
    const rank = rankOf(final);
    if (rank < bestRank) [best, bestRank] = [final, rank];
  }
  return best;
}

function rankOf({ status, response }: Final): number {
  if (status >= 600) return 0;
  const rank = Math.floor(status / 100) * 10;
  if (response === null) return rank + 9;
  return rank + (HELPFUL.has(status) ? 0 : status === 408 || status === 487 ? 2 : 1);
}

/** Header lines with the challenges of the other responses, where the best one is a challenge (16.7 step 7). */
export function otherChallenges(best: Final, finals: readonly Final[]): string {
  if (best.status !== 401 && best.status !== 407) return '';
  let lines = '';
  for (const { status, response } of finals) {
    if (response === null || response === best.response || (status !== 401 && status !== 407)) continue;
    for (const name of ['WWW-Authenticate', 'Proxy-Authenticate']) {
      for (const value of response.headers(name)) lines += `${name}: ${encodeUtf8(value)}\r\n`;
    }
  }
  return lines;
}
