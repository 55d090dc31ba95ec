/** Administration of users, by one interface: through the running node, or straight to the directory. */
import { VserverError } from '../base/errors.ts';
import { isUid } from '../base/model.ts';
import type { Config } from '../config.ts';
import type { Directory, SearchField, UserChanges } from '../directory/directory.ts';
import { secretFor } from '../admin/admin.ts';
import type { ChangesBody, NewUserBody } from '../http/admin-text.ts';
import { accountsOf, newUser, userText } from '../http/admin-text.ts';
import { withDirectory } from './context.ts';
import type { RunningNode } from './node-api.ts';
import { findNode } from './node-api.ts';

export interface UserQuery {
  readonly field: SearchField;
  readonly prefix: string;
  readonly limit: number;
  readonly after?: string | undefined;
}

/** A user as administrators see him: without any secret. */
export type ShownUser = Record<string, unknown>;

export interface UserPage {
  readonly users: readonly ShownUser[];
  readonly next: string | null;
}

/** Rejects with NO_SUCH_USER, CONFLICT, INVALID_RECORD, READ_ONLY, DIRECTORY_UNAVAILABLE. */
export interface Users {
  search(query: UserQuery): Promise<UserPage>;
  show(uid: string): Promise<ShownUser>;
  create(user: NewUserBody): Promise<ShownUser>;
  change(uid: string, changes: ChangesBody): Promise<ShownUser>;
  remove(uid: string): Promise<void>;
}

/**
 * Through the node where one runs on the data folder, since there a change takes effect at once. `embedded`: whether a
 * directory is made where there is none.
 */
export function withUsers<T>(config: Config, embedded: 'make' | 'need', run: (users: Users) => Promise<T>): Promise<T> {
  const node = findNode(config);
  if (node !== null) return run(usersByNode(node));
  return withDirectory(config, embedded, (directory) => run(usersByDirectory(directory, config.realm)));
}

function usersByNode(node: RunningNode): Users {
  const path = (uid: string): string => `/v1/admin/users/${encodeURIComponent(uid)}`;
  return {
    search({ field, prefix, limit, after }) {
      const query = new URLSearchParams({
        field,
        prefix,
        limit: String(limit),
        ...(after === undefined ? {} : { after }),
      });
      return node.call<UserPage>('GET', `/v1/admin/users?${query.toString()}`);
    },
    show: (uid) => node.call<ShownUser>('GET', path(uid)),
    create: (user) => node.call<ShownUser>('POST', '/v1/admin/users', user),
    change: (uid, changes) => node.call<ShownUser>('PATCH', path(uid), changes),
    remove: async (uid) => {
      await node.call('DELETE', path(uid));
    },
  };
}

function usersByDirectory(directory: Directory, realm: string): Users {
  const find = async (uid: string) => {
    if (!isUid(uid)) throw new VserverError('BAD_REQUEST', 'not a uid');
    const entry = await directory.find(uid);
    if (entry === null) throw new VserverError('NO_SUCH_USER');
    return entry.user;
  };
  const show = async (uid: string): Promise<ShownUser> => ({ ...userText(await find(uid)) });
  return {
    async search({ field, prefix, limit, after }) {
      const query = { field, prefix, limit, ...(after === undefined ? {} : { after }) };
      const { users, next } = await directory.search(query);
      return { users: users.map((user) => ({ ...userText(user) })), next };
    },
    show,
    async create(body) {
      const user = newUser(body);
      const secret = body.password === undefined ? user.secret : await secretFor(user.uid, realm, body.password);
      if ((await directory.create({ ...user, secret })) === 'exists') {
        throw new VserverError('CONFLICT', 'there is a user with this uid');
      }
      return show(user.uid);
    },
    async change(uid, { password, voip, ...open }) {
      const before = await find(uid);
      const changes: UserChanges = {
        ...open,
        ...(voip === undefined ? {} : { voip: accountsOf(voip, before.voip) }),
        ...(password === undefined ? {} : { secret: await secretFor(uid, realm, password) }),
      };
      if ((await directory.change(uid, changes)) === 'unknown') throw new VserverError('NO_SUCH_USER');
      return show(uid);
    },
    async remove(uid) {
      if ((await directory.remove(uid)) === 'unknown') throw new VserverError('NO_SUCH_USER');
    },
  };
}
