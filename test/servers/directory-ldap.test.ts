/** The directory contract against a real OpenLDAP, and the sample tree in it. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock, systemTimers } from '../../src/base/system.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { openLdap } from '../../src/directory/ldap.ts';
import { directoryContract } from '../support/directory-contract.ts';
import { silentLog } from '../support/silent-log.ts';
import { ROOT_DN, ROOT_PASSWORD, startSlapd } from '../support/slapd.ts';
import type { Slapd } from '../support/slapd.ts';

function open(slapd: Slapd): Promise<Directory> {
  const access = { url: slapd.url, bindDn: ROOT_DN, password: ROOT_PASSWORD, startTls: false };
  return openLdap({ ...access, log: silentLog, timers: systemTimers, clock: systemClock });
}

directoryContract('OpenLDAP', async () => {
  const slapd = await startSlapd();
  const directory = await open(slapd);
  await directory.migrate();
  return {
    directory,
    async close() {
      await directory.close();
      await slapd.stop();
    },
  };
});

describe('the sample tree in OpenLDAP', () => {
  let slapd: Slapd;
  let directory: Directory;
  beforeAll(async () => {
    slapd = await startSlapd();
    slapd.add({ file: fileURLToPath(new URL('../../ldif/sample.ldif', import.meta.url)) });
    directory = await open(slapd);
  });
  afterAll(async () => {
    await directory.close();
    await slapd.stop();
  });

  it('loads unchanged by ldapadd, and its user is read with region, accounts and lists', async () => {
    const user = (await directory.find('10017676'))?.user;
    expect(user).toMatchObject({ region: 'china', countryCode: '86', secret: { password: 'secret' } });
    expect(user?.voip.map(({ type }) => type)).toEqual(['SIP', 'H323']);
    expect(user?.lists.buddies).toContain('10043939');
  });

  it('lets a plain inetOrgPerson log in and keeps his location', async () => {
    const user = (await directory.find('10099999'))?.user;
    expect(user !== undefined && (await directory.checkPassword(user, 'secret'))).toBe(true);
    const location = { network: null, wan: null, local: null, loginAt: 1, logoutAt: null, hidden: false, epoch: 1 };
    const server = { name: 'vserver1', address: { host: '127.0.0.1', port: 4321 } };
    expect(await directory.writeLocation('10099999', { ...location, server }, 0)).toBe('written');
  });

  it('has nothing to complain about', async () => {
    expect((await directory.check()).filter(({ level }) => level !== 'ok')).toEqual([]);
  });
});
