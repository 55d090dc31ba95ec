/** To the devices of a user: all of them at once, each over its own edge. */
import type { Timers } from '../base/ports.ts';
import type { Message } from '../directory/message-store.ts';
import type { OnlineTable } from '../heartbeat/online.ts';

/** `refused`: the device has answered that it can't take this one. `silent`: nothing was heard of it, or it has no way in. */
export type DeviceAnswer = 'taken' | 'refused' | 'silent';

/** Brings a message to the device of this session. Bounded in time; never rejects. */
export type DeliverTo = (row: number, message: Message) => Promise<DeviceAnswer>;

/**
 * `taken` as soon as one device took it; else, when all have answered or were silent, `refused` where one did answer,
 * and `silent` otherwise.
 */
export function deliverToAll(table: OnlineTable, deliverTo: DeliverTo, message: Message): Promise<DeviceAnswer> {
  const userRow = table.users.find(message.to);
  const rows = userRow < 0 ? [] : table.rowsOf(userRow);
  if (rows.length === 0) return Promise.resolve('silent');
  return new Promise((resolve) => {
    let open = rows.length;
    let best: DeviceAnswer = 'silent';
    for (const row of rows) {
      void deliverTo(row, message).then((answer) => {
        if (answer === 'taken') resolve('taken');
        else if (answer === 'refused') best = 'refused';
        if (--open === 0) resolve(best);
      });
    }
  });
}

/** The answer, or undefined where it takes longer. */
export function within<T>(timers: Timers, ms: number, answer: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = timers.after(ms, () => {
      resolve(undefined);
    });
    void answer.then((value) => {
      timer.cancel();
      resolve(value);
    });
  });
}
