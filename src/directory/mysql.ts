/** MySQL and MariaDB as driver of the SQL directory, by mysql2: a pool, a deadline an operation, errors by our code. */
import { createPool } from 'mysql2';
import type { Pool, PoolConnection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { VserverError } from '../base/errors.ts';
import type { Log, Timers } from '../base/ports.ts';
import type { Directory } from './directory.ts';
import { MYSQL } from './sql-dialects.ts';
import type { Patience, SqlDriver, SqlRunner, SqlValue, Written } from './sql-driver.ts';
import { sqlDirectory } from './sql.ts';

export interface MysqlOptions {
  /** `mysql://user:password@host:port/database`. */
  readonly url: string;
  readonly log: Log;
  readonly timers: Timers;
  readonly baseDn: string;
  /** For one operation, the wait for a free connection included. */
  readonly deadlineMs?: number;
  readonly connectionsMax?: number;
}

/** How many operations may wait for a connection. */
const WAITING_MAX = 1_024;
const STATEMENTS_MAX = 256;
const TRIES_MAX = 5;
/** Before the second try; before each further one as much longer. */
const PAUSE_MS = 10;
const FACTORS: Readonly<Record<Patience, number>> = { short: 0.25, normal: 1, long: 10 };
const MIGRATION_MS_MAX = 120_000;
const MIGRATION_LOCK_SECONDS = 30;

/**
 * Nothing is asked of the server yet: it may be down now. Each operation finds a connection by itself.
 * @throws VserverError SETTINGS where the URL is none.
 */
export async function openMysql(options: MysqlOptions): Promise<Directory> {
  const { url, log, timers, baseDn, deadlineMs = 2_000, connectionsMax = 16 } = options;
  const place = parseUrl(url);
  const core = createPool({
    ...place,
    connectionLimit: connectionsMax,
    queueLimit: WAITING_MAX,
    connectTimeout: deadlineMs,
    maxPreparedStatements: STATEMENTS_MAX,
    charset: 'utf8mb4',
  });
  core.on('connection', (connection) => {
    // In front of whatever is asked on it. Where the connection fails here, so does what follows.
    for (const statement of SESSION) connection.query(statement, () => undefined);
  });
  const description = `MySQL, ${place.host}:${place.port}/${place.database}`;
  return Promise.resolve(sqlDirectory(mysqlDriver(core.promise(), timers, deadlineMs, description), { log, baseDn }));
}

/**
 * Nothing is cut off or bent to fit in silence. A member of a Galera cluster has caught up with what the others have
 * committed before it reads (1) or compares what it writes with what it has (2, 4); elsewhere there is no such variable.
 */
const SESSION = [
  `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'`,
  'SET SESSION wsrep_sync_wait = 7',
];

interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

function parseUrl(text: string): Place {
  const url = URL.canParse(text) ? new URL(text) : null;
  const database = decodeURIComponent(url?.pathname.slice(1) ?? '');
  if (url?.protocol !== 'mysql:' || url.hostname === '' || database === '') {
    throw new VserverError('SETTINGS', 'the directory has to be mysql://user:password@host:port/database');
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 3306 : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
  };
}

function mysqlDriver(pool: Pool, timers: Timers, deadlineMs: number, description: string): SqlDriver {
  /** Work on connections of its own, one at a time. One that is late is cut off and never goes back into the pool. */
  const within = async <T>(limitMs: number, work: (connect: Connect) => Promise<T>): Promise<T> => {
    let mine: PoolConnection | null = null;
    let late = false;
    const connect: Connect = async (use) => {
      const connection = await pool.getConnection();
      try {
        if (late) throw tooLate(limitMs);
        mine = connection;
        return await use(connection);
      } finally {
        // A destroyed one ignores it.
        connection.release();
      }
    };
    let stop = (): void => undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      const timer = timers.after(limitMs, () => {
        late = true;
        mine?.destroy();
        reject(tooLate(limitMs));
      });
      stop = () => timer.cancel();
    });
    try {
      return await Promise.race([work(connect), deadline]);
    } finally {
      stop();
    }
  };

  /**
   * Again where the server took it back for the sake of another (CONFLICTS): nothing of it was done then. All tries
   * share one deadline.
   */
  const operate = async <T>(limitMs: number, work: (connection: PoolConnection) => Promise<T>): Promise<T> => {
    try {
      return await within(limitMs, (next) => tried(next, work, timers));
    } catch (error) {
      throw translate(error);
    }
  };

  return {
    dialect: MYSQL,
    description,
    isRemote: true,
    query: (sql, values, patience = 'normal') =>
      operate(FACTORS[patience] * deadlineMs, (connection) => runnerOn(connection).query(sql, values)),
    run: (sql, values, patience = 'normal') =>
      operate(FACTORS[patience] * deadlineMs, (connection) => runnerOn(connection).run(sql, values)),
    transaction: (patience, work) =>
      operate(FACTORS[patience] * deadlineMs, (connection) =>
        transactionOn(connection, () => work(runnerOn(connection))),
      ),
    exclusively: (work) =>
      operate(MIGRATION_MS_MAX, (connection) =>
        lockedOn(connection, () => work(runnerOn(connection), (sql) => define(connection, sql))),
      ),
    close: () => pool.end(),
  };
}

type Connect = <T>(use: (connection: PoolConnection) => Promise<T>) => Promise<T>;

/** Once, and again after a pause as long as the server says that another one stood in its way. */
async function tried<T>(
  connect: Connect,
  work: (connection: PoolConnection) => Promise<T>,
  timers: Timers,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await connect((connection) =>
        work(connection).catch((error: unknown) => {
          // The next connection may lead to a member of the cluster that is ready.
          if (NOT_READY.includes(errnoOf(error) ?? 0)) connection.destroy();
          throw error;
        }),
      );
    } catch (error) {
      if (tries === TRIES_MAX || !CONFLICTS.includes(errnoOf(error) ?? 0)) throw error;
    }
    await new Promise<void>((resolve) => timers.after(PAUSE_MS * tries, resolve));
  }
}

function runnerOn(connection: PoolConnection): SqlRunner {
  return {
    async query(sql, values) {
      const [rows] = await connection.execute<RowDataPacket[]>(sql, [...values]);
      return rows;
    },
    run: (sql, values) => write(connection, sql, values),
  };
}

async function write(connection: PoolConnection, sql: string, values: readonly SqlValue[]): Promise<Written> {
  try {
    // affectedRows are those that matched: mysql2 asks for FOUND_ROWS.
    const [result] = await connection.execute<ResultSetHeader>(sql, [...values]);
    return result.affectedRows;
  } catch (error) {
    if (errnoOf(error) === DUPLICATE) return 'duplicate';
    if (errnoOf(error) === ORPHAN) return 'orphan';
    throw error;
  }
}

async function transactionOn<T>(connection: PoolConnection, work: () => Promise<T>): Promise<T> {
  await connection.beginTransaction();
  try {
    const result = await work();
    await connection.commit();
    return result;
  } catch (error) {
    await connection.rollback().catch(() => connection.destroy());
    throw error;
  }
}

/** Two nodes that start at once migrate one after the other. */
async function lockedOn<T>(connection: PoolConnection, work: () => Promise<T>): Promise<T> {
  const name = `CONCAT('vserver-', MD5(DATABASE()))`;
  const [rows] = await connection.query<RowDataPacket[]>(`SELECT GET_LOCK(${name}, ${MIGRATION_LOCK_SECONDS}) AS got`);
  if (rows[0]?.['got'] !== 1) throw new VserverError('DIRECTORY_UNAVAILABLE', 'another node migrates the schema');
  try {
    return await work();
  } finally {
    await connection.query(`SELECT RELEASE_LOCK(${name})`);
  }
}

async function define(connection: PoolConnection, sql: string): Promise<void> {
  try {
    await connection.query(sql);
  } catch (error) {
    // An index that an interrupted migration has made already: MySQL has no CREATE INDEX IF NOT EXISTS.
    if (errnoOf(error) !== INDEX_EXISTS) throw error;
  }
}

/** https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
const DUPLICATE = 1062;
const ORPHAN = 1452;
/** A member of a Galera cluster that joins, or was cut off, and takes no statements or can't catch up with the others. */
const NOT_READY = [1047, 1205];
/**
 * Refused or taken back whole: a row changed since it was read (MariaDB with snapshot isolation), a deadlock or, in a
 * Galera cluster, a commit that another member's came before.
 */
const CONFLICTS = [1020, 1213, ...NOT_READY];
const INDEX_EXISTS = 1061;
const NO_SUCH_TABLE = 1146;
const TRIGGERS_NEED_SUPER = 1419;
/** Out of range, not of this type, not of this type, too long. */
const BAD_VALUE = [1264, 1292, 1366, 1406];
/** No right to write; a server that is only to be read, in its three forms. */
const READ_ONLY = [1142, 1290, 1792, 1836];

function errnoOf(error: unknown): number | undefined {
  const errno = (error as { errno?: unknown }).errno;
  return typeof errno === 'number' ? errno : undefined;
}

function translate(error: unknown): VserverError {
  if (error instanceof VserverError) return error;
  const errno = errnoOf(error) ?? 0;
  // Without the cause, which quotes the value.
  if (BAD_VALUE.includes(errno)) return new VserverError('INVALID_RECORD', 'a value does not fit its column');
  if (READ_ONLY.includes(errno)) return new VserverError('READ_ONLY', undefined, { cause: error });
  if (error instanceof Error && error.message === 'Queue limit reached.') {
    return new VserverError('OVERLOADED', 'too many operations wait for MySQL', { cause: error, retryAfter: 1 });
  }
  return new VserverError('DIRECTORY_UNAVAILABLE', unavailable(errno), { cause: error });
}

function unavailable(errno: number): string {
  if (NOT_READY.includes(errno)) return 'this member of the MySQL cluster is not ready: it joins, or was cut off';
  if (errno === NO_SUCH_TABLE) return 'MySQL has no tables of vserver: run `vserver migrate`';
  if (errno === TRIGGERS_NEED_SUPER) {
    return 'MySQL does not let this user make triggers: set log_bin_trust_function_creators=1 on the server';
  }
  return 'MySQL can not be asked';
}

function tooLate(limitMs: number): VserverError {
  return new VserverError('DIRECTORY_UNAVAILABLE', `MySQL did not answer within ${limitMs} ms`);
}
