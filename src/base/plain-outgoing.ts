/**
 * What waits to be sent over one socket of Node's dgram: copied into one room, and sent together.
 */
import type { Socket } from 'node:dgram';
import { dgramHost } from './dgram.ts';
import type { Address } from './model.ts';

/** Room for what waits to be sent, and its number: then it goes out before the others are handled. */
const ROOM_BYTES = 4 * 65_536;
const WAITING_MAX = 64;
/** So much may wait in Node for a system that takes no more; what comes then is lost, as on a wire that is full. */
const BEHIND_BYTES_MAX = 4 * 1024 * 1024;

export interface PlainOutgoing {
  /** Copies the bytes: the caller may use them again. At most DATAGRAM_BYTES_MAX of them. */
  add(bytes: Uint8Array, to: Address): void;
  /** Sends what was added. */
  flush(): void;
}

export type OutSocket = Pick<Socket, 'send' | 'getSendQueueCount' | 'getSendQueueSize'>;

export function createPlainOutgoing(socket: OutSocket, six: boolean): PlainOutgoing {
  let room = Buffer.allocUnsafeSlow(ROOM_BYTES);
  /** Where what waits begins and ends. In front of it is what Node has not got rid of yet. */
  let start = 0;
  let used = 0;
  let isBehind = false;
  const targets: Address[] = [];
  const lengths: number[] = [];

  const flush = (): void => {
    targets.forEach((to, i) => {
      const length = lengths[i] ?? 0;
      // A failed send is a lost datagram. Without a callback nobody is told, which saves another turn of the loop.
      if (!isBehind || socket.getSendQueueSize() < BEHIND_BYTES_MAX) {
        socket.send(room, start, length, to.port, dgramHost(to.host, six));
      }
      start += length;
    });
    targets.length = lengths.length = 0;
    isBehind = socket.getSendQueueCount() > 0;
    if (!isBehind) start = used = 0;
  };
  return {
    flush,
    add(bytes, to) {
      if (used + bytes.length > ROOM_BYTES || targets.length === WAITING_MAX) flush();
      if (used + bytes.length > ROOM_BYTES) {
        room = Buffer.allocUnsafeSlow(ROOM_BYTES);
        start = used = 0;
      }
      room.set(bytes, used);
      used += bytes.length;
      targets.push(to);
      lengths.push(bytes.length);
    },
  };
}
