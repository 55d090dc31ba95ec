/** The express lane of a REGISTER without credentials: the challenge of auth.ts. */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf } from '../base/bytes.ts';
import type { DigestAlgorithm } from '../login/digest.ts';
import { digestChallenge } from '../login/digest.ts';
import { NONCE_LENGTH } from '../login/nonces.ts';
import type { SipContext } from './context.ts';
import { offeredToAgent } from './digest-offer.ts';
import type { ExpressLane } from './express-head.ts';
import type { ExpressWriter } from './express-writer.ts';
import { USER_AGENT } from './header-names.ts';

const UNAUTHORIZED = bytesOf('SIP/2.0 401 Unauthorized\r\n');

export function createChallengeLane(context: SipContext, writer: ExpressWriter): ExpressLane {
  const { realm, digest } = context.settings;
  /** What stands before, between and behind the nonces, by what is offered. */
  const known = new Map<readonly DigestAlgorithm[], readonly Bytes[]>();
  const around = (offered: readonly DigestAlgorithm[]): readonly Bytes[] => {
    const kept = known.get(offered);
    if (kept !== undefined) return kept;
    const lines = digestChallenge(realm, '\0', false, offered).map((value) => `WWW-Authenticate: ${value}\r\n`);
    const made = lines.join('').split('\0').map(bytesOf);
    known.set(offered, made);
    return made;
  };
  const nonce = bytesOf(' '.repeat(NONCE_LENGTH));
  /** Whoever asks comes from this address, whatever the port. */
  const source = { host: '', port: 0 };

  return (head, flow, nowMs) => {
    const { host } = flow.remote;
    if (context.requests.take(host, nowMs) > 0) return false;
    source.host = host;
    context.nonces.write(nonce.view, 0, source, nowMs);
    writer.begin(UNAUTHORIZED, flow);
    const texts = around(offeredToAgent(head.view, head.at(USER_AGENT), head.end(USER_AGENT), digest));
    for (let i = 0; i < texts.length; i++) {
      if (i > 0) writer.put(nonce);
      writer.put(texts[i] ?? nonce);
    }
    writer.send(flow);
    return true;
  };
}
