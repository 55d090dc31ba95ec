/** NOTIFY (RFC 6665 4.2.2): what the watchers of SIP are told, each in its dialog. */
import type { Outlet } from '../presence/presence.ts';
import type { Seen } from '../presence/compose.ts';
import type { SipContext } from './context.ts';
import { ownUri } from './context.ts';
import { sendRequest } from './outgoing.ts';
import { PIDF_TYPE, renderPidf } from './pidf.ts';
import type { ExtraHeader } from './response.ts';
import { flowOfId } from './subscription-dialogs.ts';

export function createNotifier(context: SipContext): Outlet {
  const { subscriptions: dialogs } = context;
  const { presence, clock } = context.cases;

  /** `onFinal` hears the status of the answer; 503 where there is no way to the watcher any more. */
  const send = (row: number, seen: Seen, state: string, onFinal: (status: number) => void): void => {
    const dialog = dialogs.get(row);
    const flow = dialog === undefined ? undefined : flowOfId(dialog.flowId, context.flows);
    if (dialog === undefined || flow === undefined) {
      onFinal(CLOSED);
      return;
    }
    const { target: uri, route, to, from, callId, eventId, entity } = dialog;
    const headers: ExtraHeader[] = [
      ['Contact', `<${ownUri(context, flow)}>`],
      ['Event', eventId === '' ? 'presence' : `presence;id=${eventId}`],
      ['Subscription-State', state],
      ['Content-Type', PIDF_TYPE],
    ];
    const request = { method: 'NOTIFY', from, to, callId, cseq: dialogs.nextCSeq(row), headers };
    sendRequest(context, { uri, flow, route }, { ...request, body: renderPidf(entity, seen) }, onFinal);
  };

  return {
    notify(row, seen) {
      const serial = dialogs.serial(row);
      const leftS = presence.subscriptions.endsSOf(row) - Math.floor(clock.now() / 1000);
      send(row, seen, `active;expires=${Math.max(0, leftS)}`, (status) => {
        // The row may belong to another subscription by now.
        if (serial !== 0 && dialogs.serial(row) !== serial) return;
        if (!isOver(status)) presence.notified(row, status >= 300);
        else {
          dialogs.remove(row);
          presence.unsubscribe(row);
        }
      });
    },
    ended(row, reason, seen) {
      // Whatever becomes of it.
      send(row, seen, `terminated;reason=${reason}`, () => undefined);
      dialogs.remove(row);
    },
  };
}
/** The connection is closed, or nobody would take more. */
const CLOSED = 410;

/**
 * Whether the answer ends the subscription (RFC 6665 4.2.2): no answer, and everything else that trying again does not
 * mend. A server in trouble is tried again.
 */
function isOver(status: number): boolean {
  return status >= 300 && status !== 500 && status !== 503;
}
