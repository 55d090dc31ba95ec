/** Sockets of Node's dgram, as they are used here, and what all sockets for datagrams have in common. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { canonicalHost } from './address.ts';
import type { Address } from './model.ts';
import type { Log } from './ports.ts';

/** No datagram is longer (RFC 768). */
export const DATAGRAM_BYTES_MAX = 65_535;
export const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

/** Addresses are numeric: the system's resolver would cost a turn of the loop a datagram to find that out. */
export function createNumericSocket(six: boolean): Socket {
  return createSocket({
    type: six ? 'udp6' : 'udp4',
    lookup: (host, _options, done) => done(null, host, six ? 6 : 4),
  });
}

/** Of a bound socket: its errors go to the log and never end the process. */
export function prepareSocket(socket: Socket, log: Log): void {
  socket.on('error', (error) => {
    log.warn({ err: error }, 'datagram socket error');
  });
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch (error) {
    // The kernel's own limit stays: fewer datagrams survive a burst, nothing else changes.
    log.debug({ err: error }, 'receive buffer not enlarged');
  }
}

export function addressOf({ address, port }: { readonly address: string; readonly port: number }): Address {
  return { host: canonicalHost(address), port };
}

/** A dual-stack socket knows IPv4 peers by their mapped addresses. */
export function dgramHost(host: string, six: boolean): string {
  return six && !host.includes(':') ? `::ffff:${host}` : host;
}

export function rethrow(error: unknown): never {
  throw error;
}

export function closeSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.close(() => {
      resolve();
    });
  });
}
