/** The way of a message past the store: to the devices of a user who is online here (decision 0011). */
import type { Timers } from '../base/ports.ts';
import type { Message, StoredMessage } from '../directory/message-store.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { DeliverTo, DeviceAnswer } from './delivery.ts';
import { deliverToAll } from './delivery.ts';
import type { Mailboxes } from './mailboxes.ts';
import type { Sent } from './message-rules.ts';
import { isMomentary } from './message-rules.ts';

/** Who is told, once, what became of a message. */
export interface Sender {
  readonly sent: (outcome: Sent) => void;
  /** It could not be stored, or not even be tried. */
  readonly failed: (error: unknown) => void;
}

export interface DirectWayDeps {
  readonly table: OnlineTable;
  readonly timers: Timers;
  readonly deliverTo: DeliverTo;
  readonly boxes: Mailboxes | null;
  /** Into the store. Rejects as the directory does. */
  readonly keep: (message: Message) => Promise<StoredMessage | Exclude<Sent, 'delivered'>>;
  /** A device has taken what was stored meanwhile. */
  readonly takeOut: (stored: StoredMessage) => void;
  readonly onTaken: (message: Message) => void;
}

/** A sender waits no longer for the devices: then it is stored, and taken out again where one takes it after all. */
const DEVICES_MS_MAX = 3_000;

/** Nothing is awaited as long as a device takes the message in time. `isHidden`: the sender must not see that he is here. */
export function createDirectWay(deps: DirectWayDeps): (message: Message, isHidden: boolean, sender: Sender) => void {
  const { table, timers, deliverTo, boxes, keep, takeOut, onTaken } = deps;

  /** No device has taken it, or not within the time. */
  const afterAll = async (message: Message, answer: DeviceAnswer | undefined): Promise<StoredMessage | Sent> => {
    const kept = await keep(message);
    if (typeof kept !== 'string' && answer !== 'refused') boxes?.hold(message.to);
    return kept;
  };
  return (message, isHidden, sender) => {
    const { to, contentType } = message;
    let late: DeviceAnswer | undefined;
    let stored: StoredMessage | undefined;
    const settle = (answer: DeviceAnswer | undefined): void => {
      if (isMomentary(contentType)) sender.sent(answer === 'taken' && !isHidden ? 'delivered' : 'stored');
      else if (answer === 'taken') {
        // Who is told that it failed may send it again.
        if (isHidden) onTaken(message);
        sender.sent(isHidden ? 'unreachable' : 'delivered');
      } else {
        afterAll(message, answer).then((kept) => {
          if (typeof kept === 'string') sender.sent(kept);
          else {
            stored = kept;
            if (late === 'taken') takeOut(stored);
            sender.sent('stored');
          }
        }, sender.failed);
      }
    };
    let isLate = false;
    const timer = timers.after(DEVICES_MS_MAX, () => {
      isLate = true;
      settle(undefined);
    });
    boxes?.shut(to);
    deliverToAll(table, deliverTo, message, (answer) => {
      if (isLate) {
        late = answer;
        if (late === 'taken' && !isMomentary(contentType)) onTaken(message);
        if (late === 'taken' && stored !== undefined) takeOut(stored);
      } else {
        timer.cancel();
        settle(answer);
      }
      boxes?.opened(to);
    });
  };
}
