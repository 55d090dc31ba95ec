/** The way out: no reply longer than its request to an unverified source, long replies in Parts. */
import type { Address } from '../base/model.ts';
import type { DatagramSocket } from '../base/ports.ts';
import { encode } from './encode.ts';
import { slice } from './parts.ts';

/** What came in, as far as the answer needs it. */
export interface Inbound {
  readonly socket: DatagramSocket;
  readonly from: Address;
  readonly id: string;
  /** Length of the datagram. */
  readonly length: number;
}

/** To a source that is not verified: the reply where it fits, else `Error 413` where that fits, else nothing. */
export function sendUnverified(to: Inbound, reply: Uint8Array): void {
  if (reply.length <= to.length) {
    to.socket.send(reply, to.from);
    return;
  }
  const tooLong = encode('Error', '413', to.id);
  if (tooLong.length <= to.length) to.socket.send(tooLong, to.from);
}

/** An error, with its reason where that fits and bare where only that does. */
export function sendError(to: Inbound, status: number, reason: string, retryAfter?: number): void {
  const headers = { 'retry-after': retryAfter };
  const whole = encode('Error', `${status} ${reason}`, to.id, headers);
  if (whole.length <= to.length) to.socket.send(whole, to.from);
  else sendUnverified(to, encode('Error', String(status), to.id));
}

/** To the verified address of a session; false where the message needs more Parts than allowed. */
export function sendVerified(to: Inbound, reply: Buffer): boolean {
  const datagrams = slice(to.id, reply);
  for (const datagram of datagrams ?? []) to.socket.send(datagram, to.from);
  return datagrams !== null;
}
