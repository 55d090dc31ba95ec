/** What both adapters of Datagrams owe to those who use the port. */
import { createSocket } from 'node:dgram';
import { readdirSync, readlinkSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { Address } from '../../src/base/model.ts';
import type { DatagramHandler, Datagrams, DatagramSocket } from '../../src/base/ports.ts';
import { batchDatagrams } from '../../src/base/system-batch.ts';
import { systemDatagrams } from '../../src/base/system-dgram.ts';
import { batchCalls, isBatchPlatform } from '../support/batch-calls.ts';
import { silentLog } from '../support/silent-log.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const WAIT = { timeout: 15_000, interval: 5 };
/** So many small ones fit into the system's default buffer. */
const BURST = 200;

const plain = (): Datagrams => systemDatagrams(silentLog);
const batch = (): Datagrams => batchDatagrams(batchCalls(), plain(), silentLog);

describe.each([{ name: 'dgram', adapter: plain }, ...(isBatchPlatform ? [{ name: 'batch', adapter: batch }] : [])])(
  'datagrams by $name',
  ({ adapter }) => {
    const open = new Set<DatagramSocket>();
    const bind = async (onDatagram: DatagramHandler, at: Address = LOOPBACK): Promise<DatagramSocket> => {
      const socket = await adapter().bind(at, onDatagram);
      open.add(socket);
      return socket;
    };
    const close = async (socket: DatagramSocket): Promise<void> => {
      open.delete(socket);
      await socket.close();
    };
    afterEach(async () => {
      for (const socket of open) await close(socket);
    });
    /** A socket that keeps the text of what comes. */
    const collector = async (): Promise<{ socket: DatagramSocket; texts: string[]; sources: Address[] }> => {
      const texts: string[] = [];
      const sources: Address[] = [];
      const socket = await bind((bytes, from) => {
        texts.push(bytes.toString());
        sources.push(from);
      });
      return { socket, texts, sources };
    };
    const sender = (): Promise<DatagramSocket> => bind(() => undefined);

    it('loses what is sent on a closed socket', async () => {
      const { socket, texts } = await collector();
      const other = await sender();
      other.send(Buffer.from('hello'), socket.local);
      await expect.poll(() => texts, WAIT).toEqual(['hello']);
      await close(other);
      other.send(Buffer.from('too late'), socket.local);
      const third = await sender();
      third.send(Buffer.from('after'), socket.local);
      await expect.poll(() => texts, WAIT).toEqual(['hello', 'after']);
    });

    it('sends what was sent right before it closes', async () => {
      const { socket, texts } = await collector();
      const other = await sender();
      other.send(Buffer.from('last words'), socket.local);
      await close(other);
      await expect.poll(() => texts, WAIT).toEqual(['last words']);
    });

    it.each([
      { at: '127.0.0.1', peer: '127.0.0.1' },
      { at: '0.0.0.0', peer: '127.0.0.1' },
      { at: '::1', peer: '::1' },
      { at: '::', peer: '::1' },
      { at: '::', peer: '127.0.0.1' },
    ])('at $at knows a peer at $peer, and each answer reaches its asker', async ({ at, peer }) => {
      const seen: Address[] = [];
      const server = await bind(
        (bytes, from) => {
          seen.push(from);
          server.send(bytes, from);
        },
        { host: at, port: 0 },
      );
      expect(server.local.host).toBe(at);
      expect(server.local.port).toBeGreaterThan(0);
      const answers: string[][] = [[], []];
      const clients: DatagramSocket[] = [];
      for (const own of answers)
        clients.push(await bind((bytes) => own.push(bytes.toString()), { host: peer, port: 0 }));
      for (let i = 0; i < BURST / 2; i++) {
        clients.forEach((client, which) => {
          client.send(Buffer.from(`${which}.${i}`), { host: peer, port: server.local.port });
        });
      }
      await expect.poll(() => answers.flat().length, WAIT).toBe(BURST);
      answers.forEach((own, which) => {
        expect(own).toEqual(Array.from({ length: BURST / 2 }, (_, i) => `${which}.${i}`));
        expect(seen.filter(({ port }) => port === clients[which]?.local.port)).toHaveLength(BURST / 2);
      });
      expect(new Set(seen.map(({ host }) => host))).toEqual(new Set([peer]));
    });

    it('delivers 10,000 datagrams in order', async () => {
      const numbers: number[] = [];
      const other = await sender();
      let sent = 0;
      const sendMore = (): void => {
        for (const end = sent + BURST; sent < end; sent++) other.send(Buffer.from(String(sent)), server.local);
      };
      const server = await bind((bytes) => {
        numbers.push(Number(bytes.toString()));
        if (numbers.length === sent && sent < 10_000) sendMore();
      });
      sendMore();
      await expect.poll(() => numbers.length, WAIT).toBe(10_000);
      expect(numbers.every((number, i) => number === i)).toBe(true);
    });

    it('carries 0 to 65,507 bytes whole; longer ones are lost', async () => {
      const received: Buffer[] = [];
      const server = await bind((bytes) => received.push(Buffer.from(bytes)));
      const other = await sender();
      const sizes = [0, 1, 1_500, 65_507, 65_508, 65_535, 70_000, 2];
      for (const [i, size] of sizes.entries()) {
        const before = received.length;
        other.send(Buffer.alloc(size, i + 1), server.local);
        if (size <= 65_507) await expect.poll(() => received.length, WAIT).toBe(before + 1);
      }
      expect(received.map(({ length }) => length)).toEqual([0, 1, 1_500, 65_507, 2]);
      expect(received[3]?.equals(Buffer.alloc(65_507, 4))).toBe(true);
    });

    it('has no use for the bytes when send() has returned', async () => {
      const { socket, texts } = await collector();
      const other = await sender();
      const bytes = Buffer.from('first');
      other.send(bytes, socket.local);
      bytes.write('other');
      other.send(bytes, socket.local);
      await expect.poll(() => texts, WAIT).toEqual(['first', 'other']);
    });

    it('answers later, when others have been heard', async () => {
      const askers: Address[] = [];
      const server = await bind((_bytes, from) => void askers.push(from));
      const clients = [await collector(), await collector(), await collector()];
      for (const { socket } of clients) socket.send(Buffer.from('?'), server.local);
      await expect.poll(() => askers.length, WAIT).toBe(3);
      for (const asker of askers) server.send(Buffer.from(`to ${asker.port}`), asker);
      for (const { socket, texts } of clients) {
        await expect.poll(() => texts, WAIT).toEqual([`to ${socket.local.port}`]);
      }
    });

    it('survives destinations that do not exist', async () => {
      const gone = await sender();
      await close(gone);
      const { socket, texts } = await collector();
      const nowhere = [
        gone.local,
        { ...socket.local, port: 0 },
        { host: '::1', port: 9 },
        { host: 'example', port: 9 },
      ];
      for (let round = 0; round < 3; round++) {
        for (const to of nowhere) socket.send(Buffer.from('anybody?'), to);
        socket.send(Buffer.from(`round ${round}`), socket.local);
        await expect.poll(() => texts.at(-1), WAIT).toBe(`round ${round}`);
      }
      expect(texts).toHaveLength(3);
    });

    it('rejects addresses that can not be had, and leaves nothing behind', async () => {
      const taken = await sender();
      const before = socketsOpen();
      for (let i = 0; i < 5; i++) {
        await expect(adapter().bind(taken.local, () => undefined)).rejects.toMatchObject({
          ...{ code: 'EADDRINUSE', syscall: 'bind', address: '127.0.0.1', port: taken.local.port },
          message: `bind EADDRINUSE 127.0.0.1:${taken.local.port}`,
        });
        const foreign = { host: '192.0.2.1', port: 0 };
        await expect(adapter().bind(foreign, () => undefined)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
        const noAddress = { host: 'example', port: 0 };
        await expect(adapter().bind(noAddress, () => undefined)).rejects.toMatchObject({ code: 'EINVAL' });
      }
      expect(socketsOpen()).toBe(before);
    });

    it('shares its port with nobody', async () => {
      const socket = await sender();
      const thief = createSocket({ type: 'udp4', reuseAddr: true });
      const outcome = await new Promise<string | undefined>((resolve) => {
        thief.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
        thief.bind(socket.local.port, '127.0.0.1', () => resolve('bound too'));
      });
      thief.close();
      expect(outcome).toBe('EADDRINUSE');
    });

    it('delivers nothing after close(), though data waits, and frees the port', async () => {
      const before = socketsOpen();
      const texts: string[] = [];
      const closed = new Promise<void>((resolve) => {
        void (async () => {
          const server = await adapter().bind(LOOPBACK, (bytes) => {
            texts.push(bytes.toString());
            if (texts.length === 20) {
              server.send(Buffer.from('enough'), other.local);
              void server.close().then(resolve);
              server.send(Buffer.from('too late'), other.local);
            }
          });
          const answers: string[] = [];
          const other = await bind((bytes) => answers.push(bytes.toString()));
          for (let i = 0; i < BURST; i++) other.send(Buffer.from(String(i)), server.local);
          await expect.poll(() => answers, WAIT).toEqual(['enough']);
          await close(other);
          const again = await bind(() => undefined, server.local);
          await close(again);
        })();
      });
      await closed;
      await expect.poll(() => socketsOpen(), WAIT).toBe(before);
      expect(texts).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
    });

    it('throws what a handler throws where nobody catches it, and goes on with the next datagram', async () => {
      const texts: string[] = [];
      const server = await bind((bytes) => {
        texts.push(bytes.toString());
        if (texts.length % 10 === 1) throw new Error(`at ${bytes.toString()}`);
      });
      const other = await sender();
      const uncaught = await catching(async () => {
        for (let i = 0; i < 100; i++) other.send(Buffer.from(String(i)), server.local);
        await expect.poll(() => texts.length, WAIT).toBe(100);
      });
      expect(texts).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
      expect(uncaught).toEqual(Array.from({ length: 10 }, (_, i) => `at ${i * 10}`));
    });

    it('lets timers and other sockets live under a flood', async () => {
      const { socket: quiet, texts } = await collector();
      let flooding = true;
      let count = 0;
      const flood = await bind((bytes) => {
        count++;
        // Never an end: each one brings the next.
        if (flooding) flood.send(bytes, flood.local);
      });
      for (let i = 0; i < BURST; i++) flood.send(Buffer.from(String(i)), flood.local);
      await expect.poll(() => count, WAIT).toBeGreaterThan(BURST);
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 1));
      flood.send(Buffer.from('hello'), quiet.local);
      await expect.poll(() => texts, WAIT).toEqual(['hello']);
      flooding = false;
    });
  },
);

/** The descriptors of this process that are sockets. */
function socketsOpen(): number {
  if (process.platform !== 'linux') return 0;
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      // That of the listing itself.
      return false;
    }
  }).length;
}

/** The messages of the errors that nobody catches while `run` runs. */
async function catching(run: () => Promise<void>): Promise<string[]> {
  const messages: string[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', ({ message }) => messages.push(message));
  try {
    await run();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const other of others) process.on('uncaughtException', other);
  }
  return messages;
}
