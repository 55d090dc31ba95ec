/** What one user may see of another who is online here. */
import type { Audience } from '../base/model.ts';
import { STATUSES } from '../base/model.ts';
import { Fields } from '../heartbeat/fields.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import { BLOCKED, BUDDIES } from '../heartbeat/profile.ts';

/** To be made once and filled by each look(); good until anything in the table changes. */
export class Sight {
  userRow = -1;
  /** His device that was active last, of those that the asker may see. */
  sessionRow = -1;
  /** How many devices the asker may see. */
  devices = 0;
  seesAddresses = false;
  seesTelephones = false;
  mayCall = false;
  /** Of the user's stored text; after lookFrom() only where one of his lists had to be looked into. */
  readonly texts = new Fields();
}

/** `absent`: he has no session here. Whoever is invisible is so to everybody but himself. */
export type Look = 'seen' | 'absent' | 'blocked' | 'invisible';

const INVISIBLE = STATUSES.indexOf('invisible');

/** Looks for `target`, a uid, and fills `sight` where he is seen. */
export function look(table: OnlineTable, asker: string, target: string, sight: Sight): Look {
  const userRow = table.users.find(target);
  if (userRow < 0) return 'absent';
  table.users.cut(userRow, sight.texts);
  return see(table, asker, userRow, asker === target, sight);
}

/** The same for an asker who is online himself; both are told by their user rows. */
export function lookFrom(table: OnlineTable, askerRow: number, userRow: number, sight: Sight): Look {
  const { users } = table;
  const { texts } = sight;
  if (users.isOpenToAll(userRow) && !users.isForBuddies(userRow)) texts.clear();
  else users.cut(userRow, texts);
  // A name costs more than all else here, and is only needed where lists of names are looked into.
  const needsName = !texts.isEmpty(BLOCKED) || (!texts.isEmpty(BUDDIES) && users.isForBuddies(userRow));
  return see(table, needsName ? users.uid(askerRow) : '', userRow, askerRow === userRow, sight);
}

function see(table: OnlineTable, asker: string, userRow: number, self: boolean, sight: Sight): Look {
  const { users, sessions } = table;
  const { texts } = sight;
  if (!self && texts.has(BLOCKED, asker)) return 'blocked';
  sight.userRow = userRow;
  sight.devices = 0;
  sight.sessionRow = -1;
  let seenS = -1;
  for (let place = users.firstSession(userRow); place !== 0; place = sessions.nextOfUser(place - 1)) {
    const row = place - 1;
    if (!self && sessions.status(row) === INVISIBLE) continue;
    sight.devices++;
    // Of two heard in the same second the one that logged in last stands first in the list.
    if (sessions.seenS(row) > seenS) {
      seenS = sessions.seenS(row);
      sight.sessionRow = row;
    }
  }
  if (sight.devices === 0) return 'invisible';
  sight.seesAddresses = self || isAmong(users.privacy(userRow), texts, asker);
  sight.seesTelephones = sight.seesAddresses && (self || isAmong(users.contactVisibleTo(userRow), texts, asker));
  sight.mayCall = self || isAmong(users.mayBeCalledBy(userRow), texts, asker);
  return 'seen';
}

function isAmong(audience: Audience, texts: Fields, asker: string): boolean {
  return audience === 'all' || (audience === 'buddies' && texts.has(BUDDIES, asker));
}
