/** All transports of a node under one roof: flows bring messages, and answers go back on them. */
import type { IncomingMessage } from 'node:http';
import type { Address } from '../base/model.ts';
import type { Clock, Datagrams, Pem, Streams, Timers } from '../base/ports.ts';
import { CONNECTION_LIMITS, createConnections } from './connections.ts';
import type { ConnectionLimits } from './connections.ts';
import type { Flow, FlowHandlers } from './flow.ts';
import { openTcp } from './transport-tcp.ts';
import { openUdp } from './transport-udp.ts';
import { createWs } from './transport-ws.ts';
import type { OnUpgrade } from './transport-ws.ts';

export interface TransportsOptions {
  readonly datagrams: Datagrams;
  readonly streams: Streams;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Of UDP and TCP; port 0 = one that is free for UDP, which TCP then takes too. */
  readonly at: Address;
  /** null: no TLS. */
  readonly tls: { readonly at: Address; readonly pem: Pem } | null;
  /** The client's address behind a WebSocket, which a trusted proxy may have told. */
  readonly hostOf: (request: IncomingMessage) => string;
  readonly handlers: FlowHandlers;
  readonly limits?: ConnectionLimits;
}

export interface Transports {
  readonly udp: Address;
  readonly tcp: Address;
  readonly tls: Address | null;
  /** For `upgrade` of the HTTP server. */
  readonly onUpgrade: OnUpgrade;
  /** The UDP flow to this address. */
  flowTo(remote: Address): Flow;
  /** The open connection with this id. */
  findConnection(id: string): Flow | undefined;
  /** Connections that are open or in their handshake. */
  readonly connections: number;
  /** New TLS connections get this certificate. */
  renew(pem: Pem): void;
  /** Ends all connections, WebSockets too; to be called before the HTTP server closes. */
  close(): Promise<void>;
}

/** A free port of UDP may be taken of TCP: then another one is tried. */
const FREE_PORT_TRIES = 10;

/** Rejects with the system's error where an address is taken or not ours; what was open by then is closed. */
export async function openTransports(options: TransportsOptions): Promise<Transports> {
  for (let tries = 1; ; tries++) {
    try {
      return await openOnce(options);
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (options.at.port !== 0 || !isTaken || tries === FREE_PORT_TRIES) throw error;
    }
  }
}

async function openOnce(options: TransportsOptions): Promise<Transports> {
  const { datagrams, streams, at, tls, handlers } = options;
  const connections = createConnections({ ...options, limits: options.limits ?? CONNECTION_LIMITS });
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    connections.close();
    for (const one of closers.reverse()) await one();
  };
  try {
    const udp = await openUdp(datagrams, at, handlers);
    closers.push(() => udp.close());
    const tcp = await openTcp(streams, { host: at.host, port: udp.local.port }, null, connections, handlers);
    closers.push(() => tcp.close());
    const secure = tls === null ? null : await openTcp(streams, tls.at, tls.pem, connections, handlers);
    if (secure !== null) closers.push(() => secure.close());
    return {
      udp: udp.local,
      tcp: tcp.local,
      tls: secure?.local ?? null,
      onUpgrade: createWs(options.hostOf, connections, handlers),
      flowTo: (remote) => udp.flowTo(remote),
      findConnection: (id) => connections.find(id),
      get connections() {
        return connections.count;
      },
      renew: (pem) => secure?.renew(pem),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
