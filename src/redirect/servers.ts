/** The image of the server list: what every node last said of itself, and what this one says. */
import { sameAddress } from '../base/address.ts';
import type { Address, ServerRecord, ServerState } from '../base/model.ts';
import type { Clock } from '../base/ports.ts';
import type { Directory } from '../directory/directory.ts';
import { Pace } from './pace.ts';
import { readServerRecord } from './server-record.ts';

/** A record that was not renewed for so long counts as off. */
export const SILENCE_MS_MAX = 15_000;
/** Each node writes its record so often. */
export const RENEWAL_MS = 5_000;
/** Users a second who are sent elsewhere by a draining node, where nobody said otherwise. */
const DRAIN_RATE = 100;
/** More servers than this in the list are not read. */
const SERVERS_MAX = 10_000;

/** The parts of the own record that don't change while the node runs. */
export type Identity = Omit<ServerRecord, 'state' | 'users' | 'seenAt'>;

interface Seen {
  readonly record: ServerRecord;
  /** When the other one wrote or told its record, by the clock of this node. */
  readonly heardAtMs: number;
  /** How much this node's clock is ahead of that one's, at most: the least that was ever measured. */
  readonly offsetMs: number;
  /** `seenAt` as the directory had it at the last look; null: only ever heard of over the bus. */
  readonly storedSeenAt: number | null;
  readonly firstSeenMs: number;
  /** It did not answer a question, and was not heard of since. */
  readonly isSuspect: boolean;
  /** How many clients were sent there since it last said how many it has. */
  sent: number;
}

export class ServerImage {
  /** Addresses are known for good once the listeners are open. */
  me: Identity;
  /** Tells the other nodes at once. */
  onAnnounce: (own: ServerRecord) => void = () => undefined;
  /** How the drain that goes on was begun. */
  drained: { readonly sinceMs: number; readonly usersAtStart: number; readonly rate: number } | null = null;
  readonly #directory: Directory;
  readonly #clock: Clock;
  readonly #users: () => number;
  #state: ServerState = 'on';
  #pace = new Pace(DRAIN_RATE, 0);
  #announced = false;
  #lookedAtMs = 0;
  #seen: ReadonlyMap<string, Seen> = new Map();
  /** The record of this server's name at the last look. */
  #former: ServerRecord | undefined;

  constructor(options: { directory: Directory; clock: Clock; me: Identity; users: () => number }) {
    this.me = options.me;
    this.#directory = options.directory;
    this.#clock = options.clock;
    this.#users = options.users;
  }

  /** The own record as of now. */
  own(): ServerRecord {
    return { ...this.me, state: this.#state, users: this.#users(), seenAt: this.#clock.now() };
  }

  get state(): ServerState {
    return this.#state;
  }

  /** Whether one more user would be more than the settings allow. */
  get isFull(): boolean {
    return this.#users() >= this.me.usersMax;
  }

  /** From now on; the other nodes are told at once where there is a bus, the directory with the next renewal. */
  setState(state: ServerState): void {
    this.#state = state;
    if (state !== 'draining') this.drained = null;
    if (this.#announced) this.onAnnounce(this.own());
  }

  /** New logins go elsewhere from now on, and those who are here at this rate (users a second). */
  drain(rate = DRAIN_RATE): void {
    const nowMs = this.#clock.now();
    this.drained = { sinceMs: nowMs, usersAtStart: this.#users(), rate };
    this.#pace = new Pace(rate, nowMs);
    this.setState('draining');
  }

  /** Where a user who is here is sent now: this server is draining, another one has room, and it is his turn. */
  successor(): ServerRecord | undefined {
    if (this.#state !== 'draining') return undefined;
    const [next] = this.withRoom();
    if (next === undefined || !this.#pace.take(this.#clock.now())) return undefined;
    this.sentTo(next.name);
    return next;
  }

  /** Tells and writes the own record and reads those of the others. Rejects where the directory is unreachable. */
  async renew(): Promise<void> {
    this.#announced = true;
    this.onAnnounce(this.own());
    await this.#directory.writeServer(this.own());
    await this.look();
  }

  /** The last word of this server: that it is off. Nothing where it never was in the list. */
  async leave(): Promise<void> {
    this.#state = 'off';
    if (!this.#announced) return;
    this.onAnnounce(this.own());
    await this.#directory.writeServer(this.own());
  }

  /** Reads the records of the others. Rejects where the directory is unreachable. */
  async look(): Promise<void> {
    const stored = (await this.#directory.servers()).map(readServerRecord).filter((record) => record !== null);
    const nowMs = this.#clock.now();
    const seen = new Map<string, Seen>();
    for (const record of stored.slice(0, SERVERS_MAX)) {
      if (record.name !== this.me.name) seen.set(record.name, this.#looked(record, nowMs));
    }
    for (const [name, one] of this.#seen) if (!seen.has(name) && this.#isHeard(one)) seen.set(name, one);
    this.#seen = seen;
    this.#lookedAtMs = nowMs;
    this.#former = stored.find((record) => record.name === this.me.name);
  }

  /** Another node told its record over the bus. */
  hear(record: ServerRecord): void {
    const before = this.#seen.get(record.name);
    if (record.name === this.me.name || (before === undefined && this.#seen.size >= SERVERS_MAX)) return;
    // Messages overtake each other; the younger word holds.
    if (before !== undefined && this.#isHeard(before) && !isYounger(record, before.record)) return;
    const nowMs = this.#clock.now();
    const { storedSeenAt = null, firstSeenMs = nowMs } = before ?? {};
    const offsetMs = offset(record, before, -Infinity, nowMs);
    const heardAtMs = record.seenAt + offsetMs;
    const seen = { record, heardAtMs, offsetMs, storedSeenAt, firstSeenMs, isSuspect: false, sent: 0 };
    this.#seen = new Map(this.#seen).set(record.name, seen);
  }

  /** It did not answer: it counts as off until it is heard of again. */
  suspect(name: string): void {
    const seen = this.#seen.get(name);
    if (seen !== undefined) this.#seen = new Map(this.#seen).set(name, { ...seen, isSuspect: true });
  }

  /** A client was sent there: it counts before that node says so itself. */
  sentTo(name: string): void {
    const seen = this.#seen.get(name);
    if (seen !== undefined) seen.sent++;
  }

  /** All servers that were ever seen, this one as of now, the silent ones as off; `seenAt` by the clock of this node. */
  all(): readonly ServerRecord[] {
    const others = [...this.#seen.values()].map((seen): ServerRecord =>
      this.#isHeard(seen) ? shown(seen) : { ...shown(seen), state: 'off' },
    );
    return [this.own(), ...others];
  }

  /** The other servers that run (draining ones too). */
  others(): readonly ServerRecord[] {
    return [...this.#seen.values()].filter((seen) => this.#isRunning(seen)).map(shown);
  }

  /** The running server of this name, other than this one. */
  other(name: string): ServerRecord | undefined {
    const seen = this.#seen.get(name);
    return seen !== undefined && this.#isRunning(seen) ? shown(seen) : undefined;
  }

  /** A running server of this one's name at another address: no earlier run of this one, so it must be another. */
  namesake(): ServerRecord | undefined {
    const record = this.#former;
    if (record === undefined || record.state === 'off') return undefined;
    if (record.seenAt < this.#clock.now() - SILENCE_MS_MAX) return undefined;
    return sameAddress(record.udp, this.me.udp) ? undefined : record;
  }

  /** The servers in the list that have been silent or off for so long. */
  gone(ageMs: number): readonly { readonly name: string; readonly heardAtMs: number }[] {
    const sinceMs = this.#clock.now() - ageMs;
    return [...this.#seen.values()]
      .filter(({ firstSeenMs, heardAtMs }) => Math.max(firstSeenMs, heardAtMs) <= sinceMs)
      .map(({ record: { name }, heardAtMs }) => ({ name, heardAtMs }));
  }

  /** The other servers that take logins, the least loaded first. */
  withRoom(): readonly ServerRecord[] {
    return byLoad(this.others().filter(({ state, users, usersMax }) => state === 'on' && users < usersMax));
  }

  /** Where clients may turn when this server stops answering: the least loaded first, 8 at most. */
  alternatives(): readonly Address[] {
    return byLoad(this.others().filter((record) => record.state === 'on'))
      .slice(0, 8)
      .map((record) => record.udp);
  }

  /** What the directory's record says beyond what was known of that server. */
  #looked(record: ServerRecord, nowMs: number): Seen {
    const before = this.#seen.get(record.name);
    const storedSeenAt = record.seenAt;
    if (before === undefined) {
      // The one time that clocks are compared: nothing else is known of it yet.
      const heardAtMs = Math.min(record.seenAt, nowMs);
      const unknown = { offsetMs: Infinity, firstSeenMs: nowMs, isSuspect: false, sent: 0 };
      return { record, heardAtMs, storedSeenAt, ...unknown };
    }
    if (before.storedSeenAt === record.seenAt) return before;
    if (this.#isHeard(before) && !isYounger(record, before.record)) {
      const offsetMs = Math.max(before.offsetMs, this.#lookedAtMs - record.seenAt);
      return { ...before, storedSeenAt, offsetMs, heardAtMs: Math.max(before.heardAtMs, record.seenAt + offsetMs) };
    }
    // Written after the last look, which may be long ago where the directory was away.
    const offsetMs = offset(record, before, this.#lookedAtMs, nowMs);
    const heardAtMs = record.seenAt + offsetMs;
    return { ...before, record, storedSeenAt, heardAtMs, offsetMs, isSuspect: false, sent: 0 };
  }

  #isRunning(seen: Seen): boolean {
    return seen.record.state !== 'off' && this.#isHeard(seen);
  }

  #isHeard({ heardAtMs, isSuspect }: Seen): boolean {
    return !isSuspect && heardAtMs >= this.#clock.now() - SILENCE_MS_MAX;
  }
}

/** `earliestMs`: the record was written after that, by the clock of this node. */
function offset(record: ServerRecord, before: Seen | undefined, earliestMs: number, nowMs: number): number {
  // Nothing was measured before: what was on its way may have been so since the last look.
  if (before?.offsetMs === Infinity && earliestMs !== -Infinity) return earliestMs - record.seenAt;
  // It was on its way for some time, which only makes this one larger.
  const measuredMs = nowMs - record.seenAt;
  const isSetBack = before !== undefined && record.seenAt < before.record.seenAt;
  const leastMs = before === undefined || isSetBack ? measuredMs : Math.min(before.offsetMs, measuredMs);
  return Math.max(leastMs, earliestMs - record.seenAt);
}

/** Both times are of the clock of that one server. */
function isYounger(a: ServerRecord, b: ServerRecord): boolean {
  return a.startedAt === b.startedAt ? a.seenAt > b.seenAt : a.startedAt > b.startedAt;
}

function shown({ record, heardAtMs, sent }: Seen): ServerRecord {
  return { ...record, users: record.users + sent, seenAt: heardAtMs };
}

/** Least loaded first, by users over their maximum; then by name. */
function byLoad(records: readonly ServerRecord[]): ServerRecord[] {
  return [...records].sort((a, b) => a.users / a.usersMax - b.users / b.usersMax || (a.name < b.name ? -1 : 1));
}
