/** What the SQL directory needs of a database: two drivers implement it (sqlite.ts, mysql.ts). */
import type { Dialect } from './sql-dialects.ts';

export type SqlValue = string | number | null;
export type SqlRow = Readonly<Record<string, unknown>>;

/** The number of rows, or what stood against it: a key that exists already, a parent row that does not. */
export type Written = number | 'duplicate' | 'orphan';

/** Statements take their values by `?` and are prepared once, so their texts must be few. */
export interface SqlRunner {
  query(sql: string, values: readonly SqlValue[]): Promise<readonly SqlRow[]>;
  /** An update counts the rows it matched, changed or not. */
  run(sql: string, values: readonly SqlValue[]): Promise<Written>;
}

/**
 * `normal`: the deadline of an operation. `short`: a quarter of it, for what is done in another way where it is late.
 * `long`: several times that, for imports, exports and migrations.
 */
export type Patience = 'short' | 'normal' | 'long';

export interface SqlDriver extends SqlRunner {
  readonly dialect: Dialect;
  /** Kind and place, without any secret. */
  readonly description: string;
  /** Every statement is a round trip to a server, and every commit one of its own: few of them, then. */
  readonly isRemote: boolean;
  query(sql: string, values: readonly SqlValue[], patience?: Patience): Promise<readonly SqlRow[]>;
  run(sql: string, values: readonly SqlValue[], patience?: Patience): Promise<Written>;
  /** All or nothing; `work` runs again where the database took it back (a deadlock, a conflict in a cluster). */
  transaction<T>(patience: Patience, work: (tx: SqlRunner) => Promise<T>): Promise<T>;
  /**
   * One caller at a time over all nodes and processes, and in a transaction where the engine's DDL obeys one.
   * `define` runs a statement without values as text: not all DDL can be prepared.
   */
  exclusively<T>(work: (tx: SqlRunner, define: (sql: string) => Promise<void>) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
