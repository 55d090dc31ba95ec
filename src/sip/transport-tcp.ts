/** SIP over TCP and TLS (RFC 3261 18), with the keep-alive of RFC 5626 4.4.1. */
import type { Address } from '../base/model.ts';
import type { Pem, StreamAccept, StreamHandlers, StreamListener, Streams } from '../base/ports.ts';
import type { ConnectionFlow, Connections } from './connections.ts';
import type { FlowHandlers } from './flow.ts';
import { StreamFraming } from './framing.ts';

export const CRLF = Buffer.from('\r\n');

/** TLS where `pem` is given. Rejects as Streams.listen does. */
export function openTcp(
  streams: Streams,
  at: Address,
  pem: Pem | null,
  connections: Connections,
  handlers: FlowHandlers,
): Promise<StreamListener> {
  const accept: StreamAccept = (remote) =>
    connections.admit(remote.host) ? streamHandlers(pem === null ? 'tcp' : 'tls', remote, connections, handlers) : null;
  return streams.listen(at, pem, accept);
}

function streamHandlers(
  transport: 'tcp' | 'tls',
  remote: Address,
  connections: Connections,
  handlers: FlowHandlers,
): StreamHandlers {
  let opened: { flow: ConnectionFlow; framing: StreamFraming } | undefined;
  return {
    onOpen(connection, local) {
      const flow = connections.open(transport, remote, local, connection);
      const framing = new StreamFraming({
        onMessage: (bytes) => {
          handlers.onMessage(bytes, flow);
        },
        onPing: () => {
          flow.send(CRLF);
        },
        isOpen: () => flow.isOpen,
      });
      opened = { flow, framing };
    },
    onBytes(bytes) {
      if (opened === undefined) return;
      const { flow, framing } = opened;
      const before = framing.messages;
      // What could be read of a faulty message was answered; behind it nobody knows where the next one begins.
      if (!framing.push(bytes)) flow.close();
      flow.heard(framing.isHalf, framing.messages !== before);
    },
    onClosed() {
      connections.release(remote.host);
      if (opened !== undefined) connections.closed(opened.flow);
    },
  };
}
