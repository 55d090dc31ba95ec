import { describe, expect, it } from 'vitest';
import { formatNameAddr, parseNameAddr, parseNameAddrs } from '../../src/sip/name-addr.ts';
import { formatSipUri, parseUri, sameSipUri } from '../../src/sip/uri.ts';
import type { SipUri } from '../../src/sip/uri.ts';

const sip = (text: string): SipUri => parseUri(text) as SipUri;

describe('parseUri', () => {
  it('reads all parts of a SIP URI', () => {
    expect(parseUri('sips:alice:se%20cret@Atlanta.COM:5061;Transport=TCP;lr?subject=a&priority=urgent')).toEqual({
      scheme: 'sips',
      text: 'sips:alice:se%20cret@Atlanta.COM:5061;Transport=TCP;lr?subject=a&priority=urgent',
      user: 'alice',
      password: 'se%20cret',
      host: 'atlanta.com',
      port: 5061,
      params: new Map([
        ['transport', 'tcp'],
        ['lr', ''],
      ]),
      headers: 'subject=a&priority=urgent',
    });
  });

  it('keeps the case of the user, decodes its escapes as UTF-8', () => {
    expect(sip('sip:%C3%A9%6Calice@a.example').user).toBe('élalice');
    expect(sip('SIP:Alice@a.example').user).toBe('Alice');
  });

  it.each(['sip:a.example', 'sip:1.2.3.4:5060', 'sip:[::1]:5060', 'sip:a@b-c.d1.example.', 'sip:a:@b'])(
    'takes %s',
    (text) => {
      expect(parseUri(text)).not.toBeNull();
    },
  );

  it.each([
    'sip:',
    'sip:@a.example',
    'sip:a@',
    'sip:a@b@c',
    'sip:a b@c',
    'sip:a%2@c',
    'sip:a%zz@c',
    'sip:a@1.2.3',
    'sip:a@1.2.3.400',
    'sip:a@-b.c',
    'sip:a@b..c',
    'sip:a@[::1',
    'sip:a@[1.2.3.4]',
    'sip:a@::1',
    'sip:a@b:99999',
    'sip:a@b:',
    'sip:a@b;',
    'sip:a@b;;lr',
    'sip:a@b;x=1;X=2',
    'sip:a@b?',
    'sip:a@b?x',
    'sip:é@b',
    'nothing',
    '1x:y',
    'tel:',
    'tel:12a%',
  ])('refuses %s', (text) => {
    expect(parseUri(text)).toBeNull();
  });

  it('reads tel URIs without their visual separators', () => {
    expect(parseUri('tel:+1-201-555.0123;ext=7')).toMatchObject({
      scheme: 'tel',
      number: '+12015550123',
      params: new Map([['ext', '7']]),
    });
  });

  it('tells other schemes apart', () => {
    expect(parseUri('urn:service:sos')).toEqual({ scheme: 'other', text: 'urn:service:sos' });
  });
});

describe('formatSipUri', () => {
  it.each(['a b', 'é', 'a@b', 'x;y', '%', '\0', 'a:b', '#*'])(
    'escapes the user %j so that it is read again',
    (user) => {
      const uri = formatSipUri({ user, host: '::1', port: 5, params: new Map([['a;b', 'c=d']]) });
      expect(parseUri(uri)).toMatchObject({ user, host: '::1', port: 5, params: new Map([['a;b', 'c=d']]) });
    },
  );
});

describe('sameSipUri (RFC 3261 19.1.4)', () => {
  it.each([
    ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtlanTa.CoM;Transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
    ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;newparam=5'],
    [
      'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
      'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
    ],
    [
      'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
      'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
    ],
    ['sip:a@[2001:DB8::1]', 'sip:a@[2001:db8:0::1]'],
  ])('%s is %s', (a, b) => {
    expect(sameSipUri(sip(a), sip(b))).toBe(true);
    expect(sameSipUri(sip(b), sip(a))).toBe(true);
  });

  it.each([
    ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
    ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
    ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
    ['sip:a@b.c', 'sips:a@b.c'],
    ['sip:a:x@b.c', 'sip:a:y@b.c'],
  ])('%s is not %s', (a, b) => {
    expect(sameSipUri(sip(a), sip(b))).toBe(false);
    expect(sameSipUri(sip(b), sip(a))).toBe(false);
  });
});

describe('parseNameAddr', () => {
  it('gives parameters without brackets to the header, within them to the URI', () => {
    expect(parseNameAddr('sip:a@b.c;tag=1')).toMatchObject({
      uri: { params: new Map() },
      params: new Map([['tag', '1']]),
    });
    expect(parseNameAddr('<sip:a@b.c;tag=1>')).toMatchObject({
      uri: { params: new Map([['tag', '1']]) },
      params: new Map(),
    });
  });

  it('unquotes display names and parameters', () => {
    expect(parseNameAddr('"a \\"b\\\\ <x>, é" <sip:a@b.c> ; +sip.instance = "<urn:x>"')).toMatchObject({
      displayName: 'a "b\\ <x>, é',
      params: new Map([['+sip.instance', '<urn:x>']]),
    });
  });

  it('is printed so that it is read again', () => {
    const address = parseNameAddr('"a \\"b\\\\" <sip:a@b.c>;q=0.5;x="a b";y');
    if (address === null) throw new Error('not read');
    expect(formatNameAddr(address)).toBe('"a \\"b\\\\" <sip:a@b.c>;q=0.5;x="a b";y');
  });

  it.each([
    '',
    '<>',
    'a <sip:a@b.c',
    '"a <sip:a@b.c>',
    '"a" sip:a@b.c',
    '<sip:a@b.c>x',
    '<sip:a@b.c>;=1',
    '<sip:a@b.c>;a=;b',
  ])('refuses %s', (text) => {
    expect(parseNameAddr(text)).toBeNull();
  });

  it('splits a list at commas outside of quotes and brackets', () => {
    const list = parseNameAddrs('"a, b" <sip:a,b@c.d;x=1>;p="1,2" , sip:e@f.g;q=1');
    expect(list?.map((address) => address.uri.text)).toEqual(['sip:a,b@c.d;x=1', 'sip:e@f.g']);
    expect(parseNameAddrs('<sip:a@b.c>,')).toBeNull();
  });
});
