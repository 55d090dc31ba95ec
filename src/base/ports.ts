/** What the inner layers need of the outside world; base/system.ts implements them, tests bring their own. */
import type { Address } from './model.ts';

export interface Clock {
  /** Epoch milliseconds, an integer. */
  now(): number;
}

/** A timer that runs; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Once, after `delayMs`. */
  after(delayMs: number, run: () => void): Timer;
  /** Again and again, each `periodMs`. */
  every(periodMs: number, run: () => void): Timer;
  /** Milliseconds of the clock by which they run, which never jumps; since when, is not told. */
  now(): number;
}

export interface Random {
  /** Cryptographically strong bytes. */
  bytes(length: number): Buffer;
}

/** Structured log. Fields never hold a secret. Child loggers carry a request id. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** `bytes` is only valid during the call: the next datagram may overwrite it. */
export type DatagramHandler = (bytes: Buffer, from: Address) => void;

/**
 * Hears of each datagram of a batch before the first of them is handed over, and may fetch from memory what they need. Not
 * called where they come one by one; it does nothing that counts, and never throws.
 */
export type ComingHandler = (bytes: Buffer) => void;

/** A bound UDP socket. */
export interface DatagramSocket {
  readonly local: Address;
  /** Fire and forget, as datagrams are, also on a closed socket; `bytes` may be used again when the call returns. */
  send(bytes: Uint8Array, to: Address): void;
  close(): Promise<void>;
}

/** The network of datagrams: the real one, or the one in memory of the tests. */
export interface Datagrams {
  /** Binds `at` (port 0 = a free one). Rejects with the system's error where it is taken or not ours. */
  bind(at: Address, onDatagram: DatagramHandler, onComing?: ComingHandler): Promise<DatagramSocket>;
}

/** A certificate chain and its private key. */
export interface Pem {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A connection of bytes in order: TCP, or TLS over it. */
export interface StreamConnection {
  /** Bytes that were written and that the system has not taken yet. */
  readonly buffered: number;
  /** Takes the bytes over: they must not be changed afterwards. Nothing happens on a closed connection. */
  write(bytes: Uint8Array): void;
  /** Closes when what was written has gone out, which the other end may put off for ever. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** What one connection calls. */
export interface StreamHandlers {
  /** It can be written to (TLS: the handshake is done). Not called where it closes before. */
  onOpen(connection: StreamConnection, local: Address): void;
  /** `bytes` is only valid during the call. */
  onBytes(bytes: Buffer): void;
  /** Last, and always; whichever end closed. */
  onClosed(): void;
}

/** A connection arrived (TLS: its handshake is still to come); null closes it at once. */
export type StreamAccept = (remote: Address) => StreamHandlers | null;

export interface StreamListener {
  readonly local: Address;
  /** New connections get this certificate. Only for TLS. */
  renew(pem: Pem): void;
  /** Stops listening and closes all connections. */
  close(): Promise<void>;
}

/** The network of streams: the real one, or the one in memory of the tests. */
export interface Streams {
  /** Listens at `at` (port 0 = a free one), with TLS where `pem` is given. Rejects as Datagrams.bind does. */
  listen(at: Address, pem: Pem | null, accept: StreamAccept): Promise<StreamListener>;
}
