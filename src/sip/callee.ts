/** Who is called, and where he is: by uid or number, by way of those who forward their calls. */
import type { Forwarding, ServerRecord } from '../base/model.ts';
import type { Device } from '../heartbeat/online.ts';
import type { Located } from '../locator/locate.ts';
import type { Caller } from './caller.ts';
import { mayAskDirectory } from './caller.ts';
import type { Inbound, SipContext } from './context.ts';
import { isOurs } from './context.ts';
import type { Uri } from './uri.ts';
import { nameOf, nameOfUri, parseUri } from './uri.ts';

/** So often a call is forwarded at most. */
export const FORWARDS_MAX = 5;

export type Callee =
  | { readonly kind: 'refused'; readonly status: 403 | 404 | 480 | 482 }
  /** His devices are on another node. */
  | { readonly kind: 'server'; readonly uid: string; readonly server: ServerRecord }
  | {
      readonly kind: 'devices';
      readonly uid: string;
      readonly devices: readonly Device[];
      readonly forwarding: Forwarding;
      /** Those whose calls came here, he himself last. */
      readonly trail: readonly string[];
    }
  /** Forwarded to somewhere else. */
  | { readonly kind: 'uri'; readonly uri: Uri }
  /** A stranger asked too often, and was told so. */
  | { readonly kind: 'dropped' };

/** Whom the caller reaches by this uid or number; a promise where the directory has to be asked. */
export function findCallee(
  context: SipContext,
  inbound: Inbound,
  caller: Caller,
  name: string,
  trail: readonly string[] = [],
): Callee | Promise<Callee> {
  const { cases } = context;
  const judge = (located: Located): Callee | Promise<Callee> => judgeOf(context, inbound, caller, located, trail);
  const here = cases.locateHere(caller.uid, name);
  if (here !== undefined) return judge(here);
  if (!mayAskDirectory(context, inbound, caller)) return { kind: 'dropped' };
  return cases.locateElsewhere(caller.uid, name).then(judge);
}

/** Offline, invisible and blocking users are told alike. */
function judgeOf(
  context: SipContext,
  inbound: Inbound,
  caller: Caller,
  located: Located,
  before: readonly string[],
): Callee | Promise<Callee> {
  if (located.kind === 'unknown') return { kind: 'refused', status: 404 };
  const { uid } = located;
  if (before.includes(uid)) return { kind: 'refused', status: 482 };
  const trail = [...before, uid];
  if (located.kind === 'see-also') {
    return caller.mayCallOut ? { kind: 'server', uid, server: located.server } : { kind: 'refused', status: 403 };
  }
  const { always, unreachable } = located.forwarding;
  if (located.kind === 'offline') {
    const to = always === '' ? unreachable : always;
    return to === '' ? { kind: 'refused', status: 480 } : forwardTo(context, inbound, caller, to, trail);
  }
  if (!located.mayCall || !caller.mayCallOut) return { kind: 'refused', status: 403 };
  if (always !== '') return forwardTo(context, inbound, caller, always, trail);
  return { kind: 'devices', uid, devices: located.devices, forwarding: located.forwarding, trail };
}

/** `to`: a uid, a number or a URI (DIRECTORY.md section 2). `trail`: those whose calls came here, the last forwards. */
export function forwardTo(
  context: SipContext,
  inbound: Inbound,
  caller: Caller,
  to: string,
  trail: readonly string[],
): Callee | Promise<Callee> {
  if (trail.length > FORWARDS_MAX) return { kind: 'refused', status: 482 };
  const uri = /^(?:sips?|tel):/i.test(to) ? parseUri(to) : null;
  if (uri !== null && uri.scheme !== 'tel' && !isOurs(context, uri)) {
    return caller.mayCallOut ? { kind: 'uri', uri } : { kind: 'refused', status: 403 };
  }
  const name = uri === null ? nameOf(to) : nameOfUri(uri);
  return name === null ? { kind: 'refused', status: 404 } : findCallee(context, inbound, caller, name, trail);
}
