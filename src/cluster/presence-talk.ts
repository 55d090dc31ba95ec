/**
 * What nodes tell each other of whom their clients watch: a node asks the one that has the user, which remembers that for
 * a while and tells of changes; and every node tells all of who has logged in there.
 */
import { isUid } from '../base/model.ts';
import type { Clock, Log, Timer, Timers } from '../base/ports.ts';
import type { Bus } from '../bus/bus.ts';
import type { Directory } from '../directory/directory.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { Seen } from '../presence/compose.ts';
import { CLOSED, SEEN_STATUSES, sightOf } from '../presence/compose.ts';
import type { FarState, FarStates, Owners } from '../presence/far-sight.ts';
import { WATCH_PAGE } from '../presence/far-sight.ts';
import { FarUsers } from '../presence/far-users.ts';
import type { Presence } from '../presence/presence.ts';
import type { ServerImage } from '../redirect/servers.ts';

export interface PresenceTalkDeps {
  readonly bus: Bus;
  readonly presence: Presence;
  readonly table: OnlineTable;
  readonly servers: ServerImage;
  readonly directory: Pick<Directory, 'find' | 'peek'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
}

/** An owner who does not answer for so long is asked again a second later. */
const ANSWER_MS = 1_000;
/** How long a node is told of a user whom it does not ask for again; it does so each 45 s. */
const INTEREST_S = 150;
/** What is told within it goes in one message. */
const TOGETHER_MS = 50;
const ARRIVALS_MAX = 200;

/** On the wire: the uid, and where he is to be seen status, note and the version of his record. */
type WireState = readonly [uid: string] | readonly [uid: string, status: string, note: string, version: string];

/** Takes part in it; from now on `presence` sees users of other nodes. */
export function joinPresenceTalk(deps: PresenceTalkDeps): FarUsers {
  const { bus, presence } = deps;
  const says = createSpeaker(deps);
  const arrivals = createBatches<number>(deps.timers, ARRIVALS_MAX, (_all, users) => {
    bus.tellAll('arrived', { users: [...users] });
  });
  const owners: Owners = {
    get isUp() {
      return bus.isUp;
    },
    async watch(node, uids) {
      const answer = await bus.ask(node, 'watch', { uids }, ANSWER_MS);
      return typeof answer === 'string' ? undefined : readStates(answer.body);
    },
    arrived(uid, epoch) {
      arrivals.add('', uid, epoch);
    },
  };
  const far = new FarUsers({ ...deps, owners });
  presence.attachFar(far);

  const changes = createBatches<true>(deps.timers, WATCH_PAGE, (node, users) => {
    bus.tell(node, 'presence', says([...users.keys()]));
  });
  presence.attach('node', {
    notify(row) {
      const { subscriptions } = presence;
      changes.add(nodeOf(subscriptions.watcherOf(row)), subscriptions.presentityOf(row), true);
      presence.notified(row);
    },
    // The node has not asked for him again.
    ended: () => undefined,
  });
  bus.on('watch', (body, from) => {
    const uids = uidsIn(body);
    if (uids === undefined) return undefined;
    for (const uid of uids) remember(deps, from, uid);
    return says(uids);
  });
  bus.on('presence', (body, from) => {
    const states = readStates(body);
    if (states !== undefined) far.told(from, states);
  });
  bus.on('arrived', (body, from) => {
    for (const [uid, epoch] of arrivedIn(body)) far.arrived(from, uid, epoch);
  });
  return far;
}

/** Makes what is said of users, as of now; each time with a higher order, also after a restart. */
function createSpeaker({ table, clock }: PresenceTalkDeps): (uids: readonly string[]) => object {
  let order = 0;
  return (uids) => {
    order = Math.max(order + 1, clock.now());
    return { order, states: uids.map((uid) => wireState(table, uid)) };
  };
}

function wireState(table: OnlineTable, uid: string): WireState {
  const sight = sightOf(table, uid);
  if (sight === undefined || sight.state.status === 'offline') return [uid];
  const { status, note } = sight.state;
  return [uid, status, note, table.users.stamp(table.users.find(uid)).version];
}

function readStates(body: unknown): FarStates | undefined {
  const { order, states } = body as { order?: unknown; states?: unknown };
  if (typeof order !== 'number' || !Array.isArray(states)) return undefined;
  return { order, states: states.flatMap((state) => readState(state) ?? []) };
}

/** A status that this release does not know counts as online. */
function readState(state: unknown): FarState | undefined {
  const [uid, word, note, version] = Array.isArray(state) ? (state as unknown[]) : [];
  if (typeof uid !== 'string') return undefined;
  if (typeof word !== 'string' || typeof note !== 'string' || typeof version !== 'string') {
    return { uid, seen: CLOSED, version: '' };
  }
  const seen: Seen = { status: SEEN_STATUSES.find((known) => known === word) ?? 'online', note };
  return { uid, seen: seen.status === 'offline' ? CLOSED : seen, version };
}

function uidsIn(body: unknown): string[] | undefined {
  const { uids } = body as { uids?: unknown };
  if (!Array.isArray(uids)) return undefined;
  return uids.filter((uid) => typeof uid === 'string' && isUid(uid)).slice(0, WATCH_PAGE) as string[];
}

function arrivedIn(body: unknown): [uid: string, epoch: number][] {
  const { users } = body as { users?: unknown };
  if (!Array.isArray(users)) return [];
  return users.filter(
    (one): one is [string, number] => Array.isArray(one) && typeof one[0] === 'string' && typeof one[1] === 'number',
  );
}

/** No uid holds a colon. */
const NODE = 'node:';

function nodeOf(watcher: string): string {
  return watcher.slice(NODE.length);
}

/** The node is told of this user from now on; where there is no room, it learns of changes when it asks again. */
function remember({ presence, clock }: PresenceTalkDeps, node: string, presentity: string): void {
  const { subscriptions } = presence;
  const watcher = NODE + node;
  const endsS = Math.floor(clock.now() / 1000) + INTEREST_S;
  let known = -1;
  for (const row of subscriptions.watchersOf(presentity)) {
    if (subscriptions.edgeOf(row) === 'node' && subscriptions.watcherOf(row) === watcher) known = row;
  }
  if (known >= 0) subscriptions.renew(known, endsS);
  else known = presence.subscribe({ watcher, presentity, edge: 'node', ref: 0, endsS });
  if (known >= 0) presence.answered(known);
}

interface Batches<T> {
  add(to: string, uid: string, what: T): void;
}

/** Collects for each addressee, by uid, what goes out together; the last word on a uid holds. */
function createBatches<T>(
  timers: Timers,
  usersMax: number,
  send: (to: string, users: ReadonlyMap<string, T>) => void,
): Batches<T> {
  const waiting = new Map<string, { readonly users: Map<string, T>; readonly timer: Timer }>();
  const flush = (to: string): void => {
    const batch = waiting.get(to);
    if (batch === undefined) return;
    waiting.delete(to);
    batch.timer.cancel();
    send(to, batch.users);
  };
  return {
    add(to, uid, what) {
      const batch = waiting.get(to) ?? {
        users: new Map<string, T>(),
        timer: timers.after(TOGETHER_MS, () => {
          flush(to);
        }),
      };
      waiting.set(to, batch);
      batch.users.set(uid, what);
      if (batch.users.size >= usersMax) flush(to);
    },
  };
}
