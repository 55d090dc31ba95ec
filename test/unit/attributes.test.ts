import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AUDIENCES, isUid, userDefaults } from '../../src/base/model.ts';
import type { Location, ServerRecord, User } from '../../src/base/model.ts';
import { DEFAULT_ATTRIBUTE_NAMES as NAMES, LOCATION_FIELDS } from '../../src/directory/attribute-names.ts';
import {
  locationFromAttributes,
  locationToAttributes,
  NO_REGION,
  serverFromAttributes,
  serverToAttributes,
  uidOf,
  userFromAttributes,
  userToAttributes,
} from '../../src/directory/attributes.ts';
import { validateUser } from '../../src/directory/validate.ts';
import { online, serverRecord } from '../support/directory-samples.ts';

const DN = 'uid=u,ou=users,dc=netbbq,dc=com';

const uid = fc.string({ unit: 'binary', minLength: 1, maxLength: 64 }).filter(isUid);
const line = fc.string({ maxLength: 40 });
const filled = fc.string({ minLength: 1, maxLength: 40 });
const hex = (length: number): fc.Arbitrary<string | null> =>
  fc.option(
    fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: length, maxLength: length }),
  );
const audience = fc.constantFrom(...AUDIENCES);
/** Epoch milliseconds between the years 0 and 9999. */
const time = fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') });
const uids = fc.uniqueArray(uid, { maxLength: 5 });
const account = fc.record({
  type: fc.constantFrom('SIP' as const, 'H323' as const),
  enabled: fc.boolean(),
  servers: line,
  e164: line,
  outbound: line,
  property: line,
  ttl: fc.string({ maxLength: 16 }),
  password: line,
});
const user: fc.Arbitrary<User> = fc.record({
  uid,
  region: fc.constant('china'),
  countryCode: fc.constant('86'),
  dn: fc.constant(DN),
  secret: fc.record({ password: fc.option(filled), ha1Md5: hex(32), ha1Sha256: hex(64) }),
  basic: fc.record({
    alias: line,
    avatar: line,
    age: fc.option(fc.integer({ min: 0, max: 200 })),
    gender: fc.string({ maxLength: 32 }),
    country: line,
    state: line,
    city: line,
  }),
  contact: fc.record({
    telephones: fc.uniqueArray(filled, { maxLength: 4 }),
    mails: fc.uniqueArray(filled, { maxLength: 4 }),
    visibleTo: audience,
  }),
  service: fc.record({
    enabled: fc.boolean(),
    expiresAt: fc.option(time),
    mayCallOut: fc.boolean(),
    mayBeCalledBy: audience,
    devicesMax: fc.integer({ min: 1, max: 100 }),
    privacy: audience,
  }),
  forwarding: fc.record({
    always: line,
    busy: line,
    noAnswer: line,
    noAnswerSeconds: fc.integer({ min: 1, max: 600 }),
    unreachable: line,
  }),
  lists: fc.record({ buddies: uids, blocked: uids, asked: uids, asking: uids }),
  voip: fc.array(account, { maxLength: 8 }),
  xmlext: fc.constantFrom('', '<a/>', '<a b="1">ü &amp; c</a>'),
});

describe('a user', () => {
  it('is read from the attributes that were made of him as he was, whoever he is', () => {
    fc.assert(
      fc.property(user, (one) => {
        expect(validateUser(one)).toEqual([]);
        const region = { name: one.region, countryCode: one.countryCode };
        const read = userFromAttributes(one.dn, userToAttributes(one, NAMES), region, NAMES);
        expect(read).toEqual({ user: one, problems: [] });
      }),
      { numRuns: 300 },
    );
  });

  it('is read by other attribute names as well, in any case of letters', () => {
    const names = { ...NAMES, uid: 'employeeNumber', alias: 'givenName', enabled: 'accountOpen' };
    const one = { ...userDefaults('4711'), dn: DN, basic: { ...userDefaults('').basic, alias: 'Zoë' } };
    const attributes = userToAttributes(one, names);
    expect([...attributes.keys()]).toEqual(expect.arrayContaining(['employeenumber', 'givenname']));
    expect(userFromAttributes(DN, attributes, NO_REGION, names)).toEqual({ user: one, problems: [] });
  });

  it('who says nothing but his uid has all defaults', () => {
    const plain = new Map([['uid', ['u']]]);
    expect(userFromAttributes(DN, plain, NO_REGION, NAMES)).toEqual({
      user: { ...userDefaults('u'), dn: DN },
      problems: [],
    });
  });

  it('with several values of uid has the one in his DN', () => {
    expect(uidOf('uid=b,dc=x', new Map([['uid', ['a', 'b']]]), NAMES)).toBe('b');
    expect(uidOf('cn=b,dc=x', new Map([['uid', ['a', 'b']]]), NAMES)).toBe('a');
    expect(uidOf('uid=b,dc=x', new Map(), NAMES)).toBe('b');
  });

  it.each([
    ['uid', 'a b'],
    ['ha1Md5', 'xyz'],
    ['ha1Sha256', 'a'.repeat(32)],
    ['age', '-1'],
    ['age', '201'],
    ['contactVisibleTo', 'family'],
    ['enabled', 'perhaps'],
    ['expiresAt', '20260230000000Z'],
    ['expiresAt', 'tomorrow'],
    ['mayCallOut', '2'],
    ['mayBeCalledBy', 'everybody'],
    ['devicesMax', '0'],
    ['devicesMax', '1e2'],
    ['privacy', 'some'],
    ['forwardNoAnswerSeconds', '601'],
    ['buddy', 'a b'],
    ['blocked', 'a:b'],
    ['buddyAsked', ''],
    ['buddyAsking', 'x'.repeat(65)],
    ['voipAccount', '{'],
    ['voipAccount', '[]'],
    ['voipAccount', 'null'],
    ['voipAccount', '{"type":"FAX"}'],
  ] as const)(
    'with a malformed %s (%s) has its default, and the attribute is named without its value',
    (field, value) => {
      const attributes = new Map([
        ['uid', ['u']],
        [NAMES[field].toLowerCase(), [value]],
      ]);
      const read = userFromAttributes(DN, attributes, NO_REGION, NAMES);
      const { uid: who } = read.user;
      expect(read.user).toEqual({ ...userDefaults(who), dn: DN });
      expect(read.problems).toHaveLength(1);
      expect(read.problems[0]).toContain(NAMES[field]);
      if (value.length > 3) expect(read.problems[0]).not.toContain(value);
    },
  );

  it('with a word that is none of those allowed is told which are', () => {
    const read = userFromAttributes(
      DN,
      new Map([
        ['uid', ['u']],
        [NAMES.privacy.toLowerCase(), ['everything']],
      ]),
      NO_REGION,
      NAMES,
    );
    expect(read.problems).toEqual(['vsPrivacy must be one of: all, buddies, none']);
  });

  it('with more accounts or buddies than there may be has the first of them', () => {
    const accounts = Array.from({ length: 9 }, (_, n) => JSON.stringify({ n, type: 'SIP', ttl: String(n) }));
    const buddies = Array.from({ length: 1_001 }, (_, i) => `b${i}`);
    const attributes = new Map([
      ['uid', ['u']],
      ['vsvoipaccount', accounts.reverse()],
      ['vsbuddy', buddies],
    ]);
    const read = userFromAttributes(DN, attributes, NO_REGION, NAMES);
    expect(read.user.voip.map(({ ttl }) => ttl)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
    expect(read.user.lists.buddies).toHaveLength(1_000);
    expect(read.problems).toHaveLength(2);
  });

  it('is read without throwing, whatever stands in his entry', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.json(),
    );
    const name = fc.constantFrom(...Object.values(NAMES)).map((attribute) => attribute.toLowerCase());
    const entry = fc.array(fc.tuple(name, fc.array(value, { maxLength: 3 }))).map((pairs) => new Map(pairs));
    fc.assert(
      fc.property(entry, fc.string(), (attributes, dn) => {
        const broken = [
          userFromAttributes(dn, attributes, NO_REGION, NAMES).problems,
          locationFromAttributes(attributes, NAMES).problems,
          serverFromAttributes(attributes, NAMES).problems,
        ].flat();
        expect(broken.every((problem) => problem.length < 100)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a location', () => {
  const address = fc.record({
    host: fc.constantFrom('10.0.0.1', '2001:db8::1'),
    port: fc.integer({ min: 1, max: 65_535 }),
  });
  const location: fc.Arbitrary<Location> = fc.record({
    server: fc.option(fc.record({ name: fc.constant('vserver1'), address })),
    network: fc.option(fc.constantFrom('wan' as const, 'lan' as const)),
    wan: fc.option(address),
    local: fc.option(address),
    loginAt: fc.option(time),
    logoutAt: fc.option(time),
    hidden: fc.boolean(),
    epoch: fc.integer({ min: 1, max: 1_000_000 }),
  });

  it('is read from the attributes that were made of it as it was', () => {
    fc.assert(
      fc.property(location, (one) => {
        const attributes = locationToAttributes(one, NAMES);
        expect(locationFromAttributes(attributes, NAMES)).toEqual({ location: one, problems: [] });
      }),
    );
  });

  it('with a malformed attribute has its default, and the attribute is named', () => {
    for (const field of LOCATION_FIELDS) {
      if (field === 'locationServer') continue;
      const name = NAMES[field];
      const attributes = new Map([...locationToAttributes(online(1), NAMES), [name.toLowerCase(), ['?']]]);
      const { problems } = locationFromAttributes(attributes, NAMES);
      expect(problems.join()).toContain(name);
    }
  });
});

describe('a server', () => {
  it('is read from the attributes that were made of it as it was', () => {
    const servers: ServerRecord[] = [serverRecord('s1'), { ...serverRecord('s2'), sip: null, state: 'on' }];
    for (const server of servers) {
      expect(serverFromAttributes(serverToAttributes(server, NAMES), NAMES)).toEqual({ server, problems: [] });
    }
  });

  it('without an address is none', () => {
    expect(serverFromAttributes(new Map([['cn', ['s1']]]), NAMES).server).toBeNull();
  });
});
