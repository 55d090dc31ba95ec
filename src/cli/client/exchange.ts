/**
 * Requests and replies over one UDP socket: repeats with growing pauses (the same bytes under the same id, so that
 * nothing is executed twice), Parts joined, and whatever nobody waits for handed on or dropped.
 */
import { formatAddress, sameAddress } from '../../base/address.ts';
import type { Address } from '../../base/model.ts';
import type { Datagrams, DatagramSocket, Timer, Timers } from '../../base/ports.ts';
import { decodeReply } from '../../udp/client-message.ts';
import type { Reply } from '../../udp/client-message.ts';
import { createPartJoiner } from '../../udp/parts.ts';

/** What came, and the bytes that its mac was made over. */
export interface Received {
  readonly reply: Reply;
  readonly bytes: Buffer;
  readonly from: Address;
}

export interface Exchange {
  readonly local: Address;
  /** Sends until a reply with this id comes from `to` that `accept` believes; undefined after the last pause. */
  ask(
    to: Address,
    id: string,
    bytes: Buffer,
    accept: (received: Received) => boolean,
    pausesMs?: readonly number[],
  ): Promise<Received | undefined>;
  /** Once, without waiting for anything. */
  send(to: Address, bytes: Buffer): void;
  close(): Promise<void>;
}

export interface ExchangeOptions {
  readonly datagrams: Datagrams;
  readonly timers: Timers;
  /** The address to bind, port 0 for any. */
  readonly at: Address;
  /** What the server sends on its own: its id begins with `s`. */
  readonly onRequest: (received: Received) => void;
}

/** Pauses before each repeat; the last one ends the waiting. */
const PAUSES_MS = [500, 1_000, 2_000, 4_000];
/** Requests that wait for a reply at the same time. */
const WAITING_MAX = 64;

interface Waiting {
  readonly to: Address;
  readonly accept: (received: Received) => boolean;
  readonly done: (received: Received | undefined) => void;
}

export async function openExchange({ datagrams, timers, at, onRequest }: ExchangeOptions): Promise<Exchange> {
  const waiting = new Map<string, Waiting>();
  const joiner = createPartJoiner();

  const onDatagram = (datagram: Buffer, from: Address): void => {
    let bytes = datagram;
    let reply = decodeReply(bytes);
    if (reply === null) {
      const joined = joiner.add(datagram);
      if (joined === null) return;
      bytes = joined;
      reply = decodeReply(bytes);
    }
    if (reply === null) return;
    const received = { reply, bytes, from };
    const asked = waiting.get(reply.id);
    if (asked !== undefined) {
      // Anybody can send a datagram: only the one who was asked may answer.
      if (sameAddress(asked.to, from) && asked.accept(received)) asked.done(received);
    } else if (reply.id.startsWith('s')) onRequest(received);
  };
  const socket: DatagramSocket = await datagrams.bind(at, onDatagram);

  return {
    local: socket.local,
    ask(to, id, bytes, accept, pausesMs = PAUSES_MS) {
      if (waiting.size >= WAITING_MAX)
        throw new Error(`more than ${WAITING_MAX} requests wait for ${formatAddress(to)}`);
      return new Promise((resolve) => {
        let timer: Timer | undefined;
        const done = (received: Received | undefined): void => {
          timer?.cancel();
          waiting.delete(id);
          resolve(received);
        };
        waiting.set(id, { to, accept, done });
        const attempt = (tries: number): void => {
          const pauseMs = pausesMs[tries];
          if (pauseMs === undefined) {
            done(undefined);
            return;
          }
          timer = timers.after(pauseMs, () => {
            attempt(tries + 1);
          });
          socket.send(bytes, to);
        };
        attempt(0);
      });
    },
    send: (to, bytes) => {
      socket.send(bytes, to);
    },
    close: () => {
      for (const one of waiting.values()) one.done(undefined);
      return socket.close();
    },
  };
}
