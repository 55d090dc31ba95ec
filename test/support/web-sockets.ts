/** WebSockets in memory: the real ws at both ends, with a pipe instead of a network between them. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { Address } from '../../src/base/model.ts';
import type { OnUpgrade } from '../../src/sip/transport-ws.ts';

/** The server sees it come from this address. Rejects where it is refused. */
export async function memoryWebSocket(onUpgrade: OnUpgrade, from: Address, path = '/sip'): Promise<WebSocket> {
  const client = new End();
  const server = new End();
  [client.other, server.other] = [server, client];
  // The server is never bound: it is given its end of the pipe as if it had come from a listener.
  const http = createServer().on('upgrade', onUpgrade);
  http.emit('connection', Object.assign(server, { remoteAddress: from.host, remotePort: from.port }));
  const socket = new WebSocket(`ws://vserver${path}`, 'sip', { createConnection: () => client as unknown as Socket });
  socket.on('error', () => undefined);
  await once(socket, 'open');
  return socket;
}

/** What is written at one end comes out of the other. */
class End extends Duplex {
  other: End | null = null;

  override _read(): void {
    // The other end pushes.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // As over a network, not before send() has returned.
    queueMicrotask(() => {
      this.other?.push(chunk);
      done();
    });
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.other?.destroyed === false) this.other.push(null);
    done(error);
  }
}
