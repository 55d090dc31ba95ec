/**
 * The directory against memory: locations that name this node though nobody has a session here (a crash, a write that was
 * answered too late), and those that a dead node left behind. The sweep looks the other way.
 */
import { isUnavailable } from '../base/errors.ts';
import type { Counters } from '../base/counters.ts';
import type { Clock, Log } from '../base/ports.ts';
import type { Directory } from '../directory/directory.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { UidLocks } from '../login/locks.ts';
import { departure } from '../login/whereabouts.ts';
import type { ServerImage } from '../redirect/servers.ts';

const PAGE = 500;
/** A step a second: a million users take eight minutes. */
const PAGES_A_STEP = 4;
/** As many as the directory reads and writes together. */
const AT_ONCE = 64;
const DOUBTS_A_STEP = 200;
const DOUBTS_MAX = 100_000;
/** By then a write that was given up has come through, or never will. */
const DOUBT_MS = 5_000;
/** The own locations are gone through at the start, and again after so long. */
const PERIOD_MS = 600_000;
/** While so many log in at once it waits: most of whom it would clear are just about to come back. */
const CROWD = 64;
/** What a node leaves behind is cleared when it was silent for so long: longer than its native sessions live. */
export const GONE_MS = 120_000;

export interface ReconcilerDeps {
  readonly directory: Directory;
  readonly table: OnlineTable;
  readonly servers: ServerImage;
  readonly locks: UidLocks;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
}

/** A server whose locations are being gone through. */
interface Pass {
  readonly server: string;
  /** When the sessions that are not found ended, epoch milliseconds; null: now. */
  readonly endedAtMs: number | null;
  after: string | undefined;
}

export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #cleared = new Set<string>();
  #pass: Pass | null = null;
  /** By uid when the write was given up; the oldest first. */
  readonly #doubts = new Map<string, number>();
  #ownAtMs = -Infinity;
  #isRunning = false;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** The write of a login was given up: nobody knows whether it came through. */
  readonly doubt = (uid: string): void => {
    if (this.#doubts.size >= DOUBTS_MAX) return;
    this.#doubts.delete(uid);
    this.#doubts.set(uid, this.#deps.clock.now());
  };

  /** One step, each second: the next pages, if there are any. Skipped while the last one still runs. */
  async step(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      await this.#settleDoubts();
      for (let pages = 0; pages < PAGES_A_STEP; pages++) {
        this.#pass ??= this.#next();
        if (this.#pass === null || this.#isCrowded()) break;
        await this.#page(this.#pass);
      }
    } catch (error) {
      if (!isUnavailable(error)) this.#deps.log.error({ err: error }, 'reconciliation failed');
    } finally {
      this.#isRunning = false;
    }
  }

  async #settleDoubts(): Promise<void> {
    const own = { server: this.#deps.servers.me.name, endedAtMs: null, after: undefined };
    const ripeMs = this.#deps.clock.now() - DOUBT_MS;
    const ripe = [...this.#doubts].slice(0, DOUBTS_A_STEP).filter(([, sinceMs]) => sinceMs <= ripeMs);
    for (const [uid] of ripe) {
      await this.#check(own, uid);
      this.#doubts.delete(uid);
    }
  }

  #next(): Pass | null {
    const { servers, clock } = this.#deps;
    const gone = servers.gone(GONE_MS);
    for (const name of this.#cleared) if (!gone.some((one) => one.name === name)) this.#cleared.delete(name);
    if (clock.now() - this.#ownAtMs >= PERIOD_MS) {
      this.#ownAtMs = clock.now();
      return { server: servers.me.name, endedAtMs: null, after: undefined };
    }
    // One of those who run is enough. Two who disagree about that do no harm.
    if (servers.others().some(({ name }) => name < servers.me.name)) return null;
    const next = gone.find(({ name }) => !this.#cleared.has(name));
    return next === undefined ? null : { server: next.name, endedAtMs: next.heardAtMs, after: undefined };
  }

  async #page(pass: Pass): Promise<void> {
    const { directory, servers, table } = this.#deps;
    const page = await directory.owned(pass.server, PAGE, pass.after);
    const isOwn = pass.server === servers.me.name;
    const missing = page.filter(({ uid }) => !isOwn || table.users.find(uid) < 0);
    for (let i = 0; i < missing.length; i += AT_ONCE) {
      await Promise.all(missing.slice(i, i + AT_ONCE).map(({ uid }) => this.#check(pass, uid)));
    }
    pass.after = page.at(-1)?.uid;
    if (page.length === PAGE) return;
    this.#cleared.add(pass.server);
    this.#pass = null;
  }

  #isCrowded(): boolean {
    return this.#deps.locks.count >= CROWD;
  }

  /** In turn with logins here. */
  async #check({ server, endedAtMs }: Pass, uid: string): Promise<void> {
    const { directory, table, servers, locks, clock, counters } = this.#deps;
    const { users } = table;
    await locks.run(uid, async () => {
      const location = (await directory.find(uid))?.location;
      if (location?.server?.name !== server) return;
      const row = server === servers.me.name ? users.find(uid) : -1;
      if (row >= 0) {
        // Another device of his is here: with the older epoch its logout would be lost.
        users.epoch[row] = Math.max(users.epoch[row] ?? 0, location.epoch);
        return;
      }
      const away = departure(location, endedAtMs ?? clock.now());
      // At the epoch that was read: who logged in meanwhile stays.
      if ((await directory.writeLocation(uid, away, location.epoch)) === 'written') counters.driftCleared++;
    });
  }
}
