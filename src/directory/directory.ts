/**
 * The directory: users, where they are, the servers and the system variables, by whatever backend.
 *
 * Every method rejects with VserverError DIRECTORY_UNAVAILABLE where the backend could not be asked within its
 * deadline, READ_ONLY where it can only be read, and INVALID_RECORD where what is to be written breaks a rule.
 * Uids are compared byte by byte in every backend.
 */
import type { Location, Region, ServerRecord, User } from '../base/model.ts';
import type { MessageStore } from './message-store.ts';

/** One read of a user: who he is and where. */
export interface Entry {
  readonly user: User;
  readonly location: Location;
  /** Changes whenever the user changed; equal text means nothing did. */
  readonly version: string;
}

/** What the sweep over the online users compares. */
export interface Glimpse {
  readonly version: string;
  readonly epoch: number;
  /** Name of the owning server; null where the user is offline. */
  readonly server: string | null;
}

/** A location that names a server. */
export interface Owned {
  readonly uid: string;
  readonly epoch: number;
}

export type UserGroup = 'basic' | 'contact' | 'service' | 'forwarding' | 'lists';

/** What to change: absent groups and fields stay as they are. */
export type UserChanges = { readonly [G in UserGroup]?: Partial<User[G]> } & {
  readonly secret?: User['secret'];
  readonly voip?: User['voip'];
  readonly xmlext?: string;
};

export const SEARCH_FIELDS = ['uid', 'alias', 'telephone', 'mail'] as const;
export type SearchField = (typeof SEARCH_FIELDS)[number];

export interface Query {
  readonly field: SearchField;
  /** Matched as a prefix, without regard to case (a uid: with regard to it); '' finds all. */
  readonly prefix: string;
  /** 1–1000. */
  readonly limit: number;
  /** `next` of the page before; absent for the first one. */
  readonly after?: string;
}

export interface Page {
  readonly users: readonly User[];
  /** Goes into `after` for the next page; null on the last one. */
  readonly next: string | null;
}

/** An LDIF record as parsed (RFC 2849): what an import applies, in the order of the file. */
export interface LdifRecord {
  /** For messages: 1-based line of the `dn:`. */
  readonly line: number;
  readonly dn: string;
  readonly change: LdifChange;
}

/** Attribute names in lower case without options, to their values in file order. Values that are no UTF-8 are bytes. */
export type Attributes = ReadonlyMap<string, readonly (string | Buffer)[]>;

export type LdifChange =
  | { readonly type: 'add'; readonly attributes: Attributes }
  | { readonly type: 'delete' }
  | { readonly type: 'modify'; readonly modifications: readonly Modification[] }
  | {
      readonly type: 'modrdn';
      readonly newRdn: string;
      readonly deleteOldRdn: boolean;
      readonly newSuperior: string | null;
    };

export interface Modification {
  readonly operation: 'add' | 'delete' | 'replace' | 'increment';
  readonly attribute: string;
  readonly values: readonly (string | Buffer)[];
}

/**
 * `unchanged`: the entry of an add was there already (so that an interrupted import can be run again);
 * `ignored`: an entry that this backend has no place for; `failed`: refused, with the reason.
 */
export type Applied =
  | { readonly outcome: 'added' | 'changed' | 'removed' | 'renamed' | 'unchanged' }
  | { readonly outcome: 'ignored' | 'failed'; readonly reason: string };

/** Something that `vserver check` found, and how to mend it. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'error';
  readonly subject: string;
  readonly message: string;
  /** What to do; '' where nothing is wrong. */
  readonly remedy: string;
}

/**
 * Whether an answer will do that may be a little old. A read that is given one may be answered by a replica, where the
 * backend has any; what won't do is asked of the server that takes the writes. Any other read sees all that was written
 * before it.
 */
export type Suffices<Answer extends readonly unknown[]> = (...answer: Answer) => boolean;

export interface Directory {
  /** For people: kind and place, without any secret. */
  readonly description: string;

  /** The user and his location in one read, by the index on uid; null where there is none. */
  find(uid: string, suffices?: Suffices<[Entry | null]>): Promise<Entry | null>;
  /** Version and whereabouts of up to 500 users; who is missing from the map is missing from the directory. */
  peek(
    uids: readonly string[],
    suffices?: Suffices<[uid: string, glimpse: Glimpse | undefined]>,
  ): Promise<ReadonlyMap<string, Glimpse>>;
  /** Whether this is his password: by the stored value, or by a bind where only that can tell. */
  checkPassword(user: User, password: string): Promise<boolean>;
  search(query: Query): Promise<Page>;
  /** All regions, a few dozen. */
  regions(): Promise<readonly Region[]>;

  /** Makes the user (and his region, where it is missing). `dn` is made by the backend and ignored here. */
  create(user: User): Promise<'created' | 'exists'>;
  change(uid: string, changes: UserChanges): Promise<'changed' | 'unknown'>;
  /** Removes the user with his location, accounts and lists. */
  remove(uid: string): Promise<'removed' | 'unknown'>;

  /** Compare-and-set: written only where the stored epoch is `expectedEpoch` (0: never written before). */
  writeLocation(uid: string, location: Location, expectedEpoch: number): Promise<'written' | 'lost' | 'unknown'>;

  /**
   * Up to `limit` users whose location names this server, in the order of their uids, after that of `after`. May be a
   * little old, as by a replica.
   */
  owned(server: string, limit: number, after?: string): Promise<readonly Owned[]>;

  /** Messages that wait for users; null where this directory has no place for them. */
  readonly messages: MessageStore | null;

  servers(): Promise<readonly ServerRecord[]>;
  /** Made or replaced, by name. */
  writeServer(record: ServerRecord): Promise<void>;
  removeServer(name: string): Promise<void>;

  /** null where it is not set. */
  variable(name: string): Promise<string | null>;
  /** null removes it. */
  writeVariable(name: string, value: string | null): Promise<void>;

  /**
   * Applies LDIF records in order; one answer a record. Missing parents are made. Up to 1000 a call. `stopAtFailure`: the
   * answers end with the first record that failed, and nothing is done of what stands behind it.
   */
  apply(records: readonly LdifRecord[], stopAtFailure?: boolean): Promise<readonly Applied[]>;
  /** All regions, users (with what is stored of them, secrets too), servers and variables as `add` records. */
  entries(): AsyncIterable<LdifRecord>;

  /** Rejects where the directory can't be asked. */
  ping(): Promise<void>;
  /** Brings the schema up to date; the steps taken, for people. Nothing to do: []. */
  migrate(): Promise<readonly string[]>;
  /** What is wrong with schema, indexes and rights. */
  check(): Promise<readonly Finding[]>;
  close(): Promise<void>;
}
