/** The reference of datagrams: what Node's dgram can do at all. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { answer } from './talk.ts';

const socket = createSocket('udp4');
socket.on('message', (bytes, from) => {
  socket.send(bytes, from.port, from.address);
});
socket.bind(0, '127.0.0.1');
await once(socket, 'listening');
socket.setRecvBufferSize(4 * 1024 * 1024);
answer({ port: () => socket.address().port });
