/** Exporting an LDAP tree, and finding what is wrong with it. */
import { ResultCodeError } from 'ldapts';
import { isUnavailable, VserverError } from '../base/errors.ts';
import { LOCATION_FIELDS } from './attribute-names.ts';
import type { Finding, LdifRecord } from './directory.ts';
import { classifyEntry } from './entry-kinds.ts';
import type { LdapContext } from './ldap-context.ts';
import { asFailure, asReadFailure, isResult, pages, RESULT, toChange } from './ldap-tree.ts';

const PAGE_SIZE = 500;
const CONTAINERS = ['domain', 'dcObject', 'organization', 'organizationalUnit', 'vserverServer', 'vserverVariable'];
/** RFC 4511 appendix A: strongerAuthRequired, confidentialityRequired, and all that says: not with these credentials. */
const CREDENTIAL_CODES = [8, 13, 48, 49, 50, 53];

/** Regions, servers and variables first and then users, page by page; without where they are. */
export async function* treeEntries({ base, usersBase, names, pool, users }: LdapContext): AsyncIterable<LdifRecord> {
  const connection = await pool.lease();
  const left = new Set(LOCATION_FIELDS.map((field) => names[field].toLowerCase()));
  const containers = `(|${CONTAINERS.map((name) => `(objectClass=${name})`).join('')})`;
  const passes = [
    { from: base, filter: containers, ofUsers: false },
    { from: usersBase, filter: users.everyone, ofUsers: true },
  ];
  try {
    for (const { from, filter, ofUsers } of passes) {
      for await (const entries of pages(connection, from, filter, PAGE_SIZE)) {
        for (const { dn, attributes } of entries) {
          if (!ofUsers && ['other', 'user'].includes(classifyEntry(dn, attributes, names))) continue;
          const kept = new Map([...attributes].filter(([name]) => !left.has(name)));
          yield { line: 0, dn, change: { type: 'add', attributes: kept } };
        }
      }
    }
  } catch (error) {
    throw asReadFailure(error);
  } finally {
    connection.close();
  }
}

export async function checkTree(context: LdapContext, readOnly: boolean): Promise<readonly Finding[]> {
  try {
    const writing = readOnly ? [] : [checkSchema(context), checkRights(context)];
    return [
      ok('LDAP connection', 'the server answers and takes the bind'),
      ...(await Promise.all([checkContainers(context), ...writing])).flat(),
      indexes(context),
    ];
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return [unreachable(error)];
  }
}

function ok(subject: string, message: string): Finding {
  return { level: 'ok', subject, message, remedy: '' };
}

function unreachable(error: unknown): Finding {
  const subject = 'LDAP connection';
  const cause = error instanceof VserverError ? error.cause : undefined;
  if (cause instanceof ResultCodeError && CREDENTIAL_CODES.includes(cause.code)) {
    const message = `the server refuses the credentials or what they may read (LDAP result ${cause.code})`;
    return { level: 'error', subject, message, remedy: 'set VSERVER_LDAP_BIND_DN and VSERVER_LDAP_PASSWORD' };
  }
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  const remedy = 'look at the address, at TLS and its certificate authority, and whether the server runs';
  return { level: 'error', subject, message: `the server can not be asked${reason}`, remedy };
}

async function checkContainers({ usersBase, tree }: LdapContext): Promise<readonly Finding[]> {
  const subject = 'LDAP tree';
  const found = await tree.search(usersBase, 'base', '(objectClass=*)', ['1.1']);
  if (found.length > 0) return [ok(subject, `${usersBase} is there`)];
  const remedy = 'run `vserver migrate`, import ldif/sample.ldif, or set where the users are';
  return [{ level: 'error', subject, message: `${usersBase} is missing or can not be read`, remedy }];
}

async function checkSchema({ tree }: LdapContext): Promise<readonly Finding[]> {
  const subject = 'LDAP schema';
  const [root] = await tree.search('', 'base', '(objectClass=*)', ['subschemaSubentry']);
  const schemaDn = String(root?.attributes.get('subschemasubentry')?.[0] ?? 'cn=subschema');
  const [schema] = await tree.search(schemaDn, 'base', '(objectClass=*)', ['objectClasses', 'attributeTypes']);
  const known = (schema?.attributes.get('objectclasses') ?? []).some((text) => String(text).includes("'vserverUser'"));
  if (known) return [ok(subject, 'the schema of vserver is loaded')];
  const remedy =
    'load ldif/vserver.schema (or vserver-schema.ldif), or set VSERVER_LDAP_READ_ONLY and a writable VSERVER_STATE';
  return [{ level: 'error', subject, message: 'the object class vserverUser is not known', remedy }];
}

/**
 * Takes values away that nobody has: a server looks at the rights before it looks for the value, so the answer tells
 * about the rights, and nothing is changed.
 */
async function checkRights({ base, usersBase, names, pool, tree, users }: LdapContext): Promise<readonly Finding[]> {
  const subject = 'LDAP rights';
  const some = await pool
    .use(async (connection) => {
      for await (const entries of pages(connection, usersBase, users.everyone, 1, ['1.1'])) return entries;
      return [];
    })
    .catch((error: unknown) => {
      if (isResult(error, RESULT.noSuchObject)) return [];
      throw asReadFailure(error);
    });
  const probes = [
    { dn: `ou=servers,${base}`, attribute: 'description', value: 'a value that nobody has' },
    ...some.map(({ dn }) => ({ dn, attribute: names.locationEpoch, value: '0' })),
  ];
  const findings: Finding[] = [];
  for (const { dn, attribute, value } of probes) {
    const failure = await tree.modify(dn, [toChange('delete', attribute, [value])]).then(
      () => null,
      (error: unknown) => (isResult(error, RESULT.noSuchAttribute) ? null : error),
    );
    // Other checks name a tree or a schema that is missing.
    if (isResult(failure, RESULT.noSuchObject) || isResult(failure, RESULT.undefinedAttributeType)) continue;
    if (failure === null) findings.push(ok(subject, `${attribute} of ${dn} may be written`));
    else findings.push(refused(subject, `${attribute} of ${dn}`, asFailure(failure)));
  }
  return findings;
}

function refused(subject: string, what: string, failure: unknown): Finding {
  if (isUnavailable(failure)) throw failure;
  if (failure instanceof VserverError && isResult(failure.cause, RESULT.referral)) {
    const remedy = 'name the provider in VSERVER_DIRECTORY, and this server in VSERVER_LDAP_REPLICAS';
    return { level: 'error', subject, message: failure.message, remedy };
  }
  const remedy =
    'give the bind DN write access to ou=servers, ou=config and the users, or set VSERVER_LDAP_READ_ONLY and VSERVER_STATE';
  return { level: 'error', subject, message: `${what} may not be written`, remedy };
}

function indexes({ names }: LdapContext): Finding {
  const wanted = `eq,pres,sub on ${names.uid}, eq on objectClass, eq on ${names.locationServer}, eq,sub on ${names.alias}, ${names.telephone}, ${names.mail}`;
  return ok('LDAP indexes', `can not be seen from here; the server should have ${wanted}`);
}
