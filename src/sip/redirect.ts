/** What a redirect tells of a user (RFC 3261 8.3): the contacts of his devices. */
import { isIP } from 'node:net';
import type { Device } from '../heartbeat/online.ts';
import { parseRegistration } from './bindings.ts';
import { sipAddress } from './context.ts';
import type { ExtraHeader } from './response.ts';
import { escapeUser, parseUri } from './uri.ts';

/**
 * The best first: by their q, then the device last active; a native client by its outer address. A contact behind a Path
 * (RFC 3327) is left out: only who may set its Route reaches it, and callers don't take one from a 302 (RFC 3261 19.1.5).
 */
export function contactsOf(uid: string, devices: readonly Device[]): ExtraHeader[] {
  const list: { q: number; value: string }[] = [];
  for (const { contact, registration, wan } of devices) {
    if (contact !== '') {
      const { q, path } = parseRegistration(registration);
      if (path !== '') continue;
      list.push({ q: q === '' ? 1 : Number(q), value: q === '' ? `<${contact}>` : `<${contact}>;q=${q}` });
    } else if (wan.port !== 0) list.push({ q: 1, value: `<sip:${escapeUser(uid)}@${sipAddress(wan)}>` });
  }
  return list.sort((a, b) => b.q - a.q).map(({ value }): ExtraHeader => ['Contact', value]);
}

/** Whether callers reach the device without us: by a datagram to its contact, which is where it is seen. */
export function isPublic({ contact, registration, network, wan }: Device): boolean {
  if (contact === '') return true;
  const { path, edge } = parseRegistration(registration);
  if (network !== 'wan' || path !== '' || edge !== '') return false;
  const uri = parseUri(contact);
  if (uri?.scheme !== 'sip' || isIP(uri.host) === 0 || (uri.params.get('transport') ?? 'udp') !== 'udp') return false;
  return uri.host === wan.host && (uri.port ?? 5060) === wan.port;
}
