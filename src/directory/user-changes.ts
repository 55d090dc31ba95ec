/** What a change makes of a user's record. */
import type { User } from '../base/model.ts';
import type { UserChanges } from './directory.ts';

/** Absent groups and fields stay as they are. */
export function changedUser(user: User, changes: UserChanges): User {
  return {
    ...user,
    basic: { ...user.basic, ...changes.basic },
    contact: { ...user.contact, ...changes.contact },
    service: { ...user.service, ...changes.service },
    forwarding: { ...user.forwarding, ...changes.forwarding },
    lists: { ...user.lists, ...changes.lists },
    secret: changes.secret ?? user.secret,
    voip: changes.voip ?? user.voip,
    xmlext: changes.xmlext ?? user.xmlext,
  };
}
