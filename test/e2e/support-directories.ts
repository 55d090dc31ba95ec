/** Real directory servers with the sample tree, for tests of nodes over either of them. */
import { loadConfig } from '../../src/config.ts';
import { openDirectory } from '../../src/backends.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { systemPorts } from '../../src/node.ts';
import { fillWithSample } from '../../src/sample.ts';
import { startMariadb } from '../support/mariadb.ts';
import { ROOT_DN, ROOT_PASSWORD, startSlapd, SUFFIX } from '../support/slapd.ts';
import { nodeSettings } from './support-node.ts';

/** Of nodes whose directory is there and may be slow, since the machine is. */
const PATIENT = { VSERVER_DIRECTORY_DEADLINE: '20000' };
/** Of nodes whose directory goes away: tests wait for it to pass. */
export const IMPATIENT = { VSERVER_DIRECTORY_DEADLINE: '1500' };

/** What an administrator changes behind the nodes' backs. */
export type OutsideChange = 'disable' | 'enable' | 'password' | 'privacy' | 'block' | 'one-device';

export interface DirectoryServer {
  readonly kind: string;
  /** For nodes. */
  readonly settings: Record<string, string>;
  /** An eye of the test's own, past the nodes. */
  readonly eye: Directory;
  kill(): Promise<void>;
  back(): Promise<void>;
  pause(): Promise<void>;
  resume(): void;
  /** `block`: the user blocks 10043939; `password`: it becomes `changed`. */
  change(uid: string, what: OutsideChange): Promise<void>;
  stop(): Promise<void>;
}

/** By kind, so that a suite runs over both. */
export const DIRECTORY_SERVERS = { MariaDB: mariadb, OpenLDAP: openLdap } as const;

export const BLOCKED_BY_CHANGE = '10043939';
export const PASSWORD_BY_CHANGE = 'changed';

async function eyeOn(settings: Record<string, string>): Promise<Directory> {
  const config = loadConfig(nodeSettings(settings));
  const ports = systemPorts(config);
  const eye = await openDirectory(config, ports);
  await eye.migrate();
  await fillWithSample(eye, ports.clock);
  return eye;
}

async function mariadb(): Promise<DirectoryServer> {
  const server = await startMariadb();
  const database = 'e2e';
  const settings = { VSERVER_DIRECTORY: await server.url(database), ...PATIENT };
  const eye = await eyeOn(settings);
  const statements: Record<OutsideChange, string> = {
    disable: 'UPDATE users SET enabled = 0 WHERE uid = ?',
    enable: 'UPDATE users SET enabled = 1 WHERE uid = ?',
    password: `UPDATE users SET password = '${PASSWORD_BY_CHANGE}' WHERE uid = ?`,
    privacy: "UPDATE users SET privacy = 'none' WHERE uid = ?",
    block: `INSERT INTO buddies (uid, list, position, buddy) VALUES (?, 'blocked', 0, '${BLOCKED_BY_CHANGE}')`,
    'one-device': 'UPDATE users SET devices_max = 1 WHERE uid = ?',
  };
  return {
    kind: 'MariaDB',
    settings,
    eye,
    kill: () => server.kill(),
    back: () => server.start(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    async change(uid, what) {
      await server.sql(database, statements[what], [uid]);
    },
    async stop() {
      await eye.close();
      await server.stop();
    },
  };
}

async function openLdap(): Promise<DirectoryServer> {
  const server = await startSlapd();
  const settings = {
    VSERVER_DIRECTORY: server.url,
    VSERVER_LDAP_BIND_DN: ROOT_DN,
    VSERVER_LDAP_PASSWORD: ROOT_PASSWORD,
    ...PATIENT,
  };
  const eye = await eyeOn(settings);
  const modifications: Record<OutsideChange, string> = {
    disable: 'replace: vsEnabled\nvsEnabled: FALSE',
    enable: 'replace: vsEnabled\nvsEnabled: TRUE',
    password: `replace: userPassword\nuserPassword: ${PASSWORD_BY_CHANGE}`,
    privacy: 'replace: vsPrivacy\nvsPrivacy: none',
    block: `add: vsBlocked\nvsBlocked: ${BLOCKED_BY_CHANGE}`,
    'one-device': 'replace: vsDevicesMax\nvsDevicesMax: 1',
  };
  return {
    kind: 'OpenLDAP',
    settings,
    eye,
    kill: () => server.kill(),
    back: () => server.restart(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    change(uid, what) {
      const dn = `uid=${uid},ou=china,ou=users,${SUFFIX}`;
      server.add({ text: `dn: ${dn}\nchangetype: modify\n${modifications[what]}\n` });
      return Promise.resolve();
    },
    async stop() {
      await eye.close();
      await server.stop();
    },
  };
}
