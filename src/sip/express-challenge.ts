/** The express lane of a REGISTER without credentials: the challenge of auth.ts. */
import type { DigestAlgorithm } from '../login/digest.ts';
import { digestChallenge } from '../login/digest.ts';
import type { SipContext } from './context.ts';
import { offeredTo } from './digest-offer.ts';
import type { ExpressLane } from './express-head.ts';
import type { ExpressWriter } from './express-writer.ts';
import { USER_AGENT } from './header-names.ts';

export function createChallengeLane(context: SipContext, writer: ExpressWriter): ExpressLane {
  const { realm, digest } = context.settings;
  /** What stands around the nonce, by what is offered. */
  const known = new Map<readonly DigestAlgorithm[], readonly string[][]>();
  const around = (offered: readonly DigestAlgorithm[]): readonly string[][] => {
    const made = known.get(offered) ?? digestChallenge(realm, '\0', false, offered).map((value) => value.split('\0'));
    if (!known.has(offered)) known.set(offered, made);
    return made;
  };
  /** Whoever asks comes from this address, whatever the port. */
  const source = { host: '', port: 0 };

  return (head, flow, nowMs) => {
    const { bytes, at, end } = head;
    const { host, port } = flow.remote;
    if (context.requests.wait(host, nowMs) > 0) return false;
    context.requests.take(host, nowMs);
    source.host = host;
    const nonce = context.nonces.issue(source, nowMs);
    writer.begin('SIP/2.0 401 Unauthorized\r\n', head, host, port);
    const agent = at[USER_AGENT] === 0 ? '' : bytes.toString('latin1', at[USER_AGENT], end[USER_AGENT]);
    for (const [before = '', after = ''] of around(offeredTo(agent, digest))) {
      writer.text('WWW-Authenticate: ');
      writer.text(before);
      writer.text(nonce);
      writer.text(after);
      writer.text('\r\n');
    }
    flow.send(writer.end());
    return true;
  };
}
