/** Requests for a user: 302 to where he is (RFC 3261 8.3), once it is known who asks. */
import type { Device } from '../heartbeat/online.ts';
import type { Located } from '../locator/locate.ts';
import { HOPS_MAX } from '../redirect/admission.ts';
import { parseRegistration } from './bindings.ts';
import type { Caller } from './caller.ts';
import { mayAskDirectory, withCaller } from './caller.ts';
import type { Inbound, SipContext, Waiting } from './context.ts';
import { answer, answerStranger, HOPS, hopsOf, isOurs, sipAddress, unsupported } from './context.ts';
import type { SipRequest } from './message.ts';
import type { ExtraHeader } from './response.ts';
import { escapeUser } from './uri.ts';

const SUPPORTED: ReadonlySet<string> = new Set();

export function onUserRequest(context: SipContext, inbound: Inbound): void {
  const { request } = inbound;
  const { uri } = request;
  const missing = unsupported(request, SUPPORTED);
  const target = targetOf(request);
  if (request.toTag !== undefined) answerStranger(context, inbound, 481);
  else if (request.maxForwards === 0) answerStranger(context, inbound, 483);
  else if (uri.scheme === 'other') answerStranger(context, inbound, 416);
  else if (uri.scheme !== 'tel' && !isOurs(context, uri)) answerStranger(context, inbound, 404);
  else if (missing !== undefined) answerStranger(context, inbound, 420, [['Unsupported', missing]]);
  else if (target === null) answerStranger(context, inbound, 404);
  else if (hopsOf(request) > HOPS_MAX) answerStranger(context, inbound, 482);
  else withCaller(context, inbound, (caller, waiting) => locate(context, inbound, caller, waiting, target), true);
}

/** The uid or number (`0`, country code, uid) that is asked for; null where the URI names only a host. */
function targetOf({ uri }: SipRequest): string | null {
  if (uri.scheme === 'other') return null;
  const name = uri.scheme === 'tel' ? uri.number : uri.user;
  return name !== null && /^\+\d+$/.test(name) ? `0${name.slice(1)}` : name;
}

function locate(
  context: SipContext,
  inbound: Inbound,
  caller: Caller,
  waiting: Waiting,
  target: string,
): Promise<void> | undefined {
  const { cases } = context;
  const here = cases.locateHere(caller.uid, target);
  if (here !== undefined) sendLocated(inbound, caller, here);
  else if (mayAskDirectory(context, inbound, caller)) {
    return cases.locateElsewhere(caller.uid, target).then((found) => {
      if (waiting.cancelled) answer(inbound, 487);
      else sendLocated(inbound, caller, found);
    });
  }
  return undefined;
}

/** Offline, invisible and blocking users are told alike. */
function sendLocated(inbound: Inbound, caller: Caller, found: Located): void {
  switch (found.kind) {
    case 'unknown':
      answer(inbound, 404);
      return;
    case 'offline':
      answer(inbound, 480);
      return;
    case 'see-also': {
      const { sip } = found.server;
      const hops = hopsOf(inbound.request) + 1;
      if (sip === null) answer(inbound, 480);
      else if (hops > HOPS_MAX) answer(inbound, 482);
      else answer(inbound, 302, [['Contact', `<sip:${escapeUser(found.uid)}@${sipAddress(sip)};${HOPS}=${hops}>`]]);
      return;
    }
    case 'user': {
      const contacts = contactsOf(found.uid, found.devices);
      if (!found.mayCall || !caller.mayCallOut) answer(inbound, 403);
      else if (contacts.length === 0) answer(inbound, 480);
      else answer(inbound, 302, contacts);
    }
  }
}

/**
 * The best first: by their q, then the device last active; a native client by its outer address. A contact behind a Path
 * (RFC 3327) is left out: only who may set its Route reaches it, and callers don't take one from a 302 (RFC 3261 19.1.5).
 */
function contactsOf(uid: string, devices: readonly Device[]): ExtraHeader[] {
  const list: { q: number; value: string }[] = [];
  for (const { contact, registration, wan } of devices) {
    if (contact !== '') {
      const { q, path } = parseRegistration(registration);
      if (path !== '') continue;
      list.push({ q: q === '' ? 1 : Number(q), value: q === '' ? `<${contact}>` : `<${contact}>;q=${q}` });
    } else if (wan.port !== 0) list.push({ q: 1, value: `<sip:${escapeUser(uid)}@${sipAddress(wan)}>` });
  }
  return list.sort((a, b) => b.q - a.q).map(({ value }): ExtraHeader => ['Contact', value]);
}
