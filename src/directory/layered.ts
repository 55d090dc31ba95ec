/** Two directories as one: who the users are from a read-only one, and what it can't hold from a writable one. */
import { VserverError } from '../base/errors.ts';
import { NOWHERE, userDefaults } from '../base/model.ts';
import type { User } from '../base/model.ts';
import type { Directory, Entry, Glimpse, UserChanges } from './directory.ts';

/** What only the second directory holds; everything else is the first one's and can't be changed. */
const STATE_GROUPS: readonly (keyof UserChanges)[] = ['service', 'forwarding', 'lists', 'secret', 'voip', 'xmlext'];

/**
 * Users of `first` with what `state` holds by uid: locations, verifiers, service, forwarding, lists, voip accounts,
 * xmlext, servers and variables. A uid that `state` does not know yet is made there by the first write.
 */
export function layered(first: Directory, state: Directory): Directory {
  const readOnly = (): Promise<never> => Promise.reject(new VserverError('READ_ONLY'));

  /** Runs the write, and once more where the uid had to be made in `state` first. */
  const writing = async <A>(uid: string, write: () => Promise<A | 'unknown'>): Promise<A | 'unknown'> => {
    const answer = await write();
    if (answer !== 'unknown' || (await first.find(uid)) === null) return answer;
    await state.create(userDefaults(uid));
    return write();
  };

  return {
    ...state,
    description: `${first.description} (read-only), with its state in: ${state.description}`,
    async find(uid) {
      const [entry, held] = await Promise.all([first.find(uid), state.find(uid)]);
      return entry === null ? null : merged(entry, held);
    },
    async peek(uids) {
      const [entries, held] = await Promise.all([first.peek(uids), state.peek(uids)]);
      const glimpses = new Map<string, Glimpse>();
      for (const [uid, { version }] of entries) {
        const own = held.get(uid);
        glimpses.set(uid, {
          version: joined(version, own?.version),
          epoch: own?.epoch ?? 0,
          server: own?.server ?? null,
        });
      }
      return glimpses;
    },
    checkPassword: (user, password) => first.checkPassword(user, password),
    search: (query) => first.search(query),
    regions: () => first.regions(),
    create: readOnly,
    remove: readOnly,
    async change(uid, changes) {
      const foreign = (Object.keys(changes) as (keyof UserChanges)[]).filter((group) => !STATE_GROUPS.includes(group));
      // The first directory's own password stays; only verifiers beside it can be written.
      if (foreign.length > 0 || (changes.secret?.password ?? null) !== null) return readOnly();
      return writing(uid, () => state.change(uid, changes));
    },
    writeLocation: (uid, location, epoch) => writing(uid, () => state.writeLocation(uid, location, epoch)),
    apply: readOnly,
    entries: () => first.entries(),
    async ping() {
      await Promise.all([first.ping(), state.ping()]);
    },
    async check() {
      return [...(await first.check()), ...(await state.check())];
    },
    async close() {
      await Promise.all([first.close(), state.close()]);
    },
  };
}

function merged(entry: Entry, held: Entry | null): Entry {
  if (held === null) return { ...entry, location: NOWHERE, version: joined(entry.version, undefined) };
  const { service, forwarding, lists, voip, xmlext, secret } = held.user;
  const user: User = {
    ...entry.user,
    service: { ...service, enabled: service.enabled && entry.user.service.enabled },
    forwarding,
    lists,
    voip,
    xmlext,
    secret: {
      password: entry.user.secret.password,
      ha1Md5: secret.ha1Md5 ?? entry.user.secret.ha1Md5,
      ha1Sha256: secret.ha1Sha256 ?? entry.user.secret.ha1Sha256,
    },
  };
  return { user, location: held.location, version: joined(entry.version, held.version) };
}

function joined(first: string, state: string | undefined): string {
  return `${first}/${state ?? ''}`;
}
