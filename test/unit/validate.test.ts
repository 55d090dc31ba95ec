import { describe, expect, it } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import type { User, VoipAccount } from '../../src/base/model.ts';
import { validateUser } from '../../src/directory/validate.ts';

const plain = userDefaults('10017676');
const account: VoipAccount = {
  type: 'SIP',
  enabled: true,
  servers: '192.0.2.1:5060',
  e164: '10017676',
  outbound: '',
  property: '',
  ttl: '60',
  password: 'pw',
};
const uids = (count: number): string[] => Array.from({ length: count }, (_, i) => `u${i}`);

describe('a user record that keeps the rules', () => {
  const good: Record<string, Partial<User>> = {
    'nothing but a uid': {},
    'a region with a country code': { region: 'china', countryCode: '86' },
    '8 accounts': { voip: Array.from({ length: 8 }, () => account) },
    'a property of 1,024 characters, emoji counted as one': { voip: [{ ...account, property: '😀'.repeat(1024) }] },
    '1,000 buddies': { lists: { ...plain.lists, buddies: uids(1000) } },
    'a fragment': { xmlext: '<a/>' },
    verifiers: { secret: { password: '{SSHA}x', ha1Md5: '0'.repeat(32), ha1Sha256: 'a'.repeat(64) } },
  };
  for (const [name, part] of Object.entries(good)) {
    it(name, () => expect(validateUser({ ...plain, ...part })).toEqual([]));
  }
});

describe('a user record that breaks a rule: the rule is named', () => {
  const bad: Record<string, [part: Partial<User>, rule: RegExp]> = {
    'a uid with a colon': [{ uid: 'a:b' }, /^uid/],
    'a country code with letters': [{ region: 'x', countryCode: '8a' }, /^countryCode/],
    'a country code of 5 digits': [{ region: 'x', countryCode: '86000' }, /^countryCode/],
    'a country code without a region': [{ countryCode: '86' }, /^countryCode/],
    'a region with a line break': [{ region: 'a\nb' }, /^region/],
    '9 accounts': [{ voip: Array.from({ length: 9 }, () => account) }, /^voip: more than 8/],
    'a property of 1,025 characters': [{ voip: [{ ...account, property: 'x'.repeat(1025) }] }, /account 1, property/],
    'a control character in an account': [{ voip: [account, { ...account, e164: '\u0001' }] }, /account 2, e164/],
    '1,001 buddies': [{ lists: { ...plain.lists, buddies: uids(1001) } }, /^buddies/],
    'a blocked entry that is no uid': [{ lists: { ...plain.lists, blocked: ['a b'] } }, /^blocked/],
    'a buddy twice': [{ lists: { ...plain.lists, asked: ['a', 'a'] } }, /^asked/],
    'an alias of 129 characters': [{ basic: { ...plain.basic, alias: 'x'.repeat(129) } }, /^alias: longer/],
    'an alias with a line break': [{ basic: { ...plain.basic, alias: 'a\r\nmac: 0' } }, /^alias: holds a control/],
    'an alias with a lone surrogate': [{ basic: { ...plain.basic, alias: '\uD800' } }, /^alias/],
    'a negative age': [{ basic: { ...plain.basic, age: -1 } }, /^age/],
    'an empty telephone number': [{ contact: { ...plain.contact, telephones: [''] } }, /^telephones/],
    '17 mails': [{ contact: { ...plain.contact, mails: uids(17) } }, /^mails/],
    'no device at all': [{ service: { ...plain.service, devicesMax: 0 } }, /^devicesMax/],
    '101 devices': [{ service: { ...plain.service, devicesMax: 101 } }, /^devicesMax/],
    'half a device': [{ service: { ...plain.service, devicesMax: 1.5 } }, /^devicesMax/],
    'no end that is a number': [{ service: { ...plain.service, expiresAt: Number.NaN } }, /^expiresAt/],
    'a forwarding target with a tab': [{ forwarding: { ...plain.forwarding, busy: 'a\tb' } }, /^forwarding busy/],
    'a forwarding target of 257 characters': [
      { forwarding: { ...plain.forwarding, always: 'x'.repeat(257) } },
      /^forwarding always/,
    ],
    'a forwarding after 0 seconds': [{ forwarding: { ...plain.forwarding, noAnswerSeconds: 0 } }, /noAnswerSeconds/],
    'a fragment with our closing tag': [{ xmlext: '</EXT>' }, /^xmlext/],
    'a verifier in capitals': [{ secret: { ...plain.secret, ha1Sha256: 'A'.repeat(64) } }, /^ha1Sha256/],
    'a verifier too short': [{ secret: { ...plain.secret, ha1Md5: '0'.repeat(31) } }, /^ha1Md5/],
    'a password with NUL': [{ secret: { ...plain.secret, password: 'a\0' } }, /^password/],
  };
  for (const [name, [part, rule]] of Object.entries(bad)) {
    it(name, () => {
      const broken = validateUser({ ...plain, ...part });
      expect(broken).toHaveLength(1);
      expect(broken[0]).toMatch(rule);
    });
  }

  it('every broken rule is told', () => {
    expect(validateUser({ ...plain, uid: '', countryCode: 'x', region: 'r', xmlext: '<' })).toHaveLength(3);
  });

  it('without any secret in the words', () => {
    const secret = { password: 'S3cret\0', ha1Md5: 'S3cret', ha1Sha256: 'S3cret' };
    const broken = validateUser({ ...plain, secret, voip: [{ ...account, password: 'S3cret\0' }] });
    expect(broken).toHaveLength(4);
    expect(broken.join()).not.toContain('S3cret');
  });
});
