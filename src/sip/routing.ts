/** Where a request goes by its Route header, and whether it was here before (RFC 3261 16.3, 16.4). */
import type { SipContext } from './context.ts';
import { isThisServer } from './context.ts';
import type { SipRequest } from './message.ts';
import { parseNameAddr } from './name-addr.ts';
import { statelessTag } from './stateless-tag.ts';
import type { SipUri } from './uri.ts';
import { parseVias } from './via.ts';

export interface Routed {
  /** The Request-URI, after what a strict router has done to it. */
  readonly uri: string;
  /** The Routes in front that were ours. */
  readonly own: readonly SipUri[];
  /** The others, as they stand. */
  readonly rest: readonly string[];
}

/** Takes our own Routes off (16.4). */
export function takeRoutes(context: SipContext, request: SipRequest): Routed {
  const rest = request.headers('Route');
  const own: SipUri[] = [];
  let { requestUri } = request;
  const { uri } = request;
  if (uri.scheme === 'sip' && uri.user !== null && uri.params.has('lr') && isThisServer(context, uri)) {
    // The one before is a strict router: the URI is our Record-Route, and the last Route is the URI.
    const last = parseNameAddr(rest.at(-1) ?? '')?.uri.text;
    if (last !== undefined) {
      own.push(uri);
      requestUri = last;
      rest.pop();
    }
  }
  for (let next = rest[0]; next !== undefined; next = rest[0]) {
    const address = parseNameAddr(next);
    if (address === null || address.uri.scheme === 'other' || address.uri.scheme === 'tel') break;
    if (!isThisServer(context, address.uri)) break;
    own.push(address.uri);
    rest.shift();
  }
  return { uri: requestUri, own, rest };
}

/** What of a request decides where it goes (16.6 step 8): it stands in the branch of our Via. */
export function loopHash(request: SipRequest): string {
  const { requestUri, fromTag = '', toTag = '', callId, cseq } = request;
  return statelessTag([requestUri, fromTag, toTag, callId, cseq.number, ...request.headers('Route')].join('\n'));
}

/** Whether the very same request was here before (16.3 step 4); with another Request-URI it is a spiral. */
export function isLoop({ settings, port, tlsPort }: SipContext, request: SipRequest): boolean {
  const vias = request.headers('Via');
  if (vias.length < 2) return false;
  const ending = `.${loopHash(request)}`;
  return (parseVias(vias.join(', ')) ?? []).some(
    (via) =>
      via.host === settings.advertise && (via.port === port || via.port === tlsPort) && via.branch.endsWith(ending),
  );
}
