/** NOTIFY (RFC 6665 4.2.2): what the watchers of SIP are told, each in its dialog. */
import type { Ending, Outlet } from '../presence/presence.ts';
import type { Seen } from '../presence/compose.ts';
import type { SipContext } from './context.ts';
import type { NotifyState } from './notify-writer.ts';
import { createNotifyWriter } from './notify-writer.ts';
import type { OnFinal } from './outgoing.ts';
import { openOwn } from './outgoing.ts';
import { DialogPlace, FLOW_ID, flowOfId } from './subscription-dialogs.ts';

export function createNotifier(context: SipContext): Outlet {
  const { subscriptions: dialogs } = context;
  const { presence, clock } = context.cases;
  const write = createNotifyWriter(context);
  const place = new DialogPlace();

  /** `onFinal` hears the status of the answer; CLOSED where there is no way to the watcher any more. */
  const send = (row: number, seen: Seen, state: NotifyState, onFinal: OnFinal): void => {
    const flow = dialogs.find(row, place) ? flowOfId(place.text(FLOW_ID), context.flows) : undefined;
    if (flow === undefined) {
      onFinal(CLOSED);
      return;
    }
    const branch = context.ids.branch();
    const bytes = write(place, { flow, branch, cseq: dialogs.nextCSeq(row), seen, state });
    if (bytes === null) onFinal(TOO_MANY_HEADERS);
    else openOwn(context, { method: 'NOTIFY', branch }, bytes, flow, onFinal);
  };

  return {
    notify(row, seen) {
      const serial = dialogs.serial(row);
      const leftS = presence.subscriptions.endsSOf(row) - Math.floor(clock.now() / 1000);
      send(row, seen, Math.max(0, leftS), (status) => {
        // The row may belong to another subscription by now.
        if (serial !== 0 && dialogs.serial(row) !== serial) return;
        if (!isOver(status)) presence.notified(row, status >= 300);
        else {
          dialogs.remove(row);
          presence.unsubscribe(row);
        }
      });
    },
    ended(row, reason: Ending, seen) {
      // Whatever becomes of it.
      send(row, seen, reason, () => undefined);
      dialogs.remove(row);
    },
  };
}
/** The connection is closed, or nobody would take more. */
const CLOSED = 410;
const TOO_MANY_HEADERS = 513;

/**
 * Whether the answer ends the subscription (RFC 6665 4.2.2): no answer, and everything else that trying again does not
 * mend. A server in trouble is tried again.
 */
function isOver(status: number): boolean {
  return status >= 300 && status !== 500 && status !== 503;
}
