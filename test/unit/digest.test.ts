/** The answer to a Digest challenge is read as by the slow, obvious way: a regular expression for each of its fields. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readDigest } from '../../src/login/digest.ts';

const FIELD = /[\t ]*([A-Za-z0-9*]{1,32})[\t ]*=[\t ]*(?:"((?:[^"\\]|\\[^])*)"|([^\s",]*))[\t ]*(?:,|$)/y;

function fieldsOf(text: string): Map<string, string> | null {
  const fields = new Map<string, string>();
  FIELD.lastIndex = 0;
  while (FIELD.lastIndex < text.length) {
    const match = FIELD.exec(text);
    if (match === null || fields.size === 20) return null;
    const name = (match[1] ?? '').toLowerCase();
    if (fields.has(name)) return null;
    fields.set(name, match[2]?.replace(/\\(.)/g, '$1') ?? match[3] ?? '');
  }
  return fields;
}

function slowly(header: string): unknown {
  const fields = fieldsOf(header.slice('digest '.length));
  if (fields === null) return null;
  const [username, realm, uri, nonce] = ['username', 'realm', 'uri', 'nonce'].map((name) => fields.get(name));
  const algorithm = (fields.get('algorithm') ?? 'MD5').toUpperCase();
  const response = fields.get('response')?.toLowerCase();
  if ([username, realm, uri, nonce, response].includes(undefined) || !['MD5', 'SHA-256'].includes(algorithm))
    return null;
  const read = { username, realm, uri, algorithm, nonce, response };
  if (!fields.has('qop')) return algorithm === 'MD5' ? { ...read, qop: null, nc: '', cnonce: '' } : null;
  const [nc, cnonce] = [fields.get('nc'), fields.get('cnonce')];
  if (fields.get('qop') !== 'auth' || cnonce === undefined || !/^[0-9a-f]{8}$/i.test(nc ?? '')) return null;
  return { ...read, qop: 'auth', nc, cnonce };
}

const USUAL = [
  ...['username="alice"', 'realm="vserver"', 'nonce="abc"', 'uri="sip:vserver"', 'response="00FF"'],
  ...['qop=auth', 'nc=0000000A', 'cnonce="x y"', 'algorithm=MD5'],
];
const odd = fc.constantFrom(
  ...[
    'algorithm=sha-256',
    'algorithm="SHA-256"',
    'algorithm=MD5-sess',
    'qop="auth"',
    'qop=auth-int',
    'nc=1',
    'cnonce=',
  ],
  ...['opaque="o"', 'opaque="p"', 'Username="Bob"', 'username="a\\"b"', 'username="a\\', 'realm="é"', 'realm=', 'uri'],
  ...[
    'response = "ab"',
    '\tnonce= n',
    'x*=1',
    "username*=UTF-8''a",
    '',
    ' ',
    '=',
    'a="b" c',
    `${'n'.repeat(33)}=1`,
    'x=\u00a0',
  ],
);
const changed = fc
  .tuple(fc.nat(8), fc.oneof(odd, fc.constantFrom(...USUAL)), fc.boolean())
  .map(([at, field, isAdded]) => {
    const fields = [...USUAL];
    fields.splice(at, isAdded ? 0 : 1, field);
    return fields;
  });
const separator = fc.constantFrom(', ', ',', ' , ', ',\t', ';', ' ');

test('an answer to a challenge is read as by an expression for each field', () => {
  let taken = 0;
  const answer = fc.tuple(
    fc.oneof(changed, fc.constant(USUAL)),
    separator,
    fc.constantFrom('', ',', ', ', ' ', ', z=1'),
  );
  const many = fc.nat(24).map((count) => Array.from({ length: count }, (_, i) => `x${i}=1`).join(','));
  const text = fc.oneof(
    answer.map(([fields, by, behind]) => fields.join(by) + behind),
    many.map((more) => `${USUAL.join(',')},${more}`),
  );
  fc.assert(
    fc.property(text, (fields) => {
      const read = readDigest(`Digest ${fields}`);
      if (read !== null) taken++;
      expect(read).toEqual(slowly(`Digest ${fields}`));
    }),
    { numRuns: 2_000 },
  );
  expect(taken).toBeGreaterThan(100);
});
