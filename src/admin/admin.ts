/** What administrators do through a running node: each change takes effect at once for those who are online. */
import { VserverError } from '../base/errors.ts';
import type { User } from '../base/model.ts';
import type { Directory, Page, Query, UserChanges } from '../directory/directory.ts';
import { hashPassword, verifiers } from '../directory/passwords.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { EndReason, SessionEnds } from '../login/session-ends.ts';
import type { Sweep } from '../login/sweep.ts';

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

export interface AdminDeps {
  readonly directory: Directory;
  readonly table: OnlineTable;
  readonly ends: SessionEnds;
  readonly sweep: Sweep;
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
    const { directory, realm, sweep } = this.#deps;
    const all = password === undefined ? changes : { ...changes, secret: await secretFor(uid, realm, password) };
    if ((await directory.change(uid, all)) === 'unknown') throw new VserverError('NO_SUCH_USER');
    await sweep.refresh(uid);
  }

  /** Rejects with NO_SUCH_USER. */
  async remove(uid: string): Promise<void> {
    const { directory, sweep } = this.#deps;
    if ((await directory.remove(uid)) === 'unknown') throw new VserverError('NO_SUCH_USER');
    await sweep.refresh(uid);
  }

  /** Ends all sessions of the user here; answers how many. */
  kick(uid: string, reason: EndReason = 'kicked'): number {
    return this.#deps.ends.endAll(uid, reason);
  }

  variable(name: string): Promise<string | null> {
    return this.#deps.directory.variable(name);
  }

  async writeVariable(name: string, value: string | null): Promise<void> {
    await this.#deps.directory.writeVariable(name, value);
    await this.#deps.refreshVariables();
  }
}
