/**
 * Datagrams by recvmmsg and sendmmsg, many a system call (docs/decisions/0008-batched-datagrams.md).
 * Node's event loop tells that something waits: a `dgram` socket has the same descriptor and reads the first datagram.
 */
import type { Socket } from 'node:dgram';
import { isIP, isIPv6 } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { formatAddress } from './address.ts';
import type { Arena, ReadName } from './batch-arena.ts';
import { BATCH, createArena, createNameReader, nameBytes, writeName } from './batch-arena.ts';
import type { BatchCalls } from './batch-calls.ts';
import { EAGAIN, EINTR } from './batch-calls.ts';
import { Incoming } from './batch-incoming.ts';
import { createOutgoing } from './batch-outgoing.ts';
import { DATAGRAM_BYTES_MAX, addressOf, closeSocket, createNumericSocket, dgramHost, prepareSocket } from './dgram.ts';
import type { Address } from './model.ts';
import type { ComingHandler, DatagramHandler, Datagrams, DatagramSocket, Log } from './ports.ts';

/** What all sockets use: they receive one after the other. */
interface Shared {
  readonly calls: BatchCalls;
  readonly log: Log;
  readonly arena: Arena;
  readonly readName: ReadName;
}

/** `plain` binds what is no bare numeric address. */
export function batchDatagrams(calls: BatchCalls, plain: Datagrams, log: Log): Datagrams {
  let shared: Shared | undefined;
  return {
    async bind(at, onDatagram, onComing) {
      // Names are refused there; the zone of an IPv6 address is a matter of interfaces.
      if (isIP(at.host) === 0 || at.host.includes('%')) return plain.bind(at, onDatagram);
      shared ??= { calls, log, arena: receivingArena(calls), readName: createNameReader() };
      return openSocket(shared, at, onDatagram, onComing);
    },
  };
}

function receivingArena(calls: BatchCalls): Arena {
  const arena = createArena(calls);
  for (let slot = 0; slot < BATCH; slot++) arena.setLength(slot, DATAGRAM_BYTES_MAX);
  return arena;
}

function openSocket(
  shared: Shared,
  at: Address,
  onDatagram: DatagramHandler,
  onComing: ComingHandler | undefined,
): DatagramSocket {
  const { calls, log } = shared;
  const six = isIPv6(at.host);
  const fd = bindDescriptor(calls, at, six);
  const socket = adoptDescriptor(calls, fd, six);
  prepareSocket(socket, log);

  let isOpen = true;
  let isFlushDue = false;
  const outgoing = createOutgoing({
    ...shared,
    fd,
    six,
    sendWithRoom: (bytes, to, done) => {
      socket.send(bytes, to.port, dgramHost(to.host, six), () => {
        if (isOpen) done();
      });
    },
  });
  const incoming = new Incoming({
    ...shared,
    ...{ six, onDatagram, onComing },
    receive: (headers) => {
      const count = calls.receive(fd, headers, BATCH);
      if (count < 0 && count !== -EAGAIN && count !== -EINTR)
        log.warn({ err: failure('recvmmsg', count) }, 'datagram socket error');
      return count;
    },
    flush: () => {
      outgoing.flush();
    },
  });
  socket.on('message', (bytes, peer) => {
    incoming.heard(bytes, addressOf(peer));
  });

  return {
    local: addressOf(socket.address()),
    send(bytes, to) {
      if (!isOpen) return;
      if (to === incoming.source) outgoing.addReply(bytes, incoming.names, incoming.slot);
      else outgoing.add(bytes, to);
      if (incoming.isDelivering || isFlushDue) return;
      isFlushDue = true;
      // What this turn sends besides, for example to many who wait for one answer, goes with it.
      process.nextTick(() => {
        isFlushDue = false;
        outgoing.flush();
      });
    },
    close() {
      if (isOpen) outgoing.flush();
      isOpen = false;
      incoming.close();
      return closeSocket(socket);
    },
  };
}

/** A bound descriptor, as dgram makes it. Throws as its bind rejects. */
function bindDescriptor(calls: BatchCalls, at: Address, six: boolean): number {
  const fd = calls.socket(six);
  if (fd < 0) throw failure('socket', fd);
  const name = new Int32Array(8);
  writeName(name, 0, at, six);
  const bound = calls.bind(fd, new Uint8Array(name.buffer, 0, nameBytes(six)));
  if (bound === 0) return fd;
  calls.close(fd);
  throw Object.assign(failure(`bind`, bound, ` ${formatAddress(at)}`), { address: at.host, port: at.port });
}

/** The socket of Node's event loop, which closes the descriptor from now on. */
function adoptDescriptor(calls: BatchCalls, fd: number, six: boolean): Socket {
  const socket = createNumericSocket(six);
  try {
    socket.bind({ fd, exclusive: true });
  } catch (error) {
    calls.close(fd);
    throw error;
  }
  // libuv has just allowed others to bind the port as well.
  calls.refuseReuse(fd);
  return socket;
}

/** As Node's own: `code` and `syscall` tell what went wrong. */
function failure(syscall: string, errno: number, detail = ''): Error {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${syscall} ${code}${detail}`), { code, errno, syscall });
}
