/** One way on which a request is tried: its client transaction, timer C and CANCEL (RFC 3261 16.6 step 11, 16.8, 9.1). */
import type { Timer } from '../base/ports.ts';
import type { SipContext } from './context.ts';
import type { Flow } from './flow.ts';
import { makeCancel } from './forward-message.ts';
import { SipRequest } from './message.ts';
import type { AnyResponse } from './message.ts';
import { parseMessage } from './message.ts';
import { T1 } from './transaction.ts';
import type { EndReason, Transaction, TransactionUser } from './transaction.ts';
import type { ClientRequest } from './transactions.ts';

/** More than three minutes (16.6 step 11), again from each provisional response on. */
export const TIMER_C_MS = 181_000;

export interface BranchUser {
  /** 101–199. */
  onProvisional(response: AnyResponse): void;
  /** A final response; of an INVITE each 2xx. null: none came (408), or the flow is closed (503). */
  onFinal(status: number, response: AnyResponse | null): void;
}

export interface Branch {
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
  const branch = new OpenBranch(context, request, flow, user);
  branch.open(bytes);
  return branch;
}

/** One object, which its transaction calls: there are very many, and those of answered INVITEs stay for half a minute. */
class OpenBranch implements Branch, TransactionUser {
  readonly #context: SipContext;
  readonly #request: ClientRequest;
  readonly #flow: Flow;
  readonly #user: BranchUser;
  readonly #isInvite: boolean;
  #transaction: Transaction | undefined;
  #timer: Timer | undefined;
  #state: 'calling' | 'proceeding' | 'over' = 'calling';
  #cancelled: 'no' | 'wanted' | 'sent' = 'no';

  constructor(context: SipContext, request: ClientRequest, flow: Flow, user: BranchUser) {
    this.#context = context;
    this.#request = request;
    this.#flow = flow;
    this.#user = user;
    this.#isInvite = request.method === 'INVITE';
  }

  open(bytes: Buffer): void {
    if (this.#isInvite) this.#waitForC();
    this.#transaction = this.#context.transactions.openClient(this.#request, bytes, this.#flow, this);
  }

  cancel(): void {
    if (!this.#isInvite || this.#state === 'over' || this.#cancelled !== 'no') return;
    if (this.#state === 'proceeding') this.#sendCancel();
    else this.#cancelled = 'wanted';
  }

  onResponse(response: AnyResponse): void {
    const { status } = response;
    if (status >= 200) {
      this.#end(status, response);
      return;
    }
    if (this.#state === 'over') return;
    this.#state = 'proceeding';
    if (this.#isInvite && this.#cancelled === 'no' && status > 100) this.#waitForC();
    // First: it may be good only until something else is sent.
    if (status > 100) this.#user.onProvisional(response);
    if (this.#cancelled === 'wanted') this.#sendCancel();
  }

  onEnd(reason: EndReason): void {
    if (this.#state !== 'over') this.#end(reason === 'timeout' ? 408 : 503, null);
  }

  #end(status: number, response: AnyResponse | null): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#state = 'over';
    this.#user.onFinal(status, response);
  }

  #waitForC(): void {
    this.#wait(TIMER_C_MS, () => {
      if (this.#state === 'proceeding') this.#sendCancel();
      else this.#transaction?.end('timeout');
    });
  }

  #sendCancel(): void {
    this.#cancelled = 'sent';
    const request = { method: 'CANCEL', branch: this.#request.branch };
    const sent = this.#transaction?.sent ?? null;
    const invite = sent === null ? null : parseMessage(sent);
    if (!(invite instanceof SipRequest)) throw new Error('malformed INVITE of our own');
    this.#context.transactions.openClient(request, makeCancel(invite), this.#flow, {});
    // 9.1: the answer to the INVITE may never come.
    this.#wait(64 * T1, () => {
      this.#transaction?.end('timeout');
    });
  }

  #wait(ms: number, then: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#context.timers.after(ms, then);
  }
}
