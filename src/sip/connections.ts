/** The open connections of TCP, TLS and WebSocket: how many a source may have, how long they may be idle or slow. */
import { ADDRESS_BYTES, writeAddress } from '../base/address.ts';
import type { Address } from '../base/model.ts';
import type { Clock, StreamConnection, Timers } from '../base/ports.ts';
import type { Flow, FlowHandlers, Transport } from './flow.ts';

export interface ConnectionLimits {
  readonly connections: number;
  /** Of one IPv4 address or one IPv6 /64, behind which a whole office may be. */
  readonly connectionsOfSource: number;
  /** Without any byte from the other end; more than the time between two registrations. */
  readonly idleMs: number;
  /** From the first byte of a message to its last. */
  readonly messageMs: number;
  /** Bytes that wait for a slow reader. */
  readonly writeBytes: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  connections: 20_000,
  connectionsOfSource: 1_024,
  idleMs: 600_000,
  messageMs: 10_000,
  writeBytes: 256 * 1024,
};

const SWEEP_MS = 1_000;
/** A connection that is to be closed may take so long to send what waits. */
const END_MS_MAX = 5_000;

export interface Connections {
  /** Counts a connection of this host; false = one too many. Each true needs one release(). */
  admit(host: string): boolean;
  release(host: string): void;
  /** An admitted connection is ready. */
  open(transport: Transport, remote: Address, local: Address, pipe: StreamConnection): ConnectionFlow;
  /** It has ended. */
  closed(flow: ConnectionFlow): void;
  find(id: string): Flow | undefined;
  readonly count: number;
  /** Ends all at once, and admits no more. */
  close(): void;
}

export interface ConnectionsOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly handlers: FlowHandlers;
  readonly limits: ConnectionLimits;
}

export function createConnections({ clock, timers, handlers, limits }: ConnectionsOptions): Connections {
  const flows = new Map<string, ConnectionFlow>();
  const perSource = new Map<string, number>();
  let admitted = 0;
  let lastId = 0;
  let isClosed = false;

  const sweeping = timers.every(SWEEP_MS, () => {
    const nowMs = clock.now();
    for (const flow of flows.values()) flow.sweep(nowMs);
  });

  return {
    admit(host) {
      const source = sourceOf(host);
      const count = perSource.get(source) ?? 0;
      if (isClosed || admitted >= limits.connections || count >= limits.connectionsOfSource) return false;
      admitted++;
      perSource.set(source, count + 1);
      return true;
    },
    release(host) {
      const source = sourceOf(host);
      const count = perSource.get(source) ?? 0;
      admitted--;
      if (count > 1) perSource.set(source, count - 1);
      else perSource.delete(source);
    },
    open(transport, remote, local, pipe) {
      const flow = new ConnectionFlow({
        transport,
        remote,
        local,
        id: `${transport} ${++lastId}`,
        pipe,
        clock,
        limits,
      });
      flows.set(flow.id, flow);
      return flow;
    },
    closed(flow) {
      flow.markClosed();
      if (flows.delete(flow.id)) handlers.onClosed(flow);
    },
    find: (id) => flows.get(id),
    get count() {
      return admitted;
    },
    close() {
      isClosed = true;
      sweeping.cancel();
      for (const flow of flows.values()) flow.destroy();
    },
  };
}

interface FlowParts {
  readonly transport: Transport;
  readonly remote: Address;
  readonly local: Address;
  readonly id: string;
  readonly pipe: StreamConnection;
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
}

export class ConnectionFlow implements Flow {
  readonly transport: Transport;
  readonly remote: Address;
  readonly local: Address;
  readonly id: string;
  readonly isReliable = true;
  readonly #parts: FlowParts;
  #state: 'open' | 'ending' | 'closed' = 'open';
  #heardAtMs: number;
  #endingAtMs = 0;
  /** When the message began that has not ended; null where there is none. */
  #halfSinceMs: number | null = null;

  constructor(parts: FlowParts) {
    this.#parts = parts;
    this.transport = parts.transport;
    this.remote = parts.remote;
    this.local = parts.local;
    this.id = parts.id;
    this.#heardAtMs = parts.clock.now();
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  send(bytes: Uint8Array): void {
    if (this.#state !== 'open') return;
    const { pipe, limits } = this.#parts;
    if (pipe.buffered + bytes.length > limits.writeBytes) this.destroy();
    else pipe.write(bytes);
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#endingAtMs = this.#parts.clock.now();
    this.#parts.pipe.end();
  }

  destroy(): void {
    if (this.#state === 'open') this.#state = 'ending';
    this.#parts.pipe.destroy();
  }

  /** Bytes came. `half`: a message has begun and not ended; `isAnother`: not the one of the last time. */
  heard(half = false, isAnother = false): void {
    this.#heardAtMs = this.#parts.clock.now();
    if (!half) this.#halfSinceMs = null;
    else if (isAnother || this.#halfSinceMs === null) this.#halfSinceMs = this.#heardAtMs;
  }

  markClosed(): void {
    this.#state = 'closed';
  }

  /** Ends what is idle or slow. */
  sweep(nowMs: number): void {
    const { idleMs, messageMs } = this.#parts.limits;
    if (this.#state === 'ending') {
      if (nowMs - this.#endingAtMs >= END_MS_MAX) this.destroy();
    } else if (this.#halfSinceMs !== null && nowMs - this.#halfSinceMs >= messageMs) this.destroy();
    else if (nowMs - this.#heardAtMs >= idleMs) this.close();
  }
}

/** An IPv4 address, or the first half of an IPv6 one, which is what one site is given. */
function sourceOf(host: string): string {
  if (!host.includes(':')) return host;
  const bytes = Buffer.alloc(ADDRESS_BYTES);
  writeAddress(bytes, 0, { host, port: 0 });
  return bytes.toString('hex', 0, 8);
}
