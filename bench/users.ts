/** The users of the benchmarks, as LDIF, and the directories that hold them. */
import { createWriteStream } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { startMariadb } from '../test/support/mariadb.ts';
import { ROOT_DN, ROOT_PASSWORD, startSlapd } from '../test/support/slapd.ts';
import type { Slapd } from '../test/support/slapd.ts';
import { startChild } from './child.ts';
import { passwordOf } from './client.ts';

export function uidOf(index: number): string {
  return String(10_000_000 + index);
}

const TREE = `version: 1

dn: dc=netbbq,dc=com
objectClass: domain
dc: netbbq

dn: ou=users,dc=netbbq,dc=com
objectClass: organizationalUnit
ou: users

dn: ou=servers,dc=netbbq,dc=com
objectClass: organizationalUnit
ou: servers

dn: ou=config,dc=netbbq,dc=com
objectClass: organizationalUnit
ou: config

dn: ou=china,ou=users,dc=netbbq,dc=com
objectClass: organizationalUnit
objectClass: vserverRegion
ou: china
countryCode: 86

dn: cn=SystemVariables,ou=config,dc=netbbq,dc=com
objectClass: vserverVariable
cn: SystemVariables
vsValue: MAIN_URL;ACCOUNT_URL;VFON_SERVER;SIP_SERVER

dn: cn=MAIN_URL,ou=config,dc=netbbq,dc=com
objectClass: vserverVariable
cn: MAIN_URL
vsValue: http://www.example.com

dn: cn=ACCOUNT_URL,ou=config,dc=netbbq,dc=com
objectClass: vserverVariable
cn: ACCOUNT_URL
vsValue: http://www.example.com/account

`;

/** A user as a provider keeps him: name, password, one telephone number, mail, country, two buddies, a SIP account. */
function userRecord(index: number, more: string): string {
  const uid = uidOf(index);
  return `dn: uid=${uid},ou=china,ou=users,dc=netbbq,dc=com
objectClass: inetOrgPerson
objectClass: vserverUser
uid: ${uid}
cn: Bench User ${uid}
sn: User
displayName: Bench User ${uid}
userPassword: ${passwordOf(uid)}
telephoneNumber: +86 10 ${uid}
mail: user${uid}@example.com
co: China
vsBuddy: ${uidOf(index + 1)}
vsBuddy: ${uidOf(index + 2)}
${more}vsVoipAccount: {"n":0,"type":"SIP","enabled":true,"servers":"192.0.2.10:5060","
 e164":"86${uid}","outbound":"","property":"codec=g711","ttl":"3600","passwor
 d":"sip-${uid}"}

`;
}

/** `more`: further lines of each record. */
export async function writeUsers(file: string, count: number, more = ''): Promise<void> {
  const stream = createWriteStream(file);
  stream.write(TREE);
  for (let index = 0; index < count; index++) {
    if (!stream.write(userRecord(index, more))) await once(stream, 'drain');
  }
  stream.end();
  await once(stream, 'finish');
}

/** A directory without users. */
export interface Place {
  /** The settings that lead there. */
  readonly env: Readonly<Record<string, string>>;
  /** Where it is an OpenLDAP. */
  readonly slapd: Slapd | null;
  remove(): Promise<void>;
}

export interface Backend {
  readonly name: 'SQLite' | 'MariaDB' | 'OpenLDAP';
  /** A new, empty directory. */
  fresh(): Promise<Place>;
  close(): Promise<void>;
}

export interface BackendKind {
  readonly name: Backend['name'];
  /** `folder` is removed by its owner at the end. */
  readonly open: (folder: string) => Promise<Backend>;
}

export const BACKENDS: readonly BackendKind[] = [
  { name: 'SQLite', open: openSqlite },
  { name: 'MariaDB', open: openMariadb },
  { name: 'OpenLDAP', open: openLdap },
];

export function openSqlite(folder: string): Promise<Backend> {
  return Promise.resolve({
    name: 'SQLite',
    async fresh() {
      const data = await mkdtemp(join(folder, 'sqlite-'));
      return { env: settings(data, `sqlite:${join(data, 'vserver.db')}`), slapd: null, remove: nothing };
    },
    close: nothing,
  });
}

export async function openMariadb(folder: string): Promise<Backend> {
  const server = await startMariadb();
  let databases = 0;
  return {
    name: 'MariaDB',
    async fresh() {
      const data = await mkdtemp(join(folder, 'mariadb-'));
      const database = `bench${++databases}`;
      const env = settings(data, await server.url(database));
      const remove = async (): Promise<void> => {
        await server.sql('mysql', `DROP DATABASE ${database}`);
      };
      return { env, slapd: null, remove };
    },
    close: () => server.stop(),
  };
}

function openLdap(folder: string): Promise<Backend> {
  return Promise.resolve({
    name: 'OpenLDAP',
    async fresh() {
      const data = await mkdtemp(join(folder, 'ldap-'));
      const slapd = await startSlapd();
      const bind = { VSERVER_LDAP_BIND_DN: ROOT_DN, VSERVER_LDAP_PASSWORD: ROOT_PASSWORD };
      return { env: { ...settings(data, slapd.url), ...bind }, slapd, remove: () => slapd.stop() };
    },
    close: nothing,
  });
}

export function settings(data: string, directory: string): Record<string, string> {
  return {
    VSERVER_DATA: data,
    VSERVER_DIRECTORY: directory,
    VSERVER_NAME: 'bench',
    ...{ VSERVER_UDP_PORT: '0', VSERVER_UDP_ALT_PORT: '0', VSERVER_HTTP_PORT: '0', VSERVER_SIP_PORT: '0' },
    VSERVER_RATE_LIMIT: '0',
    // Nobody is sent away or asked to beat while a benchmark does something else.
    ...{ VSERVER_HEARTBEAT: '3000', VSERVER_EXPIRES: '9000' },
    VSERVER_LOG_LEVEL: 'error',
  };
}

function nothing(): Promise<void> {
  return Promise.resolve();
}

/** Imports the file through the program; milliseconds. */
export async function importUsers(place: Pick<Place, 'env'>, file: string): Promise<number> {
  const child = await startChild('import', { cores: '0-1', env: place.env });
  try {
    const { ms, failed } = await child.ask<{ ms: number; failed: number }>('import', { file });
    if (failed > 0) throw new Error(`${failed} records were not imported`);
    return ms;
  } finally {
    await child.stop();
  }
}
