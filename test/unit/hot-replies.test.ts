import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import { AUDIENCES, FIREWALLS, NO_FORWARDING, STATUSES } from '../../src/base/model.ts';
import { OnlineTable } from '../../src/heartbeat/online.ts';
import { locateHere } from '../../src/locator/locate.ts';
import { look, Sight } from '../../src/locator/sight.ts';
import { macOf } from '../../src/login/proof.ts';
import { encodeSigned } from '../../src/udp/encode.ts';
import { okReply, userReply } from '../../src/udp/hot-replies.ts';
import { DATAGRAM_BYTES_MAX } from '../../src/udp/message.ts';
import { locatedReply } from '../../src/udp/replies.ts';

/** The hot replies are those of the slow and obvious way: a text of headers, then the mac over it. */

const T = 1_790_000_000;
const text = (maxLength: number) =>
  fc.oneof(
    fc.constant(''),
    fc.tuple(fc.nat(maxLength), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 })).map(([length, one]) =>
      one
        .replace(/\p{Cc}/gu, ' ')
        .repeat(99)
        .slice(0, length),
    ),
  );
const address = fc
  .tuple(fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::1', '::1', 'fe80::1:2:3:4')), fc.nat(65_535))
  .map(([host, port]) => ({ host, port }));
const device = fc.record({
  wan: fc.oneof(address, fc.constant({ host: '127.0.0.1', port: 0 })),
  local: fc.option(address, { nil: null }),
  firewall: fc.constantFrom(...FIREWALLS),
  status: fc.constantFrom(...STATUSES),
  note: text(96),
  device: text(512),
  contact: fc.constantFrom('', 'sip:bob@10.0.0.7:5060;transport=udp'),
});
const uids = ['alice', '10017676', 'zoë'];
const user = fc.record({
  uid: fc.constantFrom(...uids),
  alias: text(256),
  telephones: fc.array(fc.constantFrom('+86 10017676', '110', 'x'.repeat(64)), { maxLength: 16 }),
  buddies: fc.oneof(fc.subarray(uids), fc.constant(Array.from({ length: 200 }, (_, i) => `buddy-${i}`))),
  blocked: fc.subarray(uids),
  privacy: fc.constantFrom(...AUDIENCES),
  contactVisibleTo: fc.constantFrom(...AUDIENCES),
  mayBeCalledBy: fc.constantFrom(...AUDIENCES),
});
const id = fc.stringMatching(/^[A-Za-z0-9._-]{1,32}$/);

function table() {
  return new OnlineTable({ capacity: 16, lifetimeMaxS: 90, nowS: T });
}

function login(online: OnlineTable, profile: Partial<Parameters<typeof online.open>[0]['profile']>, session: object) {
  return online.open(
    {
      profile: {
        ...{ uid: 'bob', alias: '', telephones: [], buddies: [], blocked: [], privacy: 'all', contactVisibleTo: 'all' },
        ...{ mayBeCalledBy: 'all', mayCallOut: true, devicesMax: 5, forwarding: NO_FORWARDING },
        ...profile,
      },
      stamp: { version: '0'.repeat(16), secret: '0'.repeat(16), endsS: 0 },
      epoch: 1,
      logoutAt: null,
    },
    {
      ...{
        cookie: randomBytes(16).toString('hex'),
        key: randomBytes(32),
        wan: { host: '10.0.0.1', port: 1 },
        local: null,
      },
      ...{ network: 'lan', firewall: 'weak', status: 'online', instance: '', note: '', device: '', contact: '' },
      ...{ registration: '', lifetimeS: 90 },
      ...session,
    },
    T,
  );
}

test('Ok to a heartbeat', () => {
  const online = table();
  const row = login(online, {}, {});
  fc.assert(
    fc.property(id, address, (one, wan) => {
      const slow = encodeSigned(online.sessions.key(row), macOf, 'Ok', '', one, { wan: formatAddress(wan) });
      expect(okReply(online, row, one, wan).toString()).toBe(slow.toString());
    }),
  );
});

test('User, for every asker, privacy and device; none where it is longer than a datagram', () => {
  const seen = { written: 0, tooLong: 0, hidden: 0 };
  fc.assert(
    fc.property(id, fc.constantFrom(...uids), user, device, (one, asker, profile, session) => {
      const online = table();
      const askerRow = login(online, { uid: 'asker' }, {});
      login(online, profile, session);
      const located = locateHere(online, asker, profile.uid);
      const sight = new Sight();
      expect(look(online, asker, profile.uid, sight) === 'seen').toBe(located !== undefined);
      if (located === undefined) {
        seen.hidden++;
        return;
      }
      const { verb, argument, headers, body } = locatedReply(located, () => '');
      const slow = encodeSigned(online.sessions.key(askerRow), macOf, verb, argument, one, headers, body);
      const reply = userReply(online, askerRow, one, sight);
      if (reply === null) expect(slow.length).toBeGreaterThan(DATAGRAM_BYTES_MAX);
      else expect(reply.toString()).toBe(slow.toString());
      seen[reply === null ? 'tooLong' : 'written']++;
    }),
    { numRuns: 2_000, endOnFailure: true },
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(10);
});

test('a user with several devices is told in the slow way, with a line for each', () => {
  const online = table();
  const row = login(online, {}, { instance: 'a' });
  login(online, {}, { instance: 'b' });
  const sight = new Sight();
  expect(look(online, 'asker', 'bob', sight)).toBe('seen');
  expect(userReply(online, row, 'r1', sight)).toBeNull();
});
