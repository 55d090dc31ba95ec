/** Everything in the tables as LDIF records, in the order in which an import can take them. */
import { DEFAULT_ATTRIBUTE_NAMES as NAMES } from './attribute-names.ts';
import { regionToAttributes, serverToAttributes, userToAttributes, variableToAttributes } from './attributes.ts';
import type { Attributes, LdifRecord } from './directory.ts';
import { formatRdn } from './dn.ts';
import type { SqlRunner } from './sql-driver.ts';
import type { SqlReader } from './sql-read.ts';

const USERS_A_PAGE = 200;

export async function* exportEntries(db: SqlRunner, read: SqlReader, baseDn: string): AsyncIterable<LdifRecord> {
  for (const region of await read.regions(db)) {
    yield record(`${formatRdn('ou', region.name)},ou=users,${baseDn}`, regionToAttributes(region, NAMES));
  }
  let after: string | null = null;
  do {
    const query = { field: 'uid', prefix: '', limit: USERS_A_PAGE } as const;
    const page = await read.search(db, after === null ? query : { ...query, after });
    for (const user of page.users) yield record(user.dn, userToAttributes(user, NAMES));
    after = page.next;
  } while (after !== null);
  for (const server of await read.servers(db)) {
    yield record(`${formatRdn('cn', server.name)},ou=servers,${baseDn}`, serverToAttributes(server, NAMES));
  }
  for (const row of await db.query('SELECT name, value FROM system_variables ORDER BY name', [])) {
    const variable = { name: String(row['name']), value: String(row['value']) };
    yield record(`${formatRdn('cn', variable.name)},ou=config,${baseDn}`, variableToAttributes(variable, NAMES));
  }
}

function record(dn: string, attributes: Attributes): LdifRecord {
  return { line: 0, dn, change: { type: 'add', attributes } };
}
