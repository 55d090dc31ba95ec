/** The directory in an LDAP server (RFC 4511): OpenLDAP with our schema, or any tree that has users with a uid. */
import type { ConnectionOptions } from 'node:tls';
import { VserverError } from '../base/errors.ts';
import type { ServerRecord, User } from '../base/model.ts';
import type { Clock, Log, Timers } from '../base/ports.ts';
import * as mapping from './attributes.ts';
import { DEFAULT_ATTRIBUTE_NAMES } from './attribute-names.ts';
import type { AttributeNames } from './attribute-names.ts';
import type { Directory, UserChanges } from './directory.ts';
import { formatRdn } from './dn.ts';
import type { LdapContext } from './ldap-context.ts';
import { ldapImport } from './ldap-import.ts';
import { missingClass, writeLocation } from './ldap-location.ts';
import { ldapPool } from './ldap-pool.ts';
import type { LdapPool } from './ldap-pool.ts';
import { ldapReplicas } from './ldap-replicas.ts';
import type { LdapSource } from './ldap-replicas.ts';
import { asFailure, containerAttributes, equals, isResult, ldapTree, RESULT, toChange } from './ldap-tree.ts';
import { ldapUsers } from './ldap-users.ts';
import { checkTree, treeEntries } from './ldap-upkeep.ts';
import { checkStored } from './passwords.ts';
import { changedUser } from './user-changes.ts';
import { validateUser, validateVariable } from './validate.ts';

export interface LdapOptions {
  /** `ldap://host:port/base-dn` or `ldaps://…`. */
  readonly url: string;
  /** `ldap://host:port` or `ldaps://…` of servers with the same tree, that are only read from. */
  readonly replicas?: readonly string[];
  readonly bindDn: string;
  readonly password: string;
  readonly startTls: boolean;
  readonly tls?: ConnectionOptions;
  /** Default: `ou=users` below the base DN. */
  readonly usersBase?: string;
  /** Filter text (RFC 4515); '' or absent: every entry with a uid. */
  readonly userFilter?: string;
  readonly names?: Partial<AttributeNames>;
  readonly readOnly?: boolean;
  readonly log: Log;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly deadlineMs?: number;
  readonly connectionsMax?: number;
}

/** Of the deadline. */
const REPLICA_SHARE = 4;

/** Of `ldap://host:port/base-dn`. @throws VserverError SETTINGS where there is none */
export function ldapBaseDn(url: string): string {
  const base = decodeURIComponent(new URL(url).pathname.slice(1));
  if (base === '') throw new VserverError('SETTINGS', 'the LDAP address has no base DN: ldap://host:port/base-dn');
  return base;
}

/** Opens nothing yet: the first operation connects, so that a node starts while the server is down. */
export function openLdap(options: LdapOptions): Promise<Directory> {
  const { log, clock, deadlineMs = 2_000, connectionsMax = 8 } = options;
  const url = new URL(options.url);
  const base = ldapBaseDn(options.url);
  const usersBase =
    options.usersBase === undefined || options.usersBase === '' ? `ou=users,${base}` : options.usersBase;
  const names = { ...DEFAULT_ATTRIBUTE_NAMES, ...options.names };
  const open = (at: string, withinMs: number): LdapSource => {
    const pool = ldapPool({ ...options, url: at, deadlineMs: withinMs, connectionsMax });
    const tree = ldapTree(pool, base, names);
    const users = ldapUsers(tree, { usersBase, userFilter: options.userFilter ?? '', names, log, clock });
    return { name: `${new URL(at).protocol}//${new URL(at).host}`, pool, tree, users };
  };
  const provider = open(options.url, deadlineMs);
  const { pool, tree, users } = provider;
  // The provider is asked where they are late, and has to answer within the deadline of the whole.
  const sources = (options.replicas ?? []).map((at) => open(at, deadlineMs / REPLICA_SHARE));
  const replicas = ldapReplicas({ provider, replicas: sources, base, timers: options.timers, log });
  const context: LdapContext = { base, usersBase, names, pool, tree, users };

  /** A write, with the server's refusals as VserverErrors. */
  const write = async <T>(operation: () => Promise<T>): Promise<T> => {
    if (options.readOnly === true) throw new VserverError('READ_ONLY');
    try {
      return await operation();
    } catch (error) {
      throw asFailure(error);
    }
  };

  return Promise.resolve({
    description: `LDAP directory ${url.protocol}//${url.host}/${base}`,
    find: replicas.find,
    peek: replicas.peek,
    owned: (server, limit, after) => replicas.read((at) => at.owned(server, limit, after)),
    search: (query) => users.search(query),
    regions: () => users.regions(),
    checkPassword: (user, password) => checkPassword(pool, user, password),
    create: (user) => write(() => create(context, user)),
    change: (uid, changes) => write(() => retried(() => change(context, uid, changes))),
    remove: (uid) => write(() => remove(context, uid)),
    writeLocation: (uid, location, epoch) =>
      write(() => writeLocation(context, uid, location, epoch, users.takeRecent(uid))),
    messages: null,
    ...serversAndVariables(context, write),
    apply: (records, stopAtFailure = false) => write(() => ldapImport(context, records, stopAtFailure)),
    entries: () => treeEntries(context),
    async ping() {
      await tree.search('', 'base', '(objectClass=*)', ['1.1']);
    },
    migrate: () => write(() => migrate(context)),
    check: async () => [...(await checkTree(context, options.readOnly === true)), ...(await replicas.check())],
    close() {
      replicas.close();
      pool.close();
      return Promise.resolve();
    },
  } satisfies Directory);
}

async function checkPassword(pool: LdapPool, user: User, password: string): Promise<boolean> {
  const stored = user.secret.password;
  const checked = stored === null ? 'unsupported' : await checkStored(stored, password);
  return checked === 'unsupported' ? pool.bindAs(user.dn, password) : checked === 'match';
}

function refuseInvalid(user: User): void {
  const broken = validateUser(user);
  if (broken.length > 0) throw new VserverError('INVALID_RECORD', broken.join('; '));
}

async function create({ usersBase, names, tree, users }: LdapContext, user: User): Promise<'created' | 'exists'> {
  refuseInvalid(user);
  if ((await users.locate(user.uid, [])) !== null) return 'exists';
  const region = { name: user.region, countryCode: user.countryCode };
  const parent = region.name === '' ? usersBase : `${formatRdn('ou', region.name)},${usersBase}`;
  if (region.name !== '' && !(await users.regions()).some(({ name }) => name === region.name)) {
    await tree
      .addWithParents(parent, mapping.regionToAttributes(region, names))
      .catch(ignoring(RESULT.entryAlreadyExists));
    users.forgetRegions();
  }
  const rdn = formatRdn(names.uid, user.uid);
  const attributes = mapping.userToAttributes(user, names);
  try {
    await tree.addWithParents(`${rdn},${parent}`, attributes);
    return 'created';
  } catch (error) {
    if (!isResult(error, RESULT.entryAlreadyExists)) throw error;
  }
  if ((await users.locate(user.uid, [])) !== null) return 'exists';
  // A uid that differs only in case or accents has this DN: LDAP compares names loosely, we don't.
  try {
    attributes.set('vsuid', [user.uid]);
    await tree.add(`${rdn}+${formatRdn('vsUid', user.uid)},${parent}`, attributes);
    return 'created';
  } catch (error) {
    if (isResult(error, RESULT.entryAlreadyExists)) return 'exists';
    throw error;
  }
}

/** What a change never touches: names of the entry, and what a write of the location owns. */
const FIXED = new Set(['objectclass', 'cn', 'sn']);

async function change(
  { names, tree, users }: LdapContext,
  uid: string,
  changes: UserChanges,
): Promise<'changed' | 'unknown'> {
  const found = await users.locate(uid, ['*']);
  if (found === null) return 'unknown';
  const before = await users.userOf(found);
  const after = changedUser(before, changes);
  refuseInvalid(after);
  const old = mapping.userToAttributes(before, names);
  const fresh = mapping.userToAttributes(after, names);
  const differs = (name: string): boolean => JSON.stringify(old.get(name)) !== JSON.stringify(fresh.get(name));
  // The settings may have a field in one of them.
  const mapped = new Set(Object.values(names).map((name) => name.toLowerCase()));
  const free = (name: string): boolean => !FIXED.has(name) || mapped.has(name);
  const touched = [...new Set([...old.keys(), ...fresh.keys()])].filter((name) => free(name) && differs(name));
  if (touched.length === 0) return 'changed';
  const modifications = touched.map((name) => toChange('replace', name, fresh.get(name) ?? []));
  // A plain entry stays plain as long as its own classes can hold what is written.
  const ours = touched.some((name) => OURS.test(name));
  await tree.modify(found.dn, [...(ours ? missingClass(found.attributes) : []), ...modifications]);
  return 'changed';
}

/** Attributes that an inetOrgPerson can't have and a vserverUser can. */
const OURS = /^(?:vs.*|xmlext|co)$/;

/** Once more, where another writer added the object class meanwhile. */
async function retried<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (!isResult(error, RESULT.attributeOrValueExists)) throw error;
    return operation();
  }
}

async function remove({ tree, users }: LdapContext, uid: string): Promise<'removed' | 'unknown'> {
  const found = await users.locate(uid, []);
  if (found === null) return 'unknown';
  try {
    await tree.remove(found.dn);
    return 'removed';
  } catch (error) {
    if (isResult(error, RESULT.noSuchObject)) return 'unknown';
    throw error;
  }
}

type Write = <T>(operation: () => Promise<T>) => Promise<T>;
type ServerMethods = 'servers' | 'writeServer' | 'removeServer' | 'variable' | 'writeVariable';

function serversAndVariables({ base, names, tree }: LdapContext, write: Write): Pick<Directory, ServerMethods> {
  const serverDn = (name: string): string => `${formatRdn('cn', name)},ou=servers,${base}`;
  const variableDn = (name: string): string => `${formatRdn('cn', name)},ou=config,${base}`;
  const drop = (dn: string): Promise<void> => write(() => tree.remove(dn).catch(ignoring(RESULT.noSuchObject)));

  /** Replaces the attributes of an entry, or makes it. */
  const put = (dn: string, attributes: Map<string, string[]>, clear: readonly string[]): Promise<void> =>
    write(async () => {
      const own = [...new Set([...clear, ...attributes.keys()])].filter((name) => !FIXED.has(name));
      try {
        await tree.modify(
          dn,
          own.map((name) => toChange('replace', name, attributes.get(name) ?? [])),
        );
      } catch (error) {
        if (!isResult(error, RESULT.noSuchObject)) throw error;
        await tree.addWithParents(dn, attributes);
      }
    });

  return {
    async servers() {
      const found = await tree.search(`ou=servers,${base}`, 'one', equals('objectClass', 'vserverServer'), ['*']);
      return found
        .map(({ attributes }) => mapping.serverFromAttributes(attributes, names).server)
        .filter((server): server is ServerRecord => server !== null);
    },
    writeServer: (record) =>
      put(serverDn(record.name), mapping.serverToAttributes(record, names), [names.serverSip.toLowerCase()]),
    removeServer: (name) => drop(serverDn(name)),
    async variable(name) {
      if (name === '') return null;
      const [found] = await tree.search(variableDn(name), 'base', '(objectClass=*)', ['*']);
      const variable = found === undefined ? null : mapping.variableFromAttributes(found.attributes, names);
      return variable?.name === name ? variable.value : null;
    },
    async writeVariable(name, value) {
      if (value === null) return drop(variableDn(name));
      const broken = validateVariable(name, value);
      if (broken.length > 0) throw new VserverError('INVALID_RECORD', broken.join('; '));
      return put(variableDn(name), mapping.variableToAttributes({ name, value }, names), []);
    },
  };
}

async function migrate({ base, usersBase, names, tree }: LdapContext): Promise<readonly string[]> {
  const steps: string[] = [];
  for (const dn of [base, usersBase, `ou=servers,${base}`, `ou=config,${base}`]) {
    try {
      await tree.addWithParents(dn, containerAttributes(dn, names));
      steps.push(`made ${dn}`);
    } catch (error) {
      if (!isResult(error, RESULT.entryAlreadyExists)) throw error;
    }
  }
  return steps;
}

function ignoring(code: number): (error: unknown) => void {
  return (error) => {
    if (!isResult(error, code)) throw error;
  };
}
