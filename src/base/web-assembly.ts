/** WebAssembly that stands in the program (docs/decisions/0017-reader-in-webassembly.md). */
import { endianness } from 'node:os';

/** The part of it that is used: the types of Node leave it out. */
interface Engine {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/**
 * What the code, in base64, exports. Throws where the machine can't run it, so that no node starts there: what WebAssembly
 * writes has its low byte first, and is read here as the machine has it.
 */
export function instantiate(code: string): unknown {
  const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;
  if (endianness() !== 'LE') throw new Error('vserver needs a little-endian processor');
  try {
    return new Instance(new Module(Buffer.from(code, 'base64'))).exports;
  } catch (error) {
    throw new Error('vserver needs WebAssembly with SIMD, on x64 a processor with SSE4.1', { cause: error });
  }
}
