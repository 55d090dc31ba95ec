/** One way on which a request is tried: its client transaction, timer C and CANCEL (RFC 3261 16.6 step 11, 16.8, 9.1). */
import type { Timer } from '../base/ports.ts';
import type { SipContext } from './context.ts';
import type { Flow } from './flow.ts';
import { makeCancel } from './forward-message.ts';
import { SipRequest } from './message.ts';
import type { SipResponse } from './message.ts';
import { parseMessage } from './message.ts';
import { T1 } from './transaction.ts';
import type { Transaction } from './transaction.ts';

/** More than three minutes (16.6 step 11), again from each provisional response on. */
export const TIMER_C_MS = 181_000;

export interface BranchUser {
  /** 101–199. */
  onProvisional(response: SipResponse): void;
  /** A final response; of an INVITE each 2xx. null: none came (408), or the flow is closed (503). */
  onFinal(status: number, response: SipResponse | null): void;
}

export interface Branch {
  /** A provisional response other than 100 came. */
  readonly rings: boolean;
  /** Of an INVITE: as soon as there is a provisional response to cancel. Other requests can't be. */
  cancel(): void;
}

/** `bytes`: a request whose top Via is ours. null: with what we added it is too long, or has too many headers. */
export function openBranch(context: SipContext, bytes: Buffer, flow: Flow, user: BranchUser): Branch | null {
  const request = parseMessage(bytes);
  if (!(request instanceof SipRequest)) return null;
  const { timers, transactions } = context;
  const isInvite = request.method === 'INVITE';
  let timer: Timer | undefined;
  let rings = false;
  let state: 'calling' | 'proceeding' | 'over' = 'calling';
  let cancelled: 'no' | 'wanted' | 'sent' = 'no';

  const wait = (ms: number, then: () => void): void => {
    timer?.cancel();
    timer = timers.after(ms, then);
  };
  const end = (status: number, response: SipResponse | null): void => {
    timer?.cancel();
    state = 'over';
    user.onFinal(status, response);
  };
  const sendCancel = (): void => {
    cancelled = 'sent';
    const cancel = parseMessage(makeCancel(request));
    if (!(cancel instanceof SipRequest)) throw new Error('malformed CANCEL');
    transactions.openClient(cancel, Buffer.from(cancel.text, 'latin1'), flow, {});
    // 9.1: the answer to the INVITE may never come.
    wait(64 * T1, () => {
      tx.end('timeout');
    });
  };
  const onTimerC = (): void => {
    if (state === 'proceeding') sendCancel();
    else tx.end('timeout');
  };

  if (isInvite) wait(TIMER_C_MS, onTimerC);
  const tx: Transaction = transactions.openClient(request, bytes, flow, {
    onResponse(response) {
      const { status } = response;
      if (status >= 200) {
        end(status, response);
        return;
      }
      if (state === 'over') return;
      state = 'proceeding';
      if (isInvite && cancelled === 'no' && status > 100) wait(TIMER_C_MS, onTimerC);
      if (cancelled === 'wanted') sendCancel();
      rings ||= status > 100;
      if (status > 100) user.onProvisional(response);
    },
    onEnd(reason) {
      if (state !== 'over') end(reason === 'timeout' ? 408 : 503, null);
    },
  });

  return {
    get rings() {
      return rings;
    },
    cancel() {
      if (!isInvite || state === 'over' || cancelled !== 'no') return;
      if (state === 'proceeding') sendCancel();
      else cancelled = 'wanted';
    },
  };
}
