/** SIP over UDP, with STUN on the same port (RFC 5626 4.4.2). */
import { formatAddress } from '../base/address.ts';
import type { Address } from '../base/model.ts';
import type { Datagrams, DatagramSocket } from '../base/ports.ts';
import { answerStun, isStun } from '../base/stun.ts';
import type { Flow, FlowHandlers } from './flow.ts';
import { isOnlyLineEnds } from './framing.ts';

export interface UdpTransport {
  readonly local: Address;
  /** The flow to this address, whether anything came from there or not. */
  flowTo(remote: Address): Flow;
  close(): Promise<void>;
}

/** Rejects as Datagrams.bind does. */
export async function openUdp(datagrams: Datagrams, at: Address, handlers: FlowHandlers): Promise<UdpTransport> {
  const bound: DatagramSocket = await datagrams.bind(at, (bytes, from) => {
    if (isStun(bytes)) {
      const answer = handlers.admitStun(from) ? answerStun(bytes, from) : null;
      if (answer !== null) socket.send(answer, from);
    } else if (!isOnlyLineEnds(bytes)) handlers.onMessage(bytes, new UdpFlow(socket, from));
  });
  let isOpen = true;
  const socket: DatagramSocket = {
    local: bound.local,
    send(bytes, to) {
      // Transactions and registrations may outlive the socket.
      if (isOpen) bound.send(bytes, to);
    },
    close() {
      isOpen = false;
      return bound.close();
    },
  };
  return { local: socket.local, flowTo: (remote) => new UdpFlow(socket, remote), close: () => socket.close() };
}

/** One a datagram: small, and its id is only made where it is asked for. */
class UdpFlow implements Flow {
  readonly transport = 'udp';
  readonly isReliable = false;
  readonly remote: Address;
  readonly #socket: DatagramSocket;

  constructor(socket: DatagramSocket, remote: Address) {
    this.#socket = socket;
    this.remote = remote;
  }

  get local(): Address {
    return this.#socket.local;
  }

  get id(): string {
    return `udp ${formatAddress(this.local)} ${formatAddress(this.remote)}`;
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, this.remote);
  }

  close(): void {
    // There is no connection.
  }
}
