/** The bytes of a MESSAGE to a telephone that talks to this node; test/unit/sip-message-writer.test.ts has it in plain. */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf } from '../base/bytes.ts';
import type { Message } from '../directory/message-store.ts';
import type { TextPlace } from '../heartbeat/session-rows.ts';
import { messageKey } from '../messages/message-key.ts';
import type { SipContext } from './context.ts';
import type { ContactPlace } from './express-redirect.ts';
import type { Flow } from './flow.ts';
import { perTransport } from './flow.ts';
import { ownHost, viaOf } from './outgoing.ts';
import { dateOf } from './register-answer.ts';
import { SlabWriter } from './slab-writer.ts';
import { escapeUser } from './uri.ts';

/** Where it goes: `contact` stands in `text`. */
export interface MessageTarget {
  readonly text: TextPlace;
  readonly contact: ContactPlace;
  readonly flow: Flow;
}

export type MessageWriter = (target: MessageTarget, branch: string, message: Message) => Buffer;

const SLAB_BYTES = 16 * 1024;
/** What stands in a MESSAGE beside the contact and the body. */
const OWN_BYTES_MAX = 4_096;

const MESSAGE = bytesOf('MESSAGE ');
const FROM_IS = bytesOf('Max-Forwards: 70\r\nFrom: <sip:');
const TAG_IS = bytesOf('>;tag=');
const TO_IS = bytesOf('\r\nTo: <sip:');
const CALL_ID_IS = bytesOf('>\r\nCall-ID: ');
const DATE_IS = bytesOf('\r\nCSeq: 1 MESSAGE\r\nDate: ');
const TYPE_IS = bytesOf('\r\nContent-Type: ');
const LENGTH_IS = bytesOf('\r\nContent-Length: ');
const END_OF_HEAD = bytesOf('\r\n\r\n');

export function createMessageWriter(context: SipContext): MessageWriter {
  const writer = new SlabWriter(SLAB_BYTES);
  const viaFor = perTransport((flow): { readonly start: Bytes; readonly end: Bytes } => {
    const [start = '', end = ''] = viaOf(context, flow, '\n').split('\n');
    return { start: bytesOf(` SIP/2.0\r\nVia: ${start}`), end: bytesOf(`${end}\r\n`) };
  });
  let host: Bytes | null = null;

  return ({ text, contact, flow }, branch, message) => {
    const { from, to, contentType, body, sentAt } = message;
    const via = viaFor(flow);
    // The port is known by now.
    host ??= bytesOf(`@${ownHost(context)}`);
    // No character of a string takes more than three bytes of UTF-8.
    writer.start(contact.contactEnd - contact.contactAt + 3 * body.length + OWN_BYTES_MAX);
    writer.put(MESSAGE);
    writer.copy(text.bytes, contact.contactAt, contact.contactEnd);
    writer.put(via.start);
    writer.text(branch);
    writer.put(via.end);
    writer.put(FROM_IS);
    writer.text(escapeUser(from));
    writer.put(host);
    writer.put(TAG_IS);
    writer.text(context.ids.token());
    writer.put(TO_IS);
    writer.text(escapeUser(to));
    writer.put(host);
    writer.put(CALL_ID_IS);
    writer.text(messageKey(message));
    writer.put(host);
    writer.put(DATE_IS);
    writer.text(dateOf(Math.floor(sentAt / 1000)));
    writer.put(TYPE_IS);
    writer.text(contentType);
    writer.put(LENGTH_IS);
    writer.decimal(Buffer.byteLength(body));
    writer.put(END_OF_HEAD);
    writer.utf8(body);
    return writer.take();
  };
}
