/** The schema of the SQL directory (DIRECTORY.md section 7), the same for SQLite and MySQL, and its migrations. */
import { VserverError } from '../base/errors.ts';
import type { Dialect } from './sql-dialects.ts';
import type { SqlDriver, SqlRunner } from './sql-driver.ts';

interface Migration {
  /** What it does, for people. */
  readonly title: string;
  statements(dialect: Dialect): readonly string[];
}

/** In order; the version of a schema is how many of them it has. Never change one that was released: add another. */
const MIGRATIONS: readonly Migration[] = [
  { title: 'tables of version 1', statements: firstTables },
  {
    title: 'index of the users of a server',
    statements: (dialect) => [dialect.index('locations_by_server', 'locations', 'server, uid')],
  },
  { title: 'a table of messages', statements: messageTable },
];

/** Every statement may be run again: MySQL keeps what an interrupted migration has done. */
function firstTables(dialect: Dialect): readonly string[] {
  const { uid, key, text, int, bigint } = dialect.types;
  const table = tableMaker(dialect);
  const empty = `${text} NOT NULL DEFAULT ('')`;
  return [
    table('regions', [`name ${uid} NOT NULL PRIMARY KEY`, `country_code ${key} NOT NULL DEFAULT ''`]),
    table('users', [
      `uid ${uid} NOT NULL PRIMARY KEY`,
      `version ${bigint} NOT NULL DEFAULT (${dialect.random})`,
      `region ${uid} NOT NULL DEFAULT ''`,
      `password ${text}`,
      `ha1_md5 ${key}`,
      `ha1_sha256 ${key}`,
      `alias ${key} NOT NULL DEFAULT ''`,
      // The alias in lower case, for the search; null where somebody made the row who does not know of it.
      `alias_key ${key}`,
      `avatar ${empty}`,
      `age ${int}`,
      ...['gender', 'country', 'state', 'city'].map((name) => `${name} ${empty}`),
      `contact_visible_to ${key} NOT NULL DEFAULT 'all'`,
      `enabled ${int} NOT NULL DEFAULT 1`,
      `expires_at ${bigint}`,
      `may_call_out ${int} NOT NULL DEFAULT 1`,
      `may_be_called_by ${key} NOT NULL DEFAULT 'all'`,
      `devices_max ${int} NOT NULL DEFAULT 5`,
      `privacy ${key} NOT NULL DEFAULT 'all'`,
      ...['always', 'busy', 'no_answer', 'unreachable'].map((name) => `forward_${name} ${empty}`),
      `forward_no_answer_seconds ${int} NOT NULL DEFAULT 20`,
      `xmlext ${empty}`,
      // What stands in the tables below, once more in one text, so that a login reads one row; null: read them.
      `attached ${text}`,
    ]),
    ...userTables(dialect, table),
    table('servers', [
      `name ${key} NOT NULL PRIMARY KEY`,
      `udp ${key} NOT NULL`,
      `http ${key} NOT NULL DEFAULT ''`,
      `sip ${key}`,
      `state ${key} NOT NULL`,
      `users ${int} NOT NULL DEFAULT 0`,
      `users_max ${int} NOT NULL DEFAULT 0`,
      `started_at ${bigint} NOT NULL DEFAULT 0`,
      `seen_at ${bigint} NOT NULL DEFAULT 0`,
      `version ${key} NOT NULL DEFAULT ''`,
    ]),
    table('system_variables', [`name ${key} NOT NULL PRIMARY KEY`, `value ${text} NOT NULL`]),
    dialect.index('users_by_alias', 'users', 'alias_key, uid'),
    dialect.index('users_by_region', 'users', 'region'),
    dialect.index('contacts_by_value', 'contacts', 'kind, value_key, uid'),
    ...dialect.triggers,
  ];
}

type TableMaker = (name: string, columns: readonly string[]) => string;

function tableMaker({ tableEnd }: Dialect): TableMaker {
  return (name, columns) => `CREATE TABLE IF NOT EXISTS ${name} (\n  ${columns.join(',\n  ')}\n)${tableEnd}`;
}

/** What waits for a user until he is online. */
function messageTable(dialect: Dialect): readonly string[] {
  const { serial, uid, key, longText, bigint } = dialect.types;
  const columns = [
    `number ${serial}`,
    `recipient ${uid} NOT NULL`,
    `sender ${uid} NOT NULL`,
    // The sender's own.
    `message_id ${key} NOT NULL`,
    `content_type ${key} NOT NULL`,
    `body ${longText} NOT NULL`,
    `sent_at ${bigint} NOT NULL`,
    'UNIQUE (recipient, sender, message_id)',
    'FOREIGN KEY (recipient) REFERENCES users (uid) ON UPDATE CASCADE ON DELETE CASCADE',
  ];
  return [
    tableMaker(dialect)('messages', columns),
    dialect.index('messages_by_recipient', 'messages', 'recipient, number'),
    dialect.index('messages_by_age', 'messages', 'sent_at'),
  ];
}

/** What hangs on a user: renamed and removed with him. */
function userTables({ types: { uid, key, text, int, bigint } }: Dialect, table: TableMaker): readonly string[] {
  const ofUser = 'FOREIGN KEY (uid) REFERENCES users (uid) ON UPDATE CASCADE ON DELETE CASCADE';
  const empty = `${text} NOT NULL DEFAULT ('')`;
  return [
    table('contacts', [
      `uid ${uid} NOT NULL`,
      // telephone or mail
      `kind ${key} NOT NULL`,
      `position ${int} NOT NULL`,
      `value ${key} NOT NULL`,
      `value_key ${key}`,
      'PRIMARY KEY (uid, kind, position)',
      ofUser,
    ]),
    table('voip_accounts', [
      `uid ${uid} NOT NULL`,
      `position ${int} NOT NULL`,
      `type ${key} NOT NULL`,
      `enabled ${int} NOT NULL DEFAULT 1`,
      ...['servers', 'e164', 'outbound', 'property', 'ttl', 'password'].map((name) => `${name} ${empty}`),
      // 1 in a row of ours, whose user we bring up to date ourselves; null where somebody else made it.
      `own ${int}`,
      'PRIMARY KEY (uid, position)',
      ofUser,
    ]),
    table('buddies', [
      `uid ${uid} NOT NULL`,
      // buddies, blocked, asked or asking
      `list ${key} NOT NULL`,
      `position ${int} NOT NULL`,
      `buddy ${uid} NOT NULL`,
      `own ${int}`,
      'PRIMARY KEY (uid, list, position)',
      ofUser,
    ]),
    table('locations', [
      `uid ${uid} NOT NULL PRIMARY KEY`,
      ...['server', 'server_address', 'network', 'wan', 'lan'].map((name) => `${name} ${key}`),
      `login_at ${bigint}`,
      `logout_at ${bigint}`,
      `hidden ${int} NOT NULL DEFAULT 0`,
      `epoch ${bigint} NOT NULL DEFAULT 0`,
      ofUser,
    ]),
  ];
}

/**
 * Runs what is missing, each migration by itself; the titles of those that ran.
 * @throws VserverError SETTINGS where the schema is newer than this program.
 */
export async function migrateSchema(driver: SqlDriver): Promise<readonly string[]> {
  const done: string[] = [];
  for (let i = 0; i < MIGRATIONS.length; i++) {
    const title = await driver.exclusively(async (tx, define) => {
      await define(VERSION_TABLE);
      const version = await readVersion(tx);
      refuseNewer(version);
      const next = MIGRATIONS[version];
      if (next === undefined) return null;
      for (const statement of next.statements(driver.dialect)) await define(statement);
      await tx.run('INSERT INTO schema_version (version) VALUES (?)', [version + 1]);
      return next.title;
    });
    if (title === null) break;
    done.push(title);
  }
  return done;
}
const VERSION_TABLE = 'CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY)';

/** How the schema stands to this program. Rejects where there is none at all. */
export async function checkSchema(driver: SqlRunner): Promise<'current' | 'outdated' | 'newer'> {
  const version = await readVersion(driver);
  if (version === MIGRATIONS.length) return 'current';
  return version < MIGRATIONS.length ? 'outdated' : 'newer';
}

async function readVersion(tx: SqlRunner): Promise<number> {
  const [row] = await tx.query('SELECT MAX(version) AS version FROM schema_version', []);
  return Number(row?.['version'] ?? 0);
}

function refuseNewer(version: number): void {
  if (version <= MIGRATIONS.length) return;
  throw new VserverError(
    'SETTINGS',
    `the schema of the directory has version ${version}, this program knows ${MIGRATIONS.length}: use a newer vserver`,
  );
}
