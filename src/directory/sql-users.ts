/** Writing users: rows into `users` and the tables that hang on it. All of it inside a transaction. */
import type { User } from '../base/model.ts';
import type { SqlRunner, SqlValue, Written } from './sql-driver.ts';
import { attachedText, CHILD_TABLES, searchKey, userColumns } from './sql-rows.ts';
import type { ChildTable } from './sql-rows.ts';

/** Rows an INSERT; few sizes, so that few statements are prepared. */
const INSERT_SIZES = [128, 16, 1];

/** Inserts rows in as few statements as possible; stops at the first statement that something stands against. */
export async function insertRows(
  tx: SqlRunner,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly SqlValue[])[],
): Promise<Written> {
  let done = 0;
  while (done < rows.length) {
    const size = INSERT_SIZES.find((candidate) => candidate <= rows.length - done) ?? 1;
    const values: SqlValue[] = [];
    for (const row of rows.slice(done, done + size)) values.push(...row);
    const written = await tx.run(batchSql(table, columns, size), values);
    if (typeof written === 'string') return written;
    done += size;
  }
  return done;
}

/** The statements of insertRows, whose long texts an import needs again and again: a dozen, as a table always has the same columns. */
const batches = new Map<string, string>();

function batchSql(table: string, columns: readonly string[], rows: number): string {
  const key = `${table} ${rows}`;
  const sql = batches.get(key) ?? insertSql(table, columns, rows);
  batches.set(key, sql);
  return sql;
}

/** `INSERT INTO table (…) VALUES (?, …), (?, …)`. */
export function insertSql(table: string, columns: readonly string[], rows: number): string {
  const row = `(${columns.map(() => '?').join(', ')})`;
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${Array(rows).fill(row).join(', ')}`;
}

/** New users with all that is theirs; 'duplicate' where one of the uids is taken: the caller gives up then. */
export async function insertUsers(tx: SqlRunner, users: readonly User[]): Promise<Written> {
  const rows = users.map((user) => ({
    ...userColumns(user),
    alias_key: searchKey(user.basic.alias),
    attached: attachedText(user),
  }));
  const columns = Object.keys(rows[0] ?? {});
  const written = await insertRows(
    tx,
    'users',
    columns,
    rows.map((row) => Object.values(row)),
  );
  if (typeof written === 'string') return written;
  for (const child of CHILD_TABLES) {
    const theirs = users.flatMap((user) => child.rows(user).map((row) => [user.uid, ...row]));
    await insertRows(tx, child.table, ['uid', ...child.columns], theirs);
  }
  return written;
}

/** Makes regions that are missing; one that exists keeps its country code. */
export async function ensureRegion(tx: SqlRunner, name: string, countryCode: string): Promise<'added' | 'unchanged'> {
  if (name === '') return 'unchanged';
  const [present] = await tx.query('SELECT name FROM regions WHERE name = ?', [name]);
  if (present !== undefined) return 'unchanged';
  const written = await tx.run('INSERT INTO regions (name, country_code) VALUES (?, ?)', [name, countryCode]);
  return written === 'duplicate' ? 'unchanged' : 'added';
}

/** Writes what differs and nothing else, so that what could not be read stays as it was. */
export async function updateUser(tx: SqlRunner, before: User, after: User): Promise<'changed' | 'unchanged' | 'taken'> {
  const old = userColumns(before);
  const changed = Object.entries(userColumns(after)).filter(([column, value]) => value !== old[column]);
  if (changed.length > 0) {
    const set = changed.map(([column]) => `${column} = ?`).join(', ');
    const values = changed.map(([, value]) => value);
    const written = await tx.run(`UPDATE users SET ${set} WHERE uid = ?`, [...values, before.uid]);
    if (written === 'duplicate') return 'taken';
  }
  if (after.basic.alias !== before.basic.alias) {
    // By itself, because a change of the alias makes the trigger write its own key.
    await tx.run('UPDATE users SET alias_key = ? WHERE uid = ?', [searchKey(after.basic.alias), after.uid]);
  }
  let replaced = false;
  for (const child of CHILD_TABLES) replaced = (await replaceRows(tx, child, before, after)) || replaced;
  // Last, since the triggers forget it: SQLite's fire for the rows of a renamed user too.
  if (replaced || after.uid !== before.uid) {
    await tx.run('UPDATE users SET version = version + 1, attached = ? WHERE uid = ?', [
      attachedText(after),
      after.uid,
    ]);
  }
  return replaced || changed.length > 0 ? 'changed' : 'unchanged';
}

async function replaceRows(tx: SqlRunner, child: ChildTable, before: User, after: User): Promise<boolean> {
  const rows = child.rows(after);
  if (JSON.stringify(rows) === JSON.stringify(child.rows(before))) return false;
  await tx.run(`DELETE FROM ${child.table} WHERE uid = ?`, [after.uid]);
  await insertRows(
    tx,
    child.table,
    ['uid', ...child.columns],
    rows.map((row) => [after.uid, ...row]),
  );
  return true;
}
