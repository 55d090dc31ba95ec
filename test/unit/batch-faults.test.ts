/** What the system may answer to recvmmsg and sendmmsg besides success. Everything else is as it really is. */
import { describe, expect, it } from 'vitest';
import { EAGAIN, ENOBUFS } from '../../src/base/batch-calls.ts';
import type { BatchCalls } from '../../src/base/batch-calls.ts';
import type { DatagramSocket } from '../../src/base/ports.ts';
import { batchDatagrams } from '../../src/base/system-batch.ts';
import { systemDatagrams } from '../../src/base/system-dgram.ts';
import { openDatagrams } from '../../src/datagrams.ts';
import { batchCalls, isBatchPlatform } from '../support/batch-calls.ts';
import { silentLog } from '../support/silent-log.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const WAIT = { timeout: 15_000, interval: 5 };
const EPERM = 1;
const ECONNREFUSED = 111;

/** A sender whose system calls are `faults`, and the texts that arrive at the other end. */
async function pair(faults: (real: BatchCalls) => Partial<BatchCalls>, onHeard?: (bytes: Buffer) => void) {
  const real = batchCalls();
  const texts: string[] = [];
  const warnings: unknown[] = [];
  const log = { ...silentLog, warn: (fields: object) => void warnings.push(fields) };
  const heard: string[] = [];
  const receiver = await systemDatagrams(silentLog).bind(LOOPBACK, (bytes) => texts.push(bytes.toString()));
  const sender = await batchDatagrams({ ...real, ...faults(real) }, systemDatagrams(log), log).bind(
    LOOPBACK,
    (bytes) => {
      heard.push(bytes.toString());
      onHeard?.(bytes);
    },
  );
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) sender.send(Buffer.from(String(i)), receiver.local);
  };
  const close = async (): Promise<void> => {
    await Promise.all([sender, receiver].map((socket) => socket.close()));
  };
  return { texts, heard, warnings, sender, receiver, send, close };
}

const upTo = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

describe.runIf(isBatchPlatform)('batches', () => {
  it('that the system takes in part are sent in full, in order', async () => {
    const counts: number[] = [];
    const { texts, send, close } = await pair((real) => ({
      send: (fd, headers, count) => {
        counts.push(count);
        return real.send(fd, headers, Math.min(count, 7));
      },
    }));
    send(60);
    await expect.poll(() => texts, WAIT).toEqual(upTo(60));
    expect(counts).toEqual([60, 53, 46, 39, 32, 25, 18, 11, 4]);
    await close();
  });

  it.each([
    { name: 'EAGAIN', errno: EAGAIN },
    { name: 'ENOBUFS', errno: ENOBUFS },
  ])('wait for room on $name, and lose nothing of it', async ({ errno }) => {
    let calls = 0;
    const { texts, send, close } = await pair((real) => ({
      send: (fd, headers, count) => (calls++ % 2 === 0 ? -errno : real.send(fd, headers, Math.min(count, 5))),
    }));
    send(60);
    await expect.poll(() => texts, WAIT).toEqual(upTo(60));
    await close();
  });

  it('are lost one by one where there is room, but the system takes none, which is then left alone', async () => {
    let takesNone = true;
    let sends = 0;
    const { texts, send, close } = await pair((real) => ({
      send: (fd, headers, count) => {
        sends++;
        return takesNone ? -ENOBUFS : real.send(fd, headers, count);
      },
    }));
    send(20);
    // Once when they are sent, and each time that there is room.
    await expect.poll(() => sends, WAIT).toBe(21);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(sends).toBe(21);
    takesNone = false;
    send(20);
    await expect.poll(() => texts, WAIT).toEqual(upTo(20));
    await close();
  });

  it('are as many as fit while there is no room; what is sent besides is lost', async () => {
    let isFull = true;
    const { texts, send, sender, receiver, close } = await pair((real) => ({
      send: (fd, headers, count) => (isFull ? -EAGAIN : real.send(fd, headers, count)),
    }));
    send(200);
    isFull = false;
    await expect.poll(() => texts, WAIT).toEqual(upTo(64));
    sender.send(Buffer.from('again'), receiver.local);
    await expect.poll(() => texts.at(-1), WAIT).toBe('again');
    await close();
  });

  it('are given up when the socket is closed, and the descriptor is used no more', async () => {
    let sends = 0;
    const { send, close } = await pair(() => ({
      send: () => {
        sends++;
        return -EAGAIN;
      },
    }));
    send(10);
    await close();
    const atTheEnd = sends;
    await new Promise((resolve) => setImmediate(resolve));
    expect(atTheEnd).toBeGreaterThan(0);
    expect(sends).toBe(atTheEnd);
  });

  it('lose a datagram that the system refuses, and that one alone', async () => {
    let calls = 0;
    const { texts, send, close } = await pair((real) => ({
      // The first, then whatever is the first then.
      send: (fd, headers, count) => (calls++ % 2 === 0 ? -EPERM : real.send(fd, headers, Math.min(count, 4))),
    }));
    send(20);
    await expect.poll(() => texts, WAIT).toEqual(upTo(20).filter((_, i) => i % 5 !== 0));
    await close();
  });

  it('tell the log of an error of receiving once, as long as it stays, and go on', async () => {
    let fails = 3;
    const { heard, warnings, sender, close } = await pair((real) => ({
      receive: (fd, headers, count) => {
        if (fails === 0) return real.receive(fd, headers, count);
        fails--;
        return -ECONNREFUSED;
      },
    }));
    for (const text of upTo(100)) sender.send(Buffer.from(text), sender.local);
    await expect.poll(() => heard, WAIT).toEqual(upTo(100));
    expect(warnings).toMatchObject([{ err: { code: 'ECONNREFUSED', syscall: 'recvmmsg' } }]);
    await close();
  });

  it('are 8 a turn at most, and as many of those that were kept', async () => {
    const turns: number[] = [];
    let turn = 0;
    let flooding = true;
    const { heard, sender, close } = await pair(
      () => ({}),
      // Never an end: each one brings the next.
      (bytes) => {
        if (turn++ === 0) {
          setImmediate(() => {
            turns.push(turn);
            turn = 0;
          });
        }
        if (flooding) sender.send(bytes, sender.local);
      },
    );
    for (let i = 0; i < 2_000; i++) sender.send(Buffer.from('x'), sender.local);
    await expect.poll(() => heard.length, WAIT).toBeGreaterThan(20_000);
    flooding = false;
    expect(Math.max(...turns)).toBeLessThanOrEqual(2 * 8 * 64);
    await close();
  });

  it('that a turn has no time for are read all the same, and delivered in their order', async () => {
    let received = 0;
    let ahead = 0;
    const { heard, sender, close } = await pair(
      (real) => ({
        receive: (fd, headers, count) => {
          const got = real.receive(fd, headers, count);
          received += Math.max(0, got);
          return got;
        },
      }),
      () => {
        ahead = Math.max(ahead, received - heard.length);
      },
    );
    for (const text of upTo(2_000)) sender.send(Buffer.from(text), sender.local);
    await expect.poll(() => heard.length, WAIT).toBe(2_000);
    expect(heard).toEqual(upTo(2_000));
    expect(ahead).toBeGreaterThan(1_000);
    await close();
  });
});

describe.runIf(isBatchPlatform)('a descriptor', () => {
  it('is closed once, where it can not be bound and where it could', async () => {
    const real = batchCalls();
    const closed: number[] = [];
    const calls: BatchCalls = {
      ...real,
      close: (fd) => {
        closed.push(fd);
        return real.close(fd);
      },
    };
    const datagrams = batchDatagrams(calls, systemDatagrams(silentLog), silentLog);
    const socket: DatagramSocket = await datagrams.bind(LOOPBACK, () => undefined);
    await expect(datagrams.bind(socket.local, () => undefined)).rejects.toThrow('EADDRINUSE');
    expect(closed).toHaveLength(1);
    await socket.close();
    await socket.close();
    expect(closed).toHaveLength(2);
  });
});

describe('VSERVER_IO', () => {
  const missing = (): string => 'koffi is missing';

  it.each(['auto', 'dgram'] as const)('%s works without batches', async (io) => {
    const lines: string[] = [];
    const log = { ...silentLog, info: (_fields: object, message: string) => void lines.push(message) };
    const socket = await openDatagrams(io, log, missing).bind(LOOPBACK, () => undefined);
    expect(socket.local.port).toBeGreaterThan(0);
    await socket.close();
    expect(lines).toEqual(io === 'auto' ? ['one system call a datagram'] : []);
  });

  it('batch says why there are none', () => {
    expect(() => openDatagrams('batch', silentLog, missing)).toThrow(
      expect.objectContaining({ code: 'SETTINGS', message: "VSERVER_IO=batch can't be had here: koffi is missing" }),
    );
  });
});
