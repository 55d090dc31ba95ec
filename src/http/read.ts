/** Values of a request that a schema can't check. */
import { formatAddress, parseAddress } from '../base/address.ts';
import { VserverError } from '../base/errors.ts';
import type { Address } from '../base/model.ts';
import { isUid } from '../base/model.ts';

const DEVICE_BYTES_MAX = 512;

/** Throws BAD_REQUEST. */
export function readAddress(field: string, text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new VserverError('BAD_REQUEST', `${field} must be ip:port`);
  return address;
}

/** Throws BAD_REQUEST: nobody can be called so, and the directory need not be asked. */
export function readUid(text: string): string {
  if (!isUid(text)) throw new VserverError('BAD_REQUEST', 'not a uid');
  return text;
}

/** Throws TOO_LONG; the schema counts characters, the protocol bytes. */
export function readDevice(text: string): string {
  if (Buffer.byteLength(text) > DEVICE_BYTES_MAX) throw new VserverError('TOO_LONG', 'device has 512 bytes at most');
  return text;
}

export function formatMaybe(address: Address | null): string | undefined {
  return address === null ? undefined : formatAddress(address);
}
