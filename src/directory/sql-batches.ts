/** What many logins at once ask of MySQL, in one statement each: round trips and commits are what costs there. */
import { isUid } from '../base/model.ts';
import type { Location } from '../base/model.ts';
import { coalesced } from './coalesce.ts';
import type { Directory, Entry } from './directory.ts';
import type { SqlDriver, SqlRunner } from './sql-driver.ts';
import { FIND_MAX } from './sql-read.ts';
import type { SqlReader } from './sql-read.ts';
import { LOCATION_COLUMNS, locationValues } from './sql-rows.ts';

export type LoginOperations = Pick<Directory, 'find' | 'writeLocation'>;

interface LocationWrite {
  readonly uid: string;
  readonly location: Location;
  readonly expectedEpoch: number;
}

type Outcome = Awaited<ReturnType<Directory['writeLocation']>>;

/** Under way at once, of each kind: one on its way while the server is busy with another. */
const BATCHES_MAX = 2;
const WRITES_MAX = 64;

/** `single`, with what comes at the same time gathered. */
export function gathered(driver: SqlDriver, read: SqlReader, single: LoginOperations): LoginOperations {
  const soon: SqlRunner = { ...driver, query: (sql, values) => driver.query(sql, values, 'short') };
  const find = coalesced<string, Entry | null>({
    itemsMax: FIND_MAX,
    batchesMax: BATCHES_MAX,
    single: single.find,
    async batch(uids) {
      const found = await read.findAll(soon, uids);
      return uids.map((uid) => found.get(uid) ?? null);
    },
  });
  const written = ({ uid, location, expectedEpoch }: LocationWrite): Promise<Outcome> =>
    single.writeLocation(uid, location, expectedEpoch);
  const options = { itemsMax: WRITES_MAX, batchesMax: BATCHES_MAX, single: written };
  const first = coalesced<LocationWrite, Outcome>({ ...options, batch: (writes) => insertAll(driver, writes) });
  const next = coalesced<LocationWrite, Outcome>({ ...options, batch: (writes) => updateAll(driver, writes, written) });
  return {
    find: (uid) => (isUid(uid) ? find(uid) : Promise.resolve(null)),
    writeLocation: (uid, location, expectedEpoch) =>
      isUid(uid) ? (expectedEpoch === 0 ? first : next)({ uid, location, expectedEpoch }) : Promise.resolve('unknown'),
  };
}

/** The writes as rows of a table, all in one value: however many they are, the statement is the same. */
const ROWS = `JSON_TABLE(?, '$[*]' COLUMNS (
  uid VARCHAR(64) PATH '$[0]', expected BIGINT PATH '$[1]', ${LOCATION_COLUMNS.map(columnOf).join(', ')})) w`;

function columnOf(name: (typeof LOCATION_COLUMNS)[number], i: number): string {
  const isNumber = name === 'login_at' || name === 'logout_at' || name === 'hidden' || name === 'epoch';
  return `${name} ${isNumber ? 'BIGINT' : 'VARCHAR(255)'} PATH '$[${i + 2}]'`;
}

const UPDATE = `UPDATE ${ROWS} STRAIGHT_JOIN locations l ON l.uid = w.uid AND l.epoch = w.expected
  SET ${LOCATION_COLUMNS.map((name) => `l.${name} = w.${name}`).join(', ')}`;
const INSERT = `INSERT INTO locations (uid, ${LOCATION_COLUMNS.join(', ')})
  SELECT uid, ${LOCATION_COLUMNS.join(', ')} FROM ${ROWS}`;
const STANDING = `SELECT l.uid FROM ${ROWS} STRAIGHT_JOIN locations l
  ON l.uid = w.uid AND ${LOCATION_COLUMNS.map((name) => `l.${name} <=> w.${name}`).join(' AND ')}`;

/**
 * One statement and its own commit: a transaction would be three round trips. Where not all were written, those are
 * that stand there as they should; what the others met is found out one by one.
 */
async function updateAll(
  driver: SqlDriver,
  writes: readonly LocationWrite[],
  single: (write: LocationWrite) => Promise<Outcome>,
): Promise<readonly Outcome[]> {
  const rows = [asJson(inKeyOrder(writes))];
  if ((await driver.run(UPDATE, rows, 'short')) === writes.length) return writes.map(() => 'written');
  const standing = new Set((await driver.query(STANDING, rows, 'short')).map(({ uid }) => uid));
  return Promise.all(writes.map(async (write) => (standing.has(write.uid) ? 'written' : single(write))));
}

/** Writes all of them; where one of them has a record already, or no user, none, and rejects. */
async function insertAll(driver: SqlDriver, writes: readonly LocationWrite[]): Promise<readonly Outcome[]> {
  if ((await driver.run(INSERT, [asJson(inKeyOrder(writes))], 'short')) !== writes.length) {
    throw new Error('a write was lost');
  }
  return writes.map(() => 'written');
}

/** So that two nodes don't wait for each other's rows. */
function inKeyOrder(writes: readonly LocationWrite[]): readonly LocationWrite[] {
  const sorted = [...writes].sort((a, b) => (a.uid < b.uid ? -1 : 1));
  if (sorted.some(({ uid }, i) => uid === sorted[i + 1]?.uid)) throw new Error('a user twice in one batch');
  return sorted;
}

function asJson(writes: readonly LocationWrite[]): string {
  return JSON.stringify(
    writes.map(({ uid, location, expectedEpoch }) => [uid, expectedEpoch, ...locationValues(location)]),
  );
}
