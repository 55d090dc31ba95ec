/** Whose connection is private enough for secrets (PROTOCOL.md section 2), and who is at its other end. */
import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createPeers } from '../../src/http/peer.ts';

function request(socket: object, headers: Record<string, string> = {}): IncomingMessage {
  return { socket, headers } as unknown as IncomingMessage;
}

describe('plain HTTP', () => {
  const peers = createPeers({ proxies: ['10.0.0.9'], insecure: false });
  const from = (remoteAddress: string, localAddress: string): boolean =>
    peers.isPrivate(request({ remoteAddress, localAddress }));

  test('is private on loopback', () => {
    expect(from('127.0.0.1', '127.0.0.1')).toBe(true);
    expect(from('127.8.9.10', '127.0.0.1')).toBe(true);
    expect(from('::1', '::1')).toBe(true);
    expect(from('::ffff:127.0.0.1', '::ffff:127.0.0.1')).toBe(true);
  });

  test('is private from this machine to an address of its own', () => {
    expect(from('192.0.2.1', '192.0.2.1')).toBe(true);
    expect(from('::ffff:192.0.2.1', '192.0.2.1')).toBe(true);
    expect(from('2001:db8:0::1', '2001:db8::1')).toBe(true);
  });

  test('is not private from anywhere else, nor where the addresses are not known', () => {
    expect(from('192.0.2.2', '192.0.2.1')).toBe(false);
    expect(from('128.0.0.1', '192.0.2.1')).toBe(false);
    expect(from('2001:db8::2', '2001:db8::1')).toBe(false);
    expect(peers.isPrivate(request({}))).toBe(false);
  });

  test('is private through a proxy of the settings, unless that one took it in clear', () => {
    const via = (headers: Record<string, string>): boolean =>
      peers.isPrivate(request({ remoteAddress: '10.0.0.9', localAddress: '10.0.0.9' }, headers));
    expect(via({})).toBe(true);
    expect(via({ 'x-forwarded-proto': 'https' })).toBe(true);
    expect(via({ 'x-forwarded-proto': 'http' })).toBe(false);
    // The last word is that of the proxy itself.
    expect(via({ 'x-forwarded-proto': 'https, http' })).toBe(false);
  });

  test('from elsewhere stays so whatever it says of itself', () => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1' };
    expect(peers.isPrivate(request({ remoteAddress: '192.0.2.2', localAddress: '192.0.2.1' }, headers))).toBe(false);
  });
});

test('TLS is private, and everything is where the operator says so', () => {
  const elsewhere = { remoteAddress: '192.0.2.2', localAddress: '192.0.2.1' };
  const peers = createPeers({ proxies: [], insecure: false });
  expect(peers.isPrivate(request({ ...elsewhere, encrypted: true }))).toBe(true);
  expect(createPeers({ proxies: [], insecure: true }).isPrivate(request(elsewhere))).toBe(true);
});

test('X-Forwarded-For counts from proxies of the settings only, from the right up to the first that is none', () => {
  const peers = createPeers({ proxies: ['10.0.0.9', '10.0.0.8'], insecure: false });
  const seen = (remoteAddress: string, list: string): string =>
    peers.host(request({ remoteAddress }, { 'x-forwarded-for': list }));
  expect(seen('192.0.2.2', '198.51.100.1')).toBe('192.0.2.2');
  expect(seen('10.0.0.9', '198.51.100.1')).toBe('198.51.100.1');
  expect(seen('10.0.0.9', '127.0.0.1, 198.51.100.1, 10.0.0.8')).toBe('198.51.100.1');
  expect(seen('10.0.0.9', '198.51.100.1, unknown')).toBe('10.0.0.9');
});
