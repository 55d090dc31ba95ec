/** What every directory promises, whatever stands behind it: one suite for SQLite, MySQL and LDAP. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NOWHERE, userDefaults } from '../../src/base/model.ts';
import type { Location, ServerRecord, User } from '../../src/base/model.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { exporting, importing } from './directory-contract-ldif.ts';
import {
  allPages,
  CONTRACT_BASE_DN,
  fullUser,
  make,
  online,
  serverRecord,
  unordered,
  userOf,
} from './directory-samples.ts';

export interface OpenDirectory {
  /** Empty, with its schema in place. */
  readonly directory: Directory;
  close(): Promise<void>;
}

/** Runs the suite. `open` gives an empty directory whose base DN is CONTRACT_BASE_DN. */
export function directoryContract(name: string, open: () => Promise<OpenDirectory>): void {
  describe(`the directory contract: ${name}`, () => {
    let opened: OpenDirectory;
    let directory: Directory;
    beforeAll(async () => {
      opened = await open();
      directory = opened.directory;
    });
    afterAll(() => opened.close());

    const get = (): Directory => directory;
    readingAndWriting(get);
    strangeUids(get);
    versions(get);
    searching(get);
    locations(get);
    serversAndVariables(get);
    importing(get);
    exporting(get);
  });
}

function expectSame(found: User | undefined, expected: User): void {
  expect(found === undefined ? found : unordered({ ...found, dn: '' })).toEqual(unordered({ ...expected, dn: '' }));
}

function readingAndWriting(get: () => Directory): void {
  describe('users', () => {
    it('reads back every field as it was written', async () => {
      const user = fullUser('full1');
      expect(await get().create(user)).toBe('created');
      expectSame(await userOf(get(), 'full1'), user);
      expect((await get().find('full1'))?.location).toEqual(NOWHERE);
    });

    it('gives every field its default where nothing is said', async () => {
      await make(get(), 'plain1');
      expectSame(await userOf(get(), 'plain1'), userDefaults('plain1'));
    });

    it('knows each by a DN with his uid, his region and ou=users', async () => {
      await make(get(), 'dn1', { region: 'usa', countryCode: '1' });
      expect((await userOf(get(), 'dn1'))?.dn).toBe(`uid=dn1,ou=usa,ou=users,${CONTRACT_BASE_DN}`);
    });

    it('makes the region that is missing, and keeps the country code of one that exists', async () => {
      await make(get(), 'region1', { region: 'singapore', countryCode: '65' });
      await make(get(), 'region2', { region: 'singapore', countryCode: '' });
      expect(await get().regions()).toContainEqual({ name: 'singapore', countryCode: '65' });
      expect((await userOf(get(), 'region2'))?.countryCode).toBe('65');
    });

    it('says that a uid is taken, in another region too, and leaves its owner alone', async () => {
      const user = await make(get(), 'twice', { region: 'china', countryCode: '86' });
      expect(await get().create({ ...userDefaults('twice'), xmlext: '<x/>' })).toBe('exists');
      expect(await get().create({ ...userDefaults('twice'), region: 'usa', countryCode: '1' })).toBe('exists');
      expectSame(await userOf(get(), 'twice'), user);
    });

    it('lets exactly one of many win who create the same user at the same time', async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => get().create(userDefaults('rush'))));
      expect(answers.filter((answer) => answer === 'created')).toHaveLength(1);
    });

    it('changes what is named and nothing else', async () => {
      const user = fullUser('change1');
      await make(get(), 'change1', user);
      const changes = {
        basic: { alias: 'New', age: null },
        service: { enabled: true },
        lists: { buddies: ['10000009'], asked: [] },
        contact: { telephones: [] },
        voip: user.voip.slice(1),
        xmlext: '',
        secret: { password: 'plain', ha1Md5: null, ha1Sha256: null },
      };
      expect(await get().change('change1', changes)).toBe('changed');
      expectSame(await userOf(get(), 'change1'), {
        ...user,
        ...changes,
        basic: { ...user.basic, ...changes.basic },
        service: { ...user.service, ...changes.service },
        lists: { ...user.lists, ...changes.lists },
        contact: { ...user.contact, ...changes.contact },
      });
    });

    it('changes and removes nobody who does not exist', async () => {
      expect(await get().change('nobody', { xmlext: '' })).toBe('unknown');
      expect(await get().remove('nobody')).toBe('unknown');
    });

    it('removes a user with all that is his: made again he starts from nothing', async () => {
      await make(get(), 'gone', fullUser('gone'));
      await get().writeLocation('gone', online(1), 0);
      expect(await get().remove('gone')).toBe('removed');
      expect(await get().find('gone')).toBeNull();
      await make(get(), 'gone');
      expectSame(await userOf(get(), 'gone'), userDefaults('gone'));
      expect((await get().find('gone'))?.location).toEqual(NOWHERE);
    });

    it('checks a password, plain and hashed', async () => {
      const secret = { ha1Md5: null, ha1Sha256: null };
      await make(get(), 'pw1', { secret: { ...secret, password: 'correct horse' } });
      await make(get(), 'pw2', { secret: { ...secret, password: '{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=' } });
      const check = async (uid: string, password: string): Promise<boolean> =>
        get().checkPassword((await userOf(get(), uid)) ?? userDefaults(uid), password);
      expect(await check('pw1', 'correct horse')).toBe(true);
      expect(await check('pw1', 'wrong')).toBe(false);
      expect(await check('pw2', 'test')).toBe(true);
      expect(await check('pw2', 'Test')).toBe(false);
      await make(get(), 'pw3');
      expect(await check('pw3', '')).toBe(false);
      expect(await check('pw3', 'null')).toBe(false);
    });

    it.each([
      ['a fragment that is not well-formed', { xmlext: '<a>' }],
      ['a fragment with a DOCTYPE', { xmlext: '<!DOCTYPE x><a/>' }],
      ['nine voip accounts', { voip: Array(9).fill(fullUser('x').voip[1]) as User['voip'] }],
      ['a buddy who is no uid', { lists: { ...userDefaults('x').lists, buddies: ['a b'] } }],
    ])('refuses to write %s, at create and at change', async (_what, fields: Partial<User>) => {
      await make(get(), 'rules');
      await expect(get().change('rules', fields)).rejects.toMatchObject({ code: 'INVALID_RECORD' });
      expectSame(await userOf(get(), 'rules'), userDefaults('rules'));
      await get().remove('rules');
      await expect(get().create({ ...userDefaults('rules'), ...fields })).rejects.toMatchObject({
        code: 'INVALID_RECORD',
      });
      expect(await get().find('rules')).toBeNull();
    });
  });
}

const STRANGE = [
  '*',
  'a*b',
  '(uid=x)',
  'back\\slash',
  "o'neil",
  'a"b',
  '100%',
  'a_c',
  '用户',
  'é',
  '-- x'.replace(' ', ''),
  '\u{1F600}',
  'a,b+c',
  '#x',
  '日,本=語',
  '\u202Eabc',
];

function strangeUids(get: () => Directory): void {
  describe('uids', () => {
    it('are told apart byte by byte: case and accents count', async () => {
      for (const uid of ['CaseTest', 'casetest', 'casétest', 'case\u0301test']) await make(get(), uid, aliased(uid));
      for (const uid of ['CaseTest', 'casetest', 'casétest', 'case\u0301test']) {
        expect((await userOf(get(), uid))?.basic.alias).toBe(uid);
      }
      expect(await get().find('CASETEST')).toBeNull();
      expect(await get().remove('CASETEST')).toBe('unknown');
    });

    it.each(STRANGE)('may be strange: %s', async (uid) => {
      await make(get(), uid, { ...aliased('strange'), region: 'china', countryCode: '86' });
      expect((await userOf(get(), uid))?.uid).toBe(uid);
      expect(await get().writeLocation(uid, online(1), 0)).toBe('written');
      expect((await get().peek([uid])).get(uid)).toMatchObject({ epoch: 1, server: 'vserver1' });
      expect(await get().change(uid, { xmlext: '<a/>' })).toBe('changed');
      expect((await userOf(get(), uid))?.xmlext).toBe('<a/>');
      expect(await get().remove(uid)).toBe('removed');
    });

    it.each([
      '*',
      'victi*',
      'victim)(uid=*',
      "' OR '1'='1",
      "victim'--",
      'victim ',
      ' victim',
      'victim\0',
      'victim\t',
      '',
      'v'.repeat(10_000),
      '\ud800',
    ])('find nothing by injection or by what is no uid: %j', async (uid) => {
      await get().create(userDefaults('victim'));
      expect(await get().find(uid)).toBeNull();
      expect([...(await get().peek([uid])).keys()]).toEqual([]);
      expect(await get().writeLocation(uid, online(1), 0)).toBe('unknown');
      expect(await get().remove(uid)).toBe('unknown');
      expect(await userOf(get(), 'victim')).toBeDefined();
    });
  });
}

function aliased(alias: string): Partial<User> {
  return { basic: { ...userDefaults('x').basic, alias } };
}

function versions(get: () => Directory): void {
  describe('the version', () => {
    const version = async (uid: string): Promise<string | undefined> => (await get().find(uid))?.version;

    it.each([
      ['a field', { basic: { alias: 'Other' } }],
      ['the password', { secret: { password: 'other', ha1Md5: null, ha1Sha256: null } }],
      ['a list', { lists: { buddies: ['1', '2'] } }],
      ['a voip account', { voip: fullUser('x').voip }],
      ['a telephone', { contact: { telephones: ['+1'] } }],
    ])('changes with %s, and peek sees the same', async (what, changes) => {
      const uid = `version-${what.replaceAll(' ', '-')}`;
      await make(get(), uid);
      const before = await version(uid);
      expect((await get().peek([uid])).get(uid)?.version).toBe(before);
      await get().change(uid, changes);
      const after = await version(uid);
      expect(after).not.toBe(before);
      expect((await get().peek([uid])).get(uid)?.version).toBe(after);
    });

    it('stays where nothing changed', async () => {
      await make(get(), 'version-same');
      expect(await version('version-same')).toBe(await version('version-same'));
    });

    it('is another one for a user who was removed and made again', async () => {
      await make(get(), 'version-again', fullUser('version-again'));
      const before = await version('version-again');
      await get().remove('version-again');
      await make(get(), 'version-again', aliased('other'));
      expect(await version('version-again')).not.toBe(before);
    });

    it('is told for up to 500 users at once; who is missing is missing', async () => {
      const uids = Array.from({ length: 20 }, (_, i) => `peek${i}`);
      for (const uid of uids) await make(get(), uid);
      const strangers = Array.from({ length: 480 }, (_, i) => `stranger${i}`);
      const glimpses = await get().peek([...uids, ...strangers]);
      expect([...glimpses.keys()].sort()).toEqual([...uids].sort());
      expect(glimpses.get('peek7')).toMatchObject({ epoch: 0, server: null });
      expect((await get().peek([])).size).toBe(0);
    });
  });
}

function searching(get: () => Directory): void {
  describe('the search', () => {
    const uids = Array.from({ length: 25 }, (_, i) => `search${String(i).padStart(2, '0')}`);
    beforeAll(async () => {
      for (const [i, uid] of uids.entries()) {
        await make(get(), uid, {
          basic: { ...userDefaults(uid).basic, alias: i % 2 === 0 ? `Seeker ${i}` : `SEEKER ${i}` },
          contact: {
            telephones: [`+4930${String(i).padStart(3, '0')}`, `+4930${String(i).padStart(3, '0')}9`],
            mails: [`Seeker${i}@Example.com`],
            visibleTo: 'all',
          },
        });
      }
    });

    it.each([
      ['uid', 'search'],
      ['alias', 'seeker'],
      ['alias', 'SEEKER '],
      ['telephone', '+4930'],
      ['mail', 'sEEker'],
    ] as const)('finds by the first letters of %s (%s), in pages, each user once', async (field, prefix) => {
      const pages = await allPages(get(), { field, prefix, limit: 10 });
      expect(pages.flat().sort()).toEqual(uids);
      for (const page of pages) expect(page.length).toBeLessThanOrEqual(10);
      expect((await allPages(get(), { field, prefix, limit: 1000 })).map((page) => page.length)).toEqual([25]);
    });

    it('finds a single one, with all his fields', async () => {
      const { users, next } = await get().search({ field: 'mail', prefix: 'seeker3@example', limit: 10 });
      expect(users.map((user) => user.uid)).toEqual(['search03']);
      expect(users[0]?.basic.alias).toBe('SEEKER 3');
      expect(next).toBeNull();
    });

    it('finds letters beyond ASCII in either case', async () => {
      await make(get(), 'umlaut', aliased('Ärger'));
      expect((await allPages(get(), { field: 'alias', prefix: 'äR', limit: 10 })).flat()).toEqual(['umlaut']);
    });

    it('regards the case of a uid', async () => {
      expect((await allPages(get(), { field: 'uid', prefix: 'SEARCH', limit: 10 })).flat()).toEqual([]);
    });

    it.each(['*', '%', '_', "' OR 1=1 --", 'seeker*', '*)(uid=*', '\\'])(
      'takes %j for what it is and finds nobody',
      async (prefix) => {
        for (const field of ['uid', 'alias', 'telephone', 'mail'] as const) {
          expect((await get().search({ field, prefix, limit: 10 })).users).toEqual([]);
        }
      },
    );

    it('finds what was changed by its new value only', async () => {
      await make(get(), 'moved', aliased('Before it'));
      await get().change('moved', { basic: { alias: 'After it' } });
      const find = (prefix: string): Promise<string[][]> => allPages(get(), { field: 'alias', prefix, limit: 10 });
      expect((await find('before it')).flat()).toEqual([]);
      expect((await find('after it')).flat()).toEqual(['moved']);
    });

    it('goes through everybody with an empty prefix', async () => {
      const found = (await allPages(get(), { field: 'uid', prefix: '', limit: 50 })).flat();
      expect(found).toEqual(expect.arrayContaining(uids));
      expect(new Set(found).size).toBe(found.length);
    });
  });
}

function locations(get: () => Directory): void {
  describe('the location', () => {
    it('is read back as it was written, and peek tells epoch and server', async () => {
      await make(get(), 'where1');
      const hidden = { ...online(1), hidden: true, logoutAt: 1_780_000_000_456 };
      expect(await get().writeLocation('where1', hidden, 0)).toBe('written');
      expect((await get().find('where1'))?.location).toEqual(hidden);
      expect((await get().peek(['where1'])).get('where1')).toMatchObject({ epoch: 1, server: 'vserver1' });
    });

    it('of a logout takes server and addresses away and keeps the epoch', async () => {
      await make(get(), 'where2');
      await get().writeLocation('where2', online(1), 0);
      const away: Location = { ...NOWHERE, loginAt: 1_790_000_000_123, logoutAt: 1_790_000_001_000, epoch: 1 };
      expect(await get().writeLocation('where2', away, 1)).toBe('written');
      expect((await get().find('where2'))?.location).toEqual(away);
      expect((await get().peek(['where2'])).get('where2')).toMatchObject({ epoch: 1, server: null });
    });

    it('is unknown for a user who does not exist', async () => {
      expect(await get().writeLocation('nobody', online(1), 0)).toBe('unknown');
      expect(await get().writeLocation('nobody', online(4), 3)).toBe('unknown');
    });

    it('is written for many users at once, each with his own outcome, and read so', async () => {
      const uids = Array.from({ length: 150 }, (_, i) => `crowd${i}`);
      for (const uid of uids) await make(get(), uid, { xmlext: `<x>${uid}</x>` });
      const write = (epoch: number) => (uid: string) => get().writeLocation(uid, online(epoch + 1), epoch);
      const outcomes = async (epoch: number, strangers: readonly string[] = []) =>
        Promise.all([...uids, ...strangers].map(write(epoch)));
      expect(new Set(await outcomes(0))).toEqual(new Set(['written']));
      await get().writeLocation('crowd7', online(9), 1);
      await get().remove('crowd100');
      const second = await outcomes(1, ['crowd-stranger', 'Crowd1', '*', "crowd' OR 1"]);
      const expected = uids.map((uid) => (uid === 'crowd7' ? 'lost' : uid === 'crowd100' ? 'unknown' : 'written'));
      expect(second).toEqual([...expected, 'unknown', 'unknown', 'unknown', 'unknown']);
      // Of the same user at once exactly one is written.
      const race = await Promise.all(['crowd1', 'crowd2', 'crowd1', 'crowd1', 'crowd3'].map(write(2)));
      expect(race.filter((outcome) => outcome === 'written')).toHaveLength(3);
      expect(race.filter((outcome) => outcome === 'lost')).toHaveLength(2);

      const found = await Promise.all([...uids, 'crowd-stranger', 'CROWD1', ''].map((uid) => get().find(uid)));
      const shown = found.map((entry) => entry && [entry.user.xmlext, entry.location.epoch]);
      const epochs = new Map([...['crowd1', 'crowd2', 'crowd3'].map((uid) => [uid, 3] as const), ['crowd7', 9]]);
      const alive = uids.map((uid) => (uid === 'crowd100' ? null : [`<x>${uid}</x>`, epochs.get(uid) ?? 2]));
      expect(shown).toEqual([...alive, null, null, null]);
    });

    it('is not wiped out by a late logout', async () => {
      await make(get(), 'where3');
      await get().writeLocation('where3', online(1), 0);
      await get().writeLocation('where3', online(2, 'vserver2'), 1);
      expect(await get().writeLocation('where3', { ...NOWHERE, epoch: 1 }, 1)).toBe('lost');
      expect(await get().writeLocation('where3', online(1), 0)).toBe('lost');
      expect((await get().find('where3'))?.location).toEqual(online(2, 'vserver2'));
    });

    it.each([0, 1])('is won by exactly one of 20 who write at once, at epoch %i', async (epoch) => {
      const uid = `race${epoch}`;
      await make(get(), uid);
      if (epoch === 1) await get().writeLocation(uid, online(1), 0);
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => get().writeLocation(uid, online(epoch + 1, `vserver${i}`), epoch)),
      );
      expect(answers.filter((answer) => answer === 'written')).toHaveLength(1);
      expect(answers.filter((answer) => answer === 'lost')).toHaveLength(19);
      const winner = answers.indexOf('written');
      expect((await get().find(uid))?.location).toEqual(online(epoch + 1, `vserver${winner}`));
    });

    it('of a server are found page by page', async () => {
      for (const [i, uid] of ['own1', 'own2', 'own3', 'Own4', 'own5', 'own6'].entries()) {
        await make(get(), uid);
        await get().writeLocation(uid, online(i + 1, uid === 'own5' ? 'Owner' : 'owner'), 0);
      }
      await get().writeLocation('own6', { ...NOWHERE, epoch: 6 }, 6);
      const first = await get().owned('owner', 3);
      const rest = await get().owned('owner', 3, first.at(-1)?.uid);
      expect(first).toHaveLength(3);
      expect([...first, ...rest].sort((a, b) => a.epoch - b.epoch)).toEqual([
        { uid: 'own1', epoch: 1 },
        { uid: 'own2', epoch: 2 },
        { uid: 'own3', epoch: 3 },
        { uid: 'Own4', epoch: 4 },
      ]);
      expect(await get().owned('nobody', 3)).toEqual([]);
    });
  });
}

function serversAndVariables(get: () => Directory): void {
  describe('servers and system variables', () => {
    it('of servers are made, replaced and removed by name', async () => {
      await get().writeServer(serverRecord('s1'));
      await get().writeServer(serverRecord('s2'));
      expect(await get().servers()).toEqual(expect.arrayContaining([serverRecord('s1'), serverRecord('s2')]));
      const changed: ServerRecord = { ...serverRecord('s1'), sip: null, state: 'on', users: 13 };
      await get().writeServer(changed);
      expect((await get().servers()).filter((server) => server.name === 's1')).toEqual([changed]);
      await get().removeServer('s1');
      await get().removeServer('s1');
      expect((await get().servers()).map((server) => server.name)).not.toContain('s1');
    });

    it('of the system are set, replaced and removed', async () => {
      expect(await get().variable('MAIN_URL')).toBeNull();
      await get().writeVariable('MAIN_URL', 'http://www.example.com/?a=1;b=ü');
      await get().writeVariable('MAIN_URL', 'http://www.example.com/?a=2;b=ü');
      expect(await get().variable('MAIN_URL')).toBe('http://www.example.com/?a=2;b=ü');
      await get().writeVariable('MAIN_URL', null);
      await get().writeVariable('MAIN_URL', null);
      expect(await get().variable('MAIN_URL')).toBeNull();
    });

    it.each([
      ['SYSTEM_EXT', '<open>'],
      ['MAIN_URL', 'a\u0001'],
      ['A;B', 'a name that would split the list'],
    ])('refuses the variable %s with a value that has no place in the document', async (name, value) => {
      await expect(get().writeVariable(name, value)).rejects.toMatchObject({ code: 'INVALID_RECORD' });
      expect(await get().variable(name)).toBeNull();
    });

    it.each(['*', "' OR '1'='1", 'x)(cn=*', '%'])('are not found by %j', async (name) => {
      await get().writeVariable('SystemVariables', 'MAIN_URL');
      expect(await get().variable(name)).toBeNull();
    });
  });
}
