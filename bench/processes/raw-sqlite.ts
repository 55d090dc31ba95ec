/** SQLite with nothing around it, each commit on the disk before it is answered, as those of src/directory/sqlite.ts. */
import { DatabaseSync } from '@photostructure/sqlite';

type Value = string | number | null;

export interface RawSqlite {
  /** Prepared once a text; the number of rows. */
  run(sql: string, values: readonly Value[]): number | bigint;
  close(): void;
}

/** `directory`: `sqlite:PATH`. */
export function openRawSqlite(directory: string): RawSqlite {
  const database = new DatabaseSync(directory.slice('sqlite:'.length));
  database.exec('PRAGMA busy_timeout = 2000');
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
  const statements = new Map<string, ReturnType<typeof database.prepare>>();
  return {
    run(sql, values) {
      let statement = statements.get(sql);
      if (statement === undefined) {
        statement = database.prepare(sql);
        statements.set(sql, statement);
      }
      return statement.run(...values).changes;
    },
    close() {
      statements.clear();
      database.close();
    },
  };
}
