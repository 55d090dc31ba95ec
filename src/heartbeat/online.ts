/**
 * The online table: who is logged in at this node, with which devices, and when each of them was last heard of.
 *
 * Rules only: every method takes the time and says what changed; the shell has the timers. A row number is good
 * until the caller awaits anything: afterwards the session is looked up again by its cookie.
 */
import type { Address, Firewall, Network, Status } from '../base/model.ts';
import { NETWORKS, STATUSES } from '../base/model.ts';
import { SESSION_CLOSED, SESSION_OPEN } from './session-columns.ts';
import type { DeviceText, NewSession } from './session-rows.ts';
import { SessionRows } from './session-rows.ts';
import type { Kept } from './profile.ts';
import { UserRows } from './user-rows.ts';
import { Wheel } from './wheel.ts';

/** How long a closed session still answers the repeats of its last requests. */
export const LINGER_S = 32;

/** One device of an online user, for a reader. */
export interface Device extends DeviceText {
  readonly row: number;
  readonly status: Status;
  readonly network: Network;
  readonly firewall: Firewall;
  readonly wan: Address;
  readonly local: Address | null;
  /** Epoch seconds. */
  readonly loginS: number;
  readonly seenS: number;
}

/** Everything of an online user that a restart of the node must not lose. */
export interface Saved extends OnlineUser {
  readonly session: NewSession;
  readonly loginS: number;
  readonly seenS: number;
  /** The replay window: a request that was heard before the restart is not heard again. */
  readonly window: readonly [highest: number, low: number, high: number];
}

/** What a heartbeat or a status request says anew; what is absent stays. */
export interface DeviceUpdate {
  readonly local?: Address;
  readonly firewall?: Firewall;
  readonly status?: Status;
  readonly note?: string;
  readonly device?: string;
}

export interface OnlineUser extends Kept {
  /** Of the location record that was written at this login. */
  readonly epoch: number;
  /** Epoch milliseconds of the last public logout, or null. */
  readonly logoutAt: number | null;
}

/** `status`: status or note of a device; `visibility`: with it, whether the user is invisible. */
export type Change = 'none' | 'status' | 'visibility';

export interface Closed {
  readonly uid: string;
  /** This was the user's last device here. */
  readonly last: boolean;
}

/**
 * The second in which a session ends that was heard of last in second `seenS`. One more than the sum, because the sign
 * of life may have come at the end of its second, and the session must not end before its lifetime is over.
 */
export function endOfLifeS(seenS: number, lifetimeS: number): number {
  return seenS + lifetimeS + 1;
}

export class OnlineTable {
  readonly users: UserRows;
  readonly sessions: SessionRows;
  readonly #wheel: Wheel;
  #open = 0;

  /** `capacity`: users to make room for at once (more are taken, at the price of copying columns). */
  constructor(options: { capacity: number; lifetimeMaxS: number; nowS: number }) {
    this.users = new UserRows(options.capacity);
    this.sessions = new SessionRows(options.capacity);
    this.#wheel = new Wheel(Math.max(options.lifetimeMaxS, LINGER_S), this.sessions, options.nowS);
  }

  /** Open sessions, of all users. */
  get count(): number {
    return this.#open;
  }

  /** Opens a session of the user, who may be online already with other devices. */
  open(who: OnlineUser, session: NewSession, nowS: number): number {
    const { users, sessions } = this;
    let userRow = users.find(who.profile.uid);
    if (userRow < 0) userRow = users.add(who);
    else users.update(userRow, who);
    users.epoch[userRow] = Math.max(users.epoch[userRow] ?? 0, who.epoch);
    users.logoutS[userRow] = Math.floor((who.logoutAt ?? 0) / 1000);
    const row = sessions.add(session, userRow, nowS);
    sessions.setNextOfUser(row, users.firstSession(userRow));
    users.setFirstSession(userRow, row + 1);
    users.setDevices(userRow, users.devices(userRow) + 1);
    this.#wheel.add(row, endOfLifeS(nowS, session.lifetimeS));
    this.#open++;
    return row;
  }

  /**
   * The devices that a login replaces (PROTOCOL.md, Several devices): the one of the same instance (all logins that
   * name none are one device), else past the maximum those longest silent.
   */
  replacedBy(uid: string, instance: string, devicesMax: number): number[] {
    const userRow = this.users.find(uid);
    if (userRow < 0) return [];
    const bySilence = this.rowsOf(userRow).sort((a, b) => this.#seenS(a) - this.#seenS(b));
    const same = bySilence.filter((row) => this.sessions.text(row).instance === instance);
    if (same.length > 0) return same;
    return bySilence.slice(0, Math.max(0, bySilence.length + 1 - devicesMax));
  }

  /** Ends an open session. Its row answers repeats for LINGER_S seconds more; the user goes with his last device. */
  close(row: number, nowS: number): Closed {
    const { users, sessions } = this;
    const userRow = sessions.user(row);
    const uid = users.uid(userRow);
    this.#unlink(row, userRow);
    sessions.setState(row, SESSION_CLOSED);
    this.#wheel.remove(row);
    this.#wheel.add(row, nowS + LINGER_S);
    this.#open--;
    const last = users.devices(userRow) === 0;
    if (last) users.remove(userRow);
    return { uid, last };
  }

  /** Offers every open session that was silent for its lifetime to `onSilent`, which closes it. */
  turn(nowS: number, onSilent: (row: number) => void): void {
    const { sessions } = this;
    this.#wheel.turn(nowS, (row) => {
      const closed = sessions.state(row) === SESSION_CLOSED;
      if (closed) {
        sessions.remove(row);
        return 0;
      }
      const endS = endOfLifeS(this.#seenS(row), sessions.lifetimeS(row));
      if (endS > nowS) return endS;
      onSilent(row);
      return 0;
    });
  }

  /** A sign of life. */
  touch(row: number, nowS: number): void {
    this.sessions.setSeenS(row, nowS);
  }

  /** A sign of life that also says how long the session lives from now on (a SIP registration). */
  renew(row: number, lifetimeS: number, nowS: number): void {
    const shorter = lifetimeS < this.sessions.lifetimeS(row);
    this.sessions.setLifetimeS(row, lifetimeS);
    this.touch(row, nowS);
    // A longer life is noticed when the old deadline comes round; a shorter one would be noticed too late.
    if (!shorter) return;
    this.#wheel.remove(row);
    this.#wheel.add(row, endOfLifeS(nowS, lifetimeS));
  }

  isOpen(row: number): boolean {
    return row >= 0 && this.sessions.state(row) === SESSION_OPEN;
  }

  /** The open session with this cookie, or -1. */
  findOpen(cookie: string): number {
    const row = this.sessions.find(cookie);
    return this.isOpen(row) ? row : -1;
  }

  uidOf(row: number): string {
    return this.users.uid(this.sessions.user(row));
  }

  /** Takes over what the device says; answers how far that changed what others may see of the user. */
  update(row: number, update: DeviceUpdate): Change {
    const { sessions } = this;
    let change: Change = 'none';
    if (update.local !== undefined) {
      sessions.setLocal(row, update.local);
      this.#setNetwork(row);
    }
    if (update.firewall !== undefined) sessions.setFirewall(row, update.firewall);
    if (update.note !== undefined || update.device !== undefined) {
      const text = sessions.text(row);
      const note = update.note ?? text.note;
      if (note !== text.note) change = 'status';
      sessions.setText(row, { ...text, note, device: update.device ?? text.device });
    }
    if (update.status === undefined) return change;
    const status = STATUSES.indexOf(update.status);
    if (status === sessions.status(row)) return change;
    const userRow = sessions.user(row);
    const before = this.isHidden(userRow);
    sessions.setStatus(row, status);
    return this.isHidden(userRow) === before ? 'status' : 'visibility';
  }

  /** The outer address of the device moved. */
  move(row: number, wan: Address): void {
    this.sessions.setWan(row, wan);
    this.#setNetwork(row);
  }

  /** Whether all devices of the user are invisible. */
  isHidden(userRow: number): boolean {
    const { sessions } = this;
    for (let place = this.users.firstSession(userRow); place !== 0; place = sessions.nextOfUser(place - 1)) {
      if (sessions.status(place - 1) !== INVISIBLE) return false;
    }
    return true;
  }

  /** The session rows of a user, newest login first. */
  rowsOf(userRow: number): number[] {
    const rows: number[] = [];
    for (let place = this.users.firstSession(userRow); place !== 0;) {
      rows.push(place - 1);
      place = this.sessions.nextOfUser(place - 1);
    }
    return rows;
  }

  /** The devices of a user, the last active one first. */
  devices(userRow: number): Device[] {
    const first = this.users.firstSession(userRow);
    if (first !== 0 && this.sessions.nextOfUser(first - 1) === 0) return [this.device(first - 1)];
    const rows = this.rowsOf(userRow).sort((a, b) => this.#seenS(b) - this.#seenS(a));
    return rows.map((row) => this.device(row));
  }

  device(row: number): Device {
    const { sessions } = this;
    const text = sessions.text(row);
    return {
      row,
      instance: text.instance,
      note: text.note,
      device: text.device,
      contact: text.contact,
      registration: text.registration,
      status: STATUSES[sessions.status(row)] ?? 'online',
      network: NETWORKS[sessions.network(row)] ?? 'lan',
      firewall: sessions.firewall(row),
      wan: sessions.wan(row),
      local: sessions.local(row),
      loginS: sessions.loginS(row),
      seenS: this.#seenS(row),
    };
  }

  /** The rows of all open sessions as of now. */
  openRows(): number[] {
    const rows: number[] = [];
    for (let row = 0; row < this.sessions.used; row++) if (this.isOpen(row)) rows.push(row);
    return rows;
  }

  /** All sessions that are open when their turn comes, for the snapshot. */
  *saved(): Generator<Saved> {
    const { users, sessions } = this;
    for (let row = 0; row < sessions.used; row++) {
      if (!this.isOpen(row)) continue;
      const userRow = sessions.user(row);
      const logoutS = users.logoutS[userRow] ?? 0;
      yield {
        profile: users.profile(userRow),
        stamp: users.stamp(userRow),
        epoch: users.epoch[userRow] ?? 0,
        logoutAt: logoutS === 0 ? null : logoutS * 1000,
        session: {
          ...this.device(row),
          cookie: sessions.cookie(row),
          key: sessions.key(row),
          lifetimeS: sessions.lifetimeS(row),
        },
        loginS: sessions.loginS(row),
        seenS: this.#seenS(row),
        window: sessions.window(row),
      };
    }
  }

  /** Takes back a session of the snapshot; its row. */
  restore(saved: Saved, nowS: number): number {
    const { sessions } = this;
    const row = this.open(saved, saved.session, nowS);
    sessions.setLoginS(row, saved.loginS);
    sessions.setSeenS(row, saved.seenS);
    sessions.setWindow(row, ...saved.window);
    return row;
  }

  #setNetwork(row: number): void {
    const network = networkOf(this.sessions.wan(row), this.sessions.local(row));
    this.sessions.setNetwork(row, NETWORKS.indexOf(network));
  }

  #seenS(row: number): number {
    return this.sessions.seenS(row);
  }

  #unlink(row: number, userRow: number): void {
    const { users, sessions } = this;
    const next = sessions.nextOfUser(row);
    users.setDevices(userRow, users.devices(userRow) - 1);
    let place = users.firstSession(userRow);
    if (place === row + 1) {
      users.setFirstSession(userRow, next);
      return;
    }
    while (place !== 0) {
      const following = sessions.nextOfUser(place - 1);
      if (following === row + 1) {
        sessions.setNextOfUser(place - 1, next);
        return;
      }
      place = following;
    }
  }
}

const INVISIBLE = STATUSES.indexOf('invisible');

/** `wan` where the client's own address is the one that the world sees. */
export function networkOf(wan: Address, local: Address | null): Network {
  return local !== null && local.host === wan.host ? 'wan' : 'lan';
}
