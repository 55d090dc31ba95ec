/**
 * What SIP phones publish of their users (RFC 3903): each publication has an entity-tag and an end, and while it lasts
 * it is the status of the device that published it, for everybody: Locate, watchers and the directory.
 */
import { formatAddress } from '../base/address.ts';
import type { Address, Status } from '../base/model.ts';
import type { Random } from '../base/ports.ts';
import type { OnlineTable } from '../heartbeat/online.ts';

export interface Published {
  /** `invisible` where the document says closed. */
  readonly status: Status;
  readonly note: string;
}

export type PublishOutcome =
  /** 0 seconds: it is removed. */
  | { readonly kind: 'published'; readonly etag: string; readonly expiresS: number }
  /** There is no publication with this tag (any more). */
  | { readonly kind: 'no-match' }
  | { readonly kind: 'no-room' };

export interface PublishRequest {
  readonly uid: string;
  /** Where it came from: that of the device's registration. */
  readonly from: Address;
  /** '' for a new publication. */
  readonly ifMatch: string;
  /** null: as before, only longer. */
  readonly published: Published | null;
  /** Seconds; 0 removes it. */
  readonly expiresS: number;
}

interface Publication extends Published {
  readonly etag: string;
  readonly from: string;
  readonly endsS: number;
}

/** Of one user; past it the oldest makes room: phones that lost their tag publish anew. */
const OF_USER_MAX = 8;
const ETAG_BYTES = 9;
/** What a phone is that publishes nothing. */
const DEFAULT: Published = { status: 'online', note: '' };

export class Publications {
  readonly #table: OnlineTable;
  readonly #random: Random;
  readonly #usersMax: number;
  readonly #setDevice: (row: number, said: Published) => void;
  /** By uid, the oldest first; never empty. */
  readonly #of = new Map<string, readonly Publication[]>();
  /** By the second in which the first of their publications ends. */
  readonly #ending = new Map<number, Set<string>>();

  /** `setDevice`: the device of this session row says this of itself now. */
  constructor(options: {
    table: OnlineTable;
    random: Random;
    usersMax: number;
    setDevice: (row: number, said: Published) => void;
  }) {
    this.#table = options.table;
    this.#random = options.random;
    this.#usersMax = options.usersMax;
    this.#setDevice = options.setDevice;
  }

  /** Users with publications. */
  get count(): number {
    return this.#of.size;
  }

  /** Makes, refreshes, changes or removes a publication (RFC 3903 4.1); each of them gives it a new tag. */
  publish({ uid, from, ifMatch, published, expiresS }: PublishRequest, nowS: number): PublishOutcome {
    const list = this.#of.get(uid) ?? [];
    const before = list.find(({ etag, endsS }) => etag === ifMatch && endsS > nowS);
    if (ifMatch !== '' && before === undefined) return { kind: 'no-match' };
    const others = list.filter((one) => one !== before);
    const etag = this.#random.bytes(ETAG_BYTES).toString('base64url');
    if (expiresS === 0) this.#keep(uid, others);
    else {
      if (list.length === 0 && this.#of.size >= this.#usersMax) return { kind: 'no-room' };
      const { status, note } = published ?? before ?? DEFAULT;
      const one = { etag, from: formatAddress(from), endsS: nowS + expiresS, status, note };
      this.#keep(uid, [...others.slice(-(OF_USER_MAX - 1)), one]);
    }
    return { kind: 'published', etag, expiresS };
  }

  /** The user has registered with another phone, which may have published before. */
  opened(uid: string): void {
    const list = this.#of.get(uid);
    if (list !== undefined) this.#apply(uid, list);
  }

  /** Once a second: ends what was not refreshed. */
  turn(nowS: number): void {
    for (const [endsS, uids] of [...this.#ending]) {
      if (endsS > nowS) continue;
      for (const uid of uids) {
        const list = this.#of.get(uid) ?? [];
        this.#keep(
          uid,
          list.filter((one) => one.endsS > nowS),
        );
      }
    }
  }

  #keep(uid: string, list: readonly Publication[]): void {
    this.#leaveEnding(uid);
    if (list.length === 0) this.#of.delete(uid);
    else {
      this.#of.set(uid, list);
      const endsS = firstEnd(list);
      this.#ending.set(endsS, (this.#ending.get(endsS) ?? new Set()).add(uid));
    }
    this.#apply(uid, list);
  }

  #leaveEnding(uid: string): void {
    const before = this.#of.get(uid);
    if (before === undefined) return;
    const endsS = firstEnd(before);
    const uids = this.#ending.get(endsS);
    uids?.delete(uid);
    if (uids?.size === 0) this.#ending.delete(endsS);
  }

  /** A device says what was published last from its address; else what was from none of the user's devices. */
  #apply(uid: string, list: readonly Publication[]): void {
    const { users, sessions } = this.#table;
    const userRow = users.find(uid);
    if (userRow < 0) return;
    const phones = this.#table
      .rowsOf(userRow)
      .filter((row) => sessions.text(row).contact !== '')
      .map((row) => ({ row, at: formatAddress(sessions.wan(row)) }));
    const others = list.filter(({ from }) => !phones.some(({ at }) => at === from)).at(-1);
    for (const { row, at } of phones) {
      const { status, note } = list.filter(({ from }) => from === at).at(-1) ?? others ?? DEFAULT;
      this.#setDevice(row, { status, note });
    }
  }
}

function firstEnd(list: readonly Publication[]): number {
  return Math.min(...list.map(({ endsS }) => endsS));
}
