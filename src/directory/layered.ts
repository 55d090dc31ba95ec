/**
 * Two directories as one: `first` says who the users are, `state` (writable, shared by all nodes) holds by uid what
 * `first` can't. layered-users.ts has the rule by which the two make one user.
 *
 * Every write is offered to `first`; what it refuses as READ_ONLY goes to the state, or is READ_ONLY where the state
 * could not make it seen. Locations and servers are in the state alone, variables too, with those of `first` behind
 * them. A user who is not in `first` is not there, whatever the state has. Whoever takes users out of `first` behind
 * our back and gives a uid to somebody else must remove it from the state himself.
 */
import { VserverError } from '../base/errors.ts';
import { NOWHERE, userDefaults } from '../base/model.ts';
import type { Region, User } from '../base/model.ts';
import { DEFAULT_ATTRIBUTE_NAMES } from './attribute-names.ts';
import type { AttributeNames } from './attribute-names.ts';
import type { Applied, Directory, Entry, Glimpse, LdifRecord, UserChanges } from './directory.ts';
import { applyLayered, layeredEntries } from './layered-ldif.ts';
import { mergedUser, stateChanges } from './layered-users.ts';
import type { MessageStore } from './message-store.ts';
import { changedUser } from './user-changes.ts';

const FINDS_AT_ONCE = 50;

/** `names`: the attributes of `first`'s LDIF records, where they are not the usual ones. */
export function layered(
  first: Directory,
  state: Directory,
  names: AttributeNames = DEFAULT_ATTRIBUTE_NAMES,
): Directory {
  const heldOf = async (uid: string): Promise<User> => (await state.find(uid))?.user ?? userDefaults(uid);

  return {
    ...state,
    description: `${first.description}, with the state in: ${state.description}`,
    async find(uid) {
      const [entry, held] = await Promise.all([first.find(uid), state.find(uid)]);
      return entry === null ? null : mergedEntry(entry, held);
    },
    async peek(uids) {
      const [entries, held] = await Promise.all([first.peek(uids), state.peek(uids)]);
      return new Map([...entries].map(([uid, glimpse]) => [uid, mergedGlimpse(glimpse, held.get(uid))]));
    },
    checkPassword: (user, password) => first.checkPassword(user, password),
    /** Finds by what `first` says; the users themselves are whole. */
    async search(query) {
      const { users, next } = await first.search(query);
      const merged: User[] = [];
      for (let i = 0; i < users.length; i += FINDS_AT_ONCE) {
        const slice = users.slice(i, i + FINDS_AT_ONCE);
        merged.push(...(await Promise.all(slice.map(async (user) => mergedUser(user, await heldOf(user.uid))))));
      }
      return { users: merged, next };
    },
    async regions() {
      const [of, more] = await Promise.all([first.regions(), state.regions()]);
      const known = new Set(of.map(({ name }) => name));
      return [...of, ...more.filter(({ name }: Region) => !known.has(name))];
    },
    async create(user) {
      const answer = await first.create(user);
      // What is left of a namesake is not his.
      if (answer === 'created') await state.remove(user.uid);
      return answer;
    },
    change: (uid, changes) => change(first, state, uid, changes),
    async remove(uid) {
      const answer = await first.remove(uid);
      if (answer === 'removed') await state.remove(uid);
      return answer;
    },
    writeLocation: (uid, location, epoch) =>
      writing(first, state, uid, () => state.writeLocation(uid, location, epoch)),
    messages: state.messages && layeredMessages(first, state, state.messages),
    variable: async (name) => (await state.variable(name)) ?? first.variable(name),
    apply: (records: readonly LdifRecord[], stopAtFailure?: boolean): Promise<readonly Applied[]> =>
      applyLayered(first, state, names, records, stopAtFailure),
    entries: () => layeredEntries(first, state, names),
    async ping() {
      await Promise.all([first.ping(), state.ping()]);
    },
    async migrate() {
      const steps = await orReadOnly(() => first.migrate());
      return [...(steps ?? []), ...(await state.migrate())];
    },
    async check() {
      return (await Promise.all([first.check(), state.check()])).flat();
    },
    async close() {
      await Promise.all([first.close(), state.close()]);
    },
  };
}

function layeredMessages(first: Directory, state: Directory, messages: MessageStore): MessageStore {
  return {
    ...messages,
    add: (message, sinceMs) => writing(first, state, message.to, () => messages.add(message, sinceMs)),
  };
}

async function change(
  first: Directory,
  state: Directory,
  uid: string,
  changes: UserChanges,
): Promise<'changed' | 'unknown'> {
  const [entry, held] = await Promise.all([first.find(uid), state.find(uid)]);
  if (entry === null) return 'unknown';
  const stored = held?.user ?? userDefaults(uid);
  const wanted = changedUser(mergedUser(entry.user, stored), changes);
  const taken = await orReadOnly(() => first.change(uid, changes));
  if (taken === 'unknown') return 'unknown';
  const said = taken === null ? entry.user : changedUser(entry.user, changes);
  const rest = stateChanges(said, stored, wanted);
  if (rest === null) throw new VserverError('READ_ONLY', 'the first directory says otherwise and is read-only');
  if (Object.keys(rest).length === 0) return 'changed';
  return writing(first, state, uid, () => state.change(uid, rest));
}

/** Runs the write, and once more where the user had to be made in the state first: two nodes may do so at once. */
async function writing<A>(
  first: Directory,
  state: Directory,
  uid: string,
  write: () => Promise<A | 'unknown'>,
): Promise<A | 'unknown'> {
  const answer = await write();
  if (answer !== 'unknown' || !(await first.peek([uid])).has(uid)) return answer;
  await state.create(userDefaults(uid));
  return write();
}

/** null where the directory can only be read. */
async function orReadOnly<T>(write: () => Promise<T>): Promise<T | null> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof VserverError && error.code === 'READ_ONLY') return null;
    throw error;
  }
}

function mergedEntry(entry: Entry, held: Entry | null): Entry {
  const version = joined(entry.version, held?.version);
  if (held === null) return { ...entry, location: NOWHERE, version };
  return { user: mergedUser(entry.user, held.user), location: held.location, version };
}

function mergedGlimpse(glimpse: Glimpse, held: Glimpse | undefined): Glimpse {
  const { epoch, server } = held ?? { epoch: 0, server: null };
  return { version: joined(glimpse.version, held?.version), epoch, server };
}

function joined(first: string, state: string | undefined): string {
  return `${first}/${state ?? ''}`;
}
