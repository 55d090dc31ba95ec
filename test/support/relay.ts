/** A NAT between a phone and the node. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Address } from '../../src/base/model.ts';

const HOST = '127.0.0.1';

export interface Relay {
  /** Phones send to here. */
  readonly address: Address;
  /** The node sees the phone there. */
  outer(): Address;
  /** As a NAT that lost its table: from now on the node sees another source port. */
  rebind(): Promise<void>;
  close(): Promise<void>;
}

/** A NAT of one phone: datagrams go through a socket of its own to the node and back. */
export async function openRelay(node: Address): Promise<Relay> {
  const inner = await boundSocket();
  let phonePort = 0;
  const openOuter = async (): Promise<Socket> => {
    const socket = await boundSocket();
    socket.on('message', (bytes) => {
      if (phonePort !== 0) inner.send(bytes, phonePort, HOST);
    });
    return socket;
  };
  let outer = await openOuter();
  inner.on('message', (bytes, { port }) => {
    phonePort = port;
    outer.send(bytes, node.port, node.host);
  });
  return {
    address: { host: HOST, port: inner.address().port },
    outer: () => ({ host: HOST, port: outer.address().port }),
    async rebind() {
      const former = outer;
      outer = await openOuter();
      former.close();
    },
    async close() {
      for (const socket of [inner, outer]) {
        socket.close();
        await once(socket, 'close');
      }
    },
  };
}

async function boundSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, HOST);
  await once(socket, 'listening');
  return socket;
}
