import { describe, expect, it } from 'vitest';
import { formatVia, parseVia, parseVias, viaReceivedFrom } from '../../src/sip/via.ts';
import type { Via } from '../../src/sip/via.ts';

function via(text: string): Via {
  const parsed = parseVia(text);
  if (parsed === null) throw new Error(`not read: ${text}`);
  return parsed;
}

describe('Via', () => {
  it('is read with spaces and folds in all places', () => {
    expect(via('SIP / 2.0\r\n / udp  [::1] : 5062 ;\r\n branch = z9hG4bKa ; rport')).toMatchObject({
      transport: 'UDP',
      host: '::1',
      port: 5062,
      branch: 'z9hG4bKa',
      params: new Map([
        ['branch', 'z9hG4bKa'],
        ['rport', ''],
      ]),
    });
  });

  it('stops at the comma before the next', () => {
    expect(via('SIP/2.0/UDP a.b;x="1,2", SIP/2.0/TCP c.d')).toMatchObject({ host: 'a.b' });
    expect(parseVias('SIP/2.0/UDP a.b, SIP/2.0/TCP c.d')?.map((one) => one.transport)).toEqual(['UDP', 'TCP']);
  });

  it.each([
    '',
    'SIP/2.0/UDP',
    'SIP/2.0/ a.b',
    'SIP/3.0/UDP a.b',
    'HTTP/2.0/UDP a.b',
    'SIP/2.0/UDPa.b',
    'SIP/2.0/UDP a.b:x',
    'SIP/2.0/UDP a.b:70000',
    'SIP/2.0/UDP a.b;',
    'SIP/2.0/UDP a.b;branch=1;branch=2',
    'SIP/2.0/UDP a b',
    'SIP/2.0/UDP ::1',
  ])('%j is malformed', (text) => {
    expect(parseVia(text)).toBeNull();
  });

  it('gets received where the sent-by is not the source (RFC 3261 18.2.1)', () => {
    const source = { host: '192.0.2.1', port: 5062 };
    expect(formatVia(viaReceivedFrom(via('SIP/2.0/UDP a.b;branch=x'), source))).toBe(
      'SIP/2.0/UDP a.b;branch=x;received=192.0.2.1',
    );
    expect(formatVia(viaReceivedFrom(via('SIP/2.0/UDP 192.0.2.1:9;branch=x'), source))).toBe(
      'SIP/2.0/UDP 192.0.2.1:9;branch=x',
    );
  });

  it('gets rport and received where rport is asked for (RFC 3581 4), whatever the client wrote there', () => {
    const source = { host: '192.0.2.1', port: 5062 };
    for (const text of [
      'SIP/2.0/UDP 192.0.2.1;rport;branch=x',
      'SIP/2.0/UDP 192.0.2.1;received=9.9.9.9;rport=1;branch=x',
    ]) {
      expect(formatVia(viaReceivedFrom(via(text), source))).toBe(
        'SIP/2.0/UDP 192.0.2.1;rport=5062;branch=x;received=192.0.2.1',
      );
    }
  });
});
