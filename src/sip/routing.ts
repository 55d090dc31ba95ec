/** Where a request goes by its Route header, and whether it was here before (RFC 3261 16.3, 16.4). */
import type { SipContext } from './context.ts';
import { isThisServer, ownUri } from './context.ts';
import { ROUTE } from './header-names.ts';
import type { AnyRequest, SipRequest } from './message.ts';
import { parseNameAddr } from './name-addr.ts';
import { TagHash } from './stateless-tag.ts';
import { requestUriOf } from './uri.ts';
import { parseVias } from './via.ts';

export interface Routed {
  /** The Request-URI, after what a strict router has done to it. */
  readonly uri: string;
  /** The user parts of the Routes in front that were ours; null where there is none. */
  readonly own: readonly (string | null)[];
  /** The others, as they stand. */
  readonly rest: readonly string[];
}

/** Takes our own Routes off (16.4). */
export function takeRoutes(context: SipContext, request: SipRequest): Routed {
  const { uri } = request;
  const isStrict = 'params' in uri && uri.params.has('lr');
  const tokens = isStrict ? null : ownTokens(context, request);
  return tokens === null ? takeAnyRoutes(context, request) : { uri: request.requestUri, own: tokens, rest: [] };
}

/** The tokens, where every Route is one of those that we put on Record-Route over datagrams, as it was written; else null. */
export function ownTokens(context: SipContext, { text, fields }: SipRequest): string[] | null {
  const behind = `${ownUri(context, DATAGRAMS, ';lr')}>`.slice(SIP.length);
  const tokens: string[] = [];
  for (let i = 0; i < fields.length; i += 4) {
    if (fields[i] !== ROUTE) continue;
    const at = (fields[i + 2] ?? 0) + OPEN.length;
    const end = (fields[i + 3] ?? 0) - behind.length - 1;
    if (end <= at || !text.startsWith(OPEN, at - OPEN.length) || !text.startsWith(behind, end + 1)) return null;
    const token = text.slice(at, end);
    if (text.charCodeAt(end) !== AT_SIGN || !TOKEN.test(token)) return null;
    tokens.push(token);
  }
  return tokens;
}
const DATAGRAMS = { transport: 'udp' } as const;
const SIP = 'sip:';
const OPEN = '<sip:';
const AT_SIGN = 0x40;
const TOKEN = /^[\w-]+$/;

/** The same for all that may stand there. */
export function takeAnyRoutes(context: SipContext, request: SipRequest): Routed {
  const rest = request.headers('Route');
  const own: (string | null)[] = [];
  let { requestUri } = request;
  const { uri } = request;
  if (uri.scheme === 'sip' && uri.user !== null && uri.params.has('lr') && isThisServer(context, uri)) {
    // The one before is a strict router: the URI is our Record-Route, and the last Route is the URI.
    const last = parseNameAddr(rest.at(-1) ?? '')?.uri;
    if (last !== undefined) {
      own.push(uri.user);
      requestUri = requestUriOf(last);
      rest.pop();
    }
  }
  for (let next = rest[0]; next !== undefined; next = rest[0]) {
    const address = parseNameAddr(next);
    if (address === null || address.uri.scheme === 'other' || address.uri.scheme === 'tel') break;
    if (!isThisServer(context, address.uri)) break;
    own.push(address.uri.user);
    rest.shift();
  }
  return { uri: requestUri, own, rest };
}

/** What of a request decides where it goes (16.6 step 8): it stands in the branch of our Via. */
export function loopHash(request: AnyRequest): string {
  if (request.kind === 'read') return request.loopHash;
  const { requestUri, fromTag = '', toTag = '', callId, cseq, text, fields } = request;
  for (const part of [requestUri, fromTag, toTag, callId, String(cseq.number)]) hash.addText(part);
  for (let i = 0; i < fields.length; i += 4) {
    if (fields[i] === ROUTE) hash.addText(text, fields[i + 2], fields[i + 3]);
  }
  return hash.takeText();
}
const hash = new TagHash();

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
