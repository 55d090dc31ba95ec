/** A directory in memory for tests of the flows: honest about compare-and-set, and down or slow at a word. */
import { VserverError } from '../../src/base/errors.ts';
import { NOWHERE, userDefaults } from '../../src/base/model.ts';
import type { Location, Region, ServerRecord, User } from '../../src/base/model.ts';
import type { StoredMessage } from '../../src/directory/message-store.ts';
import { MESSAGES_MAX, MESSAGES_PAGE, MESSAGES_PAGE_OLD, RECENT_PAGE } from '../../src/directory/message-store.ts';
import type { Directory, Entry, Glimpse, Query, UserChanges } from '../../src/directory/directory.ts';

interface Row {
  user: User;
  location: Location;
  version: number;
}

export interface FakeDirectory extends Directory {
  /** Names of the operations asked for, in order. */
  readonly calls: string[];
  /** While true every operation rejects with DIRECTORY_UNAVAILABLE. */
  down: boolean;
  /** While true every operation waits for `release`. */
  held: boolean;
  /** What a replica that lags has of a user: answers reads that may be a little old. null: there is none. */
  replica: ((uid: string) => Entry | null) | null;
  /** How many operations wait. */
  waiting(): number;
  /** Lets the operations that wait go on, oldest first; all of them, or the first `count`. */
  release(count?: number): void;
  /** Puts a user there, whole or by what differs from the defaults. His password is `secret` unless said. */
  put(user: Partial<User> & { uid: string }): User;
  /** What is stored, read past every switch. */
  row(uid: string): Entry | null;
}

/** What the record is made from where the test says nothing else. */
export function testUser(user: Partial<User> & { uid: string }): User {
  const plain = userDefaults(user.uid);
  return { ...plain, secret: { ...plain.secret, password: 'secret' }, ...user };
}

function glimpseOf(entry: Entry | null | undefined): Glimpse | undefined {
  if (entry === null || entry === undefined) return undefined;
  const { epoch, server } = entry.location;
  return { version: entry.version, epoch, server: server === null ? null : server.name };
}

export function fakeDirectory(): FakeDirectory {
  const stored: StoredMessage[] = [];
  let lastNumber = 0;
  const rows = new Map<string, Row>();
  const servers = new Map<string, ServerRecord>();
  const variables = new Map<string, string>();
  const calls: string[] = [];
  const held: (() => void)[] = [];
  let version = 0;

  /** The way into every operation: it is noted, waits where it is held, and fails while the directory is down. */
  const enter = async <T>(name: string, work: () => T): Promise<T> => {
    calls.push(name);
    if (directory.held) await new Promise<void>((resolve) => held.push(resolve));
    else await Promise.resolve();
    if (directory.down) throw new VserverError('DIRECTORY_UNAVAILABLE');
    return work();
  };
  const entryOf = ({ user, location, version: of }: Row): Entry => ({ user, location, version: String(of) });
  const store = (user: User, location: Location): void => {
    rows.set(user.uid, { user, location, version: ++version });
  };

  const directory: FakeDirectory = {
    description: 'in memory, for tests',
    calls,
    down: false,
    held: false,
    replica: null,
    waiting: () => held.length,
    release: (count = held.length) => held.splice(0, count).forEach((go) => go()),
    put(user) {
      const whole = testUser(user);
      store(whole, rows.get(user.uid)?.location ?? NOWHERE);
      return whole;
    },
    row(uid) {
      const row = rows.get(uid);
      return row === undefined ? null : entryOf(row);
    },

    find: (uid, suffices) =>
      enter('find', () => {
        const old = suffices && directory.replica?.(uid);
        return old !== undefined && suffices?.(old) === true ? old : directory.row(uid);
      }),
    peek: (uids, suffices) =>
      enter('peek', () => {
        const seen = new Map<string, Glimpse>();
        for (const uid of uids) {
          const old = suffices && glimpseOf(directory.replica?.(uid));
          const glimpse = suffices?.(uid, old) === true ? old : glimpseOf(directory.row(uid));
          if (glimpse !== undefined) seen.set(uid, glimpse);
        }
        return seen;
      }),
    checkPassword: (user, password) =>
      enter('checkPassword', () => rows.get(user.uid)?.user.secret.password === password),
    search: (query) => enter('search', () => searchRows([...rows.values()], query)),
    regions: () => enter('regions', () => regionsOf([...rows.values()])),

    create: (user) =>
      enter('create', () => {
        if (rows.has(user.uid)) return 'exists';
        store(user, NOWHERE);
        return 'created';
      }),
    change: (uid, changes) =>
      enter('change', () => {
        const row = rows.get(uid);
        if (row === undefined) return 'unknown';
        store(changed(row.user, changes), row.location);
        return 'changed';
      }),
    remove: (uid) => enter('remove', () => (rows.delete(uid) ? 'removed' : 'unknown')),
    writeLocation: (uid, location, expectedEpoch) =>
      enter('writeLocation', () => {
        const row = rows.get(uid);
        if (row === undefined) return 'unknown';
        if (row.location.epoch !== expectedEpoch) return 'lost';
        row.location = location;
        return 'written';
      }),

    owned: (server, limit, after = '') =>
      enter('owned', () =>
        [...rows.values()]
          .map(({ user: { uid }, location }) => ({ uid, epoch: location.epoch, server: location.server?.name }))
          .filter((one) => one.server === server && one.uid > after)
          .sort((a, b) => (a.uid < b.uid ? -1 : 1))
          .slice(0, limit)
          .map(({ uid, epoch }) => ({ uid, epoch })),
      ),

    messages: {
      add: (message, sinceMs) =>
        enter('addMessage', () => {
          if (!rows.has(message.to)) return 'unknown';
          const waiting = stored.filter(({ to, sentAt }) => to === message.to && sentAt >= sinceMs);
          if (waiting.some(({ from, id }) => from === message.from && id === message.id)) return 'repeated';
          if (waiting.length >= MESSAGES_MAX) return 'full';
          const kept = { ...message, number: ++lastNumber };
          stored.push(kept);
          return kept;
        }),
      list: (to, after, sinceMs) =>
        enter('listMessages', () =>
          stored.filter((one) => one.to === to && one.number > after && one.sentAt >= sinceMs).slice(0, MESSAGES_PAGE),
        ),
      recipientsAmong: (uids) =>
        enter('recipientsAmong', () => new Set(uids.filter((uid) => stored.some(({ to }) => to === uid)))),
      remove: (to, number) =>
        enter('removeMessage', () => {
          const at = stored.findIndex((one) => one.to === to && one.number === number);
          if (at >= 0) stored.splice(at, 1);
          return at >= 0;
        }),
      recent: (after) =>
        enter('recentMessages', () => stored.filter(({ number }) => number > after).slice(0, RECENT_PAGE)),
      removeBefore: (sentAt) =>
        enter('removeMessagesBefore', () => {
          const old = stored.filter((one) => one.sentAt < sentAt).slice(0, MESSAGES_PAGE_OLD);
          for (const one of old) stored.splice(stored.indexOf(one), 1);
          return old.length;
        }),
    },
    servers: () => enter('servers', () => [...servers.values()]),
    writeServer: (record) => enter('writeServer', () => void servers.set(record.name, record)),
    removeServer: (name) => enter('removeServer', () => void servers.delete(name)),
    variable: (name) => enter('variable', () => variables.get(name) ?? null),
    writeVariable: (name, value) =>
      enter('writeVariable', () => {
        if (value === null) variables.delete(name);
        else variables.set(name, value);
      }),

    apply: () => Promise.reject(new Error('the directory for tests imports nothing')),
    entries: () => {
      throw new Error('the directory for tests exports nothing');
    },
    ping: () => enter('ping', () => undefined),
    migrate: () => enter('migrate', () => []),
    check: () => enter('check', () => []),
    close: () => Promise.resolve(),
  };
  return directory;
}

function changed(user: User, changes: UserChanges): User {
  return {
    ...user,
    basic: { ...user.basic, ...changes.basic },
    contact: { ...user.contact, ...changes.contact },
    service: { ...user.service, ...changes.service },
    forwarding: { ...user.forwarding, ...changes.forwarding },
    lists: { ...user.lists, ...changes.lists },
    secret: changes.secret ?? user.secret,
    voip: changes.voip ?? user.voip,
    xmlext: changes.xmlext ?? user.xmlext,
  };
}

function searchRows(
  rows: readonly Row[],
  { field, prefix, limit, after = '' }: Query,
): { users: User[]; next: string | null } {
  const values = ({ uid, basic, contact }: User): readonly string[] =>
    ({ uid: [uid], alias: [basic.alias], telephone: contact.telephones, mail: contact.mails })[field];
  const fold = (text: string): string => (field === 'uid' ? text : text.toLowerCase());
  const found = rows
    .map((row) => row.user)
    .filter((user) => user.uid > after && values(user).some((value) => fold(value).startsWith(fold(prefix))))
    .sort((a, b) => (a.uid < b.uid ? -1 : 1));
  const users = found.slice(0, limit);
  return { users, next: found.length > limit ? (users.at(-1)?.uid ?? null) : null };
}

function regionsOf(rows: readonly Row[]): Region[] {
  const codes = new Map(rows.map(({ user }) => [user.region, user.countryCode]));
  codes.delete('');
  return [...codes].map(([name, countryCode]) => ({ name, countryCode }));
}
