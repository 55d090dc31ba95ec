/**
 * Datagrams by recvmmsg and sendmmsg, many a system call (docs/decisions/0008-batched-datagrams.md).
 * Node's event loop tells that something waits.
 */
import { isIP, isIPv6 } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { formatAddress } from './address.ts';
import type { Arena, ReadName } from './batch-arena.ts';
import { BATCH, createArena, createNameReader, NAME_WORDS, nameBytes, writeName } from './batch-arena.ts';
import type { BatchCalls } from './batch-calls.ts';
import { EAGAIN, EINTR } from './batch-calls.ts';
import { Incoming } from './batch-incoming.ts';
import { createOutgoing } from './batch-outgoing.ts';
import { DATAGRAM_BYTES_MAX, RECEIVE_BUFFER_BYTES } from './dgram.ts';
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
  const { calls, log, arena, readName } = shared;
  const six = isIPv6(at.host);
  const { fd, local } = bindDescriptor(shared, at, six);

  let isOpen = true;
  let isFlushDue = false;
  const outgoing = createOutgoing({
    ...{ calls, fd, six },
    awaitRoom: () => {
      watch.awaitRoom(true);
    },
  });
  let told = 0;
  const incoming = new Incoming({
    ...{ arena, readName, onDatagram, onComing },
    receive: (headers) => {
      const count = calls.receive(fd, headers, BATCH);
      const error = count < 0 && count !== -EAGAIN && count !== -EINTR ? count : 0;
      // One that stays comes again in each turn.
      if (error !== 0 && error !== told) log.warn({ err: failure('recvmmsg', error) }, 'datagram socket error');
      told = error;
      return count;
    },
    flush: () => {
      outgoing.flush();
    },
  });
  const watch = calls.watch(fd, (hasRoom) => {
    if (hasRoom) {
      watch.awaitRoom(false);
      outgoing.hasRoom();
    }
    incoming.ready();
  });

  return {
    local,
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
      if (isOpen) {
        outgoing.flush();
        isOpen = false;
        incoming.close();
        watch.close();
        calls.close(fd);
      }
      return Promise.resolve();
    },
  };
}

/** A bound descriptor, and where it is bound. Throws as the bind of dgram rejects. */
function bindDescriptor({ calls, readName }: Shared, at: Address, six: boolean): { fd: number; local: Address } {
  const fd = calls.socket(six);
  if (fd < 0) throw failure('socket', fd);
  // Where the system allows less, fewer datagrams survive a burst; nothing else changes.
  calls.receiveBuffer(fd, RECEIVE_BUFFER_BYTES);
  const name = new Int32Array(NAME_WORDS);
  const bytes = new Uint8Array(name.buffer, 0, nameBytes(six));
  writeName(name, 0, at, six);
  const bound = calls.bind(fd, bytes);
  if (bound === 0) {
    calls.localName(fd, bytes);
    return { fd, local: readName(name, 0) };
  }
  calls.close(fd);
  throw Object.assign(failure(`bind`, bound, ` ${formatAddress(at)}`), { address: at.host, port: at.port });
}

/** As Node's own: `code` and `syscall` tell what went wrong. */
function failure(syscall: string, errno: number, detail = ''): Error {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${syscall} ${code}${detail}`), { code, errno, syscall });
}
