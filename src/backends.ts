/** Opens the directory that the settings name: the one place that knows all backends. */
import { readFileSync } from 'node:fs';
import { VserverError } from './base/errors.ts';
import type { Clock, Log, Timers } from './base/ports.ts';
import type { Config } from './config.ts';
import type { AttributeNames } from './directory/attribute-names.ts';
import { DEFAULT_ATTRIBUTE_NAMES } from './directory/attribute-names.ts';
import type { Directory } from './directory/directory.ts';
import { layered } from './directory/layered.ts';
import type { ImportBase } from './directory/import.ts';
import { ldapBaseDn, openLdap } from './directory/ldap.ts';
import { openMysql } from './directory/mysql.ts';
import { openSqlite } from './directory/sqlite.ts';
import { SETTINGS } from './settings.ts';

export interface BackendPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
}

/**
 * The directory of `config`, with its second one for what the first can't hold. Nothing is asked of a remote server
 * yet, which may be down now. Rejects with SETTINGS where an address is malformed.
 */
export async function openDirectory(config: Config, ports: BackendPorts): Promise<Directory> {
  const first = await openOne(config.directory, config, ports);
  if (config.state === '') return first;
  try {
    return layered(first, await openOne(config.state, config, ports), attributeNames(config));
  } catch (error) {
    await first.close();
    throw error;
  }
}

/** Of the tree that the directory is, or shows. */
export function baseOf({ directory, baseDn }: Pick<Config, 'directory' | 'baseDn'>): ImportBase {
  return directory.startsWith('ldap')
    ? { dn: ldapBaseDn(directory), others: 'left out' }
    : { dn: baseDn, others: 'taken' };
}

function openOne(url: string, config: Config, ports: BackendPorts): Promise<Directory> {
  const { directoryDeadline: deadlineMs } = config;
  const { dn: baseDn } = baseOf(config);
  if (url.startsWith('sqlite:')) {
    return openSqlite({ path: url.slice('sqlite:'.length), log: ports.log, baseDn, deadlineMs });
  }
  if (url.startsWith('mysql:')) return openMysql({ url, ...ports, baseDn, deadlineMs });
  return openLdap({
    url,
    ...ports,
    deadlineMs,
    bindDn: config.ldapBindDn,
    password: config.ldapPassword,
    startTls: config.ldapStartTls,
    ...(config.ldapCa !== '' && { tls: { ca: readAuthority(config.ldapCa) } }),
    userFilter: config.ldapUserFilter,
    usersBase: config.ldapUsersBase,
    names: attributeNames(config),
    readOnly: config.ldapReadOnly,
    ...(url === config.directory && { replicas: config.ldapReplicas }),
  });
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new VserverError('SETTINGS', `${SETTINGS.ldapCa.env}: ${path} can't be read`, { cause: error });
  }
}

/** The defaults, but for what the settings name otherwise. */
export function attributeNames(config: Pick<Config, 'ldapAttributes'>): AttributeNames {
  return { ...DEFAULT_ATTRIBUTE_NAMES, ...config.ldapAttributes };
}
