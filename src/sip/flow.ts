/** What the layers above know of the transports (RFC 5626: a flow is a connection, or a pair of UDP addresses). */
import type { Address } from '../base/model.ts';
import { parseMessage } from './message.ts';

export type Transport = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';

export interface Flow {
  readonly transport: Transport;
  readonly remote: Address;
  readonly local: Address;
  /** Of a connection: its own, never used again by this node. Of UDP: the same for the same pair of addresses. */
  readonly id: string;
  readonly isReliable: boolean;
  /** One message, whole. Takes the bytes over. On a closed flow, or towards a reader too slow, it is lost. */
  send(bytes: Uint8Array): void;
  /** When what was sent has gone out. Of UDP: nothing to do. */
  close(): void;
}

export interface FlowHandlers {
  /** `bytes` is only valid during the call. */
  onMessage(bytes: Buffer, flow: Flow): void;
  /** A connection has ended, once; never of UDP. */
  onClosed(flow: Flow): void;
  /** Whether this source may have an answer to STUN, which is longer than what it asked: spends one of its requests. */
  admitStun(from: Address): boolean;
}

/** Made once for each transport: they are open when the first request leaves, and stay where they are. */
export function perTransport<T>(make: (flow: Flow) => T): (flow: Flow) => T {
  const made = new Map<Transport, T>();
  return (flow) => {
    const known = made.get(flow.transport);
    if (known !== undefined) return known;
    const one = make(flow);
    made.set(flow.transport, one);
    return one;
  };
}

/** Reads what onMessage() was given; in a stream Content-Length must be there and right (RFC 3261 18.3). */
export function readMessage(bytes: Buffer, flow: Flow): ReturnType<typeof parseMessage> {
  return parseMessage(bytes, { stream: flow.transport === 'tcp' || flow.transport === 'tls', source: flow.remote });
}
