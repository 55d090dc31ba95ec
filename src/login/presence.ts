/** What devices say of themselves: by heartbeat and status, for the datagrams and for HTTP, or published by SIP. Never waits. */
import type { Clock } from '../base/ports.ts';
import type { DeviceUpdate, OnlineTable } from '../heartbeat/online.ts';
import type { SessionEnds } from './session-ends.ts';

export interface PresenceDeps {
  readonly table: OnlineTable;
  readonly ends: SessionEnds;
  readonly clock: Clock;
  /** What others may see of the user has changed. */
  readonly onPresence: (uid: string) => void;
}

/** The device is alive and says this of itself. */
export function heard(deps: PresenceDeps, row: number, update: DeviceUpdate | undefined): void {
  deps.table.touch(row, Math.floor(deps.clock.now() / 1000));
  if (update !== undefined) said(deps, row, update);
}

/** This is said of the device. A change of visibility is written to the directory by and by. */
export function said({ table, ends, onPresence }: PresenceDeps, row: number, update: DeviceUpdate): void {
  const change = table.update(row, update);
  if (change === 'visibility') ends.visibilityChanged(table.sessions.user(row));
  if (change !== 'none') onPresence(table.uidOf(row));
}
