import fc from 'fast-check';
import { XMLParser } from 'fast-xml-parser';
import { expect, it } from 'vitest';
import { configDocument } from '../../src/config-xml/document.ts';
import { checkFragment } from '../../src/config-xml/fragment.ts';
import { renderPrivate, renderSystem } from '../../src/config-xml/render.ts';
import { turnCredentials } from '../../src/config-xml/turn.ts';
import { testUser } from '../support/fake-directory.ts';
import { referenceConfig } from '../support/reference-config.ts';

// xmlbuilder2 has its marks from U+E000 to U+E003, and takes a lone surrogate for a character.
const special = fc.constantFrom(
  '<',
  '>',
  '&',
  '"',
  "'",
  '\t',
  '\n',
  '\r',
  ';',
  '\0',
  '\u0008',
  '\u007F',
  '\uFFFE',
  '$&',
);
const text = fc
  .array(fc.oneof(special, fc.string({ unit: 'binary', maxLength: 1 })))
  .map((pieces) => pieces.join('').replace(/[\p{Cs}\uE000-\uE003]/gu, ''));
const account = fc.record({
  type: fc.constantFrom('SIP' as const, 'H323' as const),
  enabled: fc.boolean(),
  servers: text,
  e164: text,
  outbound: text,
  property: text,
  ttl: text,
  password: text,
});
const fragment = fc.constantFrom('', '<a/>', 'text &amp; more', '<a xmlns="u">\n<b c="$1 $`"/></a>', '<![CDATA[ & ]]>');

const TURN = { uris: ['turn:a', 'turn:b?transport=tcp'], secret: 's', lifetimeS: 600 };
function turnElement(uid: string, withPasswords: boolean) {
  const { user, password } = withPasswords ? turnCredentials(TURN, uid, 0) : { user: '', password: '' };
  const EXPIRES = withPasswords ? '1970-01-01T00:00:00.000Z' : '';
  return { SERVER: 'turn:a;turn:b?transport=tcp', USER: user, PWD: password, EXPIRES };
}

it('the fast renderer writes the bytes of xmlbuilder2', () => {
  const cases = fc.record({
    variables: fc.array(fc.tuple(text, text), { maxLength: 4 }),
    extension: fragment,
    xmlext: fragment,
    voip: fc.array(account, { maxLength: 8 }),
    withPasswords: fc.boolean(),
    uid: text,
    hasTurn: fc.boolean(),
  });
  fc.assert(
    fc.property(cases, ({ variables, extension, xmlext, voip, withPasswords, uid, hasTurn }) => {
      const user = testUser({ uid, voip, xmlext });
      const values = new Map(variables);
      const turn = hasTurn ? { settings: TURN, expiryS: 0 } : null;
      const { body } = configDocument(renderSystem(values, extension), renderPrivate(user, { withPasswords, turn }));
      const expected = hasTurn ? turnElement(uid, withPasswords) : null;
      expect(body.toString()).toBe(referenceConfig(values, extension, user, withPasswords, expected));
    }),
    { numRuns: 500 },
  );
});

it('no fragment that passes the check breaks out of its element, and none makes the check throw', () => {
  const parts = [
    '<',
    '>',
    '/',
    '</EXT>',
    '<EXT>',
    '<a>',
    '</a>',
    '<a/>',
    'b="1"',
    ' ',
    ']]>',
    '<![CDATA[',
    '<!--',
    '-->',
  ];
  const more = ['&amp;', '&x;', '&#0;', '<?a?>', '<!DOCTYPE a>', 'xmlns:p="u"', '<p:a', 'text', '"', '\uD800', '\0'];
  const hostile = fc.array(fc.constantFrom(...parts, ...more), { maxLength: 12 }).map((chosen) => chosen.join(''));
  const parser = new XMLParser({ preserveOrder: true, ignoreAttributes: false });
  let passed = 0;
  fc.assert(
    fc.property(hostile, (xmlext) => {
      const refused = checkFragment(xmlext) !== null;
      const { text: rendered, rejected } = renderPrivate(testUser({ uid: 'u', xmlext }), { withPasswords: false });
      expect(rejected !== null).toBe(refused);
      const [root, ...others] = parser.parse(rendered) as { PRIVATE?: object[] }[];
      expect(others).toEqual([]);
      expect(root?.PRIVATE).toHaveLength(1);
      if (!refused) passed++;
    }),
    { numRuns: 5_000 },
  );
  // Else the property would say nothing about good ones.
  expect(passed).toBeGreaterThan(200);
});
