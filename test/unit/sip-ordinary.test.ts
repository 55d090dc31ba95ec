/** Whatever is taken for an ordinary Via, From or To is well formed, and says what the slow, obvious way finds in it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNameAddr } from '../../src/sip/name-addr.ts';
import { ordinaryTag, ordinaryVia } from '../../src/sip/ordinary.ts';
import { topViaOf } from '../../src/sip/required-headers.ts';
import { parseVia } from '../../src/sip/via.ts';

/** Two thirds are one of the first two. */
function mostly(usual: string, another: string, ...others: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof({ weight: 2, arbitrary: fc.constantFrom(usual, another) }, fc.constantFrom(...others));
}

const host = fc.constantFrom(
  ...[
    '192.0.2.1',
    '10.0.0.7',
    'vserver',
    'example.com',
    'a-b.example',
    '1.2.3',
    '1.2.3.4.example',
    '01.2.3.4',
    '256.1.1.1',
  ],
  ...['Example.com', '-a', 'a.', '[2001:db8::1]', '1.2.3.4.5', '3com.com', '', 'a..b', '1.2.3.4-x', 'a_b'],
);
const port = mostly('', ':5060', ':1', ':65535', ':65536', ':0', ':05060', ':', ':x', ' :5060');
const param = fc.constantFrom(
  ...[
    ';rport',
    ';rport=5060',
    ';rport=',
    ';rportx',
    ';branch=z9hG4bK-1',
    ';branch=1',
    ';branch=',
    ';received=192.0.2.9',
  ],
  ...[
    ';received=::1',
    ';received=1.2.3.4x',
    ';received=host',
    ';ttl=1',
    ';branch=a:b',
    ' ;rport',
    ';RPORT',
    ';rport;rport',
    ', x',
  ],
);
const via = fc
  .tuple(
    mostly('UDP', 'TCP', 'udp', 'WS', '', 'U/P'),
    mostly(' ', ' ', '  ', '\t', ''),
    host,
    port,
    fc.array(param, { maxLength: 4 }),
  )
  .map(([transport, space, ...rest]) => `SIP/2.0/${transport}${space}${rest.flat().join('')}`);

const name = mostly('', '"A" ', '"A"', '"A \u00e9<;>" ', '"A\\"b" ', '"A', 'A ', '"A"  ', '"A" \r\n ');
const user = mostly('alice@', 'a;b=c@', 'al%69ce@', 'a:b@', '', '@', 'a b@', '+1&2@', 'a@b@', 'a\u00e9@');
const tag = mostly(
  '',
  ';tag=1',
  ';tag=',
  ';tag',
  ';tag=a:b',
  ';tag="a"',
  ';x=y;tag=1',
  ';tag=1;x',
  ' ;tag=1',
  ';tag=1 ',
  ';TAG=1',
);
const person = fc
  .tuple(
    name,
    mostly('<sip:', '<sip:', '<sips:', 'sip:', '<SIP:', '<tel:'),
    user,
    host,
    port,
    mostly('>', '>', '', ';lr>', '?a=b>'),
    tag,
  )
  .map((parts) => parts.join(''));

/** The value with a byte changed, somewhere in a message. */
function placed(value: fc.Arbitrary<string>): fc.Arbitrary<readonly [text: string, at: number, end: number]> {
  const damage = fc.option(fc.tuple(fc.nat(80), fc.nat(255)), { freq: 2 });
  return fc.tuple(value, damage, fc.constantFrom('', 'x', '>;tag=1')).map(([whole, change, behind]) => {
    const [at, byte] = change ?? [whole.length, 0];
    const changed = at < whole.length ? whole.slice(0, at) + String.fromCharCode(byte) + whole.slice(at + 1) : whole;
    return [`Via: ${changed}${behind}`, 5, 5 + changed.length] as const;
  });
}

describe('an ordinary', () => {
  it('Via is one', () => {
    expect(ordinaryVia('SIP/2.0/UDP ', 0, 12)).toBeNull();
    let taken = 0;
    fc.assert(
      fc.property(placed(via), ([text, at, end]) => {
        const found = ordinaryVia(text, at, end);
        if (found === null) return;
        taken++;
        const whole = parseVia(text, at, end);
        expect(whole && { ...topViaOf(whole), whole: null }).toEqual(found);
      }),
      { numRuns: 20_000 },
    );
    expect(taken).toBeGreaterThan(100);
    expect(ordinaryVia('SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK-1', 0, 49)).toEqual({
      branch: 'z9hG4bK-1',
      sentBy: '192.0.2.1:5060',
      asksRport: true,
      whole: null,
    });
  });

  it('From is one, and its tag is that', () => {
    let taken = 0;
    fc.assert(
      fc.property(placed(person), ([text, at, end]) => {
        const found = ordinaryTag(text, at, end);
        if (found === null) return;
        taken++;
        const whole = parseNameAddr(text, at, end);
        expect(whole).not.toBeNull();
        expect(whole?.params.get('tag')).toBe(found);
      }),
      { numRuns: 20_000 },
    );
    expect(taken).toBeGreaterThan(100);
    expect(ordinaryTag('"Alice" <sip:alice@vserver>;tag=a.1', 0, 35)).toBe('a.1');
  });
});
