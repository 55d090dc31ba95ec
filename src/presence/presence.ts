/**
 * Presence: tells watchers what they may see of others, when that has changed.
 *
 * A change marks the user, and a turn later his watchers are looked at, so many a turn. Of each subscription one
 * notification is under way at a time, and the next one leaves no sooner than its edge's pause; what the watcher is
 * told is made when it leaves, so that the last state wins and nothing is queued but row numbers, each once.
 */
import type { Clock, Timers } from '../base/ports.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { EndReason } from '../login/session-ends.ts';
import type { Seen } from './compose.ts';
import { CLOSED, SEEN_STATUSES, sightOf } from './compose.ts';
import type { FarSight } from './far-sight.ts';
import type { Edge, NewSubscription, SubscriptionLimits } from './subscriptions.ts';
import { SubscriptionTable } from './subscriptions.ts';
import type { Turns } from './turns.ts';
import { createTurns, TENTH_MS } from './turns.ts';

/** Why a subscription ends (RFC 6665 4.1.3). */
export type Ending =
  /** It was not renewed in time. */
  | 'timeout'
  /** Another node answers for the user now: subscribe again. */
  | 'deactivated'
  /** The watcher may not watch any more. */
  | 'rejected'
  /** The user is gone for good. */
  | 'noresource';

/** What an edge does for its subscriptions. */
export interface Outlet {
  /** Tells the watcher; then notified() is called once, at once or later. `wentS`: epoch seconds; he was seen until then. */
  notify(row: number, seen: Seen, wentS: number | null): void;
  /** The subscription ends: the row is free, and may be another's, as soon as this returns. */
  ended(row: number, reason: Ending, seen: Seen): void;
}

/** Between two notifications of the same subscription: RFC 3856 6.10 wants 5 s; datagrams to a client are small. */
const PAUSE_TENTHS: Readonly<Record<Edge, number>> = { native: 10, sip: 50, node: 5 };

/** A client that did not answer is told again after this; where it is gone, its session ends meanwhile. */
const LOST_TENTHS = 300;

export const SUBSCRIPTION_LIMITS: SubscriptionLimits = {
  total: 200_000,
  ofWatcher: 2_000,
  ofPresentity: 10_000,
  ofNodes: 500_000,
  lifetimeMaxS: 3_600,
};

// Flags of a row.
/** It stands in the turns. Kept when the row is freed, so that it never stands there twice. */
const QUEUED = 1;
/** A notification is under way. */
const BUSY = 2;
/** Look again when that has ended. */
const AGAIN = 4;
/** Tell the watcher, changed or not. */
const FORCED = 8;
/** By the record of the user, who is elsewhere, this watcher may see him. */
const ADMITTED = 16;

/** Who may not log in may not watch. */
const LOCKED_OUT: ReadonlySet<EndReason> = new Set(['removed', 'disabled', 'new-password', 'kicked']);

export class Presence {
  readonly subscriptions: SubscriptionTable;
  readonly #table: OnlineTable;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #turns: Turns;
  readonly #outlets = new Map<Edge, Outlet>();
  /** null: nothing is known of other nodes, whose users are closed. */
  #far: FarSight | null = null;

  constructor(options: { table: OnlineTable; clock: Clock; timers: Timers; limits?: SubscriptionLimits }) {
    this.#table = options.table;
    this.#clock = options.clock;
    this.#startMs = options.clock.now();
    this.subscriptions = new SubscriptionTable(options.limits ?? SUBSCRIPTION_LIMITS, Math.floor(this.#startMs / 1000));
    this.#turns = createTurns({
      timers: options.timers,
      now: () => this.#now(),
      onMarked: (uid) => {
        for (const row of this.subscriptions.watchersOf(uid)) this.#enqueue(row);
      },
      onTurn: (rows) => {
        this.#look(rows);
      },
    });
  }

  attach(edge: Edge, outlet: Outlet): void {
    this.#outlets.set(edge, outlet);
  }

  /** From now on users of other nodes are seen too. */
  attachFar(far: FarSight): void {
    this.#far = far;
  }

  /** Whether users of other nodes are seen. */
  get seesFar(): boolean {
    return this.#far !== null;
  }

  /** The row, or -1 where there is no room. Nobody is told anything yet; to begin with the user counts as offline. */
  subscribe(subscription: NewSubscription): number {
    const row = this.subscriptions.add(subscription);
    if (row >= 0 && subscription.edge !== 'node') this.#far?.watched(subscription.presentity);
    return row;
  }

  /** Takes the subscription away without a word to the watcher. */
  unsubscribe(row: number): void {
    const presentity = this.subscriptions.presentityOf(row);
    this.subscriptions.remove(row);
    this.#clear(row, BUSY | AGAIN | FORCED | ADMITTED);
    if (!this.subscriptions.isWatchedHere(presentity)) this.#far?.unwatched(presentity);
  }

  /** See FarSight.ready(). */
  ready(presentity: string): Promise<void> | null {
    return this.#far?.ready(presentity) ?? null;
  }

  /** The record of a user who is elsewhere says who may see him. */
  admit(presentity: string, admits: (watcher: string) => boolean): void {
    for (const row of this.subscriptions.watchersOf(presentity)) {
      if (admits(this.subscriptions.watcherOf(row))) this.#set(row, ADMITTED);
      else this.#clear(row, ADMITTED);
    }
    this.changed(presentity);
  }

  /** Ends the subscription, and tells the watcher. */
  end(row: number, reason: Ending): void {
    // Only who merely forgot to renew may still see anything.
    const seen = reason === 'timeout' ? this.#seenBy(row) : CLOSED;
    this.#outlets.get(this.subscriptions.edgeOf(row))?.ended(row, reason, seen);
    this.unsubscribe(row);
  }

  /** Tells the watcher at once, changed or not. */
  announce(row: number): void {
    this.#set(row, FORCED);
    this.#tell(row, this.#seenBy(row));
  }

  /** The watcher learns of the state as it is now by other means. */
  answered(row: number): void {
    this.#note(row, this.#seenBy(row));
  }

  /** Tells the watcher by and by, where there is anything but `offline` to tell; also what he was told before. */
  introduce(row: number): void {
    this.subscriptions.status[row] = this.subscriptions.note[row] = 0;
    this.#enqueue(row);
  }

  /** The notification of this row has come to its end: the next one may leave. What was lost is told again by and by. */
  notified(row: number, isLost = false): void {
    this.#clear(row, BUSY);
    if (isLost) {
      this.#set(row, FORCED);
      this.#enqueue(row, LOST_TENTHS);
    } else if (this.#has(row, AGAIN)) this.#enqueue(row);
    this.#clear(row, AGAIN);
  }

  /** What is seen of this user may have changed. Costs little where nobody watches him. */
  changed(uid: string): void {
    if (this.subscriptions.isWatched(uid)) this.#turns.mark(uid);
  }

  /** The user has logged in here. */
  arrived(uid: string): void {
    const userRow = this.#table.users.find(uid);
    if (userRow >= 0) this.#far?.here(uid, this.#table.users.epoch[userRow] ?? 0);
    this.changed(uid);
  }

  /** A session of the user has ended: with it what it watched, and with some reasons more than that. */
  sessionEnded(sessionRow: number, reason: EndReason, uid: string): void {
    const { subscriptions } = this;
    this.#far?.left(uid);
    const isElsewhere = reason === 'elsewhere' || reason === 'moved';
    // Who only went to another node is not offline meanwhile.
    const ready = isElsewhere || reason === 'renewed' ? this.ready(uid) : null;
    if (ready === null) this.changed(uid);
    else {
      void ready.then(() => {
        this.changed(uid);
      });
    }
    for (const row of [...subscriptions.watchedBy(uid)]) {
      if (subscriptions.edgeOf(row) === 'native') {
        if (subscriptions.refOf(row) === sessionRow) this.unsubscribe(row);
      } else if (LOCKED_OUT.has(reason)) this.end(row, 'rejected');
    }
    if (reason === 'removed') this.gone(uid);
    else if (isElsewhere && !this.seesFar) this.#endPhones(uid, 'deactivated');
  }

  /** There is no such user any more. */
  gone(uid: string): void {
    this.#endPhones(uid, 'noresource');
  }

  /** What the watcher may see now; of users who are elsewhere only those whom he watches. */
  seen(watcher: string, presentity: string): Seen {
    const here = sightOf(this.#table, presentity);
    if (here !== undefined) return watcher === presentity || here.admits(watcher) ? here.state : CLOSED;
    if (!this.seesFar || !this.subscriptions.isWatchedHere(presentity)) return CLOSED;
    for (const row of this.subscriptions.watchedBy(watcher)) {
      if (this.subscriptions.presentityOf(row) === presentity) return this.#sightOf(presentity)(row);
    }
    return CLOSED;
  }

  /** Once a second: ends what was not renewed. */
  turn(nowS: number): void {
    this.subscriptions.turn(nowS, (row) => {
      this.end(row, 'timeout');
    });
  }

  close(): void {
    this.#turns.close();
    this.#far?.close();
  }

  /** A client's watch lasts as long as its session: the user may come back. */
  #endPhones(uid: string, ending: Ending): void {
    for (const row of [...this.subscriptions.watchersOf(uid)]) {
      if (this.subscriptions.edgeOf(row) === 'sip') this.end(row, ending);
    }
  }

  /** What the watcher of a row sees of this user; made once for many watchers. */
  #sightOf(presentity: string): (row: number) => Seen {
    const { subscriptions } = this;
    const here = sightOf(this.#table, presentity);
    const state = here?.state ?? this.#far?.state(presentity) ?? CLOSED;
    return (row) => {
      // Another node is told of the users of this one, and decides itself who of its watchers sees them.
      if (subscriptions.edgeOf(row) === 'node') return here === undefined ? CLOSED : state;
      const watcher = subscriptions.watcherOf(row);
      const isAdmitted = here === undefined ? this.#has(row, ADMITTED) : here.admits(watcher);
      return isAdmitted || watcher === presentity ? state : CLOSED;
    };
  }

  #seenBy(row: number): Seen {
    return this.#sightOf(this.subscriptions.presentityOf(row))(row);
  }

  #enqueue(row: number, pauseTenths = PAUSE_TENTHS[this.subscriptions.edgeOf(row)]): void {
    if (this.#has(row, QUEUED)) return;
    this.#set(row, QUEUED);
    const toldAt = this.subscriptions.toldAt[row] ?? 0;
    // Never told, or told before the clock was set back: no pause.
    const pauses = toldAt !== 0 && toldAt <= this.#now();
    this.#turns.add(row, pauses ? toldAt + pauseTenths : 0);
  }

  #look(rows: readonly number[]): void {
    const { subscriptions } = this;
    // Those of the same user mostly stand one after the other.
    let uid: string | null = null;
    let sight: (row: number) => Seen = () => CLOSED;
    for (const row of rows) {
      this.#clear(row, QUEUED);
      if (!subscriptions.isUsed(row)) continue;
      const presentity = subscriptions.presentityOf(row);
      if (presentity !== uid) [uid, sight] = [presentity, this.#sightOf(presentity)];
      this.#tell(row, sight(row));
    }
  }

  #tell(row: number, seen: Seen): void {
    const { subscriptions } = this;
    if (this.#has(row, BUSY)) {
      this.#set(row, AGAIN);
      return;
    }
    const before = subscriptions.status[row] ?? 0;
    if (!this.#note(row, seen) && !this.#has(row, FORCED)) return;
    this.#clear(row, FORCED);
    this.#set(row, BUSY);
    const hasGone = seen.status === 'offline' && before !== 0;
    const wentS = hasGone ? Math.floor(this.#clock.now() / 1000) : null;
    subscriptions.toldAt[row] = this.#now();
    this.#outlets.get(subscriptions.edgeOf(row))?.notify(row, seen, wentS);
  }

  /** Notes what the watcher is told; false: he was told that before. */
  #note(row: number, seen: Seen): boolean {
    const { subscriptions } = this;
    const status = SEEN_STATUSES.indexOf(seen.status);
    const note = hashOf(seen.note + this.#markOf(row));
    if (status === subscriptions.status[row] && note === subscriptions.note[row]) return false;
    subscriptions.status[row] = status;
    subscriptions.note[row] = note;
    return true;
  }

  /** What a node is told of though no watcher sees it: that the record has changed, and with it maybe who is admitted. */
  #markOf(row: number): string {
    if (this.subscriptions.edgeOf(row) !== 'node') return '';
    const userRow = this.#table.users.find(this.subscriptions.presentityOf(row));
    return userRow < 0 ? '' : this.#table.users.stamp(userRow).version;
  }

  /** Tenths of a second since the start; never 0, which stands for never. */
  #now(): number {
    return Math.max(0, Math.floor((this.#clock.now() - this.#startMs) / TENTH_MS)) + 1;
  }

  #has(row: number, flag: number): boolean {
    return ((this.subscriptions.flags[row] ?? 0) & flag) !== 0;
  }

  #set(row: number, flag: number): void {
    this.subscriptions.flags[row] = (this.subscriptions.flags[row] ?? 0) | flag;
  }

  #clear(row: number, flag: number): void {
    this.subscriptions.flags[row] = (this.subscriptions.flags[row] ?? 0) & ~flag;
  }
}

/** FNV-1a over the characters; 0 for the empty note. */
function hashOf(note: string): number {
  if (note === '') return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < note.length; i++) hash = Math.imul(hash ^ note.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
