/** Functions of C libraries, by the package koffi, which may be missing. */
import { createRequire } from 'node:module';

/** The part of koffi that is used. */
export interface Koffi {
  /** null: what the process itself and the libraries that it was started with export. */
  load(library: null): { func(declaration: string): NativeCall };
  errno(): number;
  /** Where the memory begins, as long as it is referenced. */
  address(memory: ArrayBuffer): bigint;
}

/** A number as argument costs half of what a view does. */
export type NativeCall = (...args: (number | ArrayBufferView | null)[]) => number;

/** Throws where koffi is not installed or has no binary for this machine. */
export function loadKoffi(): Koffi {
  return createRequire(import.meta.url)('koffi') as Koffi;
}
