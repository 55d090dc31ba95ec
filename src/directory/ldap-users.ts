/** Users of an LDAP tree: finding them by uid, byte by byte, and reading what their entries say. */
import { AndFilter, FilterParser, OrFilter, PresenceFilter, SubstringFilter } from 'ldapts';
import type { Filter } from 'ldapts';
import { isUid } from '../base/model.ts';
import type { Region, User } from '../base/model.ts';
import type { Clock, Log } from '../base/ports.ts';
import { locationFromAttributes, NO_REGION, regionFromAttributes, uidOf, userFromAttributes } from './attributes.ts';
import { coalesced } from './coalesce.ts';
import type { AttributeNames } from './attribute-names.ts';
import type { Entry, Glimpse, Owned, Page, Query } from './directory.ts';
import { parentDn, relativeTo } from './dn.ts';
import type { Found } from './ldap-messages.ts';
import { equals } from './ldap-tree.ts';
import type { LdapTree } from './ldap-tree.ts';

const REGIONS_AGE_MAX_MS = 60_000;
const FILTER_UIDS_MAX = 100;
/**
 * Uids in one search, and such searches under way at once. Few, since a server compares each entry that it finds with
 * every uid of the filter; with 16, not 64, OpenLDAP and this node had a fifth less to do for a login.
 */
const FINDS_MAX = 16;
const SEARCHES_MAX = 4;
const RECENT_MAX = 1_024;
const RECENT_AGE_MAX_MS = 2_000;
const VERSION_ATTRIBUTES = ['entryCSN', 'modifyTimestamp'];

export interface LdapUsersOptions {
  readonly usersBase: string;
  /** Which entries are users, as filter text; '' where every entry with a uid is one. */
  readonly userFilter: string;
  readonly names: AttributeNames;
  readonly clock: Clock;
  readonly log: Log;
}

export interface LdapUsers {
  /** Matches every user below `usersBase`. */
  readonly everyone: Filter;
  /** The entry of exactly this uid; null where there is none. */
  locate(uid: string, wanted: string[]): Promise<Found | null>;
  /** Entries of these uids, each compared byte by byte. */
  readonly locateAll: (uids: readonly string[], wanted: string[]) => Promise<ReadonlyMap<string, Found>>;
  /** What is asked at the same time goes in one search. */
  find(uid: string): Promise<Entry | null>;
  /** What a find of the last seconds read, given out once: who writes next needs no search of his own. */
  takeRecent(uid: string): Found | null;
  peek(uids: readonly string[]): Promise<ReadonlyMap<string, Glimpse>>;
  owned(server: string, limit: number, after?: string): Promise<readonly Owned[]>;
  search(query: Query): Promise<Page>;
  regions(): Promise<readonly Region[]>;
  /** After a region was made. */
  forgetRegions(): void;
  readonly userOf: (found: Found) => Promise<User>;
}

export function ldapUsers(tree: LdapTree, options: LdapUsersOptions): LdapUsers {
  const { usersBase, names, log } = options;
  const extra = options.userFilter === '' ? null : FilterParser.parseString(options.userFilter);
  const only = (filter: Filter): Filter => (extra === null ? filter : new AndFilter({ filters: [filter, extra] }));
  const { regions, forget } = regionMemory(tree, options);
  const place = placeIn(usersBase);
  const userIn = ({ dn, attributes }: Found, known: readonly Region[]): User => {
    const name = place(dn);
    const same = (region: Region): boolean => region.name.toLowerCase() === name.toLowerCase();
    const region = name === '' ? NO_REGION : (known.find(same) ?? { name, countryCode: '' });
    const { user, problems } = userFromAttributes(dn, attributes, region, names);
    if (problems.length > 0) log.warn({ dn, problems }, 'an entry of the directory is malformed');
    return user;
  };
  /** Those that the entries' places name; not asked for where none does. */
  const regionsOf = async (entries: readonly Found[]): Promise<readonly Region[]> =>
    entries.some(({ dn }) => place(dn) !== '') ? regions() : [];
  const userOf = async (found: Found): Promise<User> => userIn(found, await regionsOf([found]));

  const locateAll = async (uids: readonly string[], wanted: string[]): Promise<ReadonlyMap<string, Found>> => {
    const asked = new Set(uids.filter(isUid));
    const list = [...asked];
    const slices: string[][] = [];
    for (let i = 0; i < list.length; i += FILTER_UIDS_MAX) slices.push(list.slice(i, i + FILTER_UIDS_MAX));
    const answers = await Promise.all(
      slices.map((slice) => {
        const filters = slice.map((uid) => equals(names.uid, uid));
        const [first] = filters;
        const filter = filters.length === 1 && first !== undefined ? first : new OrFilter({ filters });
        return tree.search(usersBase, 'sub', only(filter), [names.uid, ...wanted]);
      }),
    );
    const found = new Map<string, Found>();
    for (const entry of answers.flat()) {
      const uid = uidOf(entry.dn, entry.attributes, names);
      if (!asked.has(uid)) continue;
      if (found.has(uid)) log.error({ dn: entry.dn, uid }, 'a uid stands twice in the directory: the first one counts');
      else found.set(uid, entry);
    }
    return found;
  };
  const locate = async (uid: string, wanted: string[]): Promise<Found | null> =>
    (await locateAll([uid], wanted)).get(uid) ?? null;

  const recent = recentMemory(options.clock);
  const findAll = async (uids: readonly string[]): Promise<readonly (Entry | null)[]> => {
    const located = await locateAll(uids, ['*', ...VERSION_ATTRIBUTES]);
    const known = await regionsOf([...located.values()]);
    return uids.map((uid) => {
      const found = located.get(uid);
      if (found === undefined) return null;
      recent.keep(uid, found);
      const { location, problems } = locationFromAttributes(found.attributes, names);
      if (problems.length > 0) log.warn({ dn: found.dn, problems }, 'a location record is malformed');
      return { user: userIn(found, known), location, version: versionOf(found) };
    });
  };

  const whereabouts = [names.locationEpoch, names.locationServer, names.locationAddress];
  const everyone = only(new PresenceFilter({ attribute: names.uid }));

  return {
    everyone,
    locate,
    locateAll,
    regions,
    userOf,
    forgetRegions: forget,
    find: coalesced({
      itemsMax: FINDS_MAX,
      batchesMax: SEARCHES_MAX,
      single: async (uid) => (await findAll([uid]))[0] ?? null,
      batch: findAll,
    }),
    takeRecent: (uid) => recent.take(uid),
    peek: async (uids) => glimpsesOf(await locateAll(uids, [...whereabouts, ...VERSION_ATTRIBUTES]), names),
    async owned(server, limit, after = '') {
      const filter = only(equals(names.locationServer, server));
      const found = await tree.search(usersBase, 'sub', filter, [names.uid, ...whereabouts]);
      return ownedBy(server, found, names, after).slice(0, limit);
    },
    search: (query) => searchPage({ tree, options, only, everyone, locateAll, userOf }, query),
  };
}

/** The region that a DN below `usersBase` names; '' where it names none. The last place is known: most share one. */
function placeIn(usersBase: string): (dn: string) => string {
  let last = { parent: '', name: '' };
  return (dn) => {
    const parent = parentDn(dn);
    if (parent !== last.parent) {
      const above = relativeTo(parent, usersBase) ?? [];
      last = { parent, name: above.at(-1)?.find((part) => part.type === 'ou')?.value ?? '' };
    }
    return last.name;
  };
}

interface SearchPlace extends Pick<LdapUsers, 'everyone' | 'locateAll' | 'userOf'> {
  readonly tree: LdapTree;
  readonly options: Pick<LdapUsersOptions, 'usersBase' | 'names'>;
  readonly only: (filter: Filter) => Filter;
}

async function searchPage(place: SearchPlace, { field, prefix, limit, after }: Query): Promise<Page> {
  const { tree, everyone, only, locateAll, userOf } = place;
  const { usersBase, names } = place.options;
  const attribute = names[field];
  const filter = prefix === '' ? everyone : only(new SubstringFilter({ attribute, initial: prefix }));
  const found = await tree.search(usersBase, 'sub', filter, [names.uid, attribute]);
  const begins = (entry: Found): boolean => prefix === '' || hasPrefix(entry, attribute, prefix, field === 'uid');
  const matching = found.filter(begins).map(({ dn, attributes }) => uidOf(dn, attributes, names));
  // An own order, since LDAP has none: pages go on behind the last uid of the page before.
  const uids = [...new Set(matching)].filter((uid) => isUid(uid) && (after === undefined || uid > after)).sort();
  const page = uids.slice(0, limit);
  const entries = await locateAll(page, ['*']);
  const present = page.map((uid) => entries.get(uid)).filter((entry) => entry !== undefined);
  const users = await Promise.all(present.map(userOf));
  return { users, next: uids.length > limit ? (page.at(-1) ?? null) : null };
}

/** The server's matching is looser than ours: it skips spaces in numbers, and knows no case in a uid. */
function hasPrefix({ attributes }: Found, attribute: string, prefix: string, caseCounts: boolean): boolean {
  const fold = (text: string): string => (caseCounts ? text : text.toLowerCase());
  const values = attributes.get(attribute.toLowerCase()) ?? [];
  return values.some((value) => typeof value === 'string' && fold(value).startsWith(fold(prefix)));
}

/** entryCSN is exact; where a server has none, its timestamp tells changes apart by the second. */
function versionOf({ attributes }: Found): string {
  const value = VERSION_ATTRIBUTES.map((name) => attributes.get(name.toLowerCase())?.[0]).find(Boolean);
  return value === undefined ? '' : String(value);
}

/** The regions, read again after a minute; a read that failed is not kept. */
function regionMemory(
  tree: LdapTree,
  { usersBase, names, clock }: LdapUsersOptions,
): { readonly regions: () => Promise<readonly Region[]>; readonly forget: () => void } {
  let known: { readonly at: number; readonly regions: Promise<readonly Region[]> } | null = null;
  const read = async (): Promise<readonly Region[]> => {
    const found = await tree.search(usersBase, 'one', equals('objectClass', 'organizationalUnit'), ['*']);
    return found.map(({ attributes }) => regionFromAttributes(attributes, names)).filter((region) => region !== null);
  };
  return {
    regions() {
      if (known !== null && clock.now() - known.at <= REGIONS_AGE_MAX_MS) return known.regions;
      const reading = { at: clock.now(), regions: read() };
      known = reading;
      reading.regions.catch(() => {
        if (known === reading) known = null;
      });
      return reading.regions;
    },
    forget: () => void (known = null),
  };
}

interface RecentMemory {
  keep(uid: string, found: Found): void;
  take(uid: string): Found | null;
}

/** The last entries that were read, by uid; the oldest make room. */
function recentMemory(clock: Clock): RecentMemory {
  const entries = new Map<string, { readonly found: Found; readonly atMs: number }>();
  return {
    keep(uid, found) {
      entries.delete(uid);
      const [oldest] = entries.keys();
      if (entries.size >= RECENT_MAX && oldest !== undefined) entries.delete(oldest);
      entries.set(uid, { found, atMs: clock.now() });
    },
    take(uid) {
      const kept = entries.get(uid);
      entries.delete(uid);
      return kept === undefined || clock.now() - kept.atMs > RECENT_AGE_MAX_MS ? null : kept.found;
    },
  };
}

function glimpsesOf(entries: ReadonlyMap<string, Found>, names: AttributeNames): ReadonlyMap<string, Glimpse> {
  const glimpses = new Map<string, Glimpse>();
  for (const [uid, found] of entries) {
    const { epoch, server } = locationFromAttributes(found.attributes, names).location;
    glimpses.set(uid, { version: versionOf(found), epoch, server: server?.name ?? null });
  }
  return glimpses;
}

/** In the order of their uids. The server's matching knows no case; names of servers do. */
function ownedBy(server: string, found: readonly Found[], names: AttributeNames, after: string): Owned[] {
  const owned: Owned[] = [];
  for (const { dn, attributes } of found) {
    const { location } = locationFromAttributes(attributes, names);
    const uid = uidOf(dn, attributes, names);
    if (location.server?.name === server && uid > after) owned.push({ uid, epoch: location.epoch });
  }
  return owned.sort((a, b) => (a.uid < b.uid ? -1 : 1));
}
