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

/** A page a step, a step a second. */
const PAGE = 500;
/** The own locations are gone through at the start, and again after so long. */
const PERIOD_MS = 600_000;
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
  #ownAtMs = -Infinity;
  #isRunning = false;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** One step, each second: the next page, if there is one. Skipped while the last one still runs. */
  async step(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      this.#pass ??= this.#next();
      if (this.#pass !== null) await this.#page(this.#pass);
    } catch (error) {
      if (!isUnavailable(error)) this.#deps.log.error({ err: error }, 'reconciliation failed');
    } finally {
      this.#isRunning = false;
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
    const { directory } = this.#deps;
    const page = await directory.owned(pass.server, PAGE, pass.after);
    for (const { uid } of page) await this.#check(pass, uid);
    pass.after = page.at(-1)?.uid;
    if (page.length === PAGE) return;
    this.#cleared.add(pass.server);
    this.#pass = null;
  }

  /** In turn with logins here. */
  async #check({ server, endedAtMs }: Pass, uid: string): Promise<void> {
    const { directory, table, servers, locks, clock, counters } = this.#deps;
    const isHere = (): boolean => server === servers.me.name && table.users.find(uid) >= 0;
    if (isHere() || locks.isBusy(uid)) return;
    await locks.run(uid, async () => {
      const location = (await directory.find(uid))?.location;
      if (location?.server?.name !== server || isHere()) return;
      const away = departure(location, endedAtMs ?? clock.now());
      // At the epoch that was read: who logged in meanwhile stays.
      if ((await directory.writeLocation(uid, away, location.epoch)) === 'written') counters.driftCleared++;
    });
  }
}
