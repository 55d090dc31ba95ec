/** The real clock, timers, randomness and plain datagrams; only the system-*.ts files beside it touch the real world too. */
import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { canonicalHost } from './address.ts';
import { addressOf, closeSocket, createNumericSocket, dgramHost, prepareSocket } from './dgram.ts';
import type { Address } from './model.ts';
import type { Clock, DatagramHandler, Datagrams, DatagramSocket, Log, Random, Timer, Timers } from './ports.ts';

export const systemClock: Clock = { now: () => Date.now() };

/** Timers that don't keep the process alive by themselves. */
export const systemTimers: Timers = {
  after(delayMs, run): Timer {
    const handle = setTimeout(run, delayMs).unref();
    return {
      cancel: () => {
        clearTimeout(handle);
      },
    };
  },
  every(periodMs, run): Timer {
    const handle = setInterval(run, periodMs).unref();
    return {
      cancel: () => {
        clearInterval(handle);
      },
    };
  },
};

const RANDOM_POOL_BYTES = 8 * 1024;

/** By the pool: one call to the system for many cookies. What was given out is never given out again. */
export const systemRandom: Random = (() => {
  let pool = Buffer.alloc(0);
  return {
    bytes(length) {
      if (length > RANDOM_POOL_BYTES) return randomBytes(length);
      if (pool.length < length) pool = randomBytes(RANDOM_POOL_BYTES);
      const bytes = Buffer.from(pool.subarray(0, length));
      // A secret stands in one place only.
      pool.fill(0, 0, length);
      pool = pool.subarray(length);
      return bytes;
    },
  };
})();

/** The addresses that this machine has now, loopback among them; those of one link only (with a zone) are left out. */
export function systemAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((interfaces) => interfaces ?? [])
    .filter((one) => one.family === 'IPv4' || one.scopeid === 0)
    .map(({ address }) => canonicalHost(address));
}

/** Plain `dgram` sockets: one system call a datagram. */
export function systemDatagrams(log: Log): Datagrams {
  return { bind: (at, onDatagram) => bindDatagrams(at, onDatagram, log) };
}

async function bindDatagrams(at: Address, onDatagram: DatagramHandler, log: Log): Promise<DatagramSocket> {
  const six = isIPv6(at.host);
  const socket = createNumericSocket(six);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(at.port, at.host, () => {
      socket.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    socket.close();
    throw error;
  });
  prepareSocket(socket, log);
  socket.on('message', (bytes, peer) => {
    onDatagram(bytes, addressOf(peer));
  });
  let isOpen = true;
  return {
    local: addressOf(socket.address()),
    send: (bytes, to) => {
      // An answer that comes when the node has stopped is too late: what dgram throws then would end the process,
      // and so would port 0.
      if (!isOpen || to.port === 0) return;
      // A failed send is a lost datagram. Without a callback nobody is told, which saves another turn of the loop.
      socket.send(bytes, to.port, dgramHost(to.host, six));
    },
    close: () => {
      isOpen = false;
      return closeSocket(socket);
    },
  };
}
