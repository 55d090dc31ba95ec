/** Messages between users over datagrams: `Message <to>` of a client, `Message <from>` of the server. */
import type { Message } from '../directory/message-store.ts';
import { DEFAULT_CONTENT_TYPE, newMessageId, requireSent } from '../messages/message-rules.ts';
import type { UdpContext } from './context.ts';
import type { Request } from './message.ts';
import type { ReplyText } from './replies.ts';

/** `bytes`: the datagram, good until this function returns. Rejects as messages.send() does. */
export async function messageReply(
  { cases, random }: UdpContext,
  { argument, msg, type, bodyAt }: Request,
  bytes: Buffer,
  row: number,
): Promise<ReplyText> {
  const { sessions, users } = cases.table;
  const { uid, mayCallOut } = users.profile(sessions.user(row));
  const sent = await cases.messages.send({
    ...{ from: uid, mayCallOut, to: argument },
    id: msg ?? newMessageId(random),
    contentType: type ?? DEFAULT_CONTENT_TYPE,
    body: bytes.toString('utf8', bodyAt),
  });
  return { verb: 'Ok', argument: requireSent(sent) };
}

export function messageText({ from, id, contentType, body, sentAt }: Message): ReplyText {
  const headers = { msg: id, type: contentType, time: new Date(sentAt).toISOString() };
  return { verb: 'Message', argument: from, headers, body };
}
