/** Functions of C libraries, by the package koffi, which may be missing. */
import { createRequire } from 'node:module';

/** The part of koffi that is used. */
export interface Koffi {
  /** null: what the process itself and the libraries that it was started with export. */
  load(library: null): { func(declaration: string): NativeCall };
  errno(): number;
  /** Where the memory begins, as long as it is referenced. */
  address(memory: ArrayBuffer): bigint;
  readonly node: {
    /** Watches a descriptor by Node's own event loop. */
    poll(fd: number, events: PollEvents, callback: PollCallback): PollHandle;
  };
}

export interface PollEvents {
  readonly readable: boolean;
  readonly writable: boolean;
}

/** `status`: 0, or libuv's error, and then it watches no more. */
export type PollCallback = (status: number, events: PollEvents) => void;

export interface PollHandle {
  /** From now on for these events instead. */
  start(events: PollEvents, callback: PollCallback): void;
  /** The descriptor may be closed right after it. */
  close(): void;
}

/** A number as argument costs half of what a view does. */
export type NativeCall = (...args: (number | ArrayBufferView | null)[]) => number;

/** Throws where koffi is not installed or has no binary for this machine. */
export function loadKoffi(): Koffi {
  return createRequire(import.meta.url)('koffi') as Koffi;
}
