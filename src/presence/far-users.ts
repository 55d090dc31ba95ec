/**
 * Users who are watched here and online on other nodes. The directory says which node has them, that node what they say
 * of themselves, and their records who may see it: see decisions/0015.
 *
 * Whatever is lost is found again: all of them are looked up anew within a minute.
 */
import { isUnavailable } from '../base/errors.ts';
import type { Clock, Log, Timer, Timers } from '../base/ports.ts';
import type { Directory, Glimpse } from '../directory/directory.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import { digestOf } from '../heartbeat/profile.ts';
import type { ServerImage } from '../redirect/servers.ts';
import type { Seen } from './compose.ts';
import { admits, CLOSED } from './compose.ts';
import type { FarSight, FarState, FarStates, Owners } from './far-sight.ts';
import { WATCH_PAGE } from './far-sight.ts';
import type { Presence } from './presence.ts';

/** All users are looked up anew in so many steps of a second each. */
const STEPS = 45;
const PEEK_MAX = 500;
/** So many at once: of lookups, questions and records. */
const LOOKS_MAX = 2_000;
const ASKS_MAX = 2_000;
const READS_MAX = 100;
/** What comes within it is looked up together. */
const SOON_MS = 20;
/** A node that was not heard of for so long, though asked, is not believed any more. Nodes that died are off earlier. */
const BELIEVED_MS = 90_000;
/** The first notification of a subscription waits no longer. */
const READY_MS = 1_000;
const READY_MAX = 10_000;

interface Far {
  /** null: nobody has him, or this node. */
  owner: string | null;
  /** Of the location that named the owner. */
  epoch: number;
  seen: Seen;
  /** Of what the owner said last. */
  order: number;
  /** Digests of the record: as the owner knows it, and by which his watchers were admitted ('': by none). */
  version: string;
  admittedBy: string;
  /** When the owner was heard of him, epoch milliseconds. */
  heardMs: number;
}

export interface FarUsersDeps {
  readonly presence: Presence;
  readonly table: OnlineTable;
  readonly servers: ServerImage;
  readonly directory: Pick<Directory, 'find' | 'peek'>;
  readonly owners: Owners;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
}

export class FarUsers implements FarSight {
  readonly #deps: FarUsersDeps;
  readonly #users = new Map<string, Far>();
  /** Whose node the directory is to be asked for, whose node is to be asked, and whose records are to be read. */
  readonly #toLook = new Set<string>();
  readonly #toAsk = new Set<string>();
  readonly #toRead = new Set<string>();
  /** Those that were taken out of the three and are being dealt with. */
  readonly #atWork = new Set<string>();
  readonly #unready = new Map<() => void, string>();
  #pass: Iterator<string> | null = null;
  /** So many are to be looked up in this step of the pass. */
  #due = 0;
  /** By name, since when they run. */
  #running: ReadonlyMap<string, number> = new Map();
  #wasUp = false;
  #isBusy = false;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(deps: FarUsersDeps) {
    this.#deps = deps;
  }

  watched(uid: string): void {
    const far = this.#users.get(uid);
    if (far === undefined) {
      this.#users.set(uid, {
        ...{ owner: null, epoch: 0, seen: CLOSED, order: 0, version: '', admittedBy: '', heardMs: 0 },
      });
      this.#toLook.add(uid);
    } else this.#readAnew(uid, far);
    this.#wake();
  }

  unwatched(uid: string): void {
    this.#users.delete(uid);
    for (const waiting of [this.#toLook, this.#toAsk, this.#toRead]) waiting.delete(uid);
  }

  here(uid: string, epoch: number): void {
    this.#deps.owners.arrived(uid, epoch);
    const far = this.#users.get(uid);
    if (far !== undefined && epoch >= far.epoch) Object.assign(far, { owner: null, epoch, seen: CLOSED });
  }

  left(uid: string): void {
    if (!this.#users.has(uid)) return;
    this.#toLook.add(uid);
    this.#wake();
  }

  state(uid: string): Seen {
    const far = this.#users.get(uid);
    if (far === undefined || far.owner === null) return CLOSED;
    return this.#deps.servers.other(far.owner) === undefined ? CLOSED : far.seen;
  }

  ready(uid: string): Promise<void> | null {
    const isHere = this.#deps.table.users.find(uid) >= 0;
    if (isHere || this.#isSettled(uid) || this.#unready.size >= READY_MAX) return null;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#unready.delete(done);
        resolve();
      };
      const timer = this.#deps.timers.after(READY_MS, done);
      this.#unready.set(done, uid);
    });
  }

  /** That node says that this user has logged in there, at this epoch. */
  arrived(node: string, uid: string, epoch: number): void {
    const far = this.#users.get(uid);
    if (far === undefined || epoch <= far.epoch) return;
    this.#moved(far, node, epoch);
    this.#toAsk.add(uid);
    this.#wake();
  }

  /** That node tells of its users, unasked. */
  told(node: string, { order, states }: FarStates): void {
    for (const state of states) {
      const far = this.#users.get(state.uid);
      if (far === undefined) continue;
      if (far.owner === node) this.#heard(far, order, state);
      // It may have taken him over without our having heard of it.
      else if (state.seen !== CLOSED) this.#toLook.add(state.uid);
    }
    if (this.#isWaited) this.#wake();
  }

  /** Once a second: the next part of all users, and what other nodes that came or went have to do with it. */
  async step(): Promise<void> {
    this.#compareServers();
    const { users } = this.#deps.table;
    for (this.#due += this.#users.size / STEPS; this.#due >= 1; this.#due--) {
      this.#pass ??= this.#users.keys();
      const next = this.#pass.next();
      if (next.done === true) this.#pass = null;
      else if (users.find(next.value) < 0) this.#toLook.add(next.value);
    }
    await this.#work();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const done of this.#unready.keys()) done();
  }

  get #isWaited(): boolean {
    return this.#toLook.size + this.#toAsk.size + this.#toRead.size > 0;
  }

  #isSettled(uid: string): boolean {
    return ![this.#toLook, this.#toAsk, this.#toRead, this.#atWork].some((waiting) => waiting.has(uid));
  }

  /** Work that failed waits for the next second, and does not call for this. */
  #wake(): void {
    if (this.#isClosed || this.#timer !== null || this.#isBusy) return;
    this.#timer = this.#deps.timers.after(SOON_MS, () => {
      this.#timer = null;
      void this.#work();
    });
  }

  /** A node that is off is closed at once, one that is back is asked for what was missed; so are all after an outage of the bus. */
  #compareServers(): void {
    const { servers, owners, presence } = this.#deps;
    const before = this.#running;
    this.#running = new Map(servers.others().map(({ name, startedAt }) => [name, startedAt]));
    const isUpAgain = owners.isUp && !this.#wasUp;
    this.#wasUp = owners.isUp;
    const names = new Set([...before.keys(), ...this.#running.keys()]);
    const changed = [...names].filter((name) => before.get(name) !== this.#running.get(name));
    if (changed.length === 0 && !isUpAgain) return;
    for (const [uid, far] of this.#users) {
      const { owner } = far;
      if (owner === null || !(isUpAgain || changed.includes(owner))) continue;
      // Another run counts by its own clock, which may have been set back; what it is asked now is the newest of all.
      if (changed.includes(owner)) far.order = 0;
      if (this.#running.has(owner)) this.#toAsk.add(uid);
      presence.changed(uid);
    }
  }

  async #work(): Promise<void> {
    if (this.#isBusy || this.#isClosed) return;
    this.#isBusy = true;
    let isMore = false;
    try {
      const looked = await this.#look(this.#take(this.#toLook, LOOKS_MAX));
      const asked = await this.#ask(this.#take(this.#toAsk, ASKS_MAX));
      const read = await this.#read(this.#take(this.#toRead, READS_MAX));
      isMore = looked && asked && read && this.#isWaited;
    } catch (error) {
      this.#deps.log.error({ err: error }, 'presence of users on other nodes');
    } finally {
      this.#isBusy = false;
      this.#atWork.clear();
      for (const [done, uid] of [...this.#unready]) if (this.#isSettled(uid)) done();
      if (isMore) this.#wake();
    }
  }

  /** The oldest. */
  #take(from: Set<string>, max: number): string[] {
    const some: string[] = [];
    for (const uid of from) {
      if (some.length === max) break;
      some.push(uid);
      from.delete(uid);
      this.#atWork.add(uid);
    }
    return some;
  }

  /** Which nodes have them. False: the directory could not be asked, so their nodes as they were known are asked. */
  async #look(uids: readonly string[]): Promise<boolean> {
    let isAnswered = true;
    for (let from = 0; from < uids.length; from += PEEK_MAX) {
      const page = uids.slice(from, from + PEEK_MAX);
      try {
        const glimpses = await this.#deps.directory.peek(page);
        for (const uid of page) this.#looked(uid, glimpses.get(uid));
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        isAnswered = false;
        for (const uid of page) this.#askFor(uid, this.#toLook);
      }
    }
    return isAnswered;
  }

  #looked(uid: string, glimpse: Glimpse | undefined): void {
    const { presence, servers, table } = this.#deps;
    const far = this.#users.get(uid);
    if (far === undefined) return;
    if (glimpse === undefined) {
      this.#closed(uid, far);
      if (table.users.find(uid) < 0) presence.gone(uid);
      return;
    }
    const { server, epoch, version } = glimpse;
    // Else it was read before what is known already.
    if (epoch >= far.epoch) this.#moved(far, server === servers.me.name ? null : server, epoch);
    if (far.owner === null) this.#closed(uid, far);
    if (far.admittedBy !== '' && digestOf(version) !== far.admittedBy) this.#readAnew(uid, far);
    this.#askFor(uid);
  }

  /** `otherwise`: where it waits if nobody can be asked. */
  #askFor(uid: string, otherwise?: Set<string>): void {
    const far = this.#users.get(uid);
    if (far === undefined) return;
    if (far.owner !== null && this.#deps.servers.other(far.owner) !== undefined) this.#toAsk.add(uid);
    else otherwise?.add(uid);
  }

  /** True: all have answered. */
  async #ask(uids: readonly string[]): Promise<boolean> {
    const byNode = new Map<string, string[]>();
    for (const uid of uids) {
      const owner = this.#users.get(uid)?.owner ?? null;
      if (owner === null || this.#deps.servers.other(owner) === undefined) continue;
      const page = byNode.get(owner) ?? [];
      byNode.set(owner, page);
      page.push(uid);
    }
    const pages = [...byNode].flatMap(([node, all]) => pagesOf(all).map((page) => ({ node, page })));
    const answers = await Promise.all(pages.map(({ node, page }) => this.#askNode(node, page)));
    return answers.every((isAnswered) => isAnswered);
  }

  async #askNode(node: string, page: readonly string[]): Promise<boolean> {
    const answer = await this.#deps.owners.watch(node, page);
    if (answer !== undefined) {
      this.told(node, answer);
      return true;
    }
    const nowMs = this.#deps.clock.now();
    for (const uid of page) {
      const far = this.#users.get(uid);
      if (far?.owner !== node) continue;
      if (nowMs - far.heardMs > BELIEVED_MS) this.#closed(uid, far);
      this.#toAsk.add(uid);
    }
    return false;
  }

  /** Who may see them. False: the directory could not be asked. */
  async #read(uids: readonly string[]): Promise<boolean> {
    const { directory, presence } = this.#deps;
    const answers = await Promise.all(
      uids.map(async (uid) => {
        try {
          const entry = await directory.find(uid);
          const far = this.#users.get(uid);
          if (far === undefined || entry === null) return true;
          const { lists, service } = entry.user;
          far.admittedBy = digestOf(entry.version);
          presence.admit(uid, admits({ ...lists, privacy: service.privacy }));
          return true;
        } catch (error) {
          if (!isUnavailable(error)) throw error;
          if (this.#users.has(uid)) this.#toRead.add(uid);
          return false;
        }
      }),
    );
    return answers.every((isAnswered) => isAnswered);
  }

  /** Another node has him, or nobody. What the one before said holds until the new one is heard. */
  #moved(far: Far, owner: string | null, epoch: number): void {
    far.epoch = epoch;
    if (far.owner === owner) return;
    far.owner = owner;
    far.order = far.heardMs = 0;
  }

  #heard(far: Far, order: number, { uid, seen, version }: FarState): void {
    if (order <= far.order) return;
    far.order = order;
    far.heardMs = this.#deps.clock.now();
    const isRead = far.admittedBy !== '' && (version === far.version || version === far.admittedBy);
    if (seen !== CLOSED && !isRead) {
      this.#toRead.add(uid);
      // While he was closed he may have blocked those who saw him before.
      if (far.seen === CLOSED) this.#deps.presence.admit(uid, () => false);
    }
    far.seen = seen;
    far.version = version;
    this.#deps.presence.changed(uid);
  }

  #closed(uid: string, far: Far): void {
    if (far.seen === CLOSED) return;
    far.seen = CLOSED;
    this.#deps.presence.changed(uid);
  }

  /** Before anybody who is closed can be seen again, his record is read. */
  #readAnew(uid: string, far: Far): void {
    far.admittedBy = '';
    if (far.seen !== CLOSED) this.#toRead.add(uid);
  }
}

function pagesOf(uids: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(uids.length / WATCH_PAGE) }, (_, i) =>
    uids.slice(i * WATCH_PAGE, (i + 1) * WATCH_PAGE),
  );
}
