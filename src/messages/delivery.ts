/** To the devices of a user: all of them at once, each over its own edge. */
import type { Log } from '../base/ports.ts';
import type { Message } from '../directory/message-store.ts';
import type { OnlineTable } from '../heartbeat/online.ts';

/** `refused`: the device has answered that it can't take this one. `silent`: nothing was heard of it, or it has no way in. */
export type DeviceAnswer = 'taken' | 'refused' | 'silent';

export type OnAnswer = (answer: DeviceAnswer) => void;

/** Brings a message to the device of this session; the answer comes once, at once or later, in bounded time. */
export type DeliverTo = (row: number, message: Message, onAnswer: OnAnswer) => void;

/** The same of what may throw: a device that it can't be brought to has refused it. */
export function contained(deliverTo: DeliverTo, log: Log): DeliverTo {
  return (row, message, onAnswer) => {
    let isHeard = false;
    const once = (answer: DeviceAnswer): void => {
      if (isHeard) return;
      isHeard = true;
      onAnswer(answer);
    };
    try {
      deliverTo(row, message, once);
    } catch (error) {
      log.error({ err: error, uid: message.to }, 'a message could not be brought to a device');
      once('refused');
    }
  };
}

/**
 * `taken` as soon as one device took it; else, when all have answered or were silent, `refused` where one did answer,
 * and `silent` otherwise. Told once.
 */
export function deliverToAll(table: OnlineTable, deliverTo: DeliverTo, message: Message, onAnswer: OnAnswer): void {
  const userRow = table.users.find(message.to);
  const rows = userRow < 0 ? [] : table.rowsOf(userRow);
  let open = rows.length;
  let best: DeviceAnswer = 'silent';
  let isTold = false;
  const tell = (answer: DeviceAnswer): void => {
    if (isTold) return;
    isTold = true;
    onAnswer(answer);
  };
  if (open === 0) tell('silent');
  for (const row of rows) {
    deliverTo(row, message, (answer) => {
      if (answer === 'refused') best = 'refused';
      open--;
      if (answer === 'taken') tell('taken');
      else if (open === 0) tell(best);
    });
  }
}
