import { describe, expect, it } from 'vitest';
import { parseMessage, SipProblem, SipRequest } from '../../src/sip/message.ts';
import { makeResponse } from '../../src/sip/response.ts';
import { parseVias } from '../../src/sip/via.ts';
import { tortureMessages } from '../support/torture.ts';

const MESSAGES = tortureMessages(new URL('rfc5118.txt', import.meta.url));
const SOURCE = { host: '2001:db8::9:255', port: 5077 };

function request(name: string): SipRequest {
  const message = parseMessage(MESSAGES.get(name) ?? Buffer.alloc(0), { source: SOURCE });
  if (message instanceof SipProblem) throw new Error(`${name}: ${message.status} ${message.reason}`);
  expect(message, name).toBeInstanceOf(SipRequest);
  return message as SipRequest;
}

describe('RFC 5118: IPv6', () => {
  it('all 12 messages are here', () => {
    expect(MESSAGES.size).toBe(12);
  });

  it('4.1 an IPv6 reference in the Request-URI, Via and Contact', () => {
    const message = request('ipv6-good');
    expect(message.uri).toMatchObject({ host: '2001:db8::10', port: null });
    expect(message.topVia).toMatchObject({ host: '2001:db8::9:1', port: null });
    expect(message.contacts()).toMatchObject([
      { displayName: 'Caller', uri: { user: 'caller', host: '2001:db8::1', port: null } },
    ]);
  });

  it('4.2 an IPv6 address without brackets is answered 400', () => {
    const message = parseMessage(MESSAGES.get('ipv6-bad') ?? Buffer.alloc(0), { source: SOURCE });
    expect(message).toMatchObject({ kind: 'problem', status: 400 });
  });

  it('4.3 a port inside the brackets is part of the address', () => {
    expect(request('port-ambiguous').uri).toMatchObject({ host: '2001:db8::10:5070', port: null });
  });

  it('4.4 a port behind the brackets is the port', () => {
    expect(request('port-unambiguous').uri).toMatchObject({ host: '2001:db8::10', port: 5070 });
  });

  it('4.5 received with and without brackets, and is replaced by what was really received', () => {
    const delimited = request('via-received-param-with-delim');
    expect(delimited.topVia.params.get('received')).toBe('[2001:db8::9:255]');
    const plain = request('via-received-param-no-delim');
    expect(plain.topVia.params.get('received')).toBe('2001:db8::9:255');
    for (const message of [delimited, plain]) {
      const answer = makeResponse(message, 200, 'OK').toString();
      expect(answer).toMatch(/^Via: SIP\/2.0\/UDP \[2001:db8::9:1\];branch=z9hG4bKas3\S*;received=2001:db8::9:255\r$/m);
    }
  });

  it.each(['ipv6-in-sdp', 'mult-ip-in-sdp'])('4.6, 4.8 %s: addresses in the body are not our concern', (name) => {
    expect(request(name).body.toString()).toContain('c=IN IP6 2001:db8::');
  });

  it('4.7 IPv4 and IPv6 in Vias', () => {
    const vias = request('mult-ip-in-header').headers('Via');
    expect(vias.map((via) => parseVias(via)?.[0])).toMatchObject([
      { host: '2001:db8::9:1', port: 6050 },
      { host: '192.0.2.1', port: null },
      { host: '2001:db8::9:255', params: new Map(Object.entries({ branch: 'z9hG4bK451jj', received: '192.0.2.200' })) },
    ]);
  });

  it('4.9 IPv4-mapped addresses, which are IPv4 addresses to us', () => {
    const message = request('ipv4-mapped-ipv6');
    expect(message.topVia).toMatchObject({ host: '192.0.2.10', port: 19823 });
    expect(message.contacts()).toMatchObject([{ displayName: 'T. desk phone', uri: { host: '192.0.2.2' } }]);
  });

  it('4.10 the third colon that the grammar of RFC 3261 allows is borne', () => {
    const wrong = request('ipv6-bug-abnf-3-colons');
    const right = request('ipv6-correct-abnf-2-colons');
    expect(wrong.uri).toMatchObject({ host: '2001:db8::c000:201', text: 'sip:user@[2001:db8:::192.0.2.1]' });
    expect(right.uri).toMatchObject({ host: '2001:db8::c000:201' });
  });
});
