/** The directory contract with a first directory that takes writes, and a state behind it. */
import { layered } from '../../src/directory/layered.ts';
import { openSqlite } from '../../src/directory/sqlite.ts';
import { directoryContract } from '../support/directory-contract.ts';
import { CONTRACT_BASE_DN } from '../support/directory-samples.ts';
import { silentLog } from '../support/silent-log.ts';

directoryContract('two layers', async () => {
  const open = { path: ':memory:', log: silentLog, baseDn: CONTRACT_BASE_DN };
  const directory = layered(await openSqlite(open), await openSqlite(open));
  await directory.migrate();
  return { directory, close: () => directory.close() };
});
