/** All that differs between SQLite and MySQL in the SQL itself. */

export interface Dialect {
  /**
   * Column types. Text is compared byte by byte; `key` may stand in an index and holds 255 characters; `text` holds
   * 64 KiB, `longText` 16 MiB; `serial` is a primary key that numbers the rows and never uses a number again.
   */
  readonly types: { readonly [T in 'uid' | 'key' | 'text' | 'longText' | 'int' | 'bigint' | 'serial']: string };
  /** Ends every CREATE TABLE. */
  readonly tableEnd: string;
  /** A random whole number of 52 bits. */
  readonly random: string;
  /** Ends a SELECT of rows that the transaction is going to change. */
  readonly forUpdate: string;
  /** Ends an INSERT that replaces these columns where the key is taken. */
  upsert(key: string, columns: readonly string[]): string;
  index(name: string, table: string, columns: string): string;
  /**
   * Triggers that count `users.version` up on every change of a user or of the rows that are his, forget the copy
   * of those rows (`users.attached`), and keep the search keys of rows that somebody else wrote, so that changes
   * behind the program's back are seen too.
   */
  readonly triggers: readonly string[];
}

/**
 * The tables of what hangs on a user, and the column that only rows of the program fill. It brings the user up to date
 * itself where it inserts: an import has several rows a user.
 */
const CHILDREN = [
  ['contacts', 'value_key'],
  ['voip_accounts', 'own'],
  ['buddies', 'own'],
] as const;
const TOUCH = 'UPDATE users SET version = version + 1, attached = NULL WHERE uid =';

/** Each column with a search key: its table, itself, its key. */
const KEYED = [
  ['users', 'alias', 'alias_key'],
  ['contacts', 'value', 'value_key'],
] as const;

export const SQLITE: Dialect = {
  types: {
    ...{ uid: 'TEXT', key: 'TEXT', text: 'TEXT', longText: 'TEXT', int: 'INTEGER', bigint: 'INTEGER' },
    serial: 'INTEGER PRIMARY KEY AUTOINCREMENT',
  },
  tableEnd: ' STRICT',
  random: 'abs(random() % 4503599627370496)',
  forUpdate: '',
  upsert: (key, columns) =>
    ` ON CONFLICT (${key}) DO UPDATE SET ${columns.map((name) => `${name} = excluded.${name}`).join(', ')}`,
  index: (name, table, columns) => `CREATE INDEX IF NOT EXISTS ${name} ON ${table} (${columns})`,
  triggers: [
    `CREATE TRIGGER IF NOT EXISTS users_version AFTER UPDATE ON users WHEN NEW.version = OLD.version
     BEGIN ${TOUCH} NEW.uid; END`,
    ...CHILDREN.flatMap(([table, ours]) => [
      `CREATE TRIGGER IF NOT EXISTS ${table}_insert AFTER INSERT ON ${table} WHEN NEW.${ours} IS NULL
       BEGIN ${TOUCH} NEW.uid; END`,
      `CREATE TRIGGER IF NOT EXISTS ${table}_update AFTER UPDATE ON ${table}
       BEGIN ${TOUCH} OLD.uid; ${TOUCH} NEW.uid; END`,
      `CREATE TRIGGER IF NOT EXISTS ${table}_delete AFTER DELETE ON ${table} BEGIN ${TOUCH} OLD.uid; END`,
    ]),
    ...KEYED.flatMap(([table, column, key]) => [
      `CREATE TRIGGER IF NOT EXISTS ${key}_insert AFTER INSERT ON ${table} WHEN NEW.${key} IS NULL
       BEGIN UPDATE ${table} SET ${key} = lower(NEW.${column}) WHERE rowid = NEW.rowid; END`,
      `CREATE TRIGGER IF NOT EXISTS ${key}_update AFTER UPDATE OF ${column} ON ${table} WHEN NEW.${column} <> OLD.${column}
       BEGIN UPDATE ${table} SET ${key} = lower(NEW.${column}) WHERE rowid = NEW.rowid; END`,
    ]),
  ],
};

export const MYSQL: Dialect = {
  // A binary collation tells case, accents and every code point apart. It overlooks spaces at the end only,
  // and isUid keeps those out.
  types: {
    ...{ uid: 'VARCHAR(64)', key: 'VARCHAR(255)', text: 'TEXT', longText: 'MEDIUMTEXT', int: 'INT', bigint: 'BIGINT' },
    serial: 'BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY',
  },
  tableEnd: ' ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
  random: 'FLOOR(RAND() * 4503599627370496)',
  forUpdate: ' FOR UPDATE',
  upsert: (_key, columns) =>
    ` ON DUPLICATE KEY UPDATE ${columns.map((name) => `${name} = VALUES(${name})`).join(', ')}`,
  index: (name, table, columns) => `CREATE INDEX ${name} ON ${table} (${columns})`,
  triggers: [
    ...trigger('users_insert', 'BEFORE INSERT ON users', keep('alias', 'alias_key', 'NEW.alias_key IS NULL')),
    ...trigger(
      'users_update',
      'BEFORE UPDATE ON users',
      `SET NEW.version = OLD.version + 1; ${keep('alias', 'alias_key', 'NEW.alias <> OLD.alias')}`,
    ),
    ...trigger(
      'contacts_insert',
      'BEFORE INSERT ON contacts',
      `IF NEW.value_key IS NULL THEN SET NEW.value_key = LOWER(NEW.value); ${TOUCH} NEW.uid; END IF;`,
    ),
    ...trigger('contacts_rekey', 'BEFORE UPDATE ON contacts', keep('value', 'value_key', 'NEW.value <> OLD.value')),
    ...CHILDREN.flatMap(([table, ours]) => [
      // That of contacts stands above: one trigger an event.
      ...(table === 'contacts'
        ? []
        : trigger(
            `${table}_insert`,
            `AFTER INSERT ON ${table}`,
            `IF NEW.${ours} IS NULL THEN ${TOUCH} NEW.uid; END IF;`,
          )),
      ...trigger(`${table}_update`, `AFTER UPDATE ON ${table}`, `${TOUCH} OLD.uid; ${TOUCH} NEW.uid;`),
      ...trigger(`${table}_delete`, `AFTER DELETE ON ${table}`, `${TOUCH} OLD.uid;`),
    ]),
  ],
};

/** MySQL before 8.0.29 has no CREATE TRIGGER IF NOT EXISTS. */
function trigger(name: string, on: string, action: string): readonly string[] {
  return [`DROP TRIGGER IF EXISTS ${name}`, `CREATE TRIGGER ${name} ${on} FOR EACH ROW BEGIN ${action} END`];
}

function keep(column: string, key: string, when: string): string {
  return `IF ${when} THEN SET NEW.${key} = LOWER(NEW.${column}); END IF;`;
}
