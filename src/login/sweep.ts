/**
 * The sweep: within a minute every online user is compared with the directory, in slices, so that what changed there
 * (disabled, removed, new password, privacy, lists, a login elsewhere) takes effect here. A slice costs one `peek`;
 * a user's record is read again only where its version changed.
 */
import type { Counters } from '../base/counters.ts';
import { isUnavailable } from '../base/errors.ts';
import type { Clock, Log } from '../base/ports.ts';
import type { Directory, Entry, Glimpse } from '../directory/directory.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import { digestOf, keptOf, secretDigest } from '../heartbeat/profile.ts';
import type { UidLocks } from './locks.ts';
import type { SessionEnds } from './session-ends.ts';

/** The whole table in so many steps of a second each: 45 s, which leaves room for a slow directory. */
const STEPS = 45;
const PEEK_MAX = 500;

export interface SweepDeps {
  readonly table: OnlineTable;
  readonly directory: Directory;
  readonly ends: SessionEnds;
  readonly locks: UidLocks;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
  /** Name of this node. */
  readonly name: string;
  /** A record that may be held elsewhere (a cache) changed. */
  readonly onChanged: (uid: string) => void;
  /** What others may see of an online user may have changed. */
  readonly onPresence: (uid: string) => void;
}

export class Sweep {
  readonly #deps: SweepDeps;
  #next = 0;
  #running = false;

  constructor(deps: SweepDeps) {
    this.#deps = deps;
  }

  /** One step, each second: the next part of the table. Skipped while the last one still runs. */
  async step(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      const { users } = this.#deps.table;
      const rows = Math.ceil(users.used / STEPS);
      for (let left = rows; left > 0; left -= PEEK_MAX) await this.#slice(Math.min(left, PEEK_MAX));
    } catch (error) {
      // The directory is away: those who are logged in stay, and the next step tries again.
      if (!isUnavailable(error)) this.#deps.log.error({ err: error }, 'sweep failed');
    } finally {
      this.#running = false;
    }
  }

  /** The user at once, after a change through this node. */
  async refresh(uid: string): Promise<void> {
    const { onChanged, directory, locks } = this.#deps;
    onChanged(uid);
    // In turn with logins: one that is under way may have read the record as it was before the change.
    await locks.run(uid, async () => {
      await this.#compare(uid, (await directory.peek([uid])).get(uid));
    });
  }

  async #slice(rows: number): Promise<void> {
    const { table, directory, clock, locks } = this.#deps;
    const { users } = table;
    const nowS = Math.floor(clock.now() / 1000);
    const uids: string[] = [];
    for (let i = 0; i < rows; i++) {
      const row = this.#next < users.used ? this.#next : 0;
      this.#next = row + 1;
      if (!users.isUsed(row)) continue;
      const uid = users.uid(row);
      const endsS = users.endsS[row] ?? 0;
      if (endsS !== 0 && endsS <= nowS) this.#deps.ends.endAll(uid, 'disabled');
      else uids.push(uid);
    }
    if (uids.length === 0) return;
    const glimpses = await directory.peek(uids, (uid, glimpse) => this.#isAsHere(uid, glimpse));
    for (const uid of uids) {
      // A login that is under way knows better than what was read before it.
      if (!locks.isBusy(uid)) await this.#compare(uid, glimpses.get(uid));
    }
  }

  /** Whoever differs from what memory has is ended or read anew, so that must not be by what was long ago. */
  #isAsHere(uid: string, glimpse: Glimpse | undefined): boolean {
    const { users } = this.#deps.table;
    const row = users.find(uid);
    if (row < 0 || glimpse === undefined) return false;
    if (glimpse.server !== this.#deps.name || glimpse.epoch !== users.epoch[row]) return false;
    return users.stamp(row).version === digestOf(glimpse.version);
  }

  async #compare(uid: string, glimpse: Glimpse | undefined): Promise<void> {
    const { table, ends, directory, name, counters } = this.#deps;
    const row = table.users.find(uid);
    if (row < 0) return;
    if (glimpse === undefined) {
      ends.endAll(uid, 'removed');
      return;
    }
    if (glimpse.epoch > (table.users.epoch[row] ?? 0)) {
      if (glimpse.server !== name) {
        counters.driftDropped++;
        ends.taken(uid, null);
        return;
      }
      // A login here was refused because the write took too long, and then it was written all the same: with the
      // older epoch the logout of the devices that stayed would be lost.
      table.users.epoch[row] = glimpse.epoch;
    } else if (glimpse.server !== name || glimpse.epoch < (table.users.epoch[row] ?? 0)) {
      await this.#claim(uid);
      return;
    }
    if (table.users.stamp(row).version !== digestOf(glimpse.version)) {
      this.#deps.onChanged(uid);
      const entry = await directory.find(uid, (old) => old?.version === glimpse.version);
      if (entry !== null) this.#takeOver(entry);
    }
  }

  /** Nobody logged in since, but the directory does not say that he is here: read once more, and told so. */
  async #claim(uid: string): Promise<void> {
    const { table, ends, directory, name, counters } = this.#deps;
    const epoch = table.users.epoch[table.users.find(uid)];
    const location = (await directory.find(uid))?.location;
    const row = table.users.find(uid);
    // A login or logout that has come meanwhile wrote its own.
    if (row < 0 || table.users.epoch[row] !== epoch || epoch === undefined || location === undefined) return;
    if (location.epoch > epoch || (location.epoch === epoch && location.server?.name === name)) return;
    counters.driftRewritten++;
    ends.claim(row, location.epoch);
  }

  #takeOver({ user, location, version }: Entry): void {
    const { table, ends, clock } = this.#deps;
    const row = table.users.find(user.uid);
    // Read before a login that has come meanwhile, which knows better.
    if (row < 0 || location.epoch < (table.users.epoch[row] ?? 0)) return;
    const { enabled, expiresAt } = user.service;
    if (!enabled || (expiresAt !== null && expiresAt <= clock.now())) ends.endAll(user.uid, 'disabled');
    else if (table.users.stamp(row).secret !== secretDigest(user)) ends.endAll(user.uid, 'new-password');
    else {
      table.users.update(row, keptOf(user, version));
      this.#deps.onPresence(user.uid);
    }
  }
}
