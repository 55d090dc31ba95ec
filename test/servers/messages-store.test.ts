/** Where messages wait: in SQLite, in MariaDB, and beside an LDAP directory in its second one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock, systemTimers } from '../../src/base/system.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { layered } from '../../src/directory/layered.ts';
import { openLdap } from '../../src/directory/ldap.ts';
import { openMysql } from '../../src/directory/mysql.ts';
import { openSqlite } from '../../src/directory/sqlite.ts';
import type { OpenDirectory } from '../support/directory-contract.ts';
import { messageContract } from '../support/directory-contract-messages.ts';
import { CONTRACT_BASE_DN } from '../support/directory-samples.ts';
import { startMariadb } from '../support/mariadb.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Slapd } from '../support/slapd.ts';
import { ROOT_DN, ROOT_PASSWORD, startSlapd } from '../support/slapd.ts';

const shared = { log: silentLog, timers: systemTimers, clock: systemClock, baseDn: CONTRACT_BASE_DN };

async function ready(directory: Directory, stop?: () => Promise<void>): Promise<OpenDirectory> {
  await directory.migrate();
  return {
    directory,
    async close() {
      await directory.close();
      await stop?.();
    },
  };
}

function ldapOf({ url }: Slapd): Promise<Directory> {
  return openLdap({ ...shared, url, bindDn: ROOT_DN, password: ROOT_PASSWORD, startTls: false });
}

messageContract('SQLite', async () => ready(await openSqlite({ ...shared, path: ':memory:' })));

messageContract('MariaDB', async () => {
  const mariadb = await startMariadb();
  const url = await mariadb.url('vserver');
  return ready(await openMysql({ ...shared, url }), () => mariadb.stop());
});

messageContract('OpenLDAP with its state in SQLite', async () => {
  const slapd = await startSlapd();
  const state = await openSqlite({ ...shared, path: ':memory:' });
  return ready(layered(await ldapOf(slapd), state), () => slapd.stop());
});

describe('OpenLDAP alone', () => {
  let slapd: Slapd;
  let directory: Directory;
  beforeAll(async () => {
    slapd = await startSlapd();
    directory = await ldapOf(slapd);
  });
  afterAll(async () => {
    await directory.close();
    await slapd.stop();
  });

  it('has no place for messages, and says so', () => {
    expect(directory.messages).toBeNull();
  });
});
