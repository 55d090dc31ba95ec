/** The image of the server list: what every node last said of itself, and what this one says. */
import { sameAddress } from '../base/address.ts';
import type { Address, ServerRecord, ServerState } from '../base/model.ts';
import type { Clock } from '../base/ports.ts';
import type { Directory } from '../directory/directory.ts';

/** A record that was not renewed for so long counts as off. */
export const SILENCE_MS_MAX = 15_000;
/** Each node writes its record so often. */
export const RENEWAL_MS = 5_000;
/** More servers than this in the list are not read. */
const SERVERS_MAX = 10_000;

/** The parts of the own record that don't change while the node runs. */
export type Identity = Omit<ServerRecord, 'state' | 'users' | 'seenAt'>;

export class ServerImage {
  /** Addresses are known for good once the listeners are open. */
  me: Identity;
  readonly #directory: Directory;
  readonly #clock: Clock;
  readonly #users: () => number;
  #state: ServerState = 'on';
  #announced = false;
  #records: readonly ServerRecord[] = [];
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

  /** From now on; the list learns of it with the next renewal. Draining is for those who will ask a node to drain. */
  setState(state: ServerState): void {
    this.#state = state;
  }

  /** Writes the own record and reads those of the others. Rejects where the directory is unreachable. */
  async renew(): Promise<void> {
    await this.#directory.writeServer(this.own());
    this.#announced = true;
    await this.look();
  }

  /** The last word of this server: that it is off. Nothing where it never was in the list. */
  async leave(): Promise<void> {
    this.#state = 'off';
    if (this.#announced) await this.#directory.writeServer(this.own());
  }

  /** Reads the records of the others. Rejects where the directory is unreachable. */
  async look(): Promise<void> {
    const records = await this.#directory.servers();
    this.#records = records.filter((record) => record.name !== this.me.name).slice(0, SERVERS_MAX);
    this.#former = records.find((record) => record.name === this.me.name);
  }

  /** All servers that were ever seen, this one as of now, the silent ones as off. */
  all(): readonly ServerRecord[] {
    const others = this.#records.map((record): ServerRecord =>
      this.#isHeard(record) ? record : { ...record, state: 'off' },
    );
    return [this.own(), ...others];
  }

  /** The other servers that run (draining ones too). */
  others(): readonly ServerRecord[] {
    return this.#records.filter((record) => record.state !== 'off' && this.#isHeard(record));
  }

  /** The running server of this name, other than this one. */
  other(name: string): ServerRecord | undefined {
    return this.#records.find((record) => record.name === name && record.state !== 'off' && this.#isHeard(record));
  }

  /** A running server of this one's name at another address: no earlier run of this one, so it must be another. */
  namesake(): ServerRecord | undefined {
    const record = this.#former;
    if (record === undefined || record.state === 'off' || !this.#isHeard(record)) return undefined;
    return sameAddress(record.udp, this.me.udp) ? undefined : record;
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

  #isHeard(record: ServerRecord): boolean {
    return record.seenAt >= this.#clock.now() - SILENCE_MS_MAX;
  }
}

/** Least loaded first, by users over their maximum; then by name. */
function byLoad(records: readonly ServerRecord[]): ServerRecord[] {
  return [...records].sort((a, b) => a.users / a.usersMax - b.users / b.usersMax || (a.name < b.name ? -1 : 1));
}
