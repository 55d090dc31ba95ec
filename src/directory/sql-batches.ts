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
  const write = coalesced<LocationWrite, 'written' | 'lost' | 'unknown'>({
    itemsMax: WRITES_MAX,
    batchesMax: BATCHES_MAX,
    single: ({ uid, location, expectedEpoch }) => single.writeLocation(uid, location, expectedEpoch),
    async batch(writes) {
      await writeAll(driver, writes);
      return writes.map(() => 'written');
    },
  });
  return {
    find: (uid) => (isUid(uid) ? find(uid) : Promise.resolve(null)),
    writeLocation: (uid, location, expectedEpoch) =>
      isUid(uid) ? write({ uid, location, expectedEpoch }) : Promise.resolve('unknown'),
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

/** Writes all of them; where one of them is lost, none, and rejects. */
async function writeAll(driver: SqlDriver, writes: readonly LocationWrite[]): Promise<void> {
  // In the order of their keys, so that two nodes don't wait for each other's rows.
  const sorted = [...writes].sort((a, b) => (a.uid < b.uid ? -1 : 1));
  if (sorted.some(({ uid }, i) => uid === sorted[i + 1]?.uid)) throw new Error('a user twice in one batch');
  const firsts = sorted.filter(({ expectedEpoch }) => expectedEpoch === 0);
  const others = sorted.filter(({ expectedEpoch }) => expectedEpoch !== 0);
  await driver.transaction('short', async (tx) => {
    for (const [sql, rows] of [[UPDATE, others] as const, [INSERT, firsts] as const]) {
      if (rows.length > 0 && (await tx.run(sql, [asJson(rows)])) !== rows.length) throw new Error('a write was lost');
    }
  });
}

function asJson(writes: readonly LocationWrite[]): string {
  return JSON.stringify(
    writes.map(({ uid, location, expectedEpoch }) => [uid, expectedEpoch, ...locationValues(location)]),
  );
}
