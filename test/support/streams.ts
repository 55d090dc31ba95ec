/** Streams in memory: what one end writes, the other has at once. */
import { formatAddress } from '../../src/base/address.ts';
import type { Address } from '../../src/base/model.ts';
import type { StreamAccept, StreamConnection, StreamHandlers, StreamListener, Streams } from '../../src/base/ports.ts';

/** The client's end. */
export interface MemoryStream {
  /** Everything the server wrote, in its chunks. */
  readonly received: Buffer[];
  readonly isOpen: boolean;
  /** `'ended'`: the server would like to close when all has gone out. */
  readonly closedBy: 'nobody' | 'ended' | 'destroyed';
  /** While true, what the server writes waits at its end. */
  isStalled: boolean;
  send(bytes: Buffer | string): void;
  close(): void;
}

export interface MemoryStreams extends Streams {
  /** null: refused. `handshake: false`: arrives, but never becomes ready. */
  connect(to: Address, from: Address, options?: { handshake: boolean }): MemoryStream | null;
}

export function memoryStreams(): MemoryStreams {
  const listeners = new Map<string, { accept: StreamAccept; open: Set<() => void> }>();
  let portNext = 50_000;
  return {
    listen(at, _pem, accept): Promise<StreamListener> {
      const local = { host: at.host, port: at.port === 0 ? portNext++ : at.port };
      const name = formatAddress(local);
      if (listeners.has(name)) return Promise.reject(new Error(`listen EADDRINUSE ${name}`));
      const open = new Set<() => void>();
      listeners.set(name, { accept, open });
      return Promise.resolve({
        local,
        renew: () => undefined,
        close() {
          listeners.delete(name);
          for (const close of open) close();
          return Promise.resolve();
        },
      });
    },
    connect(to, from, options = { handshake: true }) {
      const listener = listeners.get(formatAddress(to));
      if (listener === undefined) throw new Error(`connect ECONNREFUSED ${formatAddress(to)}`);
      const handlers = listener.accept(from);
      return handlers === null ? null : connectTo(handlers, listener.open, to, options.handshake);
    },
  };
}

function connectTo(handlers: StreamHandlers, open: Set<() => void>, local: Address, handshake: boolean): MemoryStream {
  let isOpen = true;
  let closedBy: MemoryStream['closedBy'] = 'nobody';
  let buffered = 0;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    open.delete(close);
    handlers.onClosed();
  };
  open.add(close);
  const stream: MemoryStream & { received: Buffer[] } = {
    received: [],
    isStalled: false,
    get isOpen() {
      return isOpen;
    },
    get closedBy() {
      return closedBy;
    },
    send(bytes) {
      if (!isOpen) return;
      const copy = Buffer.from(bytes as string);
      handlers.onBytes(copy);
      // A handler that keeps the bytes shows in its test.
      copy.fill(0xff);
    },
    close,
  };
  const connection: StreamConnection = {
    get buffered() {
      return buffered;
    },
    write(bytes) {
      if (!isOpen) return;
      if (stream.isStalled) buffered += bytes.length;
      else stream.received.push(Buffer.from(bytes));
    },
    end() {
      closedBy = 'ended';
      if (!stream.isStalled) close();
    },
    destroy() {
      closedBy = 'destroyed';
      close();
    },
  };
  if (handshake) handlers.onOpen(connection, local);
  return stream;
}
