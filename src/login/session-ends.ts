/** Every way in which a session ends, and what is written for it. */
import type { Address, Location } from '../base/model.ts';
import type { Clock } from '../base/ports.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { ServerImage } from '../redirect/servers.ts';
import { departure, present } from './whereabouts.ts';

export type EndReason =
  | 'logout'
  /** Nothing was heard of the device for the session's lifetime. */
  | 'silence'
  /** A login of the same user took its place here. */
  | 'replaced'
  /** The same client logged in again, so there is nobody to tell. */
  | 'renewed'
  /** The user, who may have one device only, is now on another node. */
  | 'elsewhere'
  /** All devices of the user are now on another node: this one logs in there too. */
  | 'moved'
  /** The user is no longer in the directory. */
  | 'removed'
  /** His account was disabled or has expired. */
  | 'disabled'
  | 'new-password'
  /** By an administrator. */
  | 'kicked'
  /** The node stops and was told to log everybody out. */
  | 'stopped';

/** The location of these users is no longer this node's to write, or is written by the login that follows. */
const WITHOUT_LOGOUT: ReadonlySet<EndReason> = new Set(['replaced', 'renewed', 'elsewhere', 'moved', 'removed']);

/** Where location writes that nobody waits for go: written soon, and later where the directory is down. */
export interface LaterWrites {
  add(uid: string, location: Location, expectedEpoch: number): void;
}

interface Newcomer {
  readonly uid: string;
  readonly instance: string;
  readonly source: Address;
}

export class SessionEnds {
  readonly #table: OnlineTable;
  readonly #servers: ServerImage;
  readonly #later: LaterWrites;
  readonly #clock: Clock;
  readonly #onEnd: (row: number, reason: EndReason, uid: string) => void;

  /** `onEnd` hears of each ended session while its row still answers repeats. */
  constructor(options: {
    table: OnlineTable;
    servers: ServerImage;
    later: LaterWrites;
    clock: Clock;
    onEnd: (row: number, reason: EndReason, uid: string) => void;
  }) {
    this.#table = options.table;
    this.#servers = options.servers;
    this.#later = options.later;
    this.#clock = options.clock;
    this.#onEnd = options.onEnd;
  }

  /** Ends an open session; with the user's last device goes his logout into the directory. */
  end(row: number, reason: EndReason): void {
    const table = this.#table;
    const { sessions } = table;
    const userRow = sessions.user(row);
    const before = present(table, userRow, this.#servers.me);
    const nowMs = this.#clock.now();
    const endMs = reason === 'silence' ? sessions.seenS(row) * 1000 : nowMs;
    const { uid, last } = table.close(row, Math.floor(nowMs / 1000));
    this.#onEnd(row, reason, uid);
    if (WITHOUT_LOGOUT.has(reason)) return;
    if (last) this.#later.add(uid, departure(before, endMs), before.epoch);
    else if (table.isHidden(userRow) !== before.hidden) this.visibilityChanged(userRow);
  }

  /**
   * Ends the sessions that a login of this device, from this address, replaces. The instance alone does not make it the
   * same client: two that were given the same one would log each other out for ever if neither was told.
   */
  replaced({ uid, instance, source }: Newcomer, devicesMax: number): void {
    for (const row of this.#table.replacedBy(uid, instance, devicesMax)) {
      this.end(row, this.#table.sessions.isWan(row, source) ? 'renewed' : 'replaced');
    }
  }

  /** The user is on another node now, logged in from `source` where that is known: that very client is not told. */
  taken(uid: string, source: Address | null): void {
    const { users, sessions } = this.#table;
    const userRow = users.find(uid);
    if (userRow < 0) return;
    const reason = users.profile(userRow).devicesMax === 1 ? 'elsewhere' : 'moved';
    for (const row of this.#table.rowsOf(userRow)) {
      this.end(row, source !== null && sessions.isWan(row, source) ? 'renewed' : reason);
    }
  }

  /** Ends all sessions of the user; answers how many. */
  endAll(uid: string, reason: EndReason): number {
    const userRow = this.#table.users.find(uid);
    if (userRow < 0) return 0;
    const rows = this.#table.rowsOf(userRow);
    for (const row of rows) this.end(row, reason);
    return rows.length;
  }

  /** The directory does not know that the user is here, though nobody logged in since `expectedEpoch`. */
  claim(userRow: number, expectedEpoch: number): void {
    const location = present(this.#table, userRow, this.#servers.me);
    this.#later.add(this.#table.users.uid(userRow), location, expectedEpoch);
  }

  /** The user became invisible, or visible again: to the others that is a logout, or a login. */
  visibilityChanged(userRow: number): void {
    const { users } = this.#table;
    if (this.#table.isHidden(userRow)) users.logoutS[userRow] = Math.floor(this.#clock.now() / 1000);
    this.claim(userRow, users.epoch[userRow] ?? 0);
  }
}
