/** SUBSCRIBE to the presence of a user (RFC 6665, RFC 3856): the dialog is kept, and NOTIFY follows at once. */
import { HOPS_MAX } from '../redirect/admission.ts';
import { SUBSCRIPTION_LIMITS } from '../presence/presence.ts';
import type { Caller } from './caller.ts';
import { mayAskDirectory, withCaller, withProvenCaller } from './caller.ts';
import type { Inbound, SipContext, Waiting } from './context.ts';
import { answer, answerStranger, hold, HOPS, hopsOf, ownUri, sipAddress } from './context.ts';
import type { SipRequest } from './message.ts';
import type { NameAddr } from './name-addr.ts';
import { PIDF_TYPE } from './pidf.ts';
import { eventOf, presentityOf } from './presence-request.ts';
import { makeResponse } from './response.ts';
import type { Dialog } from './subscription-dialogs.ts';
import { flowIdOf, rowOfTag, tagOfRow } from './subscription-dialogs.ts';
import { escapeUser } from './uri.ts';

/** Seconds; shorter ones are refused, longer ones shortened. */
const EXPIRES_MIN_S = 60;
const EXPIRES_MAX_S = SUBSCRIPTION_LIMITS.lifetimeMaxS;
const RETRY_AFTER_S = 60;
/** Of the head; much of it is kept as long as the subscription lasts. */
const HEAD_BYTES_MAX = 4 * 1024;

export function onSubscribe(context: SipContext, inbound: Inbound): void {
  const { request } = inbound;
  if (request.toTag !== undefined) {
    onRefresh(context, inbound, request.toTag);
    return;
  }
  const target = presentityOf(context, inbound);
  if (target === null || !isAcceptable(context, inbound)) return;
  withProvenCaller(context, inbound, (caller, waiting) => locate(context, inbound, caller, waiting, target));
}

/** Answers where not. */
function isAcceptable(context: SipContext, inbound: Inbound): boolean {
  const { request } = inbound;
  const expires = request.expires ?? EXPIRES_MAX_S;
  const accept = request.headers('Accept').map((value) => value.split(';')[0]?.trim().toLowerCase());
  const contacts = request.contacts();
  if (expires > 0 && expires < EXPIRES_MIN_S) {
    answerStranger(context, inbound, 423, [['Min-Expires', String(EXPIRES_MIN_S)]]);
  } else if (
    accept.length > 0 &&
    !accept.some((one) => one === PIDF_TYPE || one === '*/*' || one === 'application/*')
  ) {
    answerStranger(context, inbound, 406, [['Accept', PIDF_TYPE]]);
  } else if (isTooLong(request)) answerStranger(context, inbound, 513);
  else if (contacts?.length !== 1 || !isTarget(contacts) || request.fromTag === undefined) {
    answerStranger(context, inbound, 400);
  } else return true;
  return false;
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
  if (here?.kind === 'user') {
    subscribe(context, inbound, caller.uid, here.uid);
    return undefined;
  }
  if (!mayAskDirectory(context, inbound, caller)) return undefined;
  return cases.locateElsewhere(caller.uid, target).then((found) => {
    if (waiting.cancelled) answer(inbound, 487);
    else if (found.kind === 'unknown') answer(inbound, 404);
    else if (found.kind === 'see-also') {
      const { sip } = found.server;
      const hops = hopsOf(inbound.request) + 1;
      // Where nobody can tell, nothing is seen.
      if (cases.presence.seesFar || sip === null || hops > HOPS_MAX) {
        subscribe(context, inbound, caller.uid, found.uid, true);
      } else answer(inbound, 302, [['Contact', `<sip:${escapeUser(found.uid)}@${sipAddress(sip)};${HOPS}=${hops}>`]]);
    } else subscribe(context, inbound, caller.uid, found.uid);
  });
}

function subscribe(
  context: SipContext,
  inbound: Inbound,
  watcher: string,
  presentity: string,
  isElsewhere = false,
): void {
  const { presence, clock } = context.cases;
  const { request } = inbound;
  const expiresS = Math.min(request.expires ?? EXPIRES_MAX_S, EXPIRES_MAX_S);
  const nowS = Math.floor(clock.now() / 1000);
  const endsS = nowS + Math.max(expiresS, 1);
  const row = presence.subscribe({ watcher, presentity, edge: 'sip', ref: 0, endsS });
  if (row < 0) {
    answer(inbound, 503, [['Retry-After', String(RETRY_AFTER_S)]]);
    return;
  }
  const localTag = tagOfRow(row, context.ids.token());
  context.subscriptions.put(row, dialogOf(inbound, localTag), request.cseq.number);
  welcome(context, inbound, expiresS, localTag);
  const ready = isElsewhere ? presence.ready(presentity) : null;
  if (ready === null) tell(context, row, expiresS);
  else {
    void ready.then(() => {
      if (context.subscriptions.get(row)?.localTag === localTag) tell(context, row, expiresS);
    });
  }
}

/** An Expires of 0 asks for the state once (RFC 6665 4.4.3), or ends a subscription. */
function tell({ cases: { presence } }: SipContext, row: number, expiresS: number): void {
  if (expiresS === 0) presence.end(row, 'timeout');
  else presence.announce(row);
}

function dialogOf({ request, flow }: Inbound, localTag: string): Dialog {
  const { uri } = request;
  const address = 'user' in uri ? `${escapeUser(uri.user ?? '')}@${uri.host}` : '';
  return {
    callId: request.callId,
    localTag,
    remoteTag: request.fromTag ?? '',
    to: request.header('From') ?? '',
    from: `${request.header('To') ?? ''};tag=${localTag}`,
    target: targetOf(request),
    route: request.headers('Record-Route'),
    eventId: eventOf(request)?.id ?? '',
    entity: address,
    flowId: flowIdOf(flow),
  };
}

function targetOf(request: SipRequest): string {
  const contacts = request.contacts();
  return contacts === null || contacts === '*' ? '' : (contacts[0]?.uri.text ?? '');
}

function welcome(context: SipContext, inbound: Inbound, expiresS: number, toTag?: string): void {
  const held = hold(context, inbound);
  const headers = [
    ['Contact', `<${ownUri(context, inbound.flow)}>`],
    ['Expires', String(expiresS)],
  ] as const;
  const recordRoute = inbound.request.headers('Record-Route').map((value) => ['Record-Route', value] as const);
  const bytes = makeResponse(inbound.request, 200, 'OK', [...recordRoute, ...headers], undefined, toTag);
  held.transaction.respond(200, bytes);
}

/** Within the dialog: it lasts longer, or ends. */
function onRefresh(context: SipContext, inbound: Inbound, localTag: string): void {
  const { request } = inbound;
  const row = rowOf(context, request, localTag);
  if (row < 0) answerStranger(context, inbound, 481);
  else if (eventOf(request)?.name !== 'presence') {
    answerStranger(context, inbound, 489, [['Allow-Events', 'presence']]);
  } else if (isRefreshable(context, inbound)) {
    withCaller(context, inbound, (caller) => {
      refresh(context, inbound, caller, localTag);
      return undefined;
    });
  }
}

/** Answers where not. */
function isRefreshable(context: SipContext, inbound: Inbound): boolean {
  const { expires = EXPIRES_MAX_S } = inbound.request;
  const contacts = inbound.request.contacts();
  if (expires > 0 && expires < EXPIRES_MIN_S) {
    answerStranger(context, inbound, 423, [['Min-Expires', String(EXPIRES_MIN_S)]]);
  } else if (isTooLong(inbound.request)) answerStranger(context, inbound, 513);
  else if (contacts === null || contacts.length > 1 || !isTarget(contacts)) answerStranger(context, inbound, 400);
  else return true;
  return false;
}

function isTooLong({ text, body }: SipRequest): boolean {
  return text.length - body.length > HEAD_BYTES_MAX;
}

/** Whether a request can be sent there (RFC 3261 12.1.1, 19.1.1). */
function isTarget(contacts: readonly NameAddr[] | '*'): boolean {
  return (
    contacts !== '*' &&
    contacts.every(({ uri }) => (uri.scheme === 'sip' || uri.scheme === 'sips') && uri.headers === '')
  );
}

/** The row of the subscription of this very dialog, or -1. */
function rowOf({ subscriptions }: SipContext, { callId, fromTag }: SipRequest, localTag: string): number {
  const row = rowOfTag(localTag);
  const dialog = row < 0 ? undefined : subscriptions.get(row);
  if (dialog === undefined) return -1;
  return dialog.localTag === localTag && dialog.callId === callId && dialog.remoteTag === fromTag ? row : -1;
}

function refresh(context: SipContext, inbound: Inbound, caller: Caller, localTag: string): void {
  const { request, flow } = inbound;
  const { presence, clock } = context.cases;
  // Looked for again: the directory may have been asked for the caller meanwhile.
  const row = rowOf(context, request, localTag);
  const dialog = row < 0 ? undefined : context.subscriptions.get(row);
  if (dialog === undefined) answer(inbound, 481);
  else if (presence.subscriptions.watcherOf(row) !== caller.uid) answer(inbound, 403);
  else if (request.cseq.number <= context.subscriptions.heard(row)) answer(inbound, 500);
  else {
    const expiresS = Math.min(request.expires ?? EXPIRES_MAX_S, EXPIRES_MAX_S);
    const target = targetOf(request);
    const next = { ...dialog, target: target === '' ? dialog.target : target, flowId: flowIdOf(flow) };
    context.subscriptions.put(row, next, request.cseq.number);
    if (expiresS > 0) presence.subscriptions.renew(row, Math.floor(clock.now() / 1000) + expiresS);
    welcome(context, inbound, expiresS);
    tell(context, row, expiresS);
  }
}
