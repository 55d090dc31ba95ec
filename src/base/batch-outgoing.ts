/** Datagrams that wait to be sent by one system call, in the order in which they came. */
import { isIP } from 'node:net';
import { BATCH, createArena, nameBytes, writeName } from './batch-arena.ts';
import { EAGAIN, EINTR, ENOBUFS } from './batch-calls.ts';
import type { BatchCalls } from './batch-calls.ts';
import { DATAGRAM_BYTES_MAX } from './dgram.ts';
import type { Address } from './model.ts';

export interface Outgoing {
  /** Copies the bytes. Lost where they can't go there, or where there is no room for them. */
  add(bytes: Uint8Array, to: Address): void;
  /** The same, to a socket address as it was received by the same socket. */
  addReply(bytes: Uint8Array, names: Int32Array, slot: number): void;
  /** Sends what waits. A datagram that the system refuses is lost. */
  flush(): void;
  /** The system took no more, and has room again. Where it takes none all the same, one is lost. */
  hasRoom(): void;
}

export interface OutgoingOptions {
  readonly calls: BatchCalls;
  readonly fd: number;
  /** Whether the socket is one of IPv6. */
  readonly six: boolean;
  /** The system takes no more: hasRoom() is to be called when it may. */
  readonly awaitRoom: () => void;
}

export function createOutgoing({ calls, fd, six, awaitRoom }: OutgoingOptions): Outgoing {
  const arena = createArena(calls);
  const { bytes: memory, names } = arena;
  for (let slot = 0; slot < BATCH; slot++) arena.setNameLength(slot, nameBytes(six));
  /** The slots from `first` to `end` wait. */
  let first = 0;
  let end = 0;
  let isFull = false;

  const flush = (): void => {
    while (!isFull && first < end) {
      const sent = calls.send(fd, arena.headers(first), end - first);
      if (sent > 0) first += sent;
      else if (sent === -EAGAIN || sent === -ENOBUFS || sent === -EINTR) {
        isFull = true;
        awaitRoom();
      } else first++;
    }
    if (first === end) first = end = 0;
  };
  /** Puts the bytes into the next slot; false where there is none. */
  const put = (bytes: Uint8Array): boolean => {
    if (bytes.length > DATAGRAM_BYTES_MAX) return false;
    if (end === BATCH) flush();
    if (end === BATCH) return false;
    memory.set(bytes, arena.dataAt(end));
    arena.setLength(end, bytes.length);
    return true;
  };
  return {
    add(bytes, to) {
      const family = isIP(to.host);
      if (family === 0 || (family === 6 && !six) || to.port === 0 || !put(bytes)) return;
      writeName(names, end++, to, six);
    },
    addReply(bytes, from, slot) {
      if (!put(bytes)) return;
      const source = slot * 8;
      const target = end++ * 8;
      for (let word = 0; word < 7; word++) names[target + word] = from[source + word] ?? 0;
    },
    flush,
    hasRoom() {
      const before = first;
      isFull = false;
      flush();
      // ENOBUFS: the buffer that is short is another one, which nobody can wait for.
      if (first === before && first < end) first++;
    },
  };
}
