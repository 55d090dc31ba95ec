/** Datagrams in memory: delivery at once, or when the test pumps; datagrams may be lost, doubled or held. */
import { formatAddress } from '../../src/base/address.ts';
import type { Address } from '../../src/base/model.ts';
import type { DatagramHandler, Datagrams, DatagramSocket } from '../../src/base/ports.ts';

export interface SentDatagram {
  readonly bytes: Buffer;
  readonly from: Address;
  readonly to: Address;
}

export interface MemoryNetwork extends Datagrams {
  /** How often a datagram arrives: 0 loses it, 2 doubles it. Always 1 unless a test sets it. */
  copies: (datagram: SentDatagram) => number;
  /** Everything that was sent, lost datagrams too. */
  readonly sent: SentDatagram[];
  /** Delivers what waits, and what is sent meanwhile; the number delivered. Throws after 100,000: a loop. */
  pump(): number;
}

/** `synchronous`: send() delivers before it returns (what is sent while one is delivered follows it). */
export function memoryNetwork(delivery: 'synchronous' | 'pumped' = 'synchronous'): MemoryNetwork {
  const handlers = new Map<string, DatagramHandler>();
  const waiting: SentDatagram[] = [];
  let portNext = 40_000;
  let pumping = false;

  const network: MemoryNetwork = {
    copies: () => 1,
    sent: [],
    pump() {
      if (pumping) return 0;
      pumping = true;
      let delivered = 0;
      try {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          if (++delivered > 100_000) throw new Error('the network does not come to rest');
          // A copy, made unusable afterwards: a handler that keeps the bytes shows in its test.
          const bytes = Buffer.from(next.bytes);
          handlers.get(formatAddress(next.to))?.(bytes, next.from);
          bytes.fill(0xff);
        }
      } finally {
        pumping = false;
      }
      return delivered;
    },
    bind(at, onDatagram): Promise<DatagramSocket> {
      const local = { host: at.host, port: at.port === 0 ? portNext++ : at.port };
      const name = formatAddress(local);
      if (handlers.has(name)) return Promise.reject(new Error(`bind EADDRINUSE ${name}`));
      handlers.set(name, onDatagram);
      return Promise.resolve({
        local,
        send(bytes, to) {
          if (!handlers.has(name)) return;
          const datagram = { bytes: Buffer.from(bytes), from: local, to };
          network.sent.push(datagram);
          for (let copies = network.copies(datagram); copies > 0; copies--) waiting.push(datagram);
          if (delivery === 'synchronous') network.pump();
        },
        close() {
          handlers.delete(name);
          return Promise.resolve();
        },
      });
    },
  };
  return network;
}
