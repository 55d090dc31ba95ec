/** Reading users, servers and variables: what the directory, the import and the export share. */
import { VserverError } from '../base/errors.ts';
import { isUid, userDefaults } from '../base/model.ts';
import type { Region, ServerRecord, User } from '../base/model.ts';
import type { Log } from '../base/ports.ts';
import type { Entry, Page, Query } from './directory.ts';
import { formatRdn } from './dn.ts';
import type { Dialect } from './sql-dialects.ts';
import type { SqlRow, SqlRunner, SqlValue } from './sql-driver.ts';
import type { Attached } from './sql-rows.ts';
import {
  attachedFrom,
  attachedOf,
  CHILD_TABLES,
  fieldsOf,
  LOCATION_COLUMNS,
  readLocation,
  readServer,
  readUser,
  searchKey,
  userColumns,
} from './sql-rows.ts';

export interface SqlReader {
  find(db: SqlRunner, uid: string): Promise<Entry | null>;
  /** Up to FIND_MAX users in one query; who is missing from the map is missing from the directory. */
  findAll(db: SqlRunner, uids: readonly string[]): Promise<ReadonlyMap<string, Entry>>;
  /** The user, whom the running transaction is going to change. */
  lock(tx: SqlRunner, uid: string): Promise<User | null>;
  search(db: SqlRunner, query: Query): Promise<Page>;
  regions(db: SqlRunner): Promise<readonly Region[]>;
  servers(db: SqlRunner): Promise<readonly ServerRecord[]>;
  variable(db: SqlRunner, name: string): Promise<string | null>;
}

const SEARCH_LIMIT_MAX = 1_000;
/** Above every text that begins with what stands before it; no alias has four of them. */
const LAST = '\u{10FFFF}'.repeat(4);

/** What is read of a user and his location: the names that readUser and readLocation know, and where they come from. */
const FIELDS: readonly (readonly [name: string, source: string])[] = [
  ...Object.keys(userColumns(userDefaults(''))).map((column) => [column, `u.${column}`] as const),
  ['version', 'u.version'],
  ['country_code', 'r.country_code'],
  ...LOCATION_COLUMNS.map((column) => [`l_${column}`, `l.${column}`] as const),
];
/** As one JSON array: fifty columns one by one would cost the drivers more than all the rest. */
const USER = `JSON_ARRAY(${FIELDS.map(([, source]) => source).join(', ')})`;
const NAMES = FIELDS.map(([name]) => name);
const JOINS = 'LEFT JOIN regions r ON r.name = u.region LEFT JOIN locations l ON l.uid = u.uid';

/** The user with his location and, where it is known, all that hangs on him: one row. */
const FIND = `SELECT ${USER} AS fields, u.attached FROM users u ${JOINS} WHERE u.uid`;
/** Of the lists in findAll; few, so that few statements are prepared. */
const FIND_SIZES = [4, 16, 64];
export const FIND_MAX = 64;

function userRow(row: SqlRow): SqlRow {
  const values = fieldsOf(row);
  const named: Record<string, unknown> = {};
  for (const [i, name] of NAMES.entries()) named[name] = values[i];
  return named;
}

/** What hangs on the users of a page. */
function childrenSql(users: number): string {
  const list = Array(users).fill('?').join(', ');
  return CHILD_TABLES.map(
    ({ table, columns }) =>
      `SELECT uid, '${table}' AS of_table, JSON_ARRAY(${columns.join(', ')}) AS fields FROM ${table} WHERE uid IN (${list})`,
  ).join(' UNION ALL ');
}
/** Few sizes, so that few statements are prepared. */
const PAGE_SIZES = [1, 16, 128, SEARCH_LIMIT_MAX];

export function sqlReader(dialect: Dialect, log: Log, baseDn: string): SqlReader {
  const dn = (uid: string, region: string): string => userDn(uid, region, baseDn);
  const warn = (problems: readonly string[], of: object): void => {
    if (problems.length > 0) log.warn({ ...of, columns: problems }, 'columns of the directory that can not be read');
  };
  const toUser = (row: SqlRow, attached: Attached): User => {
    const problems: string[] = [];
    const user = readUser(row, attached, dn, problems);
    warn(problems, { uid: user.uid });
    return user;
  };

  const toEntry = (row: SqlRow, attached: Attached): Entry => {
    const problems: string[] = [];
    const where = readLocation(row, problems);
    warn(problems, { uid: row['uid'] });
    return { user: toUser(row, attached), location: where, version: String(row['version']) };
  };

  const find = async (db: SqlRunner, uid: string): Promise<Entry | null> => {
    if (!isUid(uid)) return null;
    const [found] = await db.query(`${FIND} = ?`, [uid]);
    if (found === undefined) return null;
    // What hangs on him may change between the two reads: it is no older than the version then.
    const attached = attachedOf(found) ?? attachedFrom((await childrenOf(db, [uid])).get(uid) ?? []);
    return toEntry(userRow(found), attached);
  };
  const findAll = async (db: SqlRunner, uids: readonly string[]): Promise<ReadonlyMap<string, Entry>> => {
    const asked = uids.filter(isUid);
    const [first] = asked;
    if (first === undefined) return new Map();
    const size = FIND_SIZES.find((candidate) => candidate >= asked.length) ?? asked.length;
    const list = [...asked, ...Array<string>(size - asked.length).fill(first)];
    const found = await db.query(`${FIND} IN (${list.map(() => '?').join(', ')})`, list);
    const rows = found.map((row) => ({ row: userRow(row), attached: attachedOf(row) }));
    const apart = rows.filter(({ attached }) => attached === null).map(({ row }) => String(row['uid']));
    const children = await childrenOf(db, apart);
    return new Map(
      rows.map(({ row, attached }) => {
        const uid = String(row['uid']);
        return [uid, toEntry(row, attached ?? attachedFrom(children.get(uid) ?? []))];
      }),
    );
  };

  return {
    find,
    findAll,
    async lock(tx, uid) {
      if (!isUid(uid)) return null;
      await tx.query(`SELECT uid FROM users WHERE uid = ?${dialect.forUpdate}`, [uid]);
      return (await find(tx, uid))?.user ?? null;
    },
    search: (db, query) => searchPage(db, query, toUser),
    async regions(db) {
      const rows = await db.query('SELECT name, country_code FROM regions ORDER BY name', []);
      return rows.map((row) => ({ name: String(row['name']), countryCode: String(row['country_code']) }));
    },
    async servers(db) {
      const rows = await db.query('SELECT * FROM servers ORDER BY name', []);
      return rows.flatMap((row) => {
        const problems: string[] = [];
        const server = readServer(row, problems);
        warn(problems, { server: row['name'] });
        return server === null ? [] : [server];
      });
    },
    async variable(db, name) {
      const [row] = await db.query('SELECT value FROM system_variables WHERE name = ?', [name]);
      return typeof row?.['value'] === 'string' ? row['value'] : null;
    },
  };
}

async function searchPage(
  db: SqlRunner,
  query: Query,
  toUser: (row: SqlRow, attached: Attached) => User,
): Promise<Page> {
  const limit = Math.min(Math.max(Math.trunc(query.limit), 1), SEARCH_LIMIT_MAX);
  const { sql, values } = pageOf(query, limit + 1);
  // The page is cut out of the index first; only its users are read then.
  const rows = await db.query(
    `SELECT ${USER} AS fields, u.attached, page.k AS page_key, page.uid FROM (${sql}) page JOIN users u ON u.uid = page.uid ${JOINS}
         ORDER BY page.k, page.uid`,
    values,
  );
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next = rows.length > limit && last !== undefined ? formatCursor(last['page_key'], last['uid']) : null;
  const children = await childrenOf(
    db,
    shown.filter((row) => attachedOf(row) === null).map((row) => String(row['uid'])),
  );
  const attached = (row: SqlRow): Attached => attachedOf(row) ?? attachedFrom(children.get(String(row['uid'])) ?? []);
  return { users: shown.map((row) => toUser(userRow(row), attached(row))), next };
}

async function childrenOf(db: SqlRunner, uids: readonly string[]): Promise<Map<string, SqlRow[]>> {
  const children = new Map<string, SqlRow[]>();
  const [first] = uids;
  if (first === undefined) return children;
  const size = PAGE_SIZES.find((candidate) => candidate >= uids.length) ?? uids.length;
  const list = [...uids, ...Array<string>(size - uids.length).fill(first)];
  const rows = await db.query(childrenSql(size), Array<string[]>(CHILD_TABLES.length).fill(list).flat());
  for (const row of rows) {
    const uid = String(row['uid']);
    const theirs = children.get(uid);
    if (theirs === undefined) children.set(uid, [row]);
    else theirs.push(row);
  }
  return children;
}

/** The DN under which an export shows a user. */
export function userDn(uid: string, region: string, baseDn: string): string {
  const parent = region === '' ? '' : `${formatRdn('ou', region)},`;
  return `${formatRdn('uid', uid)},${parent}ou=users,${baseDn}`;
}

/** Key and uid of one page, in order, straight from an index: never OFFSET, so the last page costs what the first did. */
function pageOf({ field, prefix, after }: Query, rows: number): { sql: string; values: readonly SqlValue[] } {
  const from = field === 'uid' ? prefix : searchKey(prefix);
  const start = after === undefined ? { key: from, uid: '' } : parseCursor(after);
  const end = `LIMIT ${rows}`;
  if (field === 'uid') {
    return {
      sql: `SELECT uid, uid AS k FROM users WHERE uid >= ? AND uid < ? AND uid > ? ORDER BY uid ${end}`,
      values: [from, from + LAST, start.uid],
    };
  }
  if (field === 'alias') {
    return {
      sql: `SELECT uid, alias_key AS k FROM users WHERE alias_key >= ? AND alias_key < ? AND (alias_key > ? OR uid > ?)
            ORDER BY alias_key, uid ${end}`,
      values: [start.key, from + LAST, start.key, start.uid],
    };
  }
  // A user with several values that match stands where the first of them does.
  return {
    sql: `SELECT uid, value_key AS k FROM contacts c
          WHERE kind = ? AND value_key >= ? AND value_key < ? AND (value_key > ? OR uid > ?) AND NOT EXISTS (
            SELECT 1 FROM contacts d WHERE d.uid = c.uid AND d.kind = c.kind AND d.value_key >= ?
            AND (d.value_key < c.value_key OR (d.value_key = c.value_key AND d.position < c.position)))
          ORDER BY value_key, uid ${end}`,
    values: [field, start.key, from + LAST, start.key, start.uid, from],
  };
}

function formatCursor(key: unknown, uid: unknown): string {
  return Buffer.from(JSON.stringify([key, uid])).toString('base64url');
}

function parseCursor(text: string): { key: string; uid: string } {
  try {
    const [key, uid] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    if (typeof key === 'string' && typeof uid === 'string') return { key, uid };
  } catch {
    // falls through: whatever is wrong with it, it did not come from us
  }
  throw new VserverError('BAD_REQUEST', 'after: not the mark of a page');
}
