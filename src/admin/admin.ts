/** What administrators do through a running node: each change takes effect at once for those who are online. */
import { VserverError } from '../base/errors.ts';
import type { User } from '../base/model.ts';
import type { Directory, Page, Query, UserChanges } from '../directory/directory.ts';
import { hashPassword, verifiers } from '../directory/passwords.ts';
import type { Device, OnlineTable } from '../heartbeat/online.ts';
import type { SessionEnds } from '../login/session-ends.ts';

const PASSWORD_LENGTH_MAX = 256;

/** The secret as it is stored for a new password: one-way, with the verifiers beside it so that Digest works. */
export async function secretFor(uid: string, realm: string, password: string): Promise<User['secret']> {
  if (password === '' || password.length > PASSWORD_LENGTH_MAX || /\p{Cc}/u.test(password)) {
    throw new VserverError(
      'INVALID_RECORD',
      `a password has 1 to ${PASSWORD_LENGTH_MAX} characters, none of them a control character`,
    );
  }
  return { password: await hashPassword(password), ...verifiers(uid, realm, password) };
}

/** Users of other nodes. `server`: the name of the node that has the user; null: none that runs. */
export interface AdminElsewhere {
  /** 0 sessions where that node does not answer. Rejects with DIRECTORY_UNAVAILABLE. */
  kick(uid: string): Promise<{ readonly server: string | null; readonly sessions: number }>;
  /** None where that node does not answer; their rows are none of this node's. Rejects with DIRECTORY_UNAVAILABLE. */
  devices(uid: string): Promise<{ readonly server: string | null; readonly devices: readonly Device[] }>;
}

export interface AdminDeps {
  readonly directory: Directory;
  readonly table: OnlineTable;
  readonly ends: SessionEnds;
  readonly elsewhere: AdminElsewhere;
  /** Name of this node. */
  readonly name: string;
  /** The user's record has changed: what is held of it, here or elsewhere, is read anew. */
  readonly refresh: (uid: string) => Promise<void>;
  readonly realm: string;
  /** Reads the system variables anew. */
  readonly refreshVariables: () => Promise<void>;
}

export class Admin {
  readonly #deps: AdminDeps;

  constructor(deps: AdminDeps) {
    this.#deps = deps;
  }

  search(query: Query): Promise<Page> {
    return this.#deps.directory.search(query);
  }

  /** Rejects with NO_SUCH_USER. */
  async show(uid: string): Promise<User> {
    const entry = await this.#deps.directory.find(uid);
    if (entry === null) throw new VserverError('NO_SUCH_USER');
    return entry.user;
  }

  /** Rejects with CONFLICT where the uid is taken, INVALID_RECORD where a rule is broken. */
  async create(user: User, password: string | undefined): Promise<void> {
    const { directory, realm } = this.#deps;
    const secret = password === undefined ? user.secret : await secretFor(user.uid, realm, password);
    if ((await directory.create({ ...user, secret })) === 'exists') {
      throw new VserverError('CONFLICT', 'there is a user with this uid');
    }
  }

  /** Rejects with NO_SUCH_USER, INVALID_RECORD. */
  async change(uid: string, changes: UserChanges, password?: string): Promise<void> {
    const { directory, realm, refresh } = this.#deps;
    const all = password === undefined ? changes : { ...changes, secret: await secretFor(uid, realm, password) };
    if ((await directory.change(uid, all)) === 'unknown') throw new VserverError('NO_SUCH_USER');
    await refresh(uid);
  }

  /** Rejects with NO_SUCH_USER. */
  async remove(uid: string): Promise<void> {
    const { directory, refresh } = this.#deps;
    if ((await directory.remove(uid)) === 'unknown') throw new VserverError('NO_SUCH_USER');
    await refresh(uid);
  }

  /** Ends all sessions of the user, wherever he is; answers how many and where. Rejects with DIRECTORY_UNAVAILABLE. */
  async kick(uid: string): Promise<{ readonly server: string | null; readonly sessions: number }> {
    const { ends, elsewhere, name } = this.#deps;
    const sessions = ends.endAll(uid, 'kicked');
    return sessions > 0 ? { server: name, sessions } : elsewhere.kick(uid);
  }

  /** The user's devices, wherever he is, and where. Rejects with DIRECTORY_UNAVAILABLE. */
  async devices(uid: string): Promise<{ readonly server: string | null; readonly devices: readonly Device[] }> {
    const { table, elsewhere, name } = this.#deps;
    const userRow = table.users.find(uid);
    return userRow >= 0 ? { server: name, devices: table.devices(userRow) } : elsewhere.devices(uid);
  }

  variable(name: string): Promise<string | null> {
    return this.#deps.directory.variable(name);
  }

  async writeVariable(name: string, value: string | null): Promise<void> {
    await this.#deps.directory.writeVariable(name, value);
    await this.#deps.refreshVariables();
  }
}
