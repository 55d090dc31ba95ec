/**
 * The reference of a login: its write statement alone, with so many in flight, through the same driver with the
 * same settings, and as many connections. One write a user; who writes knows the epoch, as after the read of a login.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { BindRequest } from 'ldapts';
import { createPool } from 'mysql2/promise';
import type * as NamesModule from '../../src/directory/attribute-names.ts';
import type * as AttributesModule from '../../src/directory/attributes.ts';
import type * as ConnectionModule from '../../src/directory/ldap-connection.ts';
import type * as MessagesModule from '../../src/directory/ldap-messages.ts';
import type { Change } from '../../src/directory/ldap-messages.ts';
import type { Location } from '../../src/base/model.ts';
import type * as RowsModule from '../../src/directory/sql-rows.ts';
import { openRawSqlite } from './raw-sqlite.ts';
import { answer, built } from './talk.ts';

/** As in src/directory/mysql.ts and ldap.ts. */
const MYSQL_CONNECTIONS = 16;
const LDAP_CONNECTIONS = 8;

interface Writer {
  /** Whether the compare-and-set was won. */
  write(uid: string, location: Location, expectedEpoch: number): boolean | Promise<boolean>;
  close(): unknown;
}

const env = process.env;
const directory = env['VSERVER_DIRECTORY'] ?? '';
const writer = await openWriter();

answer(
  {
    /** Seconds. `uids` have the locations of `epoch`. */
    async write({ uids, epoch, limit }: { uids: readonly string[]; epoch: number; limit: number }) {
      const location = locationOf(epoch + 1);
      let [next, lost] = [0, 0];
      const start = performance.now();
      const worker = async (): Promise<void> => {
        for (let i = next++; i < uids.length; i = next++) {
          if (!(await writer.write(uids[i] ?? '', location, epoch))) lost++;
        }
      };
      await Promise.all(Array.from({ length: limit }, worker));
      if (lost > 0) throw new Error(`${lost} writes were lost`);
      return (performance.now() - start) / 1000;
    },
  },
  async () => {
    await writer.close();
  },
);

function locationOf(epoch: number): Location {
  return {
    server: { name: 'bench', address: { host: '127.0.0.1', port: 4321 } },
    network: 'lan',
    wan: { host: '127.0.0.1', port: 40_000 },
    local: { host: '192.168.1.20', port: 4321 },
    loginAt: Date.now(),
    logoutAt: Date.now() - 60_000,
    hidden: false,
    epoch,
  };
}

async function openWriter(): Promise<Writer> {
  if (directory.startsWith('ldap:')) return openLdapWriter();
  const { LOCATION_COLUMNS, locationValues } = await built<typeof RowsModule>('directory/sql-rows.js');
  const set = LOCATION_COLUMNS.map((name) => `${name} = ?`).join(', ');
  const sql = `UPDATE locations SET ${set} WHERE uid = ? AND epoch = ?`;
  if (directory.startsWith('sqlite:')) {
    const database = openRawSqlite(directory);
    return {
      write: (uid, location, epoch) => database.run(sql, [...locationValues(location), uid, epoch]) === 1,
      close: () => database.close(),
    };
  }
  const pool = createPool({ uri: directory, connectionLimit: MYSQL_CONNECTIONS, queueLimit: 1_024 });
  return {
    async write(uid, location, epoch) {
      const [result] = await pool.execute(sql, [...locationValues(location), uid, epoch]);
      return 'affectedRows' in result && result.affectedRows === 1;
    },
    close: () => pool.end(),
  };
}

/** One modify that deletes the old epoch, adds the new one and replaces the rest (DIRECTORY.md section 3). */
async function openLdapWriter(): Promise<Writer> {
  const { DEFAULT_ATTRIBUTE_NAMES: names, LOCATION_FIELDS } =
    await built<typeof NamesModule>('directory/attribute-names.js');
  const { locationToAttributes } = await built<typeof AttributesModule>('directory/attributes.js');
  const { ldapConnection } = await built<typeof ConnectionModule>('directory/ldap-connection.js');
  const { modifyRequest } = await built<typeof MessagesModule>('directory/ldap-messages.js');
  const { hostname, port, pathname } = new URL(directory);
  const open = async (): Promise<ConnectionModule.LdapConnection> => {
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const connection = ldapConnection(socket);
    const bind = { dn: env['VSERVER_LDAP_BIND_DN'] ?? '', password: env['VSERVER_LDAP_PASSWORD'] ?? '' };
    await connection.send((messageId) => new BindRequest({ messageId, ...bind }).write());
    return connection;
  };
  const connections = await Promise.all(Array.from({ length: LDAP_CONNECTIONS }, open));
  const change = (operation: Change['operation'], type: string, values: readonly string[]): Change => ({
    operation,
    type,
    values,
  });
  const others = LOCATION_FIELDS.filter((field) => field !== 'locationEpoch').map((field) => names[field]);
  let next = 0;
  return {
    async write(uid, location, epoch) {
      const attributes = locationToAttributes(location, names);
      const epochName = names.locationEpoch;
      const dn = `uid=${uid},ou=china,ou=users${baseOf(pathname)}`;
      const changes = [
        change('delete', epochName, [String(epoch)]),
        change('add', epochName, [String(location.epoch)]),
        ...others.map((type) => change('replace', type, attributes.get(type.toLowerCase()) ?? [])),
      ];
      await connections[next++ % connections.length]?.send((id) => modifyRequest(id, dn, changes));
      return true;
    },
    close: () => connections.forEach((connection) => connection.close()),
  };
}

function baseOf(pathname: string): string {
  return `,${decodeURIComponent(pathname.slice(1))}`;
}
