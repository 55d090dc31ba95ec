/** LDIF records of regions, servers and system variables: entries that have a name and no more to them. */
import { DEFAULT_ATTRIBUTE_NAMES as NAMES } from './attribute-names.ts';
import {
  regionFromAttributes,
  regionToAttributes,
  serverFromAttributes,
  serverToAttributes,
  variableFromAttributes,
  variableToAttributes,
} from './attributes.ts';
import type { Applied, Attributes, LdifChange } from './directory.ts';
import { parseDn } from './dn.ts';
import { applyModifications } from './modifications.ts';
import type { Dialect } from './sql-dialects.ts';
import type { SqlRow, SqlRunner, SqlValue } from './sql-driver.ts';
import { readServer, serverColumns } from './sql-rows.ts';
import { insertSql } from './sql-users.ts';
import { validateVariable } from './validate.ts';

interface Named {
  readonly table: string;
  /** null where the row can't be read. */
  toAttributes(row: SqlRow): Attributes | null;
  /** The row, its name first; or why the entry can't be one. */
  toColumns(attributes: Attributes): Readonly<Record<string, SqlValue>> | string;
}

const KINDS: Readonly<Record<'region' | 'server' | 'variable', Named>> = {
  region: {
    table: 'regions',
    toAttributes: (row) =>
      regionToAttributes({ name: String(row['name']), countryCode: String(row['country_code']) }, NAMES),
    toColumns(attributes) {
      const region = regionFromAttributes(attributes, NAMES);
      if (region === null) return 'a region needs its ou';
      if (!/^[0-9]{0,4}$/.test(region.countryCode)) return 'countryCode: must be 1 to 4 digits';
      return { name: region.name, country_code: region.countryCode };
    },
  },
  server: {
    table: 'servers',
    toAttributes(row) {
      const server = readServer(row, []);
      return server === null ? null : serverToAttributes(server, NAMES);
    },
    toColumns(attributes) {
      const { server, problems } = serverFromAttributes(attributes, NAMES);
      return server === null || problems.length > 0 ? problems.join('; ') : { ...serverColumns(server) };
    },
  },
  variable: {
    table: 'system_variables',
    toAttributes: (row) => variableToAttributes({ name: String(row['name']), value: String(row['value']) }, NAMES),
    toColumns(attributes) {
      const variable = variableFromAttributes(attributes, NAMES);
      if (variable === null) return 'a variable needs its cn';
      const { name, value } = variable;
      const broken = validateVariable(name, value);
      return broken.length > 0 ? broken.join('; ') : { name, value };
    },
  },
};

export async function applyNamed(
  tx: SqlRunner,
  dialect: Dialect,
  kind: keyof typeof KINDS,
  dn: string,
  change: LdifChange,
): Promise<Applied> {
  const named = KINDS[kind];
  const name = nameOf(dn);
  const [row] = await tx.query(`SELECT * FROM ${named.table} WHERE name = ?${dialect.forUpdate}`, [name]);
  if (change.type === 'add') return add(tx, named, row, withName(kind, name, change.attributes));
  if (row === undefined) return failed('no such entry');
  switch (change.type) {
    case 'delete':
      if (kind === 'region' && (await hasUsers(tx, name))) return failed('the region has users');
      await tx.run(`DELETE FROM ${named.table} WHERE name = ?`, [name]);
      return { outcome: 'removed' };
    case 'modify': {
      const present = named.toAttributes(row);
      if (present === null) return failed('the stored entry can not be read');
      const modified = applyModifications(present, change.modifications);
      if (modified.outcome !== 'modified') return failed(`${modified.outcome}: ${modified.attribute}`);
      return replace(tx, named, name, withName(kind, name, modified.attributes));
    }
    case 'modrdn':
      return rename(tx, kind, name, change);
  }
}

async function add(tx: SqlRunner, named: Named, row: SqlRow | undefined, attributes: Attributes): Promise<Applied> {
  const columns = named.toColumns(attributes);
  if (typeof columns === 'string') return failed(columns);
  if (row === undefined) {
    await tx.run(insertSql(named.table, Object.keys(columns), 1), Object.values(columns));
    return { outcome: 'added' };
  }
  // A region made as the missing parent of a user gets its country code when its own entry comes.
  if (row['country_code'] === '' && columns['country_code'] !== '') {
    await tx.run('UPDATE regions SET country_code = ? WHERE name = ?', [
      columns['country_code'] ?? '',
      String(row['name']),
    ]);
    return { outcome: 'changed' };
  }
  return { outcome: 'unchanged' };
}

async function replace(tx: SqlRunner, named: Named, name: string, attributes: Attributes): Promise<Applied> {
  const columns = named.toColumns(attributes);
  if (typeof columns === 'string') return failed(columns);
  const set = Object.keys(columns).map((column) => `${column} = ?`);
  await tx.run(`UPDATE ${named.table} SET ${set.join(', ')} WHERE name = ?`, [...Object.values(columns), name]);
  return { outcome: 'changed' };
}

async function rename(
  tx: SqlRunner,
  kind: keyof typeof KINDS,
  name: string,
  change: LdifChange & { type: 'modrdn' },
): Promise<Applied> {
  if (change.newSuperior !== null) return failed('such an entry has one place');
  const newName = nameOf(change.newRdn);
  if (newName === '') return failed('the new name can not be read');
  const renamed = await tx.run(`UPDATE ${KINDS[kind].table} SET name = ? WHERE name = ?`, [newName, name]);
  if (renamed === 'duplicate') return failed('the new name is taken');
  if (kind === 'region') await tx.run('UPDATE users SET region = ? WHERE region = ?', [newName, name]);
  return { outcome: 'renamed' };
}

async function hasUsers(tx: SqlRunner, region: string): Promise<boolean> {
  return (await tx.query('SELECT uid FROM users WHERE region = ? LIMIT 1', [region])).length > 0;
}

/** The first relative name's value; '' where there is none. */
function nameOf(dn: string): string {
  return parseDn(dn)?.[0]?.[0]?.value ?? '';
}

/** The entry with the name in its DN, which some files leave out of the attributes. */
function withName(kind: keyof typeof KINDS, name: string, attributes: Attributes): Attributes {
  return new Map(attributes).set(kind === 'region' ? 'ou' : 'cn', [name]);
}

function failed(reason: string): Applied {
  return { outcome: 'failed', reason };
}
