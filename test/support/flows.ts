/** The use cases of one node over a directory in memory, for tests of the flows and the edges. */
import { randomBytes } from 'node:crypto';
import { createCounters } from '../../src/base/counters.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { NO_BUS } from '../../src/bus/bus.ts';
import { joinPresenceTalk } from '../../src/cluster/presence-talk.ts';
import { joinUserTalk } from '../../src/cluster/user-talk.ts';
import type { Random } from '../../src/base/ports.ts';
import type { Address, Location, ServerRecord } from '../../src/base/model.ts';
import { OnlineTable } from '../../src/heartbeat/online.ts';
import type { LoginDeps, LoginOutcome, LoginRequest } from '../../src/login/login.ts';
import { login } from '../../src/login/login.ts';
import { UidLocks } from '../../src/login/locks.ts';
import type { EndReason } from '../../src/login/session-ends.ts';
import { SessionEnds } from '../../src/login/session-ends.ts';
import { Sweep } from '../../src/login/sweep.ts';
import { said } from '../../src/login/presence.ts';
import type { DeliverTo } from '../../src/messages/delivery.ts';
import { createMessages } from '../../src/messages/messages.ts';
import { UserFinder } from '../../src/locator/find-user.ts';
import type { BuddyAction } from '../../src/presence/buddies.ts';
import { changeBuddy, listsOf } from '../../src/presence/buddies.ts';
import { Presence } from '../../src/presence/presence.ts';
import type { PublishRequest } from '../../src/presence/publications.ts';
import { Publications } from '../../src/presence/publications.ts';
import { ServerImage } from '../../src/redirect/servers.ts';
import { manualTime } from './clock.ts';
import type { ManualTime } from './clock.ts';
import { fakeDirectory } from './fake-directory.ts';
import { silentLog } from './silent-log.ts';

/** A server record that runs, but for what is said. */
export function serverRecord(record: Partial<ServerRecord> & { name: string }, nowMs: number): ServerRecord {
  return {
    udp: { host: '127.0.0.9', port: 4321 },
    http: 'http://127.0.0.9:8080',
    sip: null,
    state: 'on',
    users: 0,
    usersMax: 100,
    startedAt: nowMs,
    seenAt: nowMs,
    version: 'test+key.0123456789abcdef',
    ...record,
  };
}

export type Flows = ReturnType<typeof flows>;

export function flows(
  options: {
    name?: string;
    usersMax?: number;
    directory?: ReturnType<typeof fakeDirectory>;
    time?: ManualTime;
    udp?: Address;
    sip?: Address;
    others?: LoginDeps['others'];
    onEnd?: (row: number, reason: EndReason, uid: string) => void;
    /** Brings messages to a device; without it nobody answers. */
    deliver?: DeliverTo;
    /** Nowhere to keep messages. */
    withoutStore?: boolean;
    isLimited?: boolean;
    random?: Random;
    /** Of a cluster: users of other nodes are seen too. */
    bus?: Bus;
  } = {},
) {
  const time = options.time ?? manualTime();
  const { clock } = time;
  const directory = options.directory ?? fakeDirectory();
  const nowS = () => Math.floor(clock.now() / 1000);
  const table = new OnlineTable({ capacity: 16, lifetimeMaxS: 300, nowS: nowS() });
  const me = serverRecord(
    {
      name: options.name ?? 'here',
      usersMax: options.usersMax ?? 100,
      udp: options.udp ?? { host: '127.0.0.1', port: 4321 },
      sip: options.sip ?? null,
    },
    clock.now(),
  );
  const servers = new ServerImage({ directory, clock, me, users: () => table.users.count });
  const later: { uid: string; location: Location; expectedEpoch: number }[] = [];
  const ended: { uid: string; reason: EndReason }[] = [];
  const cookies = new Map<number, string>();
  const presence = new Presence({ table, clock, timers: time.timers });
  const { bus, timers } = { bus: options.bus, timers: time.timers };
  const far = bus && joinPresenceTalk({ bus, presence, table, servers, directory, clock, timers, log: silentLog });
  const onPresence = (uid: string): void => {
    presence.changed(uid);
  };
  const ends = new SessionEnds({
    table,
    servers,
    clock,
    later: { add: (uid, location, expectedEpoch) => void later.push({ uid, location, expectedEpoch }) },
    onEnd: (row, reason, uid) => {
      ended.push({ uid: cookies.get(row) ?? table.sessions.cookie(row), reason });
      presence.sessionEnded(row, reason, uid);
      options.onEnd?.(row, reason, uid);
    },
  });
  const locks = new UidLocks();
  const random = options.random ?? { bytes: (length: number) => randomBytes(length) };
  const deps: LoginDeps = {
    directory,
    table,
    servers,
    locks,
    ends,
    others: options.others ?? { has: () => Promise.resolve(true), taken: () => undefined },
    doubt: () => undefined,
    clock,
    random,
    realm: 'vserver',
    lifetimeS: 90,
  };
  const counters = createCounters();
  const changed: string[] = [];
  const sweep = new Sweep({
    ...deps,
    counters,
    log: silentLog,
    name: me.name,
    onChanged: (uid) => void changed.push(uid),
    onPresence,
  });
  const publications = new Publications({
    ...{ table, random, usersMax: 16 },
    setDevice: (row, update) => {
      said({ table, ends, clock, onPresence }, row, update);
    },
  });
  const refresh = (uid: string): Promise<void> => sweep.refresh(uid);
  const buddies = { directory, locks, refresh };
  const elsewhere = joinUserTalk({
    ...{ bus: bus ?? NO_BUS, servers, directory, table, ends, publications, clock, refresh },
    forget: () => undefined,
  });
  const finder = new UserFinder(directory, clock);
  const messages = createMessages({
    ...{ table, finder, clock, timers: time.timers, log: silentLog, counters },
    directory: options.withoutStore === true ? { messages: null } : directory,
    deliverTo:
      options.deliver ??
      ((_row, _message, onAnswer) => {
        onAnswer('silent');
      }),
    isLimited: options.isLimited ?? false,
  });
  return {
    time,
    clock,
    directory,
    table,
    servers,
    later,
    ended,
    ends,
    locks,
    deps,
    sweep,
    counters,
    changed,
    nowS,
    onPresence,
    presence,
    far,
    bus,
    refresh,
    elsewhere,
    publications,
    /** What of the use cases is the same for every edge. */
    presenceCases: {
      presence,
      publications,
      buddy: (uid: string, action: BuddyAction, other: string) => changeBuddy(buddies, uid, action, other),
      publishElsewhere: (request: PublishRequest) => elsewhere.publish(request),
      lists: (uid: string) => listsOf({ directory }, uid),
    },
    /** As core.ts does: whoever has logged in is told of. */
    async login(request: LoginRequest): Promise<LoginOutcome> {
      const outcome = await login(deps, request);
      if (outcome.kind === 'welcome') {
        publications.opened(request.uid);
        presence.arrived(request.uid);
        messages.arrived(request.uid);
      }
      return outcome;
    },
    finder,
    messages,
  };
}

/** A login by password from 10.0.0.1:5000, but for what is said. */
export function loginRequest(uid: string, more: Partial<LoginRequest> = {}): LoginRequest {
  return {
    uid,
    credential: { kind: 'password', password: 'secret' },
    source: { host: '10.0.0.1', port: 5000 },
    local: null,
    firewall: 'none',
    status: 'online',
    instance: '',
    note: '',
    device: '',
    contact: '',
    registration: '',
    hops: 0,
    sentBy: () => false,
    ...more,
  };
}

/** Logs him in as loginRequest() says; the row of his session. */
export async function loggedIn(f: Flows, uid: string, more: Partial<LoginRequest> = {}): Promise<number> {
  const outcome = await f.login(loginRequest(uid, more));
  if (outcome.kind !== 'welcome') throw new Error(outcome.kind);
  return outcome.row;
}
