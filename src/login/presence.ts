/** Signs of life: heartbeat and status, for the datagrams and for HTTP. They never wait for the directory. */
import type { Clock } from '../base/ports.ts';
import type { DeviceUpdate, OnlineTable } from '../heartbeat/online.ts';
import type { SessionEnds } from './session-ends.ts';

export interface PresenceDeps {
  readonly table: OnlineTable;
  readonly ends: SessionEnds;
  readonly clock: Clock;
}

/** The device is alive and says this of itself. A change of visibility is written to the directory by and by. */
export function heard(deps: PresenceDeps, row: number, update: DeviceUpdate | undefined): void {
  const { table } = deps;
  table.touch(row, Math.floor(deps.clock.now() / 1000));
  if (update !== undefined && table.update(row, update)) {
    deps.ends.visibilityChanged(table.sessions.user[row] ?? 0);
  }
}
