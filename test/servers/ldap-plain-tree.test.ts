/** A plain inetOrgPerson tree of somebody else's, which may only be read: no schema of ours, passwords unseen. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock, systemTimers } from '../../src/base/system.ts';
import { DEFAULT_ATTRIBUTE_NAMES } from '../../src/directory/attribute-names.ts';
import type { Directory, LdifRecord } from '../../src/directory/directory.ts';
import { layered } from '../../src/directory/layered.ts';
import { openLdap } from '../../src/directory/ldap.ts';
import type { LdapOptions } from '../../src/directory/ldap.ts';
import { openSqlite } from '../../src/directory/sqlite.ts';
import { online, userOf } from '../support/directory-samples.ts';
import { silentLog } from '../support/silent-log.ts';
import { PLAIN_SIZE_LIMIT, PLAIN_SUFFIX, READER_DN, startSlapd } from '../support/slapd.ts';
import type { Slapd } from '../support/slapd.ts';

const PEOPLE = `ou=people,${PLAIN_SUFFIX}`;
const READ_ONLY = { code: 'READ_ONLY' };
const PORTS = { log: silentLog, timers: systemTimers, clock: systemClock };
const NAMES = { uid: 'employeeNumber', alias: 'cn' };

function person(number: string, name: string, more = ''): string {
  const who = `cn: ${name}\nsn: ${name}\nemployeeNumber: ${number}\nuid: not-this-one\nuserPassword: secret-${number}\n`;
  return `dn: cn=${name},${PEOPLE}\nobjectClass: inetOrgPerson\n${who}${more}\n`;
}

const TREE = [
  `dn: ${PLAIN_SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n\n`,
  `dn: ${PEOPLE}\nobjectClass: organizationalUnit\nou: people\n\n`,
  `dn: ${READER_DN}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: reader-secret\n\n`,
  person('4711', 'Alice', 'telephoneNumber: +1 555 1\nmail: alice@example.org\nemployeeType: phone\n'),
  person('4712', 'Bob', 'employeeType: phone\n'),
  person('4713', 'Printer', 'employeeType: machine\n'),
].join('');

describe('a plain tree with read access only', () => {
  let slapd: Slapd;
  let first: Directory;
  let state: Directory;
  let directory: Directory;
  const openFirst = (more: Partial<LdapOptions> = {}): Promise<Directory> => {
    const access = { url: slapd.url, bindDn: READER_DN, password: 'reader-secret', startTls: false };
    const tree = { usersBase: PEOPLE, userFilter: '(employeeType=phone)', names: NAMES };
    return openLdap({ ...access, ...tree, ...PORTS, ...more });
  };

  beforeAll(async () => {
    slapd = await startSlapd({ plain: true });
    slapd.add({ text: TREE });
    first = await openFirst();
    state = await openSqlite({ path: ':memory:', log: silentLog, baseDn: PLAIN_SUFFIX });
    directory = layered(first, state, { ...DEFAULT_ATTRIBUTE_NAMES, ...NAMES });
    await directory.migrate();
  });
  afterAll(async () => {
    await directory.close();
    await slapd.stop();
  });

  it('knows its users by the attribute and the filter of the settings', async () => {
    expect(await userOf(directory, '4711')).toMatchObject({
      uid: '4711',
      dn: `cn=Alice,${PEOPLE}`,
      region: '',
      basic: { alias: 'Alice' },
      contact: { telephones: ['+1 555 1'], mails: ['alice@example.org'] },
    });
    for (const uid of ['4713', 'not-this-one', 'Alice']) expect(await directory.find(uid)).toBeNull();
    const { users } = await directory.search({ field: 'alias', prefix: 'al', limit: 10 });
    expect(users.map(({ uid }) => uid)).toEqual(['4711']);
  });

  it('checks a password that it does not show, by a bind as the user', async () => {
    const user = await userOf(directory, '4711');
    if (user === undefined) throw new Error('the user is missing');
    expect(user.secret.password).toBeNull();
    expect(await directory.checkPassword(user, 'secret-4711')).toBe(true);
    for (const wrong of ['secret-4712', '', 'SECRET-4711'])
      expect(await directory.checkPassword(user, wrong)).toBe(false);
  });

  it('checks many passwords at once, each of them right', async () => {
    const user = await userOf(directory, '4711');
    if (user === undefined) throw new Error('the user is missing');
    const tries = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 'secret-4711' : 'wrong'));
    const answers = await Promise.all(tries.map((password) => directory.checkPassword(user, password)));
    expect(answers).toEqual(tries.map((password) => password !== 'wrong'));
  });

  it('has more binds than can wait refused', async () => {
    const user = await userOf(directory, '4711');
    if (user === undefined) throw new Error('the user is missing');
    const patient = await openFirst({ deadlineMs: 20_000 });
    const answers = await Promise.allSettled(
      Array.from({ length: 300 }, () => patient.checkPassword(user, 'secret-4711')),
    );
    const refused = answers.filter((answer) => answer.status === 'rejected');
    expect(refused).toHaveLength(300 - 8 - 256);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'OVERLOADED' });
    await patient.close();
  });

  it('has its locations, lists and verifiers in the state', async () => {
    expect(await directory.writeLocation('4712', online(1), 0)).toBe('written');
    expect(await directory.writeLocation('4712', online(1), 0)).toBe('lost');
    const secret = { password: null, ha1Md5: null, ha1Sha256: 'b'.repeat(64) };
    expect(await directory.change('4712', { lists: { buddies: ['4711'] }, secret })).toBe('changed');
    expect(await directory.find('4712')).toMatchObject({
      user: { basic: { alias: 'Bob' }, lists: { buddies: ['4711'] }, secret },
      location: online(1),
    });
    expect((await directory.peek(['4711', '4712'])).get('4712')).toMatchObject({ epoch: 1, server: 'vserver1' });
  });

  it('is never written: passwords, new users and what it says are READ_ONLY', async () => {
    const secret = { password: 'new', ha1Md5: null, ha1Sha256: null };
    await expect(directory.change('4711', { secret })).rejects.toMatchObject(READ_ONLY);
    await expect(directory.change('4711', { basic: { alias: 'Other' } })).rejects.toMatchObject(READ_ONLY);
    await expect(directory.remove('4711')).rejects.toMatchObject(READ_ONLY);
    await expect(first.writeLocation('4711', online(1), 0)).rejects.toMatchObject(READ_ONLY);
    const flagged = await openFirst({ readOnly: true });
    await expect(flagged.change('4711', { xmlext: '<a/>' })).rejects.toMatchObject(READ_ONLY);
    await flagged.close();
  });

  it('is exported with what the state holds, and without where its users are', async () => {
    const records = new Map<string, LdifRecord>();
    for await (const record of directory.entries()) records.set(record.dn, record);
    expect([...records.keys()].filter((dn) => dn.startsWith('cn='))).toEqual([
      `cn=Alice,${PEOPLE}`,
      `cn=Bob,${PEOPLE}`,
    ]);
    const bob = records.get(`cn=Bob,${PEOPLE}`)?.change;
    if (bob?.type !== 'add') throw new Error('an export adds');
    expect(bob.attributes.get('employeenumber')).toEqual(['4712']);
    expect(bob.attributes.get('cn')).toEqual(['Bob']);
    expect(bob.attributes.get('vsbuddy')).toEqual(['4711']);
    expect(bob.attributes.has('vsepoch')).toBe(false);
  });

  it('is found fit where it is set read-only, and else lacks schema and rights', async () => {
    const flagged = await openFirst({ readOnly: true });
    expect((await flagged.check()).filter(({ level }) => level !== 'ok')).toEqual([]);
    await flagged.close();
    const broken = (await first.check()).filter(({ level }) => level === 'error');
    expect(broken.map(({ subject }) => subject)).toContain('LDAP schema');
    for (const { remedy } of broken) expect(remedy).toContain('VSERVER_STATE');
  });

  it.each([
    ['a wrong password', { password: 'wrong' }],
    ['an unknown bind DN', { bindDn: `cn=nobody,${PLAIN_SUFFIX}` }],
    ['no credentials', { bindDn: '', password: '' }],
  ])('with %s is out of reach, and the check names the credentials', async (_what, access) => {
    const locked = await openFirst(access);
    await expect(locked.find('4711')).rejects.toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
    const [finding, ...others] = await locked.check();
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ level: 'error', subject: 'LDAP connection' });
    expect(finding?.message).toContain('credentials');
    expect(finding?.remedy).toContain('VSERVER_LDAP_PASSWORD');
    await locked.close();
  });

  it('whose base is not there is named as such', async () => {
    const lost = await openFirst({ usersBase: `ou=nowhere,${PLAIN_SUFFIX}`, readOnly: true });
    expect((await lost.check()).filter(({ level }) => level === 'error')).toMatchObject([{ subject: 'LDAP tree' }]);
    expect(await lost.find('4711')).toBeNull();
    await lost.close();
  });

  it('says so where its size limit cuts a search, and still finds each user', async () => {
    const more = Array.from({ length: PLAIN_SIZE_LIMIT }, (_, i) =>
      person(`5${i}`, `Many${i}`, 'employeeType: phone\n'),
    );
    slapd.add({ text: more.join('') });
    const all = directory.search({ field: 'uid', prefix: '', limit: 10 });
    await expect(all).rejects.toMatchObject({
      code: 'OVERLOADED',
      message: expect.stringContaining('size limit') as string,
    });
    expect((await directory.search({ field: 'uid', prefix: '4711', limit: 10 })).users).toHaveLength(1);
    expect((await userOf(directory, '519'))?.uid).toBe('519');
  });
});
