/** What the check says of rights, and what an import does that only LDAP has trouble with. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock, systemTimers } from '../../src/base/system.ts';
import type { Directory, LdifChange } from '../../src/directory/directory.ts';
import { openLdap } from '../../src/directory/ldap.ts';
import { userOf } from '../support/directory-samples.ts';
import { silentLog } from '../support/silent-log.ts';
import { ROOT_DN, ROOT_PASSWORD, startSlapd, SUFFIX } from '../support/slapd.ts';
import type { Slapd } from '../support/slapd.ts';

const ALICE = `uid=10017676,ou=china,ou=users,${SUFFIX}`;

describe('an LDAP directory', () => {
  let slapd: Slapd;
  let directory: Directory;
  const open = (bindDn: string, password: string): Promise<Directory> =>
    openLdap({
      ...{ url: slapd.url, bindDn, password, startTls: false },
      ...{ log: silentLog, timers: systemTimers, clock: systemClock },
    });
  const apply = async (dn: string, change: LdifChange): Promise<unknown> =>
    (await directory.apply([{ line: 1, dn, change }]))[0];

  beforeAll(async () => {
    slapd = await startSlapd();
    slapd.add({ file: fileURLToPath(new URL('../../ldif/sample.ldif', import.meta.url)) });
    directory = await open(ROOT_DN, ROOT_PASSWORD);
  });
  afterAll(async () => {
    await directory.close();
    await slapd.stop();
  });

  it('is checked for the right to write without a change of anything', async () => {
    const before = (await directory.find('10017676'))?.version;
    const rights = (await directory.check()).filter(({ subject }) => subject === 'LDAP rights');
    expect(rights.map(({ level }) => level)).toEqual(['ok', 'ok']);
    expect((await directory.find('10017676'))?.version).toBe(before);
  });

  it('names the lack of the right to write', async () => {
    const reader = await open(ALICE, 'secret');
    const rights = (await reader.check()).filter(({ subject }) => subject === 'LDAP rights');
    expect(rights.map(({ level }) => level)).toEqual(['error', 'error']);
    for (const { remedy } of rights) expect(remedy).toContain('write access');
    await expect(reader.change('10017676', { xmlext: '<a/>' })).rejects.toMatchObject({ code: 'READ_ONLY' });
    await reader.close();
  });

  it('increments by an import, and not what is no number or not there', async () => {
    const increment = (attribute: string): LdifChange => ({
      type: 'modify',
      modifications: [{ operation: 'increment', attribute, values: ['2'] }],
    });
    await directory.change('10017676', { basic: { age: 30, gender: 'f' } });
    expect(await apply(ALICE, increment('vsAge'))).toEqual({ outcome: 'changed' });
    expect((await userOf(directory, '10017676'))?.basic.age).toBe(32);
    for (const attribute of ['vsGender', 'vsForwardBusy']) {
      expect(await apply(ALICE, increment(attribute))).toMatchObject({ outcome: 'failed' });
    }
  });

  it('does not rename with the old name kept, and says what to do', async () => {
    const rename: LdifChange = { type: 'modrdn', newRdn: 'uid=other', deleteOldRdn: false, newSuperior: null };
    const answer = await apply(ALICE, rename);
    expect(answer).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('deleteoldrdn: 1') as string });
    expect(await userOf(directory, '10017676')).toBeDefined();
  });

  it('takes no variable by an import or a modification that has no place in the document', async () => {
    const dn = `cn=SYSTEM_EXT,ou=config,${SUFFIX}`;
    const attributes = new Map([
      ['objectclass', ['vserverVariable']],
      ['cn', ['SYSTEM_EXT']],
    ]);
    const bad = new Map([...attributes, ['vsvalue', ['<open>']]]);
    await directory.writeVariable('SYSTEM_EXT', null);
    expect(await apply(dn, { type: 'add', attributes: bad })).toMatchObject({ outcome: 'failed' });
    const good = new Map([...attributes, ['vsvalue', ['<a/>']]]);
    expect(await apply(dn, { type: 'add', attributes: good })).toEqual({ outcome: 'added' });
    const modifications = [{ operation: 'replace' as const, attribute: 'vsValue', values: ['<open>'] }];
    expect(await apply(dn, { type: 'modify', modifications })).toMatchObject({ outcome: 'failed' });
    expect(await directory.variable('SYSTEM_EXT')).toBe('<a/>');
  });
});
