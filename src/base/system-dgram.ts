/**
 * Plain datagrams by Node's dgram: one system call each, on every system.
 *
 * What one turn of the event loop receives (at most 32 datagrams a socket) is handled together, and then answered together.
 * The system's code, Node's and ours are then each in the processor's caches while they run, and who waits for the answers
 * is woken once: docs/decisions/0008-batched-datagrams.md has the figures.
 */
import type { RemoteInfo } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { addressOf, closeSocket, createNumericSocket, DATAGRAM_BYTES_MAX, prepareSocket, rethrow } from './dgram.ts';
import type { Address } from './model.ts';
import { createPlainOutgoing } from './plain-outgoing.ts';
import type { DatagramHandler, Datagrams, DatagramSocket, Log } from './ports.ts';

export function systemDatagrams(log: Log): Datagrams {
  return { bind: (at, onDatagram) => bindDatagrams(at, onDatagram, log) };
}

async function bindDatagrams(at: Address, onDatagram: DatagramHandler, log: Log): Promise<DatagramSocket> {
  const six = isIPv6(at.host);
  const socket = createNumericSocket(six);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(at.port, at.host, () => {
      socket.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    socket.close();
    throw error;
  });
  prepareSocket(socket, log);

  let isOpen = true;
  let isHandling = false;
  const received: Buffer[] = [];
  const peers: RemoteInfo[] = [];
  const outgoing = createPlainOutgoing(socket, six);

  const handle = (bytes: Buffer, i: number): void => {
    const peer = peers[i];
    // The handler of the one before may have closed it.
    if (!isOpen || peer === undefined) return;
    try {
      onDatagram(bytes, addressOf(peer));
    } catch (error) {
      // As dgram does: it ends the process, or whoever catches it there goes on with the next datagram.
      process.nextTick(rethrow, error);
    }
  };
  socket.on('message', (bytes, peer) => {
    peers.push(peer);
    if (received.push(bytes) > 1) return;
    setImmediate(() => {
      isHandling = true;
      received.forEach(handle);
      isHandling = false;
      received.length = peers.length = 0;
      if (isOpen) outgoing.flush();
    });
  });
  return {
    local: addressOf(socket.address()),
    send(bytes, to) {
      // An answer that comes when the node has stopped is too late: what dgram throws then would end the process,
      // and so would port 0.
      if (!isOpen || to.port === 0 || bytes.length > DATAGRAM_BYTES_MAX) return;
      outgoing.add(bytes, to);
      if (!isHandling) outgoing.flush();
    },
    close() {
      if (isOpen) outgoing.flush();
      isOpen = false;
      return closeSocket(socket);
    },
  };
}
