/** What the four state machines of RFC 3261 17 share: a state, named timers, a flow to send on, one end. */
import type { Timer, Timers } from '../base/ports.ts';
import type { Flow } from './flow.ts';
import type { SipRequest, SipResponse } from './message.ts';

/** Milliseconds (RFC 3261 17.1.1.1): round trip; longest pause between retransmissions; life of a message on the way. */
export const T1 = 500;
export const T2 = 4_000;
export const T4 = 5_000;

export type TimerName = 'A' | 'B' | 'D' | 'E' | 'F' | 'G' | 'H' | 'I' | 'J' | 'K' | 'L' | 'M' | '100';

export type TransactionEvent =
  /** First, when the transaction stands in its table. */
  | { readonly type: 'start' }
  /** A retransmission of the request, to a server transaction. */
  | { readonly type: 'request' }
  | { readonly type: 'ack'; readonly request: SipRequest }
  /** The server's own response. */
  | { readonly type: 'respond'; readonly status: number; readonly bytes: Buffer }
  /** A response from the other end, to a client transaction. */
  | { readonly type: 'response'; readonly response: SipResponse }
  | { readonly type: 'timer'; readonly name: TimerName };

/** timeout: no answer or no ACK came; transport: the flow has closed; dropped: there were too many. */
export type EndReason = 'done' | 'timeout' | 'transport' | 'dropped';

export type StateName = 'calling' | 'trying' | 'proceeding' | 'accepted' | 'completed' | 'confirmed';

/** One function a state. An event that it does not know changes nothing. */
export type States = Readonly<Partial<Record<StateName, (tx: Transaction, event: TransactionEvent) => void>>>;

export interface TransactionUser {
  /** Client: every response that is no retransmission (of 2xx to an INVITE: each one, RFC 6026 7.2). */
  onResponse?(response: SipResponse): void;
  /** Server: an ACK to a 2xx that has the branch of its INVITE (RFC 6026 7.1). */
  onAck?(request: SipRequest): void;
  /** Server: the INVITE is cancelled; that was answered 200 (RFC 3261 9.2). */
  onCancel?(): void;
  /** Once, last. */
  onEnd?(reason: EndReason): void;
}

export interface TransactionParts {
  readonly states: States;
  readonly first: StateName;
  readonly request: SipRequest;
  /** Client: the request as it is sent. */
  readonly bytes: Buffer | null;
  readonly flow: Flow;
  readonly timers: Timers;
  readonly user: TransactionUser;
  /** All is said: what is left is to answer retransmissions. */
  readonly lingers: () => void;
  /** What it keeps has become so many bytes longer, or shorter. */
  readonly grown: (bytes: number) => void;
  /** Takes the transaction out of its table. */
  readonly forget: () => void;
}

export class Transaction {
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly user: TransactionUser;
  readonly #parts: TransactionParts;
  readonly #timers = new Map<TimerName, Timer>();
  #state: StateName | 'terminated';
  /** What is sent again: the client's request or ACK, the server's last response. */
  #last: Buffer | null;
  /** Milliseconds of the pause that runs between two retransmissions. */
  pauseMs = T1;

  constructor(parts: TransactionParts) {
    this.request = parts.request;
    this.flow = parts.flow;
    this.user = parts.user;
    this.#parts = parts;
    this.#state = parts.first;
    this.#last = parts.bytes;
  }

  get state(): StateName | 'terminated' {
    return this.#state;
  }

  handle(event: TransactionEvent): void {
    if (this.#state !== 'terminated') this.#parts.states[this.#state]?.(this, event);
  }

  /** Server: sends this response. In a state that sends no more, nothing happens. */
  respond(status: number, bytes: Buffer): void {
    this.handle({ type: 'respond', status, bytes });
  }

  /** The timers of the state that is left don't run on. */
  enter(state: StateName): void {
    this.#cancelTimers();
    this.move(state);
  }

  /** As enter(), but the timers run on. */
  move(state: StateName): void {
    this.#state = state;
    if (state === 'completed' || state === 'accepted') this.#parts.lingers();
  }

  /** Bytes that are kept as long as it runs. */
  get size(): number {
    const { text, body } = this.request;
    return text.length + body.length + (this.#last?.length ?? 0);
  }

  /** `bytes` is what resend() sends from now on. */
  send(bytes: Buffer): void {
    if (this.#state !== 'terminated') this.#parts.grown(bytes.length - (this.#last?.length ?? 0));
    this.#last = bytes;
    this.flow.send(bytes);
  }

  resend(): void {
    if (this.#last !== null) this.flow.send(this.#last);
  }

  startTimer(name: TimerName, delayMs: number): void {
    this.#timers.get(name)?.cancel();
    const timer = this.#parts.timers.after(delayMs, () => {
      this.#timers.delete(name);
      this.handle({ type: 'timer', name });
    });
    this.#timers.set(name, timer);
  }

  /** The timer that ends the transaction: over a reliable transport, which repeats nothing, at once. */
  lingerFor(name: TimerName, delayMs: number): void {
    if (this.flow.isReliable) this.end('done');
    else this.startTimer(name, delayMs);
  }

  end(reason: EndReason): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#cancelTimers();
    this.#parts.forget();
    this.user.onEnd?.(reason);
  }

  #cancelTimers(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
