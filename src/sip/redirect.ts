/** Requests for a user: 302 to where he is (RFC 3261 8.3), once it is known who asks. */
import type { Device } from '../heartbeat/online.ts';
import type { Located } from '../locator/locate.ts';
import { HOPS_MAX } from '../redirect/admission.ts';
import {
  admitAttempt,
  challenge,
  credentialOf,
  deny,
  isVerifiedHere,
  markUsed,
  readCredentials,
  useOf,
} from './auth.ts';
import type { Credentials } from './auth.ts';
import { bindingsOf, parseRegistration } from './bindings.ts';
import type { Inbound, SipContext } from './context.ts';
import {
  admitStranger,
  answer,
  answerFailure,
  answerStranger,
  HOPS,
  hopsOf,
  isOurs,
  sipAddress,
  transactionOf,
  unsupported,
} from './context.ts';
import type { SipRequest } from './message.ts';
import type { ExtraHeader } from './response.ts';
import { escapeUser } from './uri.ts';

/** Who asks; '' is nobody known. */
interface Caller {
  readonly uid: string;
  readonly mayCallOut: boolean;
}

const SUPPORTED: ReadonlySet<string> = new Set();
const ANONYMOUS: Caller = { uid: '', mayCallOut: true };

export function onUserRequest(context: SipContext, inbound: Inbound): void {
  const { request } = inbound;
  const { uri } = request;
  const missing = unsupported(request, SUPPORTED);
  const target = targetOf(request);
  if (request.maxForwards === 0) answerStranger(context, inbound, 483);
  else if (uri.scheme === 'other') answerStranger(context, inbound, 416);
  else if (uri.scheme !== 'tel' && !isOurs(context, uri)) answerStranger(context, inbound, 404);
  else if (missing !== undefined) answerStranger(context, inbound, 420, [['Unsupported', missing]]);
  else if (target === null) answerStranger(context, inbound, 404);
  else if (hopsOf(request) > HOPS_MAX) answerStranger(context, inbound, 482);
  else identify(context, inbound, target);
}

/** The uid or number (`0`, country code, uid) that is asked for; null where the URI names only a host. */
function targetOf({ uri }: SipRequest): string | null {
  if (uri.scheme === 'other') return null;
  const name = uri.scheme === 'tel' ? uri.number : uri.user;
  return name !== null && /^\+\d+$/.test(name) ? `0${name.slice(1)}` : name;
}

function identify(context: SipContext, inbound: Inbound, target: string): void {
  const registered = registeredCaller(context, inbound);
  if (registered !== null) {
    locate(context, inbound, registered, target, () => admitStranger(context, inbound));
    return;
  }
  const credentials = readCredentials(context, inbound);
  if (typeof credentials !== 'string') authenticate(context, inbound, credentials, target);
  else if (context.settings.anonymous && credentials === 'none') {
    if (admitStranger(context, inbound)) locate(context, inbound, ANONYMOUS, target);
  } else if (credentials === 'other') answerStranger(context, inbound, 400, [], 'Digest For Another Request');
  else challenge(context, inbound, credentials === 'stale');
}

/** Who sends from the very address from which he is registered. */
function registeredCaller({ cases }: SipContext, { request, flow }: Inbound): Caller | null {
  const { uri } = request.from;
  if ((uri.scheme !== 'sip' && uri.scheme !== 'sips') || uri.user === null) return null;
  const { table } = cases;
  const userRow = table.users.find(uri.user);
  if (userRow < 0 || !table.rowsOf(userRow).some((row) => table.sessions.isWan(row, flow.remote))) return null;
  return { uid: uri.user, mayCallOut: table.users.profile(userRow).mayCallOut };
}

function authenticate(context: SipContext, inbound: Inbound, credentials: Credentials, target: string): void {
  const { uid } = credentials;
  const { from } = inbound.request;
  if ((from.uri.scheme !== 'sip' && from.uri.scheme !== 'sips') || from.uri.user !== uid) {
    answerStranger(context, inbound, 403);
    return;
  }
  const { table } = context.cases;
  const bindings = bindingsOf(table, uid);
  if (useOf(context, bindings, credentials, inbound.cameMs) === 'spent') {
    challenge(context, inbound, true);
  } else if (isVerifiedHere(context, bindings, credentials)) {
    const rows = bindings.map(({ row }) => row);
    markUsed(context, rows, credentials, inbound.cameMs);
    locate(context, inbound, { uid, mayCallOut: table.users.profile(table.users.find(uid)).mayCallOut }, target);
  } else if (admitStranger(context, inbound) && admitAttempt(context, inbound)) {
    waitFor(context, inbound, async () => {
      const verdict = await context.cases.authenticate({ uid, credential: credentialOf(credentials) });
      if (verdict.kind === 'denied') {
        await deny(context, inbound, uid, verdict.reason);
        return null;
      }
      context.spent.spend(uid, credentials.nonceMs, context.cases.clock.now());
      return located(context, { uid, mayCallOut: verdict.mayCallOut }, target);
    });
  }
}

/** `mayAsk`: whether the directory may be asked; an address alone can be feigned, and asking costs. */
function locate(
  context: SipContext,
  inbound: Inbound,
  caller: Caller,
  target: string,
  mayAsk: () => boolean = () => true,
): void {
  const here = context.cases.locateHere(caller.uid, target);
  if (here !== undefined) sendLocated(inbound, caller, here);
  else if (mayAsk()) waitFor(context, inbound, () => located(context, caller, target));
}

interface Found {
  readonly caller: Caller;
  readonly located: Located;
}

async function located({ cases }: SipContext, caller: Caller, target: string): Promise<Found> {
  return {
    caller,
    located: cases.locateHere(caller.uid, target) ?? (await cases.locateElsewhere(caller.uid, target)),
  };
}

/** Its retransmissions are absorbed until then, and a CANCEL finds it. */
function waitFor(context: SipContext, inbound: Inbound, find: () => Promise<Found | null>): void {
  const { waiting } = context;
  const key = transactionOf(inbound.request);
  if (waiting.has(key)) return;
  const state = { cancelled: false };
  waiting.set(key, state);
  find()
    .then((found) => {
      if (found === null) return;
      if (state.cancelled) answer(inbound, 487);
      else sendLocated(inbound, found.caller, found.located);
    })
    .catch((error: unknown) => {
      answerFailure(context, inbound, error);
    })
    .finally(() => waiting.delete(key));
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

/** The best first: by their q, then the device last active; a native client by its outer address. */
function contactsOf(uid: string, devices: readonly Device[]): ExtraHeader[] {
  const list: { q: number; value: string }[] = [];
  for (const { contact, registration, wan } of devices) {
    if (contact !== '') {
      const { q } = parseRegistration(registration);
      list.push({ q: q === '' ? 1 : Number(q), value: q === '' ? `<${contact}>` : `<${contact}>;q=${q}` });
    } else if (wan.port !== 0) list.push({ q: 1, value: `<sip:${escapeUser(uid)}@${sipAddress(wan)}>` });
  }
  return list.sort((a, b) => b.q - a.q).map(({ value }): ExtraHeader => ['Contact', value]);
}
