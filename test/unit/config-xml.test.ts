import { readFileSync } from 'node:fs';
import { XMLParser } from 'fast-xml-parser';
import { expect, it } from 'vitest';
import type { User, VoipAccount } from '../../src/base/model.ts';
import { configDocument } from '../../src/config-xml/document.ts';
import { renderPrivate, renderSystem } from '../../src/config-xml/render.ts';
import { testUser } from '../support/fake-directory.ts';

const golden = (name: string): string => readFileSync(new URL(`golden/${name}`, import.meta.url), 'utf8');
const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '', parseAttributeValue: false });

const h323: VoipAccount = {
  type: 'H323',
  enabled: true,
  servers: '192.0.2.1:1719;192.0.2.2',
  e164: '',
  outbound: '',
  property: '',
  ttl: '',
  password: '',
};
const sip: VoipAccount = {
  type: 'SIP',
  enabled: false,
  servers: 'sip.example.com:5060',
  e164: '08610017676',
  outbound: 'proxy.example.com',
  property: 'codec=<g729>&"x"',
  ttl: '3600',
  password: 'S3cret',
};
const variables = new Map([
  ['MAIN_URL', 'http://www.example.com'],
  ['BUY_URL', ''],
]);
const full = testUser({ uid: '100230', voip: [h323, sip], xmlext: '<skin name="blue">\n  <a/>\n</skin>' });

function document(user: User, withPasswords = false, extension = '', values = variables) {
  return configDocument(renderSystem(values, extension), renderPrivate(user, { withPasswords }));
}

it('a full document is the golden one, byte for byte', () => {
  expect(document(full, true, '<news url="http://x/"/>').body.toString()).toBe(golden('full.xml'));
});

it('a user with nothing but a uid has an empty EXT and no account', () => {
  expect(document(testUser({ uid: 'a&b' }), true, '', new Map()).body.toString()).toBe(golden('empty.xml'));
});

it('passwords go only where they are asked for', () => {
  expect(document(full, true).body.toString()).toContain('PWD="S3cret"');
  expect(document(full, false).body.toString()).not.toContain('S3cret');
  expect(
    document(full, false)
      .body.toString()
      .match(/ PWD=""/g),
  ).toHaveLength(2);
});

it('TURN credentials are those of draft-uberti-behave-turn-rest: HMAC-SHA-1 over the end of their life and the uid', () => {
  // printf 1763720000:100230 | openssl dgst -sha1 -hmac north -binary | base64
  const settings = {
    uris: ['turns:t.example.com:5349?transport=tcp', 'turn:[::1]:3478'],
    secret: 'north',
    lifetimeS: 600,
  };
  const turn = { settings, expiryS: 1_763_720_000 };
  const { text } = renderPrivate(full, { withPasswords: true, turn });
  const element =
    '<TURN SERVER="turns:t.example.com:5349?transport=tcp;turn:[::1]:3478" USER="1763720000:100230"' +
    ' PWD="unhqIeEFh7yoqv2Qnc+w3wNpl4U=" EXPIRES="2025-11-21T10:13:20.000Z"/>';
  expect(text).toContain(`/>\n    ${element}\n    <EXT>`);
  expect(renderPrivate(full, { withPasswords: false, turn }).text).not.toContain('1763720000');
});

it('fast-xml-parser reads back what went in', () => {
  const read = parser.parse(document(full, true).body.toString()) as {
    CONFIG: { SYSTEM: { VAR: object[] }; PRIVATE: { ID: string; VOIP: object[]; EXT: { skin: object } } };
  };
  expect(read.CONFIG.SYSTEM.VAR).toEqual([
    { NAME: 'MAIN_URL', VALUE: 'http://www.example.com' },
    { NAME: 'BUY_URL', VALUE: '' },
  ]);
  const { ID, VOIP, EXT } = read.CONFIG.PRIVATE;
  expect(ID).toBe('100230');
  expect(EXT.skin).toEqual({ name: 'blue', a: '' });
  expect(VOIP[1]).toEqual({
    TYPE: 'SIP',
    ENABLE: 'FALSE',
    SERVER: 'sip.example.com:5060',
    E164: '08610017676',
    OUTBOUND: 'proxy.example.com',
    PROPERTY: 'codec=<g729>&"x"',
    TTL: '3600',
    PWD: 'S3cret',
  });
});

it('tabs and line breaks survive a parser as references, characters XML can not hold are dropped', () => {
  const { text } = renderPrivate(
    testUser({ uid: 'u', voip: [{ ...sip, property: 'a\tb\nc\rd\0e\u0008\uD800f\uFFFE' }] }),
    {
      withPasswords: false,
    },
  );
  expect(text).toContain('PROPERTY="a&#x9;b&#xA;c&#xD;def"');
});

it('a fragment put in behind our back is left out with a comment, told to the caller, and the rest is served', () => {
  const user = testUser({ uid: 'u', voip: [sip], xmlext: '</EXT></PRIVATE><PRIVATE ID="root"><EXT>' });
  for (const time of ['first', 'second']) {
    const rendered = renderPrivate(user, { withPasswords: false });
    expect(rendered.rejected, time).toMatch(/closing tag/);
    expect(rendered.text).toContain('<EXT><!-- the stored fragment is not acceptable and was left out --></EXT>');
    expect(rendered.text).toContain('<VOIP TYPE="SIP"');
    expect(rendered.text).not.toContain('root');
  }
  expect(renderPrivate(full, { withPasswords: false }).rejected).toBeNull();
});

it('the ETag changes exactly when the content does', () => {
  const { etag } = document(full);
  expect(etag).toMatch(/^"[\w-]{27}"$/);
  expect(document({ ...full, voip: [{ ...h323 }, { ...sip }] }).etag).toBe(etag);
  // Nothing of these stands in the document.
  expect(document({ ...full, basic: { ...full.basic, alias: 'new' } }).etag).toBe(etag);
  expect(document({ ...full, voip: [h323, { ...sip, password: 'other' }] }).etag).toBe(etag);
  const others = [
    document(full, true),
    document({ ...full, xmlext: '<skin/>' }),
    document({ ...full, voip: [sip, h323] }),
    document(full, false, '<x/>'),
    document(full, false, '', new Map([['MAIN_URL', 'x']])),
  ];
  expect(new Set([etag, ...others.map((other) => other.etag)]).size).toBe(6);
});
