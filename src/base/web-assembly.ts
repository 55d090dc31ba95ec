/** WebAssembly that stands in the program (docs/decisions/0017-reader-in-webassembly.md). */

/** The part of it that is used: the types of Node leave it out. */
interface Engine {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/** What the code, in base64, exports. */
export function instantiate(code: string): unknown {
  const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;
  return new Instance(new Module(Buffer.from(code, 'base64'))).exports;
}
