/** SIP over WebSocket (RFC 7118), on the port of the HTTP server: it hands its `upgrade` events over. */
import { isUtf8 } from 'node:buffer';
import { STATUS_CODES } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { canonicalHost } from '../base/address.ts';
import type { StreamConnection } from '../base/ports.ts';
import type { Connections } from './connections.ts';
import type { FlowHandlers } from './flow.ts';
import { kindOfFrame } from './framing.ts';
import { MESSAGE_BYTES_MAX } from './message.ts';
import { CRLF } from './transport-tcp.ts';

export const WS_PATH = '/sip';
const SUBPROTOCOL = 'sip';
const NORMAL_CLOSURE = 1000;

/** What a listener of `upgrade` is given by Node's http.Server. */
export type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** `hostOf`: the client's address, which a trusted proxy may have told. */
export function createWs(
  hostOf: (request: IncomingMessage) => string,
  connections: Connections,
  handlers: FlowHandlers,
): OnUpgrade {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
    handleProtocols: () => SUBPROTOCOL,
  });
  return (request, socket, head) => {
    // Node took its own listener off; an error without one ends the process.
    socket.on('error', ignore);
    const status = refusalOf(request);
    if (status !== null) {
      refuse(socket, status);
      return;
    }
    const host = hostOf(request);
    if (!connections.admit(host)) {
      refuse(socket, 503);
      return;
    }
    socket.once('close', () => {
      connections.release(host);
    });
    server.handleUpgrade(request, socket, head, (webSocket) => {
      serve(webSocket, request, host, connections, handlers);
    });
  };
}

/** The HTTP status for a request that is no handshake of RFC 7118 4.1 at our path; ws itself checks the rest. */
function refusalOf({ url = '', headers }: IncomingMessage): number | null {
  if (url.split('?', 1)[0] !== WS_PATH) return 404;
  if (headers.upgrade?.toLowerCase() !== 'websocket') return 426;
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  return offered.includes(SUBPROTOCOL) ? null : 400;
}

function refuse(socket: Duplex, status: number): void {
  const more = status === 426 ? 'Upgrade: websocket\r\n' : '';
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${more}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}

function serve(
  webSocket: WebSocket,
  { socket }: IncomingMessage,
  host: string,
  connections: Connections,
  handlers: FlowHandlers,
): void {
  const remote = { host, port: socket.remotePort ?? 0 };
  const local = { host: canonicalHost(socket.localAddress ?? '0.0.0.0'), port: socket.localPort ?? 0 };
  const transport = 'encrypted' in socket ? 'wss' : 'ws';
  const flow = connections.open(transport, remote, local, pipeOf(webSocket));
  // 'close' follows; without a listener an oversized frame would end the process.
  webSocket.on('error', ignore);
  webSocket.on('close', () => {
    connections.closed(flow);
  });
  webSocket.on('ping', () => {
    flow.heard();
  });
  webSocket.on('message', (data: Buffer) => {
    flow.heard();
    if (!flow.isOpen) return;
    const kind = kindOfFrame(data);
    if (kind === 'message') handlers.onMessage(data, flow);
    else if (kind === 'ping') flow.send(CRLF);
  });
}

function pipeOf(webSocket: WebSocket): StreamConnection {
  return {
    get buffered() {
      return webSocket.bufferedAmount;
    },
    write(bytes) {
      // RFC 7118 5: text where it is UTF-8. A failed write is followed by 'close'.
      webSocket.send(bytes, { binary: !isUtf8(bytes) }, ignore);
    },
    end: () => {
      webSocket.close(NORMAL_CLOSURE);
    },
    destroy: () => {
      webSocket.terminate();
    },
  };
}

function ignore(): void {
  // nothing to do
}
