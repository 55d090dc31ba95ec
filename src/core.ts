/** The inside of a node: state, rules and use cases over ports, without any wire. */
import { join } from 'node:path';
import { Admin } from './admin/admin.ts';
import type { Counters } from './base/counters.ts';
import { createCounters } from './base/counters.ts';
import type { Clock, Log, Random, Timers } from './base/ports.ts';
import type { Bus } from './bus/bus.ts';
import { NO_BUS } from './bus/bus.ts';
import { joinTalk } from './cluster/cluster.ts';
import { joinPresenceTalk } from './cluster/presence-talk.ts';
import type { UserTalk } from './cluster/user-talk.ts';
import { joinUserTalk, tellChanged } from './cluster/user-talk.ts';
import { Reconciler } from './cluster/reconciler.ts';
import type { Config } from './config.ts';
import { turnSettings } from './config.ts';
import type { SystemVariables } from './config-xml/system-variables.ts';
import { systemVariables } from './config-xml/system-variables.ts';
import { userConfigs } from './config-xml/user-config.ts';
import type { Directory } from './directory/directory.ts';
import type { GuardedDirectory } from './directory/guarded.ts';
import { records } from './directory/records.ts';
import { OnlineTable } from './heartbeat/online.ts';
import { UserFinder } from './locator/find-user.ts';
import type { LocateDeps, Located } from './locator/locate.ts';
import { locateElsewhere, locateHere } from './locator/locate.ts';
import { locateAtOwner } from './login/locate-at-owner.ts';
import type { LoginDeps, LoginOutcome, LoginRequest } from './login/login.ts';
import { createIntake, inTurn } from './login/intake.ts';
import { authenticate, login } from './login/login.ts';
import { UidLocks } from './login/locks.ts';
import type { Journals } from './login/journal.ts';
import type { OtherNodes } from './login/other-nodes.ts';
import type { Outbox } from './login/outbox.ts';
import { openOutbox } from './login/outbox.ts';
import type { PresenceDeps } from './login/presence.ts';
import { heard, said } from './login/presence.ts';
import type { EndReason } from './login/session-ends.ts';
import { SessionEnds } from './login/session-ends.ts';
import { Sweep } from './login/sweep.ts';
import type { UseCases } from './login/use-cases.ts';
import type { BuddyAction } from './presence/buddies.ts';
import { changeBuddy, listsOf } from './presence/buddies.ts';
import type { FarUsers } from './presence/far-users.ts';
import { Presence } from './presence/presence.ts';
import { Publications } from './presence/publications.ts';
import type { DeliverTo } from './messages/delivery.ts';
import type { Messages } from './messages/messages.ts';
import { createMessages } from './messages/messages.ts';
import type { Identity } from './redirect/servers.ts';
import { ServerImage } from './redirect/servers.ts';

export interface CorePorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Instead of files in the data folder. */
  readonly journals?: Journals;
}

export interface Core {
  readonly cases: UseCases;
  readonly admin: Admin;
  readonly counters: Counters;
  readonly table: OnlineTable;
  readonly servers: ServerImage;
  readonly ends: SessionEnds;
  readonly sweep: Sweep;
  readonly reconciler: Reconciler;
  readonly bus: Bus;
  /** Users of other nodes who are watched here; null where there is no bus. */
  readonly far: FarUsers | null;
  readonly outbox: Outbox;
  readonly variables: SystemVariables;
  readonly messages: Messages;
}

/** What the inside of a node tells the outside: the edges, once they are open. */
export interface Outward {
  /** Hears of each ended session while its row still answers repeats. */
  sessionEnded(row: number, reason: EndReason, uid: string): void;
  readonly deliver: DeliverTo;
}

export async function createCore(
  config: Config,
  ports: CorePorts,
  directory: GuardedDirectory,
  me: Identity,
  outward: Outward,
  bus: Bus = NO_BUS,
): Promise<Core> {
  const { clock, timers, random, log } = ports;
  const counters = createCounters();
  const table = tableFor(config, clock);
  const servers = new ServerImage({ directory, clock, me, users: () => table.users.count });
  const path = join(config.data, 'outbox.jsonl');
  const outbox = await openOutbox({ path, directory, log, timers, journals: ports.journals });
  const presence = new Presence({ table, clock, timers });
  const onPresence = presence.changed.bind(presence);
  const onEnd = (row: number, reason: EndReason, uid: string): void => {
    presence.sessionEnded(row, reason, uid);
    outward.sessionEnded(row, reason, uid);
  };
  const ends = new SessionEnds({ table, servers, later: outbox, clock, onEnd });
  const locks = new UidLocks();
  const others = joinTalk({ bus, servers, table, ends, locks, log, realm: config.realm });
  const talk = { bus, presence, table, servers, directory, clock, timers, log };
  const far = bus === NO_BUS ? null : joinPresenceTalk(talk);
  const cache = records(directory, clock);
  const onChanged = cache.forget.bind(cache);
  const sweepDeps = { table, directory, ends, locks, clock, log, counters, onChanged, onPresence };
  const sweep = new Sweep({ ...sweepDeps, name: me.name });
  const reconciler = new Reconciler({ directory, table, servers, locks, clock, log, counters });
  const variables = systemVariables({
    directory,
    servers: () => servers.all().filter((one) => one.state === 'on'),
    log,
  });
  const loginDeps = {
    ...{ directory, table, servers, locks, ends, others, clock, random },
    doubt: reconciler.doubt,
    realm: config.realm,
    lifetimeS: config.expires,
  };
  const locateDeps = { table, servers, finder: new UserFinder(directory, clock) };
  const devices = { table, ends, clock, onPresence };
  const { watched, elsewhere, refresh } = watching(
    { bus, servers, onChanged, presence, devices, random, sweep, directory, locks },
    config.usersMax,
  );
  const owner = config.locateMode === 'full' ? others : null;
  const messages = createMessages({
    ...{ directory, table, clock, timers, log, counters },
    finder: locateDeps.finder,
    deliverTo: outward.deliver,
    isLimited: config.rateLimit > 0,
  });
  const onWelcome = (uid: string): void => {
    watched.publications.opened(uid);
    presence.arrived(uid);
    messages.arrived(uid);
  };
  const cases: UseCases = {
    clock,
    table,
    servers,
    ...loginCases(loginDeps, counters, onWelcome),
    ...sessionCases(devices, messages, counters),
    ...locates(locateDeps, owner, counters),
    ...userConfigs({ records: cache, variables, counters, log, clock, turn: turnSettings(config) }),
    ...watched,
    messages,
  };
  const admin = new Admin({
    ...{ directory, table, ends, elsewhere, refresh },
    name: me.name,
    realm: config.realm,
    refreshVariables: () => variables.refresh(),
  });
  return { cases, admin, counters, table, servers, ends, sweep, reconciler, bus, far, outbox, variables, messages };
}

function tableFor(config: Config, clock: Clock): OnlineTable {
  return new OnlineTable({
    capacity: config.usersMax,
    lifetimeMaxS: Math.max(config.expires, config.sipExpiresMax),
    nowS: Math.floor(clock.now() / 1000),
  });
}

function loginCases(
  deps: LoginDeps,
  counters: Counters,
  onWelcome: (uid: string) => void,
): Pick<UseCases, 'intake' | 'login' | 'loginInTurn' | 'authenticate'> {
  const intake = createIntake();
  const welcomed = ({ uid }: LoginRequest, outcome: Promise<LoginOutcome>): Promise<LoginOutcome> =>
    counted(counters, outcome, () => {
      onWelcome(uid);
    });
  return {
    intake,
    login: (request) => welcomed(request, login(deps, request)),
    loginInTurn: (request) =>
      welcomed(
        request,
        inTurn(intake, deps.clock, () => login(deps, request)),
      ),
    authenticate: (request) => authenticate(deps, request),
  };
}

function sessionCases(
  devices: PresenceDeps,
  messages: Messages,
  counters: Counters,
): Pick<UseCases, 'renew' | 'logout' | 'heard' | 'moved'> {
  const { table, ends, clock } = devices;
  return {
    renew: (row, lifetimeS, text) => {
      counters.heartbeats++;
      table.renew(row, lifetimeS, Math.floor(clock.now() / 1000));
      if (text !== undefined) table.sessions.setText(row, text);
      messages.heard(row);
    },
    logout: (row) => {
      ends.end(row, 'logout');
    },
    heard: (row, update) => {
      heard(devices, row, update);
      messages.heard(row);
    },
    moved: (row, wan) => {
      counters.natRebindings++;
      table.move(row, wan);
    },
  };
}

interface WatchingDeps {
  readonly bus: Bus;
  readonly servers: ServerImage;
  /** A record that may be held elsewhere (a cache) changed. */
  readonly onChanged: (uid: string) => void;
  readonly presence: Presence;
  readonly devices: PresenceDeps;
  readonly random: Random;
  readonly sweep: Sweep;
  readonly directory: Directory;
  readonly locks: UidLocks;
}

interface Watching {
  readonly watched: Pick<UseCases, 'presence' | 'publications' | 'publishElsewhere' | 'buddy' | 'lists'>;
  readonly elsewhere: UserTalk;
  /** A record has changed through this node: it takes effect at once, wherever the user is. */
  readonly refresh: (uid: string) => Promise<void>;
}

function watching(deps: WatchingDeps, usersMax: number): Watching {
  const { bus, presence, devices, random, sweep, directory, locks } = deps;
  const { table, ends, clock } = devices;
  const publications = new Publications({
    ...{ table, random, usersMax },
    setDevice: (row, update) => {
      said(devices, row, update);
    },
  });
  const elsewhere = joinUserTalk({
    ...{ bus, servers: deps.servers, directory, table, ends, clock, publications },
    refresh: (uid) => sweep.refresh(uid),
    forget: deps.onChanged,
  });
  const refresh = async (uid: string): Promise<void> => {
    await sweep.refresh(uid);
    tellChanged(bus, uid);
  };
  const buddies = { directory, locks, refresh };
  const watched = {
    presence,
    publications,
    publishElsewhere: elsewhere.publish,
    buddy: (uid: string, action: BuddyAction, other: string) => changeBuddy(buddies, uid, action, other),
    lists: (uid: string) => listsOf(buddies, uid),
  };
  return { watched, elsewhere, refresh };
}

/** `owner`: asks the node that has the user; null where the client is sent there. */
function locates(
  deps: LocateDeps,
  owner: Pick<OtherNodes, 'locate'> | null,
  counters: Counters,
): Pick<UseCases, 'locateHere' | 'locateElsewhere' | 'locateAnywhere'> {
  const counted = (located: Located): Located => {
    counters[LOCATED[located.kind]]++;
    return located;
  };
  return {
    locateHere: (asker, target, trace) => {
      const located = locateHere(deps.table, asker, target, trace);
      if (located !== undefined) counters.locatesUser++;
      return located;
    },
    locateElsewhere: async (asker, target, trace) => counted(await locateElsewhere(deps, asker, target, trace)),
    locateAnywhere: async (asker, target, trace) => {
      const located = await locateElsewhere(deps, asker, target, trace);
      if (owner === null) return counted(located);
      const again = async (uid: string): Promise<Located> =>
        locateHere(deps.table, asker, uid, trace) ?? locateElsewhere(deps, asker, uid, trace, false);
      return counted(await locateAtOwner(owner, located, again, asker, trace));
    },
  };
}

const LOCATED = {
  user: 'locatesUser',
  'see-also': 'locatesSeeAlso',
  offline: 'locatesOffline',
  unknown: 'locatesUnknown',
} as const;

const LOGINS = { welcome: 'loginsWelcomed', redirect: 'loginsRedirected', denied: 'loginsDenied' } as const;

async function counted(
  counters: Counters,
  outcome: Promise<LoginOutcome>,
  onWelcome: () => void,
): Promise<LoginOutcome> {
  try {
    const { kind } = await outcome;
    counters[LOGINS[kind]]++;
    if (kind === 'welcome') onWelcome();
  } catch {
    counters.loginsFailed++;
  }
  return outcome;
}
