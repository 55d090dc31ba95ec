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

/** A bound UDP socket. */
export interface DatagramSocket {
  readonly local: Address;
  /** Fire and forget, as datagrams are; `bytes` may be used again when the call returns. */
  send(bytes: Uint8Array, to: Address): void;
  close(): Promise<void>;
}

/** The network of datagrams: the real one, or the one in memory of the tests. */
export interface Datagrams {
  /** Binds `at` (port 0 = a free one). Rejects with the system's error where it is taken or not ours. */
  bind(at: Address, onDatagram: DatagramHandler): Promise<DatagramSocket>;
}
