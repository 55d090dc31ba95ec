/**
 * Who watches whom: one row of columns a subscription, listed by the user who is watched and by the one who watches.
 * Rows are used again: a row number is good until it is removed.
 */
import { doubled } from '../heartbeat/columns.ts';
import { LINK_WORDS, Wheel } from '../heartbeat/wheel.ts';

/** Through which edge the watcher is told. A `node` is another one of the cluster, which tells watchers of its own. */
export const EDGES = ['native', 'sip', 'node'] as const;
export type Edge = (typeof EDGES)[number];

export interface SubscriptionLimits {
  /** Those of nodes are none of these, but have a limit of their own. */
  readonly total: number;
  readonly ofWatcher: number;
  readonly ofPresentity: number;
  readonly ofNodes: number;
  /** Seconds; no subscription lasts longer without a refresh. */
  readonly lifetimeMaxS: number;
}

export interface NewSubscription {
  readonly watcher: string;
  readonly presentity: string;
  readonly edge: Edge;
  /** The edge's own; of a native client the row of its session. */
  readonly ref: number;
  /** Epoch seconds; 0: until it is removed. */
  readonly endsS: number;
}

/** A user who watches or is watched. */
interface Person {
  readonly uid: string;
  /** Row + 1 of the first subscription; 0 = none. */
  firstWatcher: number;
  watchers: number;
  /** So many of them are nodes. */
  nodes: number;
  firstWatched: number;
  watched: number;
}

const CAPACITY = 64;

export class SubscriptionTable {
  readonly #limits: SubscriptionLimits;
  readonly #people = new Map<string, Person>();
  readonly #watcher: (Person | undefined)[] = [];
  readonly #presentity: (Person | undefined)[] = [];
  readonly #wheel: Wheel;
  readonly #links = { words: new Uint32Array(CAPACITY * LINK_WORDS), linksAt: (row: number) => row * LINK_WORDS };
  /** Row + 1 of the neighbours in the presentity's list; in a free row `next` is the next free row + 1. */
  #next = new Uint32Array(CAPACITY);
  #previous = new Uint32Array(CAPACITY);
  /** The same in the watcher's list. */
  #nextWatched = new Uint32Array(CAPACITY);
  #previousWatched = new Uint32Array(CAPACITY);
  #edge = new Uint8Array(CAPACITY);
  #ref = new Uint32Array(CAPACITY);
  #endsS = new Uint32Array(CAPACITY);
  /** What the watcher was told last: status, and the note as a hash. */
  status = new Uint8Array(CAPACITY);
  note = new Uint32Array(CAPACITY);
  /** When: tenths of a second of the notifier's time. */
  toldAt = new Uint32Array(CAPACITY);
  /** The notifier's. */
  flags = new Uint8Array(CAPACITY);
  #used = 0;
  #free = 0;
  #count = 0;
  #nodes = 0;

  constructor(limits: SubscriptionLimits, nowS: number) {
    this.#limits = limits;
    this.#wheel = new Wheel(limits.lifetimeMaxS, this.#links, nowS);
  }

  /** Without those of nodes. */
  get count(): number {
    return this.#count - this.#nodes;
  }

  /** Those of nodes. */
  get nodes(): number {
    return this.#nodes;
  }

  /** The row, or -1 where one of the limits is reached. */
  add({ watcher, presentity, edge, ref, endsS }: NewSubscription): number {
    if (!this.#hasRoom(watcher, presentity, edge)) return -1;
    const row = this.#take();
    this.#edge[row] = EDGES.indexOf(edge);
    this.#ref[row] = ref;
    this.#endsS[row] = endsS;
    this.status[row] = this.note[row] = this.toldAt[row] = 0;
    const person = this.#person(presentity);
    this.#link(row, this.#person(watcher), person);
    if (edge === 'node') {
      this.#nodes++;
      person.nodes++;
    }
    if (endsS !== 0) this.#wheel.add(row, endsS);
    this.#count++;
    return row;
  }

  remove(row: number): void {
    const person = this.#presentity[row];
    if (person !== undefined && this.edgeOf(row) === 'node') {
      this.#nodes--;
      person.nodes--;
    }
    this.#unlink(row);
    this.#wheel.remove(row);
    this.#watcher[row] = this.#presentity[row] = undefined;
    this.#next[row] = this.#free;
    this.#free = row + 1;
    this.#count--;
  }

  /** It lasts until `endsS` now. */
  renew(row: number, endsS: number): void {
    this.#endsS[row] = endsS;
    this.#wheel.remove(row);
    this.#wheel.add(row, endsS);
  }

  /** Offers every subscription whose time is over to `onEnd`, which removes it. */
  turn(nowS: number, onEnd: (row: number) => void): void {
    this.#wheel.turn(nowS, (row) => {
      const endsS = this.#endsS[row] ?? 0;
      if (endsS > nowS) return endsS;
      onEnd(row);
      return 0;
    });
  }

  isUsed(row: number): boolean {
    return this.#watcher[row] !== undefined;
  }

  watcherOf(row: number): string {
    return this.#watcher[row]?.uid ?? '';
  }

  presentityOf(row: number): string {
    return this.#presentity[row]?.uid ?? '';
  }

  edgeOf(row: number): Edge {
    return EDGES[this.#edge[row] ?? 0] ?? 'native';
  }

  refOf(row: number): number {
    return this.#ref[row] ?? 0;
  }

  endsSOf(row: number): number {
    return this.#endsS[row] ?? 0;
  }

  /** Whether anybody watches him, here or by way of another node. */
  isWatched(presentity: string): boolean {
    return (this.#people.get(presentity)?.watchers ?? 0) > 0;
  }

  /** Whether a client or a phone of this node watches him. */
  isWatchedHere(presentity: string): boolean {
    const person = this.#people.get(presentity);
    return person !== undefined && person.watchers > person.nodes;
  }

  /** The subscriptions to this user, the newest first. Those that are removed meanwhile are left out. */
  *watchersOf(presentity: string): Generator<number> {
    yield* this.#walk(this.#people.get(presentity)?.firstWatcher ?? 0, () => this.#next);
  }

  /** The subscriptions that this user made. */
  *watchedBy(watcher: string): Generator<number> {
    yield* this.#walk(this.#people.get(watcher)?.firstWatched ?? 0, () => this.#nextWatched);
  }

  /** The next one is known before the caller may remove this one. */
  *#walk(first: number, next: () => Uint32Array): Generator<number> {
    for (let place = first; place !== 0;) {
      const row = place - 1;
      place = next()[row] ?? 0;
      yield row;
    }
  }

  #hasRoom(watcher: string, presentity: string, edge: Edge): boolean {
    const { total, ofWatcher, ofPresentity, ofNodes } = this.#limits;
    if (edge === 'node') return this.#nodes < ofNodes;
    if (this.count >= total || (this.#people.get(watcher)?.watched ?? 0) >= ofWatcher) return false;
    const { watchers, nodes } = this.#people.get(presentity) ?? { watchers: 0, nodes: 0 };
    return watchers - nodes < ofPresentity;
  }

  #person(uid: string): Person {
    const known = this.#people.get(uid);
    if (known !== undefined) return known;
    const person = { uid, firstWatcher: 0, watchers: 0, nodes: 0, firstWatched: 0, watched: 0 };
    this.#people.set(uid, person);
    return person;
  }

  #link(row: number, watcher: Person, presentity: Person): void {
    this.#watcher[row] = watcher;
    this.#presentity[row] = presentity;
    this.#next[row] = presentity.firstWatcher;
    this.#previous[row] = 0;
    if (presentity.firstWatcher !== 0) this.#previous[presentity.firstWatcher - 1] = row + 1;
    presentity.firstWatcher = row + 1;
    presentity.watchers++;
    this.#nextWatched[row] = watcher.firstWatched;
    this.#previousWatched[row] = 0;
    if (watcher.firstWatched !== 0) this.#previousWatched[watcher.firstWatched - 1] = row + 1;
    watcher.firstWatched = row + 1;
    watcher.watched++;
  }

  #unlink(row: number): void {
    const watcher = this.#watcher[row];
    const presentity = this.#presentity[row];
    if (watcher === undefined || presentity === undefined) throw new Error(`no subscription in row ${row}`);
    const next = this.#next[row] ?? 0;
    const previous = this.#previous[row] ?? 0;
    if (next !== 0) this.#previous[next - 1] = previous;
    if (previous !== 0) this.#next[previous - 1] = next;
    else presentity.firstWatcher = next;
    presentity.watchers--;
    const nextWatched = this.#nextWatched[row] ?? 0;
    const previousWatched = this.#previousWatched[row] ?? 0;
    if (nextWatched !== 0) this.#previousWatched[nextWatched - 1] = previousWatched;
    if (previousWatched !== 0) this.#nextWatched[previousWatched - 1] = nextWatched;
    else watcher.firstWatched = nextWatched;
    watcher.watched--;
    for (const { uid, watchers, watched } of [watcher, presentity]) {
      if (watchers === 0 && watched === 0) this.#people.delete(uid);
    }
  }

  #take(): number {
    if (this.#free !== 0) {
      const row = this.#free - 1;
      this.#free = this.#next[row] ?? 0;
      return row;
    }
    if (this.#used === this.#next.length) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    this.#next = doubled(this.#next);
    this.#previous = doubled(this.#previous);
    this.#nextWatched = doubled(this.#nextWatched);
    this.#previousWatched = doubled(this.#previousWatched);
    this.#edge = doubled(this.#edge);
    this.#ref = doubled(this.#ref);
    this.#endsS = doubled(this.#endsS);
    this.status = doubled(this.status);
    this.note = doubled(this.note);
    this.toldAt = doubled(this.toldAt);
    this.flags = doubled(this.flags);
    this.#links.words = doubled(this.#links.words);
  }
}
