/** The only file that touches the real clock, timers, randomness and sockets. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { canonicalHost } from './address.ts';
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

const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

/** Plain `dgram` sockets; socket errors go to the log and never end the process. */
export function systemDatagrams(log: Log): Datagrams {
  return { bind: (at, onDatagram) => bindDatagrams(at, onDatagram, log) };
}

async function bindDatagrams(at: Address, onDatagram: DatagramHandler, log: Log): Promise<DatagramSocket> {
  const six = isIPv6(at.host);
  // Addresses are numeric: the system's resolver would cost a turn of the loop a datagram to find that out.
  const socket = createSocket({
    type: six ? 'udp6' : 'udp4',
    lookup: (host, _options, done) => done(null, host, six ? 6 : 4),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(at.port, at.host, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  socket.on('error', (error) => {
    log.warn({ err: error }, 'datagram socket error');
  });
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch (error) {
    // The kernel's own limit stays: fewer datagrams survive a burst, nothing else changes.
    log.debug({ err: error }, 'receive buffer not enlarged');
  }
  socket.on('message', (bytes, peer) => {
    onDatagram(bytes, { host: canonicalHost(peer.address), port: peer.port });
  });
  const bound = socket.address();
  let isOpen = true;
  return {
    local: { host: canonicalHost(bound.address), port: bound.port },
    send: (bytes, to) => {
      // An answer that comes when the node has stopped is too late: what dgram throws then would end the process.
      if (!isOpen) return;
      // A failed send is a lost datagram. Without a callback nobody is told, which saves another turn of the loop.
      // A dual-stack socket knows IPv4 peers by their mapped addresses.
      socket.send(bytes, to.port, six && !to.host.includes(':') ? `::ffff:${to.host}` : to.host);
    },
    close: () =>
      new Promise((resolve) => {
        isOpen = false;
        socket.close(() => {
          resolve();
        });
      }),
  };
}
