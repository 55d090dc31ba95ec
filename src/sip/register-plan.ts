/** What a REGISTER asks for, checked against the registrations that there are (RFC 3261 10.3). */
import type { Address } from '../base/model.ts';
import type { Binding, Registration } from './bindings.ts';
import { findBinding, formatRegistration, instanceOf, localOf } from './bindings.ts';
import type { Inbound, SipContext } from './context.ts';
import { isThisServer } from './context.ts';
import { MALFORMED_EXPIRES } from './message.ts';
import type { SipRequest } from './message.ts';
import type { NameAddr } from './name-addr.ts';
import type { ExtraHeader } from './response.ts';

/** A contact to register. */
export interface Wanted {
  readonly binding: Binding | undefined;
  readonly instance: string;
  readonly contact: string;
  readonly registration: string;
  readonly local: Address | null;
  readonly lifetimeS: number;
}

export interface Plan {
  readonly kind: 'plan';
  readonly wanted: readonly Wanted[];
  readonly removed: readonly Binding[];
}

export interface Refusal {
  readonly kind: 'refusal';
  readonly status: number;
  readonly headers: readonly ExtraHeader[];
  readonly reason?: string;
}

const CONTACTS_MAX = 10;
const CONTACT_CHARACTERS_MAX = 512;
const PATH_CHARACTERS_MAX = 1_024;
const INSTANCE_CHARACTERS_MAX = 256;

export function planOf(context: SipContext, inbound: Inbound, bindings: readonly Binding[]): Plan | Refusal {
  const { request } = inbound;
  const contacts = request.contacts();
  if (contacts === null) return refusal(400, 'Bad Contact');
  if (contacts === '*') {
    if (request.expires !== 0) return refusal(400, 'Contact * Without Expires 0');
    return ordered(context, request, bindings, { kind: 'plan', wanted: [], removed: bindings });
  }
  if (contacts.length > CONTACTS_MAX) return refusal(400, 'Too Many Contacts');
  const wanted = new Map<string, Wanted>();
  const removed: Binding[] = [];
  for (const contact of contacts) {
    const one = readContact(context, inbound, bindings, contact);
    if ('status' in one) return one;
    if (one.lifetimeS > 0) wanted.set(one.instance, one);
    else if (one.binding !== undefined) removed.push(one.binding);
  }
  return ordered(context, request, bindings, { kind: 'plan', wanted: [...wanted.values()], removed });
}

function refusal(status: number, reason?: string, headers: readonly ExtraHeader[] = []): Refusal {
  return reason === undefined ? { kind: 'refusal', status, headers } : { kind: 'refusal', status, headers, reason };
}

function readContact(
  context: SipContext,
  { request, vouched }: Inbound,
  bindings: readonly Binding[],
  contact: NameAddr,
): Wanted | Refusal {
  const paths = request.headers('Path');
  // A node has put itself in front (RFC 3327 5.2); what anybody else says of a way is for beyond his own address.
  const edge = vouched === undefined ? '' : (paths.shift() ?? '');
  const lifetimeS = lifetimeOf(context, request, contact.params.get('expires'));
  return wantedOf(context, bindings, { contact, callId: request.callId, lifetimeS, path: paths.join(', '), edge });
}

/** A contact, and what else of the request is registered with it. */
export interface Said extends Pick<Registration, 'callId' | 'path' | 'edge'> {
  readonly contact: NameAddr;
  readonly lifetimeS: number;
}

export function wantedOf(
  context: SipContext,
  bindings: readonly Binding[],
  { contact, callId, lifetimeS, path, edge }: Said,
): Wanted | Refusal {
  const { uri, params } = contact;
  if (uri.scheme !== 'sip' && uri.scheme !== 'sips') return refusal(400, 'Contact Is No SIP URI');
  if (uri.text.length > CONTACT_CHARACTERS_MAX || uri.headers !== '') return refusal(400, 'Bad Contact');
  const { expiresMinS } = context.settings;
  if (lifetimeS > 0 && lifetimeS < expiresMinS) {
    return refusal(423, undefined, [['Min-Expires', String(expiresMinS)]]);
  }
  // Calls to him would come back to us for ever.
  if (isThisServer(context, uri)) return refusal(403, 'Contact Is This Server');
  const instance = instanceOf(contact);
  const q = params.get('q') ?? '';
  const regId = params.get('reg-id') ?? '';
  if (instance.length > INSTANCE_CHARACTERS_MAX && instance !== uri.text) return refusal(400, 'Bad Instance');
  if (!Q.test(q)) return refusal(400, 'Bad q');
  if (!REG_ID.test(regId)) return refusal(400, 'Bad reg-id');
  if (path.length + edge.length > PATH_CHARACTERS_MAX) return refusal(400, 'Path Too Long');
  const instanceId = params.get('+sip.instance') ?? '';
  return {
    binding: findBinding(bindings, instance, uri),
    instance,
    contact: uri.text,
    registration: formatRegistration({ callId, q, regId, instanceId, path, edge }),
    local: localOf(uri),
    lifetimeS,
  };
}
const Q = /^(?:|0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;
const REG_ID = /^\d{0,9}$/;

/** Of the contact, else of the header, else the longest; what is no number counts as RFC 3261 10.3 says. */
function lifetimeOf({ settings }: SipContext, request: SipRequest, param: string | undefined): number {
  const asked = param === undefined ? request.expires : /^\d{1,10}$/.test(param) ? Number(param) : MALFORMED_EXPIRES;
  return Math.min(asked ?? settings.expiresMaxS, settings.expiresMaxS);
}

/** Section 10.3 steps 6 and 7: of one Call-ID only what is newer changes a binding. */
function ordered(context: SipContext, request: SipRequest, bindings: readonly Binding[], plan: Plan): Plan | Refusal {
  if (bindings.length === 0) return plan;
  const { sessions } = context.cases.table;
  const touched = [...plan.removed, ...plan.wanted.map(({ binding }) => binding)];
  const isLate = touched.some(
    (binding) =>
      binding !== undefined &&
      binding.registration.callId === request.callId &&
      request.cseq.number <= sessions.cseq(binding.row),
  );
  return isLate ? refusal(500, 'CSeq Out Of Order', [['Retry-After', '1']]) : plan;
}
