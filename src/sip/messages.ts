/** MESSAGE (RFC 3428): from a caller into the flow of messages, and from there to a telephone. */
import { isUtf8 } from 'node:buffer';
import { VserverError } from '../base/errors.ts';
import type { Message } from '../directory/message-store.ts';
import { TextPlace } from '../heartbeat/session-rows.ts';
import type { DeliverTo } from '../messages/delivery.ts';
import { messageKey, shortHash } from '../messages/message-key.ts';
import type { Sent } from '../messages/message-rules.ts';
import {
  DEFAULT_CONTENT_TYPE,
  isContentType,
  isMessageText,
  MESSAGE_BODY_BYTES_MAX,
} from '../messages/message-rules.ts';
import type { Caller } from './caller.ts';
import { withProvenCaller } from './caller.ts';
import type { Inbound, SipContext } from './context.ts';
import { answer, answerFailure, answerStranger, hold, isOurs, unsupported } from './context.ts';
import { readContact } from './express-redirect.ts';
import type { SipRequest } from './message.ts';
import { createMessageWriter } from './message-writer.ts';
import type { OnFinal } from './outgoing.ts';
import { openOwn, ownHost, sendRequest, targetOfSession } from './outgoing.ts';
import type { ExtraHeader } from './response.ts';
import { escapeUser, nameOfUri } from './uri.ts';

const SUPPORTED: ReadonlySet<string> = new Set();
/** RFC 3261 21.4.13. */
const ANY_TEXT: readonly ExtraHeader[] = [
  ['Accept', '*/*'],
  ['Accept-Encoding', 'identity'],
];

/** What the sender is told. Who is offline, invisible or blocks him is the same to him: stored, or unreachable. */
export const STATUS: Readonly<Record<Sent, readonly [status: number, reason?: string]>> = {
  delivered: [200],
  stored: [202],
  'unknown-user': [404],
  refused: [403],
  full: [480, 'Too Many Messages Wait'],
  unreachable: [480],
};

export function onMessage(context: SipContext, inbound: Inbound): void {
  const { request } = inbound;
  const { uri } = request;
  const missing = unsupported(request, SUPPORTED);
  const to = nameOfUri(uri);
  if (request.toTag !== undefined) answerStranger(context, inbound, 481);
  else if (request.maxForwards === 0) answerStranger(context, inbound, 483);
  else if (uri.scheme === 'other') answerStranger(context, inbound, 416);
  else if (to === null || (uri.scheme !== 'tel' && !isOurs(context, uri))) answerStranger(context, inbound, 404);
  else if (missing !== undefined) answerStranger(context, inbound, 420, [['Unsupported', missing]]);
  else withProvenCaller(context, inbound, (caller) => pass(context, hold(context, inbound), caller, to));
}

async function pass(context: SipContext, inbound: Inbound, { uid, mayCallOut }: Caller, to: string): Promise<void> {
  const { request } = inbound;
  const { body, contentType = DEFAULT_CONTENT_TYPE } = request;
  const text = body.toString('utf8');
  if (body.length > MESSAGE_BODY_BYTES_MAX) answer(inbound, 413);
  else if (!isReadable(request, contentType) || !isMessageText(text)) answer(inbound, 415, ANY_TEXT);
  else {
    try {
      const draft = {
        from: uid,
        mayCallOut,
        to,
        id: messageIdOf(request.callId, request.cseq.number, request.fromTag ?? ''),
        contentType,
        body: text,
      };
      const [status, reason] = STATUS[await context.cases.messages.send(draft)];
      answer(inbound, status, [], reason);
    } catch (error) {
      // Of a name that can't be one.
      if (error instanceof VserverError && error.code === 'BAD_REQUEST') answer(inbound, 400);
      else answerFailure(context, inbound, error);
    }
  }
}

function isReadable(request: SipRequest, contentType: string): boolean {
  return isContentType(contentType) && request.header('Content-Encoding') === undefined && isUtf8(request.body);
}

/** The same for a request that is sent again (RFC 3261 8.1.1.4 and 8.1.1.5). */
export function messageIdOf(callId: string, cseq: number, fromTag: string): string {
  return shortHash(`${callId}\n${cseq}\n${fromTag}`);
}

/** Answers that say nothing of the message itself: the telephone may take it another time. */
const NOT_NOW: ReadonlySet<number> = new Set([408, 480, 486, 500, 503, 504, 600]);

/** To the telephone of a session. */
export function createDelivery(context: SipContext): DeliverTo {
  const { sessions } = context.cases.table;
  const write = createMessageWriter(context);
  const text = new TextPlace();
  return (row, message, onAnswer) => {
    const onFinal = (status: number): void => {
      if (status < 300) onAnswer('taken');
      else onAnswer(NOT_NOW.has(status) ? 'silent' : 'refused');
    };
    sessions.findText(row, text);
    const contact = readContact(text);
    const flow = contact === null ? undefined : context.flowOf(row);
    if (contact === null || flow?.isReliable !== false || message.body.length > SHORT) {
      sendMessage(context, row, message, onFinal);
    } else {
      const branch = context.ids.branch();
      const bytes = write({ text, contact, flow }, branch, message);
      openOwn(context, { method: 'MESSAGE', branch }, bytes, flow, onFinal);
    }
  };
}
/** Characters of a body that is of ordinary length. */
const SHORT = 1_500;

/** Also to one that is out of the ordinary. The same message always has the same Call-ID. */
export function sendMessage(context: SipContext, row: number, message: Message, onFinal: OnFinal): void {
  const target = targetOfSession(context, row);
  if (target === null) {
    onFinal(480);
    return;
  }
  const { from, to, contentType, body, sentAt } = message;
  const host = ownHost(context);
  const request = {
    method: 'MESSAGE',
    from: `<sip:${escapeUser(from)}@${host}>;tag=${context.ids.token()}`,
    to: `<sip:${escapeUser(to)}@${host}>`,
    callId: `${messageKey(message)}@${host}`,
    cseq: 1,
    headers: [
      ['Date', new Date(sentAt).toUTCString()],
      ['Content-Type', contentType],
    ] as const,
    body: Buffer.from(body),
  };
  sendRequest(context, target, request, onFinal);
}
