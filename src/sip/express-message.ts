/**
 * The express lane of MESSAGE: by a caller who proves who he is, to somebody who is here. messages.ts does all others,
 * and would pass these on, and answer them, alike.
 */
import { bytesOf } from '../base/bytes.ts';
import { VserverError } from '../base/errors.ts';
import type { Sent } from '../messages/message-rules.ts';
import { DEFAULT_CONTENT_TYPE, isContentType, isMessageText } from '../messages/message-rules.ts';
import type { SipContext } from './context.ts';
import { reasonOf, RETRY_AFTER_S } from './context.ts';
import { createExpressProof } from './express-proof.ts';
import type { ExpressHead, ExpressLane, IsOurs } from './express-head.ts';
import { mayRun } from './express-redirect.ts';
import type { ExpressWriter } from './express-writer.ts';
import { END } from './express-writer.ts';
import {
  AUTHORIZATION,
  CALL_ID,
  CONTENT_LENGTH,
  CONTENT_TYPE,
  headerNumber,
  PROXY_REQUIRE,
  REQUIRE,
  ROUTE,
} from './header-names.ts';
import { messageIdOf, STATUS } from './messages.ts';
import { readKey, serverKeyOf } from './express-key.ts';
import { RequestKey } from './request-key.ts';
import type { ExtraHeader } from './response.ts';

const OK = bytesOf('SIP/2.0 200 OK\r\n');
const CONTENT_ENCODING = headerNumber('Content-Encoding');
const KEY_START = serverKeyOf('MESSAGE');
const PLUS = 0x2b;
const LF = 0x0a;
/** What stands for bytes that are no UTF-8; it may stand in a text, too. */
const REPLACED = '\ufffd';

/** What is sent on. */
interface Content {
  readonly contentType: string;
  readonly body: string;
}

export function createMessageLane(context: SipContext, writer: ExpressWriter, isOurs: IsOurs): ExpressLane {
  const { transactions, waiting, log } = context;
  const { messages, table } = context.cases;
  const { users } = table;
  const proof = createExpressProof(context);
  const key = new RequestKey();

  const isOrdinary = (head: ExpressHead): boolean => {
    const { bytes, uri, from, to } = head;
    return (
      to.tagAt === 0 &&
      !head.has(REQUIRE) &&
      !head.has(PROXY_REQUIRE) &&
      !head.has(ROUTE) &&
      !head.has(CONTENT_ENCODING) &&
      isOurs(head, from) &&
      uri.hostAt !== 0 &&
      uri.userAt !== 0 &&
      bytes[uri.userAt] !== PLUS &&
      isOurs(head, uri)
    );
  };

  return (head, flow, nowMs) => {
    const { bytes, uri, from } = head;
    const text = (at: number, end: number): string => bytes.toString('latin1', at, end);
    if (flow.transport !== 'udp' || !isOrdinary(head)) return false;
    const userRow = users.findIn(bytes, uri.userAt, uri.userEnd);
    if (userRow < 0) return false;
    const content = contentOf(head);
    if (content === null) return false;
    if (!readKey(head, KEY_START, key) || transactions.knows(key)) return false;
    if (waiting.size > 0 && mayRun(context, head, 'MESSAGE')) return false;
    const row = proof.rowOf(head, AUTHORIZATION, flow, nowMs);
    if (row < 0) return false;
    proof.use(row, nowMs);
    const draft = {
      from: text(from.userAt, from.userEnd),
      mayCallOut: users.mayCallOut(table.sessions.user(row)),
      to: text(uri.userAt, uri.userEnd),
      id: messageIdOf(text(head.at(CALL_ID), head.end(CALL_ID)), head.cseq, text(from.tagAt, from.tagEnd)),
      ...content,
    };
    writer.begin(OK, flow);
    const kept = transactions.read.open(key, writer.end(), flow.remote);
    const respond = (status: number, extra: readonly ExtraHeader[] = [], reason = reasonOf(status)): void => {
      if (status === 200) transactions.read.answer(kept, flow);
      else transactions.read.answer(kept, flow, withStatus(kept.bytes, status, reason, extra));
    };
    messages.pass(draft, {
      sent(outcome: Sent) {
        const [status, reason] = STATUS[outcome];
        respond(status, [], reason);
      },
      failed(error: unknown) {
        if (!(error instanceof VserverError)) {
          log.error({ err: error, method: 'MESSAGE' }, 'SIP request failed');
          respond(500);
        } else if (error.code === 'BAD_REQUEST') respond(400);
        else respond(503, [['Retry-After', String(error.retryAfter ?? RETRY_AFTER_S)]]);
      },
    });
    return true;
  };
}

/** null where it is none of text in UTF-8. */
function contentOf(head: ExpressHead): Content | null {
  const { bytes, message } = head;
  const contentType = head.has(CONTENT_TYPE)
    ? bytes.toString('latin1', head.at(CONTENT_TYPE), head.end(CONTENT_TYPE))
    : DEFAULT_CONTENT_TYPE;
  const length = Number(bytes.toString('latin1', head.at(CONTENT_LENGTH), head.end(CONTENT_LENGTH)));
  const body = message.toString('utf8', message.length - length);
  return body.includes(REPLACED) || !isContentType(contentType) || !isMessageText(body) ? null : { contentType, body };
}

/** The answer with another status, and more headers. */
function withStatus(ok: Buffer, status: number, reason: string, extra: readonly ExtraHeader[]): Buffer {
  const lines = extra.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([
    Buffer.from(`SIP/2.0 ${status} ${reason}\r\n`),
    ok.subarray(ok.indexOf(LF) + 1, ok.length - END.length),
    Buffer.from(`${lines}Content-Length: 0\r\n\r\n`),
  ]);
}
