import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { systemStreams } from '../../src/base/system-streams.ts';
import { systemDatagrams } from '../../src/base/system-dgram.ts';
import { systemClock, systemTimers } from '../../src/base/system.ts';
import { CONNECTION_LIMITS } from '../../src/sip/connections.ts';
import { readMessage } from '../../src/sip/flow.ts';
import type { Flow } from '../../src/sip/flow.ts';
import { makeResponse } from '../../src/sip/response.ts';
import { openTransports } from '../../src/sip/transports.ts';
import type { Transports } from '../../src/sip/transports.ts';
import { CERTIFICATES } from '../support/certificates.ts';
import { silentLog } from '../support/silent-log.ts';
import { sipRequest } from '../support/sip-messages.ts';

const pem = ({ cert, key }: { cert: string; key: string }) => ({ cert: Buffer.from(cert), key: Buffer.from(key) });
const TEXT = sipRequest('OPTIONS', { transport: 'TCP' });

let transports: Transports;
let http: Server;
let httpPort: number;
let flows: Flow[];
let closings: Flow[];
let onClosing: () => void;

async function start(host: string): Promise<void> {
  flows = [];
  // Of this start: connections of the test before may still end.
  const own: Flow[] = [];
  closings = own;
  onClosing = () => undefined;
  transports = await openTransports({
    datagrams: systemDatagrams(silentLog),
    streams: systemStreams(silentLog),
    clock: systemClock,
    timers: systemTimers,
    at: { host, port: 0 },
    tls: { at: { host, port: 0 }, pem: pem(CERTIFICATES.one) },
    hostOf: (request) => request.socket.remoteAddress ?? '',
    limits: { ...CONNECTION_LIMITS, connectionsOfSource: 3 },
    handlers: {
      admitStun: () => true,
      onMessage(bytes, flow) {
        flows.push(flow);
        const message = readMessage(bytes, flow);
        if (message?.kind === 'request') flow.send(makeResponse(message, 200, 'OK'));
        if (message?.kind === 'problem') flow.send(makeResponse(message, message.status, message.reason));
      },
      onClosed(flow) {
        own.push(flow);
        onClosing();
      },
    },
  });
  http = createServer((_request, response) => response.end('plain'));
  http.on('upgrade', transports.onUpgrade);
  http.listen(0, host);
  await once(http, 'listening');
  httpPort = (http.address() as AddressInfo).port;
}

async function stop(): Promise<void> {
  await transports.close();
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
}

/** Everything up to and with the end of a message's head. */
async function answerOn(socket: Socket): Promise<string> {
  let text = '';
  while (!text.includes('\r\n\r\n')) text += String(((await once(socket, 'data')) as [Buffer])[0]);
  return text;
}

async function closing(count: number): Promise<void> {
  while (closings.length < count) await new Promise<void>((resolve) => (onClosing = resolve));
}

function openSockets(): Promise<number> {
  return new Promise((resolve, reject) => {
    http.getConnections((error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

function open(path: string, protocols: string[] = ['sip']): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${httpPort}${path}`, protocols);
  socket.on('error', () => undefined);
  return socket;
}

describe('over IPv4', () => {
  beforeEach(() => start('127.0.0.1'));
  afterEach(stop);

  it('TCP: answers, pongs, and tells the end', async () => {
    const socket = connect(transports.tcp.port, '127.0.0.1');
    socket.write(TEXT);
    expect(await answerOn(socket)).toMatch(/^SIP\/2\.0 200 OK/);
    socket.write('\r\n\r\n');
    expect(String(((await once(socket, 'data')) as [Buffer])[0])).toBe('\r\n');
    expect(flows[0]).toMatchObject({ transport: 'tcp', local: transports.tcp, remote: { host: '127.0.0.1' } });
    socket.resetAndDestroy();
    await closing(1);
    expect(transports.connections).toBe(0);
  });

  it('TCP: the answer to a faulty message goes out before the connection ends', async () => {
    const socket = connect(transports.tcp.port, '127.0.0.1');
    const ended = once(socket, 'close');
    socket.write(TEXT.replace('Content-Length: 0', 'Content-Length: x'));
    expect(await answerOn(socket)).toMatch(/^SIP\/2\.0 400 /);
    await ended;
  });

  it('TCP: no more connections than a source may have', async () => {
    const sockets = [1, 2, 3].map(() => connect(transports.tcp.port, '127.0.0.1'));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const refused = connect(transports.tcp.port, '127.0.0.1');
    refused.on('error', () => undefined);
    await once(refused, 'close');
    sockets[0]?.write(TEXT);
    expect(await answerOn(sockets[0] as Socket)).toMatch(/200 OK/);
    for (const socket of sockets) socket.destroy();
  });

  it('TLS: answers; a renewed certificate is for new connections', async () => {
    const options = {
      port: transports.tls?.port ?? 0,
      host: '127.0.0.1',
      ca: [CERTIFICATES.one.cert, CERTIFICATES.two.cert],
    };
    const first = connectTls(options);
    await once(first, 'secureConnect');
    first.write(TEXT);
    expect(await answerOn(first)).toMatch(/200 OK/);
    expect(flows[0]?.transport).toBe('tls');
    transports.renew(pem(CERTIFICATES.two));
    const second = connectTls(options);
    await once(second, 'secureConnect');
    expect([first, second].map((socket) => socket.getPeerCertificate().subject.CN)).toEqual(['one', 'two']);
    first.destroy();
    await closing(1);
    second.destroy();
    await closing(2);
    expect(transports.connections).toBe(0);
  });

  it('TLS: whoever speaks no TLS is closed', async () => {
    const socket = connect(transports.tls?.port ?? 0, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(TEXT);
    socket.resume();
    await once(socket, 'close');
    expect(flows).toEqual([]);
  });

  it('WebSocket (RFC 7118): one message a frame, as text; a keep-alive has its answer', async () => {
    const socket = open('/sip');
    await once(socket, 'open');
    expect(socket.protocol).toBe('sip');
    socket.send(TEXT.replace('Content-Length: 0\r\n', ''));
    const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
    expect([String(data).slice(0, 14), isBinary]).toEqual(['SIP/2.0 200 OK', false]);
    socket.send('\r\n\r\n');
    expect(String(((await once(socket, 'message')) as [Buffer])[0])).toBe('\r\n');
    expect(flows[0]).toMatchObject({ transport: 'ws', isReliable: true });
    socket.close();
    await closing(1);
  });

  it('WebSocket: an oversized frame ends its connection and nothing else', async () => {
    const socket = open('/sip');
    await once(socket, 'open');
    socket.send('x'.repeat(64 * 1024 + 1));
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(1009);
    await closing(1);
  });

  it.each([
    ['another path', '/other', ['sip'], 404],
    ['another subprotocol', '/sip', ['xmpp'], 400],
    ['no subprotocol', '/sip', [], 400],
  ])('WebSocket: %s is refused', async (_name, path, protocols, status) => {
    const socket = open(path, protocols);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(status);
    socket.terminate();
  });

  it.each([
    ['/other', 'websocket', 404],
    ['/sip', 'h2c', 426],
  ])('an upgrade of %s to %s that never ends its side leaves no socket behind', async (path, upgrade, status) => {
    const socket = connect({ port: httpPort, host: '127.0.0.1', allowHalfOpen: true });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`);
    expect(await answerOn(socket)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    await expect.poll(() => openSockets()).toBe(0);
    expect(transports.connections).toBe(0);
    socket.destroy();
  });

  it('an upgrade to something else is refused with 426', async () => {
    const asking = httpRequest({
      port: httpPort,
      host: '127.0.0.1',
      path: '/sip',
      headers: { connection: 'upgrade', upgrade: 'h2c' },
    });
    asking.end();
    const [response] = (await once(asking, 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(426);
  });
});

describe('over IPv6', () => {
  beforeEach(() => start('::1'));
  afterEach(stop);

  it('TCP answers', async () => {
    const socket = connect(transports.tcp.port, '::1');
    socket.write(TEXT);
    expect(await answerOn(socket)).toContain('received=::1');
    socket.destroy();
  });
});
