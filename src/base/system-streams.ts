/** TCP and TLS listeners on real sockets; errors of a connection close it and never end the process. */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Server as TlsServer } from 'node:tls';
import { canonicalHost } from './address.ts';
import type { Address } from './model.ts';
import type { Log, Pem, StreamAccept, StreamConnection, StreamHandlers, StreamListener, Streams } from './ports.ts';

const HANDSHAKE_MS_MAX = 10_000;

export function systemStreams(log: Log): Streams {
  return { listen: (at, pem, accept) => listen(at, pem, accept, log) };
}

async function listen(at: Address, pem: Pem | null, accept: StreamAccept, log: Log): Promise<StreamListener> {
  const open = new Map<string, Connection>();
  const tls = pem === null ? null : tlsServer(pem, open);
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = admit(socket, accept, open);
    if (connection === null) return;
    if (tls === null) start(socket, connection);
    else tls.emit('connection', socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: at.host, port: at.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => {
    log.warn({ err: error }, 'stream listener error');
  });
  const bound = server.address() as AddressInfo;
  return {
    local: { host: canonicalHost(bound.address), port: bound.port },
    renew: (fresh) => tls?.setSecureContext(fresh),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        for (const { socket } of open.values()) socket.destroy();
      }),
  };
}

interface Connection {
  /** Of TCP, below TLS. */
  readonly socket: Socket;
  readonly handlers: StreamHandlers;
}

/** Asked before TLS, so that connections which never finish their handshake count as well. */
function admit(socket: Socket, accept: StreamAccept, open: Map<string, Connection>): Connection | null {
  const { remoteAddress, remotePort } = socket;
  socket.on('error', ignore);
  const handlers =
    remoteAddress === undefined || remotePort === undefined
      ? null
      : accept({ host: canonicalHost(remoteAddress), port: remotePort });
  if (handlers === null) {
    socket.destroy();
    return null;
  }
  const connection = { socket, handlers };
  const name = nameOf(socket);
  open.set(name, connection);
  socket.once('close', () => {
    open.delete(name);
    handlers.onClosed();
  });
  return connection;
}

/** Both ends of the connection below know the TLS socket by it. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''} ${remotePort ?? 0}`;
}

/** Doesn't listen by itself: it is given the connections that were admitted. */
function tlsServer(pem: Pem, open: ReadonlyMap<string, Connection>): TlsServer {
  const server = createTlsServer({ ...pem, minVersion: 'TLSv1.2', handshakeTimeout: HANDSHAKE_MS_MAX });
  server.on('secureConnection', (socket) => {
    const connection = open.get(nameOf(socket));
    if (connection === undefined) socket.destroy();
    else start(socket, connection);
  });
  server.on('tlsClientError', (_error, socket) => {
    socket.destroy();
  });
  return server;
}

/** `socket`: of TCP or TLS, ready to be written to. */
function start(socket: Socket, { handlers }: Connection): void {
  const local = { host: canonicalHost(socket.localAddress ?? '0.0.0.0'), port: socket.localPort ?? 0 };
  const connection: StreamConnection = {
    get buffered() {
      return socket.writableLength;
    },
    write(bytes) {
      if (socket.writable) socket.write(bytes);
    },
    end: () => {
      socket.destroySoon();
    },
    destroy: () => void socket.destroy(),
  };
  socket.on('error', ignore);
  handlers.onOpen(connection, local);
  socket.on('data', (bytes: Buffer) => {
    handlers.onBytes(bytes);
  });
}

/** 'close' follows each 'error'. */
function ignore(): void {
  // nothing to do
}
