/** The client's own address in its row: an IPv4 one as it is, of IPv6 the reference of a text of 16 bytes. */
import { ADDRESS_BYTES, isIPv4At, readAddress, writeAddress } from '../base/address.ts';
import type { Address } from '../base/model.ts';
import type { Arena } from './arena.ts';
import { LOCAL_HOST, LOCAL_KIND_BYTE, LOCAL_PORT_BYTE, ROW_BYTES, ROW_WORDS } from './session-layout.ts';

/** Of a row that was never written, too. */
const NONE = 0;
export const IPV4 = 4;
const IPV6 = 6;

/** Both are the same memory. */
export interface Rows {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
}

export function readLocal({ words, bytes }: Rows, texts: Arena, row: number): Address | null {
  const kind = bytes[row * ROW_BYTES + LOCAL_KIND_BYTE];
  if (kind === NONE) return null;
  const host = row * ROW_BYTES + 4 * LOCAL_HOST;
  const portAt = row * ROW_BYTES + LOCAL_PORT_BYTE;
  if (kind === IPV6) {
    scratch.set(texts.get(words[row * ROW_WORDS + LOCAL_HOST] ?? 0));
    scratch.set(bytes.subarray(portAt, portAt + 2), HOST_BYTES);
    return readAddress(scratch, 0);
  }
  const port = ((bytes[portAt] ?? 0) << 8) | (bytes[portAt + 1] ?? 0);
  return { host: bytes.subarray(host, host + 4).join('.'), port };
}

export function writeLocal({ words, bytes }: Rows, texts: Arena, row: number, address: Address | null): void {
  const at = row * ROW_BYTES;
  if (bytes[at + LOCAL_KIND_BYTE] === IPV6) texts.free(words[row * ROW_WORDS + LOCAL_HOST] ?? 0);
  bytes[at + LOCAL_KIND_BYTE] = NONE;
  if (address === null) return;
  writeAddress(scratch, 0, address);
  bytes.set(scratch.subarray(HOST_BYTES), at + LOCAL_PORT_BYTE);
  const isFour = isIPv4At(scratch, 0);
  bytes[at + LOCAL_KIND_BYTE] = isFour ? IPV4 : IPV6;
  if (isFour) bytes.set(scratch.subarray(HOST_BYTES - 4, HOST_BYTES), at + 4 * LOCAL_HOST);
  else words[row * ROW_WORDS + LOCAL_HOST] = texts.put(scratch.subarray(0, HOST_BYTES));
}

const HOST_BYTES = 16;
const scratch = new Uint8Array(ADDRESS_BYTES);
