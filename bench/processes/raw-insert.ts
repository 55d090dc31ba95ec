/** The reference of an import into SQL: the rows of the same users into the same tables, and nothing else. */
import { createReadStream } from 'node:fs';
import { createConnection } from 'mysql2/promise';
import type * as NamesModule from '../../src/directory/attribute-names.ts';
import type * as AttributesModule from '../../src/directory/attributes.ts';
import type * as LdifModule from '../../src/directory/ldif.ts';
import type * as RowsModule from '../../src/directory/sql-rows.ts';
import type * as UsersModule from '../../src/directory/sql-users.ts';
import { openRawSqlite } from './raw-sqlite.ts';
import { built } from './talk.ts';

type Value = string | number | null;
/** By table: the columns, and the values of many rows. */
type Batch = ReadonlyMap<string, { readonly columns: readonly string[]; readonly rows: Value[][] }>;

const USERS_A_TRANSACTION = 1_000;
/** The largest statement with so many rows; the rest one by one, as few statements are prepared. */
const ROWS_A_STATEMENT = 128;

/** Milliseconds of the inserts alone: everything is parsed and mapped before. */
export async function insertInBatches(directory: string, file: string): Promise<number> {
  const { insertSql } = await built<typeof UsersModule>('directory/sql-users.js');
  const batches = await batchesOf(file);
  const database = await openRaw(directory);
  const start = performance.now();
  for (const batch of batches) {
    await database.run('BEGIN', []);
    for (const [table, { columns, rows }] of batch) {
      for (let at = 0; at < rows.length;) {
        const size = rows.length - at >= ROWS_A_STATEMENT ? ROWS_A_STATEMENT : 1;
        await database.run(insertSql(table, columns, size), rows.slice(at, at + size).flat());
        at += size;
      }
    }
    await database.run('COMMIT', []);
  }
  const ms = performance.now() - start;
  await database.close();
  return ms;
}

async function batchesOf(file: string): Promise<Batch[]> {
  const { isProblem, parseLdif } = await built<typeof LdifModule>('directory/ldif.js');
  const { userFromAttributes } = await built<typeof AttributesModule>('directory/attributes.js');
  const { DEFAULT_ATTRIBUTE_NAMES } = await built<typeof NamesModule>('directory/attribute-names.js');
  const { CHILD_TABLES, searchKey, userColumns } = await built<typeof RowsModule>('directory/sql-rows.js');
  const batches: Batch[] = [];
  let batch: Batch = new Map();
  let users = 0;
  const add = (table: string, columns: readonly string[], row: Value[]): void => {
    const place = batch.get(table);
    if (place === undefined) (batch as Map<string, unknown>).set(table, { columns, rows: [row] });
    else place.rows.push(row);
  };
  for await (const record of parseLdif(createReadStream(file))) {
    if (isProblem(record) || record.change.type !== 'add' || !record.dn.startsWith('uid=')) continue;
    const region = { name: 'china', countryCode: '86' };
    const { user } = userFromAttributes(record.dn, record.change.attributes, region, DEFAULT_ATTRIBUTE_NAMES);
    const columns = { ...userColumns(user), alias_key: searchKey(user.basic.alias) };
    add('users', Object.keys(columns), Object.values(columns));
    for (const child of CHILD_TABLES) {
      for (const row of child.rows(user)) add(child.table, ['uid', ...child.columns], [user.uid, ...row]);
    }
    if (++users % USERS_A_TRANSACTION === 0) {
      batches.push(batch);
      batch = new Map();
    }
  }
  return [...batches, batch];
}

interface Raw {
  run(sql: string, values: Value[]): Promise<void>;
  close(): Promise<void>;
}

async function openRaw(directory: string): Promise<Raw> {
  if (directory.startsWith('sqlite:')) {
    const database = openRawSqlite(directory);
    return {
      run: (sql, values) => {
        database.run(sql, values);
        return Promise.resolve();
      },
      close: () => {
        database.close();
        return Promise.resolve();
      },
    };
  }
  const connection = await createConnection(directory);
  return {
    async run(sql, values) {
      if (values.length === 0) await connection.query(sql);
      else await connection.execute(sql, values);
    },
    close: () => connection.end(),
  };
}
