import { openSqlite } from '../../src/directory/sqlite.ts';
import { directoryContract } from '../support/directory-contract.ts';
import { CONTRACT_BASE_DN } from '../support/directory-samples.ts';
import { silentLog } from '../support/silent-log.ts';

directoryContract('SQLite', async () => {
  const directory = await openSqlite({ path: ':memory:', log: silentLog, baseDn: CONTRACT_BASE_DN });
  await directory.migrate();
  return { directory, close: () => directory.close() };
});
