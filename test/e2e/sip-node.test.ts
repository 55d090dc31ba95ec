/** Phones over real sockets at a whole node: UDP, TCP, TLS and WebSocket. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { systemAddresses } from '../../src/base/system.ts';
import { StreamFraming } from '../../src/sip/framing.ts';
import { CERTIFICATES } from '../support/certificates.ts';
import { Phone } from '../support/sip-node.ts';
import { removeFolders, startNode, stopNodes, temporaryFolder } from './support-node.ts';
import type { TestNode } from './support-node.ts';

const closers: (() => void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await stopNodes();
});
afterAll(removeFolders);

const ALICE = '10017676';

async function udpPhone(node: TestNode, uid: string): Promise<Phone> {
  const socket = createSocket('udp4');
  closers.push(() => socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const phone = new Phone(uid, { host: '127.0.0.1', port: socket.address().port }, (text) => {
    socket.send(text, node.sip.port, '127.0.0.1');
  });
  socket.on('message', (bytes) => {
    phone.heard(bytes);
  });
  return phone;
}

function streamPhone(socket: Socket, uid: string, transport: string): Phone {
  closers.push(() => socket.destroy());
  const phone = new Phone(uid, { host: '127.0.0.1', port: socket.localPort ?? 0 }, (text) => socket.write(text));
  phone.transport = transport;
  const framing = new StreamFraming({
    onMessage: (bytes) => {
      phone.heard(bytes);
    },
    onPing: () => undefined,
    isOpen: () => true,
  });
  socket.on('data', (bytes: Buffer) => framing.push(bytes));
  return phone;
}

async function tcpPhone(node: TestNode, uid: string): Promise<{ phone: Phone; socket: Socket }> {
  const socket = connect(node.sip.port, node.sip.host);
  await once(socket, 'connect');
  return { phone: streamPhone(socket, uid, 'TCP'), socket };
}

/** With a nonce of its own; the answer to the request with credentials. */
async function register(phone: Phone, headers: Record<string, string> = {}): Promise<number> {
  const challenged = phone.next();
  phone.ask('REGISTER', { headers: { Contact: phone.contact(), ...headers } });
  expect((await challenged).status).toBe(401);
  return refresh(phone, headers);
}

async function refresh(phone: Phone, headers: Record<string, string> = {}): Promise<number> {
  const answered = phone.next();
  phone.register({ headers });
  return (await answered).status;
}

async function ask(phone: Phone, method: string, uid: string): Promise<number> {
  const answered = phone.next();
  phone.ask(method, { uri: `sip:${uid}@vserver` });
  return (await answered).status;
}

/** Resolves when the user has so many sessions. */
async function untilSessions(node: TestNode, count: number): Promise<void> {
  await expect.poll(() => node.core.table.count).toBe(count);
}

describe('a phone', () => {
  it('over UDP registers, refreshes, is found over HTTP, and logs out', async () => {
    const node = await startNode();
    const phone = await udpPhone(node, ALICE);
    expect(await register(phone)).toBe(200);
    expect(await refresh(phone)).toBe(200);
    expect(await ask(phone, 'INVITE', ALICE)).toBe(302);
    expect(phone.contacts()).toEqual([phone.contact()]);

    const login = await fetch(`${node.http}/v1/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uid: ALICE, password: 'secret' }),
    });
    const { token } = (await login.json()) as { token: string };
    const found = await fetch(`${node.http}/v1/locate/${ALICE}`, { headers: { authorization: `Bearer ${token}` } });
    expect(await found.text()).toContain(`sip:${ALICE}@127.0.0.1:${phone.at.port}`);

    expect(await refresh(phone, { Contact: phone.contact(';expires=0') })).toBe(200);
    await untilSessions(node, 1);
  });

  it('over TCP is gone with its connection', async () => {
    const node = await startNode();
    const { phone, socket } = await tcpPhone(node, ALICE);
    expect(await register(phone)).toBe(200);
    expect(phone.last.header('Service-Route')).toContain('transport=tcp');
    await untilSessions(node, 1);
    socket.destroy();
    await untilSessions(node, 0);
  });

  it('that came back over another connection stays when the old one ends', async () => {
    const node = await startNode();
    const first = await tcpPhone(node, ALICE);
    const contact = { Contact: `<sip:${ALICE}@127.0.0.1:5999;transport=tcp>` };
    expect(await register(first.phone, contact)).toBe(200);
    const second = await tcpPhone(node, ALICE);
    expect(await register(second.phone, contact)).toBe(200);
    const ended = once(first.socket, 'close');
    first.socket.destroy();
    await ended;
    expect(await refresh(second.phone, contact)).toBe(200);
    expect(second.phone.contacts()).toHaveLength(1);
    second.socket.destroy();
    await untilSessions(node, 0);
  });

  it('over TLS registers where a certificate is set', async () => {
    const folder = temporaryFolder();
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(certFile, CERTIFICATES.one.cert);
    writeFileSync(keyFile, CERTIFICATES.one.key);
    const node = await startNode({ VSERVER_HTTP_CERT: certFile, VSERVER_HTTP_KEY: keyFile });
    const socket = connectTls({ port: node.sipTls?.port ?? 0, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const phone = streamPhone(socket, ALICE, 'TLS');
    expect(await register(phone)).toBe(200);
    expect(phone.last.header('Service-Route')).toContain(`:${node.sipTls?.port ?? 0};transport=tls`);
  });

  it('over a WebSocket registers at /sip of the HTTP port, and is gone with it', async () => {
    const node = await startNode();
    const socket = new WebSocket(`${node.http.replace('http', 'ws')}/sip`, 'sip');
    closers.push(() => {
      socket.terminate();
    });
    await once(socket, 'open');
    const phone = new Phone(ALICE, { host: 'df7jal23ls0d.invalid', port: 5060 }, (text) => {
      socket.send(text);
    });
    phone.transport = 'WS';
    socket.on('message', (bytes: Buffer) => {
      phone.heard(bytes);
    });
    const contact = { Contact: `<sip:${ALICE}@df7jal23ls0d.invalid;transport=ws>;+sip.instance="<urn:uuid:1>"` };
    expect(await register(phone, contact)).toBe(200);
    await untilSessions(node, 1);
    socket.close();
    await untilSessions(node, 0);
  });

  it('whose user is kicked is registered no more', async () => {
    const node = await startNode();
    const phone = await udpPhone(node, ALICE);
    expect(await register(phone)).toBe(200);
    const kick = await fetch(`${node.http}/v1/admin/users/${ALICE}/kick`, {
      method: 'POST',
      headers: { authorization: `Bearer ${node.adminToken}` },
    });
    expect(kick.status).toBeLessThan(300);
    await untilSessions(node, 0);
  });
});

describe('a node that listens at all addresses', () => {
  const everywhere = { VSERVER_LISTEN: '0.0.0.0', VSERVER_ADVERTISE: '192.0.2.1', VSERVER_SIP_DOMAINS: 'example.com' };

  it.each(['127.0.0.1', '198.51.100.7', '192.0.2.1', 'vserver', 'example.com'])(
    'is meant by each of its own: %s; a contact there is the node itself',
    async (host) => {
      const node = await startNode(everywhere, { addresses: () => ['127.0.0.1', '198.51.100.7'] });
      const phone = await udpPhone(node, ALICE);
      const uri = `sip:${host}`;
      const challenged = phone.next();
      phone.ask('REGISTER', { uri, headers: { To: `<sip:${ALICE}@${host}>` } });
      expect((await challenged).status).toBe(401);
      const refused = phone.next();
      phone.register({ uri, headers: { Contact: `<sip:${ALICE}@${host}:${node.sip.port}>` } }, { uri });
      expect((await refused).status).toBe(403);
    },
  );

  it('is not meant by others', async () => {
    const node = await startNode(everywhere);
    const phone = await udpPhone(node, ALICE);
    const answered = phone.next();
    phone.ask('REGISTER', { uri: 'sip:203.0.113.9' });
    expect((await answered).status).toBe(404);
  });

  it('asks the machine for them', () => {
    expect(systemAddresses()).toContain('127.0.0.1');
  });
});

describe('registrations', () => {
  it('survive a restart of the node, over UDP and TCP', async () => {
    const data = temporaryFolder();
    const before = await startNode({ VSERVER_DATA: data });
    const phone = await udpPhone(before, ALICE);
    expect(await register(phone)).toBe(200);
    const { phone: second } = await tcpPhone(before, ALICE);
    expect(await register(second)).toBe(200);
    await untilSessions(before, 2);
    await before.stop(false);

    const after = await startNode({ VSERVER_DATA: data, VSERVER_SIP_PORT: String(before.sip.port) });
    expect(after.core.table.count).toBe(2);
    // The old nonce is not good any more; the phone is told so and comes again.
    const challenged = phone.next();
    phone.register();
    expect((await challenged).status).toBe(401);
    expect(phone.last.header('WWW-Authenticate')).toContain('stale=true');
    expect(await refresh(phone)).toBe(200);
    expect(after.core.table.count).toBe(2);
  });

  it('are announced to the other servers with the SIP address of the node', async () => {
    const node = await startNode();
    const [own] = await node.directory.servers();
    expect(own?.sip).toEqual(node.sip);
  });
});
