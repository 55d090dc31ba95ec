/** What each method does. A method is a file of its own and a line here; the lines make up Allow. */
import { onUserRequest } from './calls.ts';
import type { Inbound, SipContext } from './context.ts';
import { answer, answerStranger, isOurs, transactionOf } from './context.ts';
import { ROUTE } from './header-names.ts';
import { onRouted } from './in-dialog.ts';
import type { SipRequest } from './message.ts';
import { onMessage } from './messages.ts';
import { onPublish } from './publish.ts';
import { onRegister } from './registrar.ts';
import type { ExtraHeader } from './response.ts';
import { onSubscribe } from './subscribe.ts';

/** Answers the request, or holds it (context.ts) and answers later. In and out of dialogs. */
type Handler = (context: SipContext, inbound: Inbound) => void;

const METHODS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['INVITE', onUserRequest],
  ['ACK', () => undefined],
  ['CANCEL', onCancel],
  ['BYE', onlyInDialog],
  ['OPTIONS', onOptions],
  ['REGISTER', onRegister],
  ['MESSAGE', onMessage],
  ['REFER', onUserRequest],
  ['SUBSCRIBE', onSubscribe],
  ['PUBLISH', onPublish],
]);
/** Only within a dialog, and there is none here. */
const IN_DIALOG: ReadonlySet<string> = new Set(['INFO', 'UPDATE', 'PRACK', 'NOTIFY']);

const ALLOW: ExtraHeader = ['Allow', [...METHODS.keys()].join(', ')];
const CAPABILITIES: readonly ExtraHeader[] = [
  ALLOW,
  ['Accept', 'application/sdp'],
  ['Allow-Events', 'presence'],
  ['Supported', 'path, outbound'],
];

/** A request that belongs to no transaction yet. */
export function onRequest(context: SipContext, inbound: Inbound): void {
  const { request } = inbound;
  const { method } = request;
  // A CANCEL goes where its INVITE went.
  const isRouted = method !== 'REGISTER' && method !== 'CANCEL' && request.find(ROUTE) >= 0;
  if (isRouted && onRouted(context, inbound)) return;
  const handler = METHODS.get(method);
  if (handler !== undefined) handler(context, inbound);
  else if (IN_DIALOG.has(method)) onlyInDialog(context, inbound);
  else answerStranger(context, inbound, 501, [ALLOW]);
}

function onlyInDialog(context: SipContext, inbound: Inbound): void {
  answerStranger(context, inbound, 481);
}

function onOptions(context: SipContext, inbound: Inbound): void {
  if (isForServer(context, inbound.request)) answerStranger(context, inbound, 200, CAPABILITIES);
  else onUserRequest(context, inbound);
}

function isForServer(context: SipContext, { uri, maxForwards, toTag }: SipRequest): boolean {
  if (toTag !== undefined || maxForwards === 0 || uri.scheme === 'tel') return false;
  return isOurs(context, uri) && 'user' in uri && uri.user === null;
}

/** RFC 3261 9.2: of an INVITE that has a transaction, or that still waits for the directory. */
function onCancel(context: SipContext, inbound: Inbound): void {
  const invite = context.transactions.inviteOf(inbound.request);
  const waiting = context.waiting.get(transactionOf(inbound.request));
  if (invite === undefined && waiting === undefined) {
    answerStranger(context, inbound, 481);
    return;
  }
  answer(inbound, 200);
  if (waiting !== undefined) waiting.cancelled = true;
  invite?.user.onCancel?.();
}
