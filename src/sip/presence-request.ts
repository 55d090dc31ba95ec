/** What SUBSCRIBE and PUBLISH have in common: the user whose presence it is, and the event package. */
import { HOPS_MAX } from '../redirect/admission.ts';
import type { Inbound, SipContext } from './context.ts';
import { answerStranger, hopsOf, isOurs, unsupported } from './context.ts';
import type { SipRequest } from './message.ts';
import { parseParams } from './syntax.ts';
import { nameOfUri } from './uri.ts';

const SUPPORTED: ReadonlySet<string> = new Set();

/** The uid or number that is meant; null where the request is refused, which is answered here. */
export function presentityOf(context: SipContext, inbound: Inbound): string | null {
  const { request } = inbound;
  const { uri } = request;
  const missing = unsupported(request, SUPPORTED);
  const name = nameOfUri(uri);
  if (request.maxForwards === 0) answerStranger(context, inbound, 483);
  else if (uri.scheme === 'other') answerStranger(context, inbound, 416);
  else if (name === null || (uri.scheme !== 'tel' && !isOurs(context, uri))) answerStranger(context, inbound, 404);
  else if (missing !== undefined) answerStranger(context, inbound, 420, [['Unsupported', missing]]);
  else if (hopsOf(request) > HOPS_MAX) answerStranger(context, inbound, 482);
  else if (eventOf(request)?.name !== 'presence') answerStranger(context, inbound, 489, [['Allow-Events', 'presence']]);
  else return name;
  return null;
}

/** The Event header (RFC 6665 8.2.1): package and `id`; null where there is none, or it is malformed. */
export function eventOf(request: SipRequest): { readonly name: string; readonly id: string } | null {
  const value = request.header('Event');
  if (value === undefined) return null;
  const semicolon = value.indexOf(';');
  const name = (semicolon < 0 ? value : value.slice(0, semicolon)).trim().toLowerCase();
  const params = semicolon < 0 ? null : parseParams(value, semicolon, value.length);
  if (semicolon >= 0 && params === null) return null;
  const id = params?.get('id') ?? '';
  return /^[\w.!%*+`'~-]{0,64}$/.test(id) ? { name, id } : null;
}
