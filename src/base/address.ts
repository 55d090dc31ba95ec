/** `ip:port` text and its 18-byte form: 16 address bytes (IPv4 as ::ffff:a.b.c.d) and a big-endian port. */
import { isIP, isIPv4, SocketAddress } from 'node:net';
import type { Address } from './model.ts';

export const ADDRESS_BYTES = 18;

/** `1.2.3.4:5`, `[::1]:5`. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The reverse of formatAddress for numeric addresses; null where the text is none. Port 0 is allowed. */
export function parseAddress(text: string): Address | null {
  const match = ADDRESS.exec(text);
  if (match === null) return null;
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  if (port > 65_535 || isIP(host) !== (match[1] === undefined ? 4 : 6)) return null;
  return { host: canonicalHost(host), port };
}
const ADDRESS = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})$/;

/** One spelling an address: compressed lower-case IPv6, IPv4-mapped IPv6 as IPv4; names stay as they are. */
export function canonicalHost(host: string): string {
  if (!host.includes(':')) return host;
  const zone = host.indexOf('%');
  const bare = zone < 0 ? host : host.slice(0, zone);
  if (isIP(bare) !== 6) return host;
  const text = new SocketAddress({ address: bare, family: 'ipv6' }).address;
  return text.startsWith('::ffff:') && isIPv4(text.slice(7)) ? text.slice(7) : text;
}

/** Whether a numeric host is this machine itself. */
export function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1';
}

/** Whether a listener there is one at all addresses of the machine. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || canonicalHost(host) === '::';
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.port === b.port && a.host === b.host;
}

/** Writes the 18-byte form at `offset`. The host must be numeric. */
export function writeAddress(target: Uint8Array, offset: number, address: Address): void {
  if (address.host.includes(':')) writeIPv6(target, offset, address.host);
  else writeIPv4(target, offset, address.host);
  target[offset + 16] = address.port >> 8;
  target[offset + 17] = address.port & 255;
}

/** The address at `offset`; null where all 18 bytes are zero (none was written). */
export function readAddress(source: Uint8Array, offset: number): Address | null {
  const port = ((source[offset + 16] ?? 0) << 8) | (source[offset + 17] ?? 0);
  let zero = port === 0;
  for (let i = 0; zero && i < 16; i++) zero = source[offset + i] === 0;
  if (zero) return null;
  if (isIPv4At(source, offset)) {
    return {
      host: `${source[offset + 12]}.${source[offset + 13]}.${source[offset + 14]}.${source[offset + 15]}`,
      port,
    };
  }
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) {
    groups.push((((source[offset + i] ?? 0) << 8) | (source[offset + i + 1] ?? 0)).toString(16));
  }
  return { host: canonicalHost(groups.join(':')), port };
}

/** Whether the 18-byte form at `offset` is that of an IPv4 address, whose bytes stand from `offset + 12` on. */
export function isIPv4At(source: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 10; i++) if (source[offset + i] !== 0) return false;
  return source[offset + 10] === 255 && source[offset + 11] === 255;
}

function writeIPv4(target: Uint8Array, offset: number, host: string): void {
  // Ten stores take less time than one call of fill().
  for (let i = 0; i < 10; i++) target[offset + i] = 0;
  target[offset + 10] = 255;
  target[offset + 11] = 255;
  let at = offset + 12;
  let byte = 0;
  for (let i = 0; i < host.length; i++) {
    const code = host.charCodeAt(i);
    if (code === 46) {
      target[at++] = byte;
      byte = 0;
    } else byte = byte * 10 + code - 48;
  }
  target[at] = byte;
}

function writeIPv6(target: Uint8Array, offset: number, host: string): void {
  const [head = '', tail] = host.split('::', 2);
  const left = groupsOf(head);
  const right = tail === undefined ? [] : groupsOf(tail);
  target.fill(0, offset, offset + 16);
  const put = (groups: number[], first: number): void => {
    groups.forEach((group, i) => {
      target[offset + (first + i) * 2] = group >> 8;
      target[offset + (first + i) * 2 + 1] = group & 255;
    });
  };
  put(left, 0);
  put(right, 8 - right.length);
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
