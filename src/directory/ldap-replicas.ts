/**
 * Reading from the replicas of an LDAP server (OpenLDAP's syncrepl, RFC 4533). One is read from while it answers and has
 * all that the provider had at the probe before the last one, so it lags by two periods at most. No clocks are compared.
 */
import { isUnavailable } from '../base/errors.ts';
import type { Log, Timers } from '../base/ports.ts';
import type { Directory, Finding } from './directory.ts';
import { relativeTo } from './dn.ts';
import type { Found } from './ldap-messages.ts';
import type { LdapPool } from './ldap-pool.ts';
import type { LdapTree } from './ldap-tree.ts';
import type { LdapUsers } from './ldap-users.ts';

/** Between two probes. */
export const PROBE_MS = 2_000;

/** One server of the directory. */
export interface LdapSource {
  /** `ldap://host:port`, for people. */
  readonly name: string;
  readonly pool: LdapPool;
  readonly tree: LdapTree;
  readonly users: LdapUsers;
}

export interface LdapReplicas extends Pick<Directory, 'find' | 'peek'> {
  /** Whatever may be a little old. */
  read<Answer>(work: (users: LdapUsers) => Promise<Answer>): Promise<Answer>;
  check(): Promise<readonly Finding[]>;
  close(): void;
}

interface ReplicasOptions {
  readonly provider: LdapSource;
  readonly replicas: readonly LdapSource[];
  readonly base: string;
  readonly timers: Timers;
  readonly log: Log;
}

/** The last change that a server has of each provider (contextCSN, by server id), as text that sorts by time. */
type Progress = ReadonlyMap<string, string>;

interface Replica extends LdapSource {
  /** Null before it was looked at, so that the log tells of one that never answers too. */
  isUsed: boolean | null;
}

export function ldapReplicas({ provider, replicas, base, timers, log }: ReplicasOptions): LdapReplicas {
  const all = replicas.map((source): Replica => ({ ...source, isUsed: null }));
  /** What the provider had at the last probe. */
  let mark: Progress | null = null;
  let next = 0;
  let isProbing = false;

  const use = (replica: Replica, isUsed: boolean, why: string): void => {
    if (replica.isUsed === isUsed) return;
    replica.isUsed = isUsed;
    if (isUsed) log.info({ replica: replica.name }, 'a replica of the directory is read from');
    else log.warn({ replica: replica.name, why }, 'a replica of the directory is not read from');
  };
  const probe = async (): Promise<void> => {
    if (isProbing) return;
    isProbing = true;
    const before = mark;
    // While the provider is away, what it had is what counts.
    const [latest] = await Promise.all([
      progressOf(provider, base).catch(() => before),
      ...all.map(async (replica) => {
        try {
          const progress = await progressOf(replica, base);
          if (before !== null) use(replica, hasAll(progress, before), 'it lags behind');
        } catch {
          use(replica, false, 'it does not answer');
        }
      }),
    ]);
    mark = latest;
    isProbing = false;
  };
  const probes = all.length === 0 ? null : timers.every(PROBE_MS, () => void probe());

  /** Undefined where none can be read from. */
  const ask = async <Answer>(work: (users: LdapUsers) => Promise<Answer>): Promise<Answer | undefined> => {
    const used = all.filter(({ isUsed }) => isUsed === true);
    const replica = used[next++ % used.length];
    if (replica === undefined) return undefined;
    try {
      return await work(replica.users);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      use(replica, false, 'it does not answer');
      return undefined;
    }
  };

  return {
    async find(uid, suffices) {
      const entry = suffices && (await ask((users) => users.find(uid)));
      return entry !== undefined && suffices?.(entry) === true ? entry : provider.users.find(uid);
    },
    async peek(uids, suffices) {
      const seen = suffices && (await ask((users) => users.peek(uids)));
      if (seen === undefined) return provider.users.peek(uids);
      const doubtful = uids.filter((uid) => suffices?.(uid, seen.get(uid)) !== true);
      if (doubtful.length === 0) return seen;
      const sure = new Map(seen);
      for (const uid of doubtful) sure.delete(uid);
      return new Map([...sure, ...(await provider.users.peek(doubtful))]);
    },
    read: async (work) => (await ask(work)) ?? work(provider.users),
    check: async () => (all.length === 0 ? [] : checkReplicas(provider, all, base)),
    close() {
      probes?.cancel();
      for (const { pool } of all) pool.close();
    },
  };
}

/** Rejects where the server does not answer; empty where it does not tell. */
async function progressOf({ tree }: LdapSource, base: string): Promise<Progress> {
  const read = (dn: string, attribute: string): Promise<readonly Found[]> =>
    tree.search(dn, 'base', '(objectClass=*)', [attribute]);
  const [root] = await read('', 'namingContexts');
  const contexts = (root?.attributes.get('namingcontexts') ?? []).map(String);
  const context = contexts.find((dn) => relativeTo(base, dn) !== null) ?? base;
  const [entry] = await read(context, 'contextCSN');
  const values = (entry?.attributes.get('contextcsn') ?? []).map(String);
  // 20261121094123.381627Z#000000#001#000000: time, count, server id, count
  return new Map(values.map((csn) => [csn.split('#')[2] ?? '', csn]));
}

function hasAll(progress: Progress, wanted: Progress): boolean {
  return [...wanted].every(([server, csn]) => (progress.get(server) ?? '') >= csn);
}

async function checkReplicas(
  provider: LdapSource,
  replicas: readonly LdapSource[],
  base: string,
): Promise<readonly Finding[]> {
  const subject = 'LDAP replicas';
  const wanted = await progressOf(provider, base);
  const findings = await Promise.all(replicas.map((replica) => checkReplica(replica, wanted, base)));
  if (wanted.size > 0) return findings;
  const message = 'the provider does not tell how far it is, so a replica that lags is read from all the same';
  const remedy = 'load the overlay syncprov on the provider, and let the bind DN read contextCSN';
  return [{ level: 'warning', subject, message, remedy }, ...findings];
}

async function checkReplica(replica: LdapSource, wanted: Progress, base: string): Promise<Finding> {
  const subject = 'LDAP replicas';
  const { name } = replica;
  try {
    const progress = await progressOf(replica, base);
    if (hasAll(progress, wanted)) return { level: 'ok', subject, message: `${name} has caught up`, remedy: '' };
    const last = [...progress.values()].sort().at(-1)?.split('.')[0] ?? 'never';
    const remedy = 'if that stays so, look into the log of that slapd; it is not read from while it lags';
    return { level: 'warning', subject, message: `${name} lags: its last change is of ${last} (UTC)`, remedy };
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    const remedy = 'look at its address, TLS, and whether it takes the bind; it is not read from meanwhile';
    return { level: 'warning', subject, message: `${name} can not be asked`, remedy };
  }
}
