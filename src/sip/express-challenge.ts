/** The express lane of a REGISTER without credentials: the challenge of auth.ts. */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf } from '../base/bytes.ts';
import type { DigestAlgorithm } from '../login/digest.ts';
import { digestChallenge } from '../login/digest.ts';
import type { SipContext } from './context.ts';
import { offeredTo } from './digest-offer.ts';
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
  /** Whoever asks comes from this address, whatever the port. */
  const source = { host: '', port: 0 };

  return (head, flow, nowMs) => {
    const { host } = flow.remote;
    if (context.requests.wait(host, nowMs) > 0) return false;
    context.requests.take(host, nowMs);
    source.host = host;
    const nonce = context.nonces.issue(source, nowMs);
    writer.begin(UNAUTHORIZED, flow);
    const agent = head.bytes.toString('latin1', head.at(USER_AGENT), head.end(USER_AGENT));
    around(offeredTo(agent, digest)).forEach((text, i) => {
      if (i > 0) writer.text(nonce);
      writer.put(text);
    });
    writer.send(flow);
    return true;
  };
}
