import { once } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Address } from '../../src/base/model.ts';
import { CONNECTION_LIMITS } from '../../src/sip/connections.ts';
import type { ConnectionLimits } from '../../src/sip/connections.ts';
import { readMessage } from '../../src/sip/flow.ts';
import type { Flow } from '../../src/sip/flow.ts';
import { makeResponse } from '../../src/sip/response.ts';
import { openTransports } from '../../src/sip/transports.ts';
import type { Transports } from '../../src/sip/transports.ts';
import { manualTime, settle } from '../support/clock.ts';
import type { ManualTime } from '../support/clock.ts';
import { memoryNetwork } from '../support/network.ts';
import type { MemoryNetwork } from '../support/network.ts';
import { sipRequest } from '../support/sip-messages.ts';
import { memoryStreams } from '../support/streams.ts';
import type { MemoryStreams } from '../support/streams.ts';
import { memoryWebSocket } from '../support/web-sockets.ts';

const HERE: Address = { host: '192.0.2.10', port: 5060 };
const TLS: Address = { host: '192.0.2.10', port: 5061 };
const PEM = { cert: Buffer.from(''), key: Buffer.from('') };
const phone = (port: number, host = '198.51.100.7'): Address => ({ host, port });

let network: MemoryNetwork;
let streams: MemoryStreams;
let time: ManualTime;
let transports: Transports;
let seen: { text: string; flow: Flow }[];
let closed: Flow[];

async function start(limits: Partial<ConnectionLimits> = {}): Promise<void> {
  network = memoryNetwork();
  streams = memoryStreams();
  time = manualTime();
  seen = [];
  closed = [];
  transports = await openTransports({
    datagrams: network,
    streams,
    clock: time.clock,
    timers: time.timers,
    at: HERE,
    tls: { at: TLS, pem: PEM },
    hostOf: (request) => request.socket.remoteAddress ?? '',
    limits: { ...CONNECTION_LIMITS, ...limits },
    handlers: {
      onMessage(bytes, flow) {
        seen.push({ text: bytes.toString(), flow });
        const message = readMessage(bytes, flow);
        if (message?.kind === 'request') flow.send(makeResponse(message, 200, 'OK'));
      },
      onClosed: (flow) => void closed.push(flow),
      admitStun: () => true,
    },
  });
}

function connect(from: Address, to: Address = HERE) {
  const stream = streams.connect(to, from);
  if (stream === null) throw new Error('refused');
  return stream;
}

beforeEach(() => start());

describe('UDP', () => {
  it('answers where the request came from, with received and rport (RFC 3581)', async () => {
    const answers: string[] = [];
    const socket = await network.bind(phone(1024), (bytes) => void answers.push(bytes.toString()));
    socket.send(Buffer.from(sipRequest('OPTIONS', { sentBy: '10.0.0.1:5060;rport' })), HERE);
    expect(answers[0]).toContain('SIP/2.0/UDP 10.0.0.1:5060;');
    expect(answers[0]).toContain('rport=1024');
    expect(answers[0]).toContain('received=198.51.100.7');
  });

  it('has one flow id a pair of addresses, with or without a datagram', async () => {
    const socket = await network.bind(phone(1024), () => undefined);
    socket.send(Buffer.from(sipRequest('OPTIONS')), HERE);
    socket.send(Buffer.from(sipRequest('OPTIONS')), HERE);
    const [first, second] = seen;
    expect(first?.flow.id).toBe(second?.flow.id);
    expect(transports.flowTo(phone(1024)).id).toBe(first?.flow.id);
    expect(transports.flowTo(phone(1025)).id).not.toBe(first?.flow.id);
    expect(first?.flow).toMatchObject({ transport: 'udp', isReliable: false, remote: phone(1024), local: HERE });
  });

  it('IPv6 is as good', async () => {
    const answers: string[] = [];
    const socket = await network.bind(phone(1024, '2001:db8::7'), (bytes) => void answers.push(bytes.toString()));
    socket.send(Buffer.from(sipRequest('OPTIONS', { sentBy: '[2001:db8::1];rport' })), HERE);
    expect(answers[0]).toContain('received=2001:db8::7');
  });

  it('answers STUN Binding on the same port (RFC 5626 4.4.2)', async () => {
    const answers: Buffer[] = [];
    const socket = await network.bind(phone(1024), (bytes) => void answers.push(Buffer.from(bytes)));
    const binding = Buffer.alloc(20);
    binding.writeUInt16BE(1, 0);
    binding.writeUInt32BE(0x2112a442, 4);
    socket.send(binding, HERE);
    expect(answers[0]?.readUInt16BE(0)).toBe(0x0101);
    expect(seen).toEqual([]);
  });

  it('says nothing to keep-alives of line ends or zeros', async () => {
    const socket = await network.bind(phone(1024), () => expect.unreachable());
    for (const text of ['\r\n\r\n', '\r\n', '\0\0\0\0', '']) socket.send(Buffer.from(text), HERE);
    expect(seen).toEqual([]);
  });

  it('a flow outlives its socket in silence', async () => {
    const flow = transports.flowTo(phone(1024));
    await transports.close();
    expect(() => {
      flow.send(Buffer.from('late'));
    }).not.toThrow();
    expect(network.sent).toEqual([]);
  });
});

describe('TCP and TLS', () => {
  it('answer on the connection, glued and cut', () => {
    const client = connect(phone(1024));
    const text = sipRequest('OPTIONS', { transport: 'TCP' });
    client.send(text + text.slice(0, 30));
    client.send(text.slice(30));
    expect(seen.map((one) => one.text)).toEqual([text, text]);
    expect(
      Buffer.concat(client.received)
        .toString()
        .match(/SIP\/2\.0 200 OK/g),
    ).toHaveLength(2);
    expect(seen[0]?.flow).toMatchObject({ transport: 'tcp', isReliable: true, remote: phone(1024), local: HERE });
  });

  it('are told apart, and each connection has an id of its own', () => {
    connect(phone(1024)).send(sipRequest('OPTIONS'));
    connect(phone(1024), TLS).send(sipRequest('OPTIONS'));
    connect(phone(1025)).send(sipRequest('OPTIONS'));
    expect(seen.map((one) => one.flow.transport)).toEqual(['tcp', 'tls', 'tcp']);
    expect(new Set(seen.map((one) => one.flow.id)).size).toBe(3);
    const flow = seen[1]?.flow;
    expect(transports.findConnection(flow?.id ?? '')).toBe(flow);
  });

  it('a double CRLF is answered with a single one', () => {
    const client = connect(phone(1024));
    client.send('\r\n\r\n');
    expect(client.received).toEqual([Buffer.from('\r\n')]);
  });

  it('a stream that can not be read on is answered and closed', () => {
    const client = connect(phone(1024));
    client.send(sipRequest('OPTIONS').replace('Content-Length: 0', 'Content-Length: 1e9'));
    expect(seen).toHaveLength(1);
    expect(client.closedBy).toBe('ended');
    expect(closed).toHaveLength(1);
  });

  it('the end of a connection is told once, and its flow sends no more', () => {
    const client = connect(phone(1024));
    client.send(sipRequest('OPTIONS'));
    const flow = seen[0]?.flow;
    client.close();
    flow?.close();
    flow?.send(Buffer.from('late'));
    expect(closed).toEqual([flow]);
    expect(client.received).toHaveLength(1);
    expect(transports.findConnection(flow?.id ?? '')).toBeUndefined();
  });
});

describe('WebSocket', () => {
  const open = (port: number, path?: string) => memoryWebSocket(transports.onUpgrade, phone(port), path);

  it('answers on the connection', async () => {
    const client = await open(1);
    client.send(sipRequest('OPTIONS', { transport: 'WS' }));
    const [answer] = (await once(client, 'message')) as [Buffer];
    expect(answer.toString()).toContain('SIP/2.0 200 OK');
    expect(seen[0]?.flow).toMatchObject({ transport: 'ws', isReliable: true, remote: phone(1) });
  });

  it('counts among the connections of its source, until its end', async () => {
    await start({ connectionsOfSource: 2 });
    const first = await open(1);
    connect(phone(2));
    await expect(open(3)).rejects.toThrow('503');
    expect(streams.connect(HERE, phone(3))).toBeNull();
    first.close();
    await once(first, 'close');
    await settle();
    expect(transports.connections).toBe(1);
    (await open(3)).terminate();
  });

  it('elsewhere than at /sip is refused, and is no connection', async () => {
    await expect(open(1, '/')).rejects.toThrow('404');
    await expect(open(1, '/sip/more')).rejects.toThrow('404');
    expect(transports.connections).toBe(0);
  });

  it('that is idle is closed; a message, a keep-alive or a ping keeps it', async () => {
    const idle = await open(1);
    const kept = [await open(2), await open(3), await open(4)] as const;
    const ended = once(idle, 'close');
    await time.advance(CONNECTION_LIMITS.idleMs - 2_000);
    kept[0].send(sipRequest('OPTIONS', { transport: 'WS' }));
    kept[1].send('\r\n\r\n');
    kept[2].ping();
    await Promise.all([once(kept[0], 'message'), once(kept[1], 'message'), once(kept[2], 'pong')]);
    await time.advance(4_000);
    await ended;
    expect(kept.map(({ readyState }) => readyState)).toEqual([1, 1, 1]);
    for (const one of kept) one.terminate();
  });
});

describe('limits of connections', () => {
  it('so many a source, and no fewer for others', async () => {
    await start({ connectionsOfSource: 2 });
    const first = connect(phone(1));
    connect(phone(2), TLS);
    expect(streams.connect(HERE, phone(3))).toBeNull();
    expect(streams.connect(HERE, phone(3, '198.51.100.8'))).not.toBeNull();
    first.close();
    expect(streams.connect(HERE, phone(3))).not.toBeNull();
  });

  it('an IPv6 /64 is one source', async () => {
    await start({ connectionsOfSource: 2 });
    connect(phone(1, '2001:db8:0:1::1'));
    connect(phone(1, '2001:db8:0:1:ffff::2'));
    expect(streams.connect(HERE, phone(1, '2001:db8:0:1::3'))).toBeNull();
    expect(streams.connect(HERE, phone(1, '2001:db8:0:2::1'))).not.toBeNull();
  });

  it('so many in all, those that never finish their TLS handshake too', async () => {
    await start({ connections: 2 });
    const idle = streams.connect(TLS, phone(1), { handshake: false });
    connect(phone(1, '198.51.100.8'));
    expect(streams.connect(HERE, phone(1, '198.51.100.9'))).toBeNull();
    idle?.close();
    expect(closed).toEqual([]);
    expect(transports.connections).toBe(1);
    expect(streams.connect(HERE, phone(1, '198.51.100.9'))).not.toBeNull();
  });

  it('an idle connection is closed; a keep-alive keeps it', async () => {
    const idle = connect(phone(1));
    const kept = connect(phone(2));
    await time.advance(CONNECTION_LIMITS.idleMs - 2_000);
    kept.send('\r\n\r\n');
    await time.advance(4_000);
    expect([idle.isOpen, kept.isOpen]).toEqual([false, true]);
  });

  it('a half message may take ten seconds, however slowly its bytes drip', async () => {
    const slow = connect(phone(1));
    const quick = connect(phone(2));
    const text = sipRequest('OPTIONS');
    for (let at = 0; at < 12; at++) {
      slow.send(text.charAt(at));
      // Always half a message, but another one each time.
      quick.send(at === 0 ? text.slice(0, 20) : text.slice(20) + text.slice(0, 20));
      await time.advance(1_000);
    }
    expect([slow.isOpen, quick.isOpen]).toEqual([false, true]);
  });

  it('a slow reader is closed before much waits for it', () => {
    const slow = connect(phone(1));
    slow.send(sipRequest('OPTIONS'));
    slow.isStalled = true;
    const flow = seen[0]?.flow;
    for (let kib = 0; kib < 256; kib++) flow?.send(Buffer.alloc(1_024));
    expect(slow.isOpen).toBe(true);
    flow?.send(Buffer.alloc(1));
    expect(slow.closedBy).toBe('destroyed');
  });

  it('a connection that is to be closed and does not drain is ended after 5 seconds', async () => {
    const slow = connect(phone(1));
    slow.send(sipRequest('OPTIONS'));
    slow.isStalled = true;
    seen[0]?.flow.close();
    expect(slow.isOpen).toBe(true);
    slow.send(sipRequest('OPTIONS'));
    expect(seen).toHaveLength(1);
    await time.advance(6_000);
    expect(slow.closedBy).toBe('destroyed');
  });

  it('nothing is left after the end', async () => {
    const client = connect(phone(1));
    await transports.close();
    expect(client.isOpen).toBe(false);
    expect(transports.connections).toBe(0);
    expect(time.running()).toBe(0);
  });
});

describe('opening', () => {
  it('closes what was open by then where an address is taken', async () => {
    await transports.close();
    await streams.listen(TLS, null, () => null);
    const options = {
      clock: time.clock,
      timers: time.timers,
      handlers: { onMessage: () => undefined, onClosed: () => undefined, admitStun: () => true },
    };
    const open = openTransports({
      ...options,
      datagrams: network,
      streams,
      at: HERE,
      tls: { at: TLS, pem: PEM },
      hostOf: () => '',
    });
    await expect(open).rejects.toThrow('EADDRINUSE');
    await network.bind(HERE, () => undefined);
    await streams.listen(HERE, null, () => null);
    expect(time.running()).toBe(0);
  });
});
