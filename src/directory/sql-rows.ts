/** Rows to the words of the domain and back. What can't be read in a row is the default, and is named. */
import { formatAddress, parseAddress } from '../base/address.ts';
import { AUDIENCES, NETWORKS, SERVER_STATES, userDefaults } from '../base/model.ts';
import type { Address, Lists, Location, ServerRecord, User, VoipAccount } from '../base/model.ts';
import type { SqlRow, SqlValue } from './sql-driver.ts';

export type Columns = Readonly<Record<string, SqlValue>>;

const LIST_NAMES = ['buddies', 'blocked', 'asked', 'asking'] as const satisfies readonly (keyof Lists)[];

/** The row of `users`, without the version, which the database keeps, and the search key. */
export function userColumns({ uid, region, secret, basic, contact, service, forwarding, xmlext }: User): Columns {
  return {
    uid,
    region,
    password: secret.password,
    ha1_md5: secret.ha1Md5,
    ha1_sha256: secret.ha1Sha256,
    alias: basic.alias,
    avatar: basic.avatar,
    age: basic.age,
    gender: basic.gender,
    country: basic.country,
    state: basic.state,
    city: basic.city,
    contact_visible_to: contact.visibleTo,
    enabled: Number(service.enabled),
    expires_at: service.expiresAt,
    may_call_out: Number(service.mayCallOut),
    may_be_called_by: service.mayBeCalledBy,
    devices_max: service.devicesMax,
    privacy: service.privacy,
    forward_always: forwarding.always,
    forward_busy: forwarding.busy,
    forward_no_answer: forwarding.noAnswer,
    forward_no_answer_seconds: forwarding.noAnswerSeconds,
    forward_unreachable: forwarding.unreachable,
    xmlext,
  };
}

/** What stands in the tables beside `users`: a table's columns after `uid`, and a user's rows of them. */
export interface ChildTable {
  readonly table: string;
  readonly columns: readonly string[];
  rows(user: User): readonly (readonly SqlValue[])[];
}

export const CHILD_TABLES: readonly ChildTable[] = [
  {
    table: 'contacts',
    columns: ['kind', 'position', 'value', 'value_key'],
    rows: ({ contact }) => [
      ...contact.telephones.map((value, i) => ['telephone', i, value, searchKey(value)]),
      ...contact.mails.map((value, i) => ['mail', i, value, searchKey(value)]),
    ],
  },
  {
    table: 'voip_accounts',
    columns: ['position', 'type', 'enabled', 'servers', 'e164', 'outbound', 'property', 'ttl', 'password', 'own'],
    rows: ({ voip }) =>
      voip.map((account, i) => [
        i,
        account.type,
        Number(account.enabled),
        account.servers,
        account.e164,
        account.outbound,
        account.property,
        account.ttl,
        account.password,
        1,
      ]),
  },
  {
    table: 'buddies',
    columns: ['list', 'position', 'buddy', 'own'],
    rows: ({ lists }) => LIST_NAMES.flatMap((list) => lists[list].map((buddy, i) => [list, i, buddy, 1])),
  },
];

/** A user's rows of CHILD_TABLES, in their order. */
export type Attached = readonly (readonly (readonly unknown[])[])[];

const NOTHING: Attached = CHILD_TABLES.map(() => []);
const NOTHING_TEXT = '';
/** Well below the 65,535 bytes of a TEXT in MySQL, with 3 bytes a character at most. */
const ATTACHED_CHARACTERS_MAX = 16_384;

/** What `users.attached` keeps of a user; null where it is too much, and is read from the tables. */
export function attachedText(user: User): string | null {
  const rows = CHILD_TABLES.map((child) => child.rows(user));
  if (rows.every((ofTable) => ofTable.length === 0)) return NOTHING_TEXT;
  const text = JSON.stringify(rows);
  return text.length > ATTACHED_CHARACTERS_MAX ? null : text;
}

/** Of a row with `attached`; null where the tables have to be read. */
export function attachedOf({ attached }: SqlRow): Attached | null {
  if (typeof attached !== 'string') return null;
  if (attached === NOTHING_TEXT) return NOTHING;
  try {
    return JSON.parse(attached) as Attached;
  } catch {
    // Not what we wrote.
    return null;
  }
}

/** From rows with the name of their table and its columns as JSON. */
export function attachedFrom(rows: readonly SqlRow[]): Attached {
  return CHILD_TABLES.map(({ table }) => rows.filter((row) => row['of_table'] === table).map(fieldsOf));
}

/** How a search compares: without regard to case, and no longer than a key may be. */
export function searchKey(text: string): string {
  const key = text.toLowerCase();
  return key.length <= 255 ? key : Array.from(key).slice(0, 255).join('');
}

/** From the row that FIND and a page give (sql-read.ts). `problems` names what can't be read. */
export function readUser(
  row: SqlRow,
  [contacts = [], accounts = [], lists = []]: Attached,
  dn: (uid: string, region: string) => string,
  problems: string[],
): User {
  const read = readerOf(row, problems);
  const uid = read.text('uid');
  const region = read.text('region');
  const { service, forwarding } = userDefaults(uid);
  return {
    uid,
    region,
    countryCode: read.text('country_code'),
    dn: dn(uid, region),
    secret: {
      password: read.nullable('password'),
      ha1Md5: read.hex('ha1_md5', 32),
      ha1Sha256: read.hex('ha1_sha256', 64),
    },
    basic: {
      alias: read.text('alias'),
      avatar: read.text('avatar'),
      age: read.integer('age', 0, 200, null),
      gender: read.text('gender'),
      country: read.text('country'),
      state: read.text('state'),
      city: read.text('city'),
    },
    contact: {
      telephones: byPosition(contacts.filter(([kind]) => kind === 'telephone')).map((values) => textOf(values[2])),
      mails: byPosition(contacts.filter(([kind]) => kind === 'mail')).map((values) => textOf(values[2])),
      visibleTo: read.choice('contact_visible_to', AUDIENCES, 'all'),
    },
    service: {
      enabled: read.flag('enabled', service.enabled),
      expiresAt: read.integer('expires_at', 0, Number.MAX_SAFE_INTEGER, null),
      mayCallOut: read.flag('may_call_out', service.mayCallOut),
      mayBeCalledBy: read.choice('may_be_called_by', AUDIENCES, service.mayBeCalledBy),
      devicesMax: read.integer('devices_max', 1, 100, service.devicesMax),
      privacy: read.choice('privacy', AUDIENCES, service.privacy),
    },
    forwarding: {
      always: read.text('forward_always'),
      busy: read.text('forward_busy'),
      noAnswer: read.text('forward_no_answer'),
      noAnswerSeconds: read.integer('forward_no_answer_seconds', 1, 600, forwarding.noAnswerSeconds),
      unreachable: read.text('forward_unreachable'),
    },
    lists: readLists(lists),
    voip: readVoip(accounts, problems),
    xmlext: read.text('xmlext'),
  };
}

/** The values of a row that came as JSON: parsed by MySQL's driver, as text from MariaDB and SQLite. */
export function fieldsOf({ fields }: SqlRow): readonly unknown[] {
  return (typeof fields === 'string' ? JSON.parse(fields) : fields) as unknown[];
}

function readLists(rows: readonly (readonly unknown[])[]): Lists {
  const sorted = byPosition(rows);
  const named = (name: keyof Lists): readonly string[] =>
    sorted.filter(([list]) => list === name).map((values) => textOf(values[2]));
  return { buddies: named('buddies'), blocked: named('blocked'), asked: named('asked'), asking: named('asking') };
}

function readVoip(rows: readonly (readonly unknown[])[], problems: string[]): readonly VoipAccount[] {
  return [...rows]
    .sort((a, b) => Number(a[0]) - Number(b[0]))
    .flatMap(([, type, enabled, servers, e164, outbound, property, ttl, password]): VoipAccount[] => {
      if (type !== 'SIP' && type !== 'H323') {
        problems.push('voip_accounts.type');
        return [];
      }
      return [
        {
          type,
          enabled: enabled !== 0,
          servers: textOf(servers),
          e164: textOf(e164),
          outbound: textOf(outbound),
          property: textOf(property),
          ttl: textOf(ttl),
          password: textOf(password),
        },
      ];
    });
}

/** Rows of [name, position, value]. The database may hand them out in any order. */
function byPosition(rows: readonly (readonly unknown[])[]): readonly (readonly unknown[])[] {
  return [...rows].sort((a, b) => Number(a[1]) - Number(b[1]));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The row of `locations` but its key, in the order of LOCATION_COLUMNS. */
export function locationValues(location: Location): SqlValue[] {
  const text = (address: Address | null): string | null => (address === null ? null : formatAddress(address));
  return [
    location.server?.name ?? null,
    text(location.server?.address ?? null),
    location.network,
    text(location.wan),
    text(location.local),
    location.loginAt,
    location.logoutAt,
    Number(location.hidden),
    location.epoch,
  ];
}
export const LOCATION_COLUMNS = [
  'server',
  'server_address',
  'network',
  'wan',
  'lan',
  'login_at',
  'logout_at',
  'hidden',
  'epoch',
] as const;

/** From the columns of LOCATION_COLUMNS, each with the prefix `l_`; NOWHERE where all are null. */
export function readLocation(row: SqlRow, problems: string[]): Location {
  const read = readerOf(row, problems);
  const name = read.text('l_server');
  const address = read.address('l_server_address');
  return {
    server: name === '' || address === null ? null : { name, address },
    network: read.choice('l_network', NETWORKS, null),
    wan: read.address('l_wan'),
    local: read.address('l_lan'),
    loginAt: read.integer('l_login_at', 0, Number.MAX_SAFE_INTEGER, null),
    logoutAt: read.integer('l_logout_at', 0, Number.MAX_SAFE_INTEGER, null),
    hidden: read.flag('l_hidden', false),
    epoch: read.integer('l_epoch', 0, Number.MAX_SAFE_INTEGER, 0),
  };
}

export function serverColumns(record: ServerRecord): Columns {
  return {
    name: record.name,
    udp: formatAddress(record.udp),
    http: record.http,
    sip: record.sip === null ? null : formatAddress(record.sip),
    state: record.state,
    users: record.users,
    users_max: record.usersMax,
    started_at: record.startedAt,
    seen_at: record.seenAt,
    version: record.version,
  };
}

/** null where it has no usable address: nobody can be sent there. */
export function readServer(row: SqlRow, problems: string[]): ServerRecord | null {
  const read = readerOf(row, problems);
  const udp = read.address('udp');
  if (udp === null) return null;
  const count = (column: string): number => read.integer(column, 0, Number.MAX_SAFE_INTEGER, 0);
  return {
    name: read.text('name'),
    udp,
    http: read.text('http'),
    sip: read.address('sip'),
    state: read.choice('state', SERVER_STATES, 'off'),
    users: count('users'),
    usersMax: count('users_max'),
    startedAt: count('started_at'),
    seenAt: count('seen_at'),
    version: read.text('version'),
  };
}

interface RowReader {
  text(column: string): string;
  nullable(column: string): string | null;
  /** Lower-case hex of this length. */
  hex(column: string, length: number): string | null;
  integer<D extends number | null>(column: string, min: number, max: number, fallback: D): number | D;
  flag(column: string, fallback: boolean): boolean;
  choice<C extends string, D extends C | null>(column: string, choices: readonly C[], fallback: D): C | D;
  address(column: string): Address | null;
}

function readerOf(row: SqlRow, problems: string[]): RowReader {
  /** The value parsed; the default where there is none, and where it can't be parsed, which is a problem. */
  const parsed = <V, D>(column: string, parse: (value: unknown) => V | undefined, fallback: D): V | D => {
    const value = row[column];
    if (value === null || value === undefined) return fallback;
    const result = parse(value);
    if (result !== undefined) return result;
    problems.push(column);
    return fallback;
  };
  const string = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  return {
    text: (column) => parsed(column, string, ''),
    nullable: (column) => parsed(column, string, null),
    hex: (column, length) =>
      parsed(column, (value) => (isHex(value) && value.length === length ? value : undefined), null),
    integer: (column, min, max, fallback) =>
      parsed(column, (value) => (isWhole(value) && value >= min && value <= max ? value : undefined), fallback),
    flag: (column, fallback) =>
      parsed(column, (value) => (value === 0 || value === 1 ? value === 1 : undefined), fallback),
    choice: (column, choices, fallback) =>
      parsed(column, (value) => choices.find((choice) => choice === value), fallback),
    address: (column) =>
      parsed(column, (value) => (typeof value === 'string' ? (parseAddress(value) ?? undefined) : undefined), null),
  };
}

function isHex(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]+$/.test(value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
