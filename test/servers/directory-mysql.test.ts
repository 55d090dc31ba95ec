import { systemTimers } from '../../src/base/system.ts';
import { openMysql } from '../../src/directory/mysql.ts';
import { directoryContract } from '../support/directory-contract.ts';
import { CONTRACT_BASE_DN } from '../support/directory-samples.ts';
import { startMariadb } from '../support/mariadb.ts';
import { silentLog } from '../support/silent-log.ts';

directoryContract('MariaDB', async () => {
  const mariadb = await startMariadb();
  const url = await mariadb.url('vserver');
  const directory = await openMysql({ url, log: silentLog, timers: systemTimers, baseDn: CONTRACT_BASE_DN });
  await directory.migrate();
  return {
    directory,
    async close() {
      await directory.close();
      await mariadb.stop();
    },
  };
});
