/** The directory in SQL (DIRECTORY.md section 7): one implementation over the drivers of sqlite.ts and mysql.ts. */
import { VserverError } from '../base/errors.ts';
import { isUid } from '../base/model.ts';
import type { Location } from '../base/model.ts';
import type { Log } from '../base/ports.ts';
import type { Directory, Finding, Glimpse, Owned, UserChanges } from './directory.ts';
import { checkStored } from './passwords.ts';
import { gathered } from './sql-batches.ts';
import type { LoginOperations } from './sql-batches.ts';
import type { SqlDriver, SqlRunner } from './sql-driver.ts';
import { exportEntries } from './sql-export.ts';
import { applyRecords } from './sql-import.ts';
import { sqlMessages } from './sql-messages.ts';
import { sqlReader } from './sql-read.ts';
import type { SqlReader } from './sql-read.ts';
import { LOCATION_COLUMNS, locationValues, serverColumns } from './sql-rows.ts';
import { checkSchema, migrateSchema } from './sql-schema.ts';
import { ensureRegion, insertSql, insertUsers, updateUser } from './sql-users.ts';
import { changedUser } from './user-changes.ts';
import { validateUser, validateVariable } from './validate.ts';

export interface SqlDirectoryOptions {
  readonly log: Log;
  /** Of the tree that an export shows; the tables know nothing of it. */
  readonly baseDn: string;
}

export function sqlDirectory(driver: SqlDriver, { log, baseDn }: SqlDirectoryOptions): Directory {
  const read = sqlReader(driver.dialect, log, baseDn);
  const upsert = (key: string, columns: readonly string[]): string =>
    driver.dialect.upsert(
      key,
      columns.filter((column) => column !== key),
    );

  const single: LoginOperations = {
    find: (uid) => read.find(driver, uid),
    writeLocation: (uid, location, expectedEpoch) => writeLocation(driver, uid, location, expectedEpoch),
  };

  return {
    description: driver.description,
    ...(driver.isRemote ? gathered(driver, read, single) : single),
    peek: (uids) => peek(driver, uids),
    checkPassword: async ({ secret }, password) =>
      secret.password !== null && (await checkStored(secret.password, password)) === 'match',
    search: (query) => read.search(driver, query),
    regions: () => read.regions(driver),

    async create(user) {
      refuseInvalid(validateUser(user));
      return driver.transaction('normal', async (tx) => {
        if ((await insertUsers(tx, [user])) === 'duplicate') return 'exists';
        await ensureRegion(tx, user.region, user.countryCode);
        return 'created';
      });
    },
    change: (uid, changes) => driver.transaction('normal', (tx) => changeUser(tx, read, uid, changes)),
    async remove(uid) {
      if (!isUid(uid)) return 'unknown';
      return (await driver.run('DELETE FROM users WHERE uid = ?', [uid])) === 0 ? 'unknown' : 'removed';
    },

    owned: (server, limit, after = '') => owned(driver, server, limit, after),
    messages: sqlMessages(driver),

    servers: () => read.servers(driver),
    async writeServer(record) {
      const row = serverColumns(record);
      const columns = Object.keys(row);
      await driver.run(insertSql('servers', columns, 1) + upsert('name', columns), Object.values(row));
    },
    async removeServer(name) {
      await driver.run('DELETE FROM servers WHERE name = ?', [name]);
    },

    variable: (name) => read.variable(driver, name),
    writeVariable: (name, value) => writeVariable(driver, name, value),

    apply: (records, stopAtFailure = false) => applyRecords(driver, read, records, stopAtFailure),
    entries: () => exportEntries(driver, read, baseDn),

    async ping() {
      await driver.query('SELECT 1 AS one', []);
    },
    migrate: () => migrateSchema(driver),
    check: () => check(driver),
    close: () => driver.close(),
  };
}

/** @throws VserverError INVALID_RECORD with every broken rule, where there is one. */
function refuseInvalid(broken: readonly string[]): void {
  if (broken.length > 0) throw new VserverError('INVALID_RECORD', broken.join('; '));
}

/** Sizes of the list in `IN (…)`; few, so that few statements are prepared. */
const PEEK_SIZES = [8, 64, 512];

async function peek(driver: SqlRunner, uids: readonly string[]): Promise<ReadonlyMap<string, Glimpse>> {
  const asked = uids.filter(isUid);
  const size = PEEK_SIZES.find((candidate) => candidate >= asked.length);
  if (size === undefined) throw new VserverError('BAD_REQUEST', 'too many uids at once');
  const [first] = asked;
  if (first === undefined) return new Map();
  const list = [...asked, ...Array<string>(size - asked.length).fill(first)];
  const rows = await driver.query(
    `SELECT u.uid, u.version, l.epoch, l.server FROM users u LEFT JOIN locations l ON l.uid = u.uid
     WHERE u.uid IN (${list.map(() => '?').join(', ')})`,
    list,
  );
  return new Map(
    rows.map((row) => {
      const server = typeof row['server'] === 'string' && row['server'] !== '' ? row['server'] : null;
      return [String(row['uid']), { version: String(row['version']), epoch: Number(row['epoch'] ?? 0), server }];
    }),
  );
}

async function owned(driver: SqlRunner, server: string, limit: number, after: string): Promise<readonly Owned[]> {
  // In the text, since MySQL takes no number for a parameter there; callers have one size, so it is one statement.
  const rows = await driver.query(
    `SELECT uid, epoch FROM locations WHERE server = ? AND uid > ? ORDER BY uid LIMIT ${Math.trunc(limit)}`,
    [server, after],
  );
  return rows.map((row) => ({ uid: String(row['uid']), epoch: Number(row['epoch']) }));
}

async function changeUser(
  tx: SqlRunner,
  read: SqlReader,
  uid: string,
  changes: UserChanges,
): Promise<'changed' | 'unknown'> {
  const before = await read.lock(tx, uid);
  if (before === null) return 'unknown';
  const after = changedUser(before, changes);
  refuseInvalid(validateUser(after));
  await updateUser(tx, before, after);
  return 'changed';
}

const LOCATION_UPDATE = `UPDATE locations SET ${LOCATION_COLUMNS.map((name) => `${name} = ?`).join(', ')}
  WHERE uid = ? AND epoch = ?`;
const LOCATION_INSERT = insertSql('locations', [...LOCATION_COLUMNS, 'uid'], 1);

/** One statement, but for a first login that finds a row already and for one that lost. */
async function writeLocation(
  driver: SqlRunner,
  uid: string,
  location: Location,
  expectedEpoch: number,
): Promise<'written' | 'lost' | 'unknown'> {
  if (!isUid(uid)) return 'unknown';
  const values = locationValues(location);
  if (expectedEpoch === 0) {
    const inserted = await driver.run(LOCATION_INSERT, [...values, uid]);
    if (inserted === 'orphan') return 'unknown';
    if (inserted !== 'duplicate') return 'written';
  }
  const updated = await driver.run(LOCATION_UPDATE, [...values, uid, expectedEpoch]);
  if (updated !== 0) return 'written';
  const [user] = await driver.query('SELECT uid FROM users WHERE uid = ?', [uid]);
  return user === undefined ? 'unknown' : 'lost';
}

async function writeVariable(
  driver: SqlRunner & Pick<SqlDriver, 'dialect'>,
  name: string,
  value: string | null,
): Promise<void> {
  if (value === null) {
    await driver.run('DELETE FROM system_variables WHERE name = ?', [name]);
    return;
  }
  refuseInvalid(validateVariable(name, value));
  const columns = ['name', 'value'];
  await driver.run(insertSql('system_variables', columns, 1) + driver.dialect.upsert('name', ['value']), [name, value]);
}

/** Subject of the finding about the tables. */
export const SQL_SCHEMA = 'SQL schema';

async function check(driver: SqlDriver): Promise<readonly Finding[]> {
  const subject = SQL_SCHEMA;
  await driver.query('SELECT 1 AS one', []);
  // The server answers, so what fails now is that there are no tables yet.
  const schema = await checkSchema(driver).catch(() => 'outdated' as const);
  switch (schema) {
    case 'current':
      return [{ level: 'ok', subject, message: 'the tables are up to date', remedy: '' }];
    case 'outdated':
      return [
        {
          level: 'warning',
          subject,
          message: 'the tables are missing or old: the start will make them',
          remedy: 'start the node, or run `vserver migrate`',
        },
      ];
    case 'newer':
      return [
        { level: 'error', subject, message: 'the tables are newer than this program', remedy: 'use a newer vserver' },
      ];
  }
}
