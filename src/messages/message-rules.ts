/** What a message may be, and who may send one to whom. */
import { VserverError } from '../base/errors.ts';
import type { Random } from '../base/ports.ts';
import type { Entry } from '../directory/directory.ts';
import type { Profile } from '../heartbeat/profile.ts';
import { isAmong } from '../locator/locate.ts';

/** What became of a message. */
export type Sent =
  /** A device has it. */
  | 'delivered'
  /** It is in the directory: brought at once by the node that has the recipient, or when he comes. */
  | 'stored'
  | 'unknown-user'
  /** The recipient's record, or the sender's, does not allow it. */
  | 'refused'
  /** The recipient has as many waiting as he may have. */
  | 'full'
  /** Nobody has taken it, and this directory has no place for messages. */
  | 'unreachable';

export const MESSAGE_BODY_BYTES_MAX = 64 * 1024;
const CONTENT_TYPE_CHARACTERS_MAX = 255;
/** Also the name of a file or a part of an address elsewhere: nothing that needs to be escaped. */
const MESSAGE_ID = /^[A-Za-z0-9._~@+=-]{1,64}$/;
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:[\t ]*;[\x20-\x7e]*)?$/;
const CONTROL = /[^\P{Cc}\t\r\n]/u;

export function isMessageId(text: string): boolean {
  return MESSAGE_ID.test(text);
}

export function isContentType(text: string): boolean {
  return text.length <= CONTENT_TYPE_CHARACTERS_MAX && MEDIA_TYPE.test(text);
}

/** Text that every edge can carry: no control characters but tabs and line ends. */
export function isMessageText(body: string): boolean {
  return !CONTROL.test(body);
}

/** RFC 3994: that somebody is writing is worth knowing now or never. */
export function isMomentary(contentType: string): boolean {
  return /^application\/im-iscomposing\+xml\b/i.test(contentType);
}

/** What of a user's record decides on messages to him. */
export type Recipient = Pick<Profile, 'uid' | 'blocked' | 'buddies' | 'mayBeCalledBy'>;

export function recipientOf({ user: { uid, lists, service } }: Entry): Recipient {
  return { uid, blocked: lists.blocked, buddies: lists.buddies, mayBeCalledBy: service.mayBeCalledBy };
}

/** `blocked`: to be told as if the message was waiting for somebody who is offline. */
export function mayReach(to: Recipient, from: string, mayCallOut: boolean): 'yes' | 'blocked' | 'no' {
  if (to.uid === from) return 'yes';
  if (to.blocked.includes(from)) return 'blocked';
  return mayCallOut && isAmong(to.mayBeCalledBy, to.buddies, from) ? 'yes' : 'no';
}

/** @throws VserverError TOO_LONG, BAD_REQUEST where it is no message. */
export function requireMessage({ id, contentType, body }: { id: string; contentType: string; body: string }): void {
  if (Buffer.byteLength(body) > MESSAGE_BODY_BYTES_MAX) throw new VserverError('TOO_LONG', 'longer than 64 KiB');
  if (!isMessageId(id)) throw new VserverError('BAD_REQUEST', 'not a message id');
  if (!isContentType(contentType)) throw new VserverError('BAD_REQUEST', 'not a media type');
  if (!isMessageText(body)) throw new VserverError('BAD_REQUEST', 'a control character in the message');
}

/** Where the sender says nothing (RFC 3428 7). */
export const DEFAULT_CONTENT_TYPE = 'text/plain';

/** For a sender that names none: 22 characters. */
export function newMessageId(random: Random): string {
  return random.bytes(16).toString('base64url');
}

/** @throws VserverError NO_SUCH_USER, REFUSED, MAILBOX_FULL, UNREACHABLE where it was not sent. */
export function requireSent(sent: Sent): 'delivered' | 'stored' {
  switch (sent) {
    case 'delivered':
    case 'stored':
      return sent;
    case 'unknown-user':
      throw new VserverError('NO_SUCH_USER');
    case 'refused':
      throw new VserverError('REFUSED');
    case 'full':
      throw new VserverError('MAILBOX_FULL');
    case 'unreachable':
      throw new VserverError('UNREACHABLE');
  }
}
