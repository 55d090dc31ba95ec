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
import type { ClientRequest } from './transactions.ts';

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

/** `bytes`: the request as text, whose top Via is ours. */
export function openBranch(
  context: SipContext,
  request: ClientRequest,
  bytes: Buffer,
  flow: Flow,
  user: BranchUser,
): Branch {
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
    const invite = tx.sent === null ? null : parseMessage(tx.sent);
    if (!(invite instanceof SipRequest)) throw new Error('malformed INVITE of our own');
    transactions.openClient({ method: 'CANCEL', branch: request.branch }, makeCancel(invite), flow, {});
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
