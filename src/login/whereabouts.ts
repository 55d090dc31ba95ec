/** What this node writes into the location record of a user (DIRECTORY.md section 3). */
import type { Location, ServerRecord } from '../base/model.ts';
import { NOWHERE } from '../base/model.ts';
import type { NewSession } from '../heartbeat/session-rows.ts';
import type { OnlineTable } from '../heartbeat/online.ts';

type Owner = Pick<ServerRecord, 'name' | 'udp'>;

/** The record for a login: one epoch after the one before, whose last public logout stays. */
export function arrival(before: Location, session: NewSession, hidden: boolean, owner: Owner, nowMs: number): Location {
  return {
    server: { name: owner.name, address: owner.udp },
    network: session.network,
    wan: session.wan,
    local: session.local,
    loginAt: nowMs,
    logoutAt: before.logoutAt,
    hidden,
    epoch: before.epoch + 1,
  };
}

/** The record of a user who is online here, as of now. */
export function present(table: OnlineTable, userRow: number, owner: Owner): Location {
  const [device] = table.devices(userRow);
  if (device === undefined) throw new Error('an online user without a device');
  const logoutS = table.users.logoutS[userRow] ?? 0;
  return {
    server: { name: owner.name, address: owner.udp },
    network: device.network,
    wan: device.wan,
    local: device.local,
    loginAt: device.loginS * 1000,
    logoutAt: logoutS === 0 ? null : logoutS * 1000,
    hidden: table.isHidden(userRow),
    epoch: table.users.epoch[userRow] ?? 0,
  };
}

/** The record after the last device has gone. A logout while invisible is not public: the one before stays. */
export function departure(before: Location, atMs: number): Location {
  return {
    ...NOWHERE,
    loginAt: before.loginAt,
    logoutAt: before.hidden ? before.logoutAt : atMs,
    epoch: before.epoch,
  };
}
