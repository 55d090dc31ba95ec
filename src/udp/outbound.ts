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

/** What an `Error` says. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
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

/** An error, with its reason where that fits, without it where only that does, at last bare; else nothing. */
export function sendError(to: Inbound, { status, reason, retryAfter }: Refusal): void {
  const headers = { 'retry-after': retryAfter };
  const bytes = [
    encode('Error', `${status} ${reason}`, to.id, headers),
    encode('Error', String(status), to.id, headers),
    encode('Error', String(status), to.id),
  ].find((one) => one.length <= to.length);
  if (bytes !== undefined) to.socket.send(bytes, to.from);
}

/** To the verified address of a session; false where the message needs more Parts than allowed. */
export function sendVerified(to: Inbound, reply: Buffer): boolean {
  const datagrams = slice(to.id, reply);
  for (const datagram of datagrams ?? []) to.socket.send(datagram, to.from);
  return datagrams !== null;
}
