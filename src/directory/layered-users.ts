/**
 * One user of two directories. Field by field: what the first one says, that is any value but the default, stands;
 * what it leaves open is as the state has it. So a user who is disabled in either is disabled. Two fields have more
 * to them: he expires at the earlier of both moments, and the state's verifiers hold only as long as the password
 * that was stored beside them is still the first directory's.
 */
import { isDeepStrictEqual } from 'node:util';
import { userDefaults } from '../base/model.ts';
import type { Secret, User } from '../base/model.ts';
import type { UserChanges, UserGroup } from './directory.ts';
import { changedUser } from './user-changes.ts';

const GROUPS: readonly UserGroup[] = ['basic', 'contact', 'service', 'forwarding', 'lists'];
const DEFAULTS = userDefaults('');

/** The user as he is seen; identity is the first directory's alone. */
export function mergedUser(first: User, state: User): User {
  const service = filled(first.service, state.service, DEFAULTS.service);
  return {
    ...first,
    secret: mergedSecret(first.secret, state.secret),
    basic: filled(first.basic, state.basic, DEFAULTS.basic),
    contact: filled(first.contact, state.contact, DEFAULTS.contact),
    service: { ...service, expiresAt: earlier(first.service.expiresAt, state.service.expiresAt) },
    forwarding: filled(first.forwarding, state.forwarding, DEFAULTS.forwarding),
    lists: filled(first.lists, state.lists, DEFAULTS.lists),
    voip: first.voip.length > 0 ? first.voip : state.voip,
    xmlext: first.xmlext === '' ? state.xmlext : first.xmlext,
  };
}

/**
 * What to change in the state so that the user is seen as `wanted`; {} where nothing need be. null where that can't
 * be done, because the first directory says otherwise.
 */
export function stateChanges(first: User, state: User, wanted: User): UserChanges | null {
  const seen = mergedUser(first, state);
  const changes: Record<string, unknown> = {};
  for (const group of GROUPS) {
    const [is, shall] = [Object.entries(seen[group]), wanted[group] as object as Record<string, unknown>];
    const fields = is.filter(([field, value]) => !isDeepStrictEqual(value, shall[field])).map(([field]) => field);
    if (fields.length > 0) changes[group] = Object.fromEntries(fields.map((field) => [field, shall[field]]));
  }
  for (const field of ['secret', 'voip', 'xmlext'] as const) {
    if (!isDeepStrictEqual(seen[field], wanted[field])) changes[field] = wanted[field];
  }
  const made = mergedUser(first, changedUser(state, changes));
  return isDeepStrictEqual(made, wanted) ? changes : null;
}

function filled<T extends object>(first: T, state: T, defaults: T): T {
  const fields = Object.keys(defaults) as (keyof T)[];
  const open = fields.filter((field) => isDeepStrictEqual(first[field], defaults[field]));
  return { ...first, ...(Object.fromEntries(open.map((field) => [field, state[field]])) as Partial<T>) };
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

/** A password that was changed in the first directory must not leave the old one's verifiers open. */
function mergedSecret(first: Secret, state: Secret): Secret {
  if (state.password !== first.password) return first;
  return {
    password: first.password,
    ha1Md5: first.ha1Md5 ?? state.ha1Md5,
    ha1Sha256: first.ha1Sha256 ?? state.ha1Sha256,
  };
}
