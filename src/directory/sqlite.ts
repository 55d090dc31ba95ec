/** SQLite as driver of the SQL directory: Node's own where the running Node has it, else the same API as a package. */
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from '@photostructure/sqlite';
import { VserverError } from '../base/errors.ts';
import type { Log } from '../base/ports.ts';
import type { Directory } from './directory.ts';
import { SQLITE } from './sql-dialects.ts';
import type { SqlDriver, SqlRow, SqlRunner, SqlValue, Written } from './sql-driver.ts';
import { sqlDirectory } from './sql.ts';
import { logFileOf } from './sqlite-durability.ts';
import type { LogFile } from './sqlite-durability.ts';

type Database = InstanceType<typeof DatabaseSync>;
type Statement = ReturnType<Database['prepare']>;

export interface SqliteOptions {
  /** Made with its folder where it is missing; `:memory:` for tests. */
  readonly path: string;
  readonly log: Log;
  readonly baseDn: string;
  /** How long to wait, and hold up this process, while another one writes. */
  readonly deadlineMs?: number;
}

/** The embedded directory. @throws VserverError DIRECTORY_UNAVAILABLE where the file can't be opened. */
export async function openSqlite({ path, log, baseDn, deadlineMs = 2_000 }: SqliteOptions): Promise<Directory> {
  const database = await openDatabase(path, deadlineMs);
  // Without a write-ahead log (a file system that has no place for it, or memory) each commit syncs by itself.
  const { journal_mode } = database.prepare('PRAGMA journal_mode').get() as { journal_mode?: unknown };
  const logFile = journal_mode === 'wal' ? logFileOf(path) : null;
  database.exec(`PRAGMA synchronous = ${logFile === null ? 'FULL' : 'NORMAL'}`);
  return sqlDirectory(sqliteDriver(database, logFile, `SQLite, ${path}`), { log, baseDn });
}

async function openDatabase(path: string, deadlineMs: number): Promise<Database> {
  const Sqlite = await loadSqlite();
  try {
    if (path !== ':memory:' && !existsSync(path)) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const database = new Sqlite(path);
    // It holds secrets. The files beside it (-wal, -shm) take the mode of this one.
    if (path !== ':memory:') chmodSync(path, 0o600);
    database.exec(`PRAGMA busy_timeout = ${Math.trunc(deadlineMs)}`);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON');
    return database;
  } catch (error) {
    throw new VserverError('DIRECTORY_UNAVAILABLE', `SQLite can't open ${path}`, { cause: error });
  }
}

async function loadSqlite(): Promise<typeof DatabaseSync> {
  // Node 20 has no node:sqlite; asking for the name in a variable keeps tools from resolving it early.
  const own = 'node:sqlite';
  try {
    return ((await import(own)) as { DatabaseSync: typeof DatabaseSync }).DatabaseSync;
  } catch {
    return (await import('@photostructure/sqlite')).DatabaseSync;
  }
}

const STATEMENTS_MAX = 256;

function sqliteDriver(database: Database, logFile: LogFile | null, description: string): SqlDriver {
  const statements = new Map<string, Statement>();
  const prepare = (sql: string): Statement => {
    let statement = statements.get(sql);
    if (statement === undefined) {
      if (statements.size >= STATEMENTS_MAX) statements.clear();
      statement = database.prepare(sql);
      statements.set(sql, statement);
    }
    return statement;
  };

  const execute = (sql: string): void =>
    guarded(() => {
      database.exec(sql);
    });
  /** Runs at once: only for the owner of the transaction, or where there is none. */
  const direct: SqlRunner = {
    query: (sql, values) => settled(() => readAll(prepare(sql), values)),
    run: (sql, values) => settled(() => write(prepare(sql), values)),
  };

  // All share one connection: while a transaction is open, everybody else waits for its end.
  // (The check and what follows it stand in one turn of the loop: nothing may be awaited in between.)
  let transaction: Promise<void> | null = null;
  const inTransaction = async <T>(work: () => Promise<T>): Promise<T> => {
    while (transaction !== null) await transaction;
    execute('BEGIN IMMEDIATE');
    let done = (): void => undefined;
    transaction = new Promise((resolve) => (done = resolve));
    try {
      const result = await work();
      execute('COMMIT');
      return result;
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    } finally {
      transaction = null;
      done();
    }
  };

  /** What is answered is on the disk. Others need not wait for that: what they read and write comes later there. */
  const lasting = async <T>(work: Promise<T>): Promise<T> => {
    const result = await work;
    await logFile?.synced().catch((error: unknown) => {
      throw new VserverError('DIRECTORY_UNAVAILABLE', 'SQLite can not bring its log to the disk', { cause: error });
    });
    return result;
  };

  const writes = groupedWrites(direct, (work) => lasting(inTransaction(work)));

  return {
    dialect: SQLITE,
    description,
    isRemote: false,
    async query(sql, values) {
      while (transaction !== null) await transaction;
      return direct.query(sql, values);
    },
    run: (sql, values) => writes.run(sql, values),
    transaction: (_patience, work) => lasting(inTransaction(() => work(direct))),
    exclusively: (work) => lasting(inTransaction(() => work(direct, (sql) => settled(() => database.exec(sql))))),
    async close() {
      writes.flush();
      while (transaction !== null) await transaction;
      // Who still waits for the log is answered before SQLite removes it.
      await logFile?.synced().catch(() => undefined);
      statements.clear();
      if (database.isOpen) database.close();
      await logFile?.close();
    },
  };
}

interface Write {
  readonly sql: string;
  readonly values: readonly SqlValue[];
  readonly resolve: (written: Written) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Single writes of one turn of the event loop share a commit, which is most of what a small write costs. None is
 * answered before the commit; each keeps its own outcome. There are no more than callers waiting.
 */
function groupedWrites(
  direct: SqlRunner,
  committed: (work: () => Promise<void>) => Promise<void>,
): Pick<SqlRunner, 'run'> & { flush(): void } {
  const waiting: Write[] = [];
  const flush = (): void => {
    const writes = waiting.splice(0);
    if (writes.length === 0) return;
    const answers: (() => void)[] = [];
    const done = committed(async () => {
      for (const { sql, values, resolve, reject } of writes) {
        await direct.run(sql, values).then(
          (written) => answers.push(() => resolve(written)),
          (error: unknown) => answers.push(() => reject(error)),
        );
      }
    });
    done.then(
      () => answers.forEach((answer) => answer()),
      (error: unknown) => writes.forEach(({ reject }) => reject(error)),
    );
  };
  return {
    run: (sql, values) =>
      new Promise((resolve, reject) => {
        waiting.push({ sql, values, resolve, reject });
        if (waiting.length === 1) setImmediate(flush);
      }),
    flush,
  };
}

function readAll(statement: Statement, values: readonly SqlValue[]): readonly SqlRow[] {
  try {
    return statement.all(...values) as SqlRow[];
  } catch (error) {
    // An integer beyond 2^53, which only somebody else can have written: read all as BigInt, once.
    if (!/too large to be represented/.test(String(error))) throw error;
    statement.setReadBigInts(true);
    try {
      return (statement.all(...values) as SqlRow[]).map(withoutBigInts);
    } finally {
      statement.setReadBigInts(false);
    }
  }
}

function withoutBigInts(row: SqlRow): SqlRow {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [column, typeof value === 'bigint' ? Number(value) : value]),
  );
}

function write(statement: Statement, values: readonly SqlValue[]): Written {
  try {
    return statement.run(...values).changes;
  } catch (error) {
    if (codeOf(error) === FOREIGN_KEY) return 'orphan';
    if (codeOf(error) === PRIMARY_KEY || codeOf(error) === UNIQUE) return 'duplicate';
    throw error;
  }
}

/** Extended result codes: https://sqlite.org/rescode.html */
const FOREIGN_KEY = 787;
const PRIMARY_KEY = 1555;
const UNIQUE = 2067;

function codeOf(error: unknown): unknown {
  return (error as { errcode?: unknown }).errcode;
}

/** What the database did at once, as the promise that the port speaks of. */
function settled<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(guarded(work));
  });
}

function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const missing = String(error).includes('no such table');
    const detail = missing ? 'SQLite has no tables of vserver: run `vserver migrate`' : 'SQLite failed';
    throw new VserverError('DIRECTORY_UNAVAILABLE', detail, { cause: error });
  }
}
