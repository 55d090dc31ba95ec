/** Exporting an LDAP tree, and finding what is wrong with it. */
import { isUnavailable } from '../base/errors.ts';
import { LOCATION_FIELDS } from './attribute-names.ts';
import type { Finding, LdifRecord } from './directory.ts';
import { classifyEntry } from './entry-kinds.ts';
import type { LdapContext } from './ldap.ts';
import { asFailure, toFound } from './ldap-tree.ts';

const PAGE_SIZE = 500;

/** Regions, servers and variables first and then users, page by page; without where they are. */
export async function* treeEntries({ base, names, pool }: LdapContext): AsyncIterable<LdifRecord> {
  const client = await pool.lease();
  const left = new Set(LOCATION_FIELDS.map((field) => names[field].toLowerCase()));
  const passes = [`(!(${names.uid}=*))`, `(${names.uid}=*)`];
  try {
    for (const filter of passes) {
      for await (const { searchEntries } of client.searchPaginated(base, { filter, paged: { pageSize: PAGE_SIZE } })) {
        for (const entry of searchEntries) {
          const { dn, attributes } = toFound(entry);
          if (classifyEntry(dn, attributes, names) === 'other') continue;
          const kept = new Map([...attributes].filter(([name]) => !left.has(name)));
          yield { line: 0, dn, change: { type: 'add', attributes: kept } };
        }
      }
    }
  } catch (error) {
    throw asFailure(error);
  } finally {
    client.unbind().catch(() => undefined);
  }
}

export async function checkTree(context: LdapContext, readOnly: boolean): Promise<readonly Finding[]> {
  try {
    return [
      { level: 'ok', subject: 'LDAP connection', message: 'the server answers and takes the bind', remedy: '' },
      ...(await Promise.all([checkContainers(context), ...(readOnly ? [] : [checkSchema(context)])])).flat(),
      {
        level: 'ok',
        subject: 'LDAP indexes',
        message: 'can not be seen from outside; they should stand as ldif/vserver.schema recommends',
        remedy: '',
      },
    ];
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    const remedy = 'look at the address, the bind DN and its password, and whether the server runs';
    return [{ level: 'error', subject: 'LDAP connection', message: 'the server can not be asked', remedy }];
  }
}

async function checkContainers({ usersBase, tree }: LdapContext): Promise<readonly Finding[]> {
  const subject = 'LDAP tree';
  const found = await tree.search(usersBase, 'base', '(objectClass=*)', ['1.1']);
  if (found.length > 0) return [{ level: 'ok', subject, message: `${usersBase} is there`, remedy: '' }];
  const remedy = 'run `vserver migrate`, import ldif/sample.ldif, or set where the users are';
  return [{ level: 'error', subject, message: `${usersBase} is missing or can not be read`, remedy }];
}

async function checkSchema({ tree }: LdapContext): Promise<readonly Finding[]> {
  const subject = 'LDAP schema';
  const [root] = await tree.search('', 'base', '(objectClass=*)', ['subschemaSubentry']);
  const schemaDn = String(root?.attributes.get('subschemasubentry')?.[0] ?? 'cn=subschema');
  const [schema] = await tree.search(schemaDn, 'base', '(objectClass=*)', ['objectClasses', 'attributeTypes']);
  const known = (schema?.attributes.get('objectclasses') ?? []).some((text) => String(text).includes("'vserverUser'"));
  if (known) return [{ level: 'ok', subject, message: 'the schema of vserver is loaded', remedy: '' }];
  const remedy = 'load ldif/vserver.schema (or vserver-schema.ldif), or name a writable second directory as state';
  return [{ level: 'error', subject, message: 'the object class vserverUser is not known', remedy }];
}
