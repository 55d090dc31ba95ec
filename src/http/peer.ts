/** Who is at the other end, and whether anybody on the way can read what he sends. */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { canonicalHost, isLoopback } from '../base/address.ts';
import type { HttpSettings } from './deps.ts';

export interface Peers {
  /** The client's address; behind a proxy that the settings name, what that one says. */
  host(raw: IncomingMessage): string;
  /** Whether passwords and tokens may travel here (PROTOCOL.md section 2). */
  isPrivate(raw: IncomingMessage): boolean;
}

export function createPeers({ proxies, insecure }: Pick<HttpSettings, 'proxies' | 'insecure'>): Peers {
  const trusted = new Set(proxies.map(canonicalHost));
  const direct = (raw: IncomingMessage): string => canonicalHost(raw.socket.remoteAddress ?? '0.0.0.0');
  return {
    host(raw) {
      const peer = direct(raw);
      return trusted.has(peer) ? forwardedFor(raw, peer, trusted) : peer;
    },
    isPrivate(raw) {
      if (insecure || 'encrypted' in raw.socket) return true;
      const peer = direct(raw);
      // What this machine sends to an address of its own does not leave it either.
      if (!trusted.has(peer)) return isLoopback(peer) || peer === localHost(raw);
      // A proxy that names no protocol is believed to take HTTPS only; one that says http took it in clear.
      const proto = lastOf(raw.headers['x-forwarded-proto']);
      return proto === undefined || proto.toLowerCase() === 'https';
    },
  };
}

function localHost({ socket: { localAddress } }: IncomingMessage): string | undefined {
  return localAddress === undefined ? undefined : canonicalHost(localAddress);
}

/** From the right: each proxy adds whom it heard, so the first that is no proxy of ours is the client. */
function forwardedFor(raw: IncomingMessage, peer: string, trusted: ReadonlySet<string>): string {
  const header = raw.headers['x-forwarded-for'];
  const hops = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',').reverse();
  let client = peer;
  for (const hop of hops) {
    const host = hop.trim();
    if (isIP(host) === 0) return client;
    client = canonicalHost(host);
    if (!trusted.has(client)) return client;
  }
  return client;
}

function lastOf(header: string | string[] | undefined): string | undefined {
  return (Array.isArray(header) ? header.join(',') : header)?.split(',').at(-1)?.trim();
}
