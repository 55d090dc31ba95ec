/** What happens to the others where the server closes connections, or one operation is late. The clock is the test's. */
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { BerReader, BerWriter, DeleteRequest } from 'ldapts';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { LdapPool } from '../../src/directory/ldap-pool.ts';
import { ldapPool } from '../../src/directory/ldap-pool.ts';
import { manualTime } from '../support/clock.ts';

const BIND = 0x60;
const BIND_RESPONSE = 0x61;
const DELETE_RESPONSE = 0x6b;
const DEADLINE_MS = 2_000;
const WAIT = { timeout: 10_000, interval: 2 };

/** The plain yes of RFC 4511 section 4.1.9. */
function yes(id: number, op: number): Buffer {
  const message = new BerWriter();
  message.startSequence();
  message.writeInt(id);
  message.startSequence(op);
  message.writeEnumeration(0);
  message.writeString('');
  message.writeString('');
  message.endSequence();
  message.endSequence();
  return Buffer.from(message.buffer);
}

interface Asked {
  readonly id: number;
  readonly socket: Socket;
}

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server that binds everybody, and a pool to it. What is asked for is answered by the test. */
async function open(connectionsMax: number) {
  const sockets: Socket[] = [];
  const asked: Asked[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      for (let at = 0; at < bytes.length; at += 2 + (bytes[at + 1] ?? 0)) {
        const reader = new BerReader(bytes.subarray(at));
        reader.readSequence();
        const id = reader.readInt() ?? 0;
        if (reader.peek() === BIND) socket.write(yes(id, BIND_RESPONSE));
        else asked.push({ id, socket });
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const time = manualTime();
  const pool = ldapPool({
    url: `ldap://127.0.0.1:${port}`,
    ...{ bindDn: 'cn=a', password: 'b', startTls: false },
    timers: time.timers,
    deadlineMs: DEADLINE_MS,
    connectionsMax,
  });
  closers.push(() => {
    pool.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { pool, time, sockets, asked };
}

function remove(pool: LdapPool): Promise<string> {
  return pool
    .use((connection) => connection.send((messageId) => new DeleteRequest({ messageId, dn: 'cn=a' }).write()))
    .then(
      () => 'done',
      (error: unknown) => (error as Error).message,
    );
}

function answerAll(asked: Asked[]): void {
  for (const { id, socket } of asked.splice(0)) socket.write(yes(id, DELETE_RESPONSE));
}

describe('a pool of LDAP connections', () => {
  it('asks on new ones where the server has closed those that were idle, all of one turn and one after the other', async () => {
    const { pool, sockets, asked } = await open(4);
    const first = [];
    for (let i = 0; i < 4; i++) {
      first.push(remove(pool));
      await expect.poll(() => asked.length, WAIT).toBe(i + 1);
    }
    expect(sockets).toHaveLength(4);
    answerAll(asked);
    expect(await Promise.all(first)).toEqual(Array(4).fill('done'));

    // The pool has heard of it when the sockets of the server are closed on both sides.
    const closed = sockets.map((socket) => once(socket, 'close'));
    for (const socket of sockets) socket.end();
    await Promise.all(closed);
    const turn = Array.from({ length: 5 }, () => remove(pool));
    await expect.poll(() => asked.length, WAIT).toBe(5);
    answerAll(asked);
    expect(await Promise.all(turn)).toEqual(Array(5).fill('done'));
    const next = remove(pool);
    await expect.poll(() => asked.length, WAIT).toBe(1);
    answerAll(asked);
    expect(await next).toBe('done');
  });

  it('waits with nothing until the server has confirmed what came before, and notices a server that has vanished', async () => {
    const [noDelay, keepAlive] = [vi.spyOn(Socket.prototype, 'setNoDelay'), vi.spyOn(Socket.prototype, 'setKeepAlive')];
    const { pool, asked, sockets } = await open(1);
    void remove(pool);
    await expect.poll(() => asked.length, WAIT).toBe(1);
    // Of our end of the connection.
    const own = sockets[0]?.remotePort;
    const ofOwn = ({ mock }: typeof noDelay | typeof keepAlive): unknown[] =>
      mock.calls.filter((_, i) => (mock.contexts[i] as Socket).localPort === own);
    expect(ofOwn(noDelay)).toEqual([[true]]);
    expect(ofOwn(keepAlive)).toEqual([[true, 30_000]]);
    vi.restoreAllMocks();
  });

  it('lets the others of a connection be answered where one is late, and closes it afterwards', async () => {
    const { pool, time, sockets, asked } = await open(1);
    const late = remove(pool);
    await expect.poll(() => asked.length, WAIT).toBe(1);
    await time.advance(DEADLINE_MS - 10);
    const others = Array.from({ length: 4 }, () => remove(pool));
    await expect.poll(() => asked.length, WAIT).toBe(5);
    await time.advance(10);
    expect(await late).not.toBe('done');
    const closed = once(sockets[0] as Socket, 'close');
    answerAll(asked.filter((_, i) => i > 0));
    expect(await Promise.all(others)).toEqual(Array(4).fill('done'));
    await time.advance(DEADLINE_MS);
    await closed;
  });
});
