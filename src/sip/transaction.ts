/** What the four state machines of RFC 3261 17 share: a state, named timers, a flow to send on, one end. */
import { flatText } from '../base/flat-text.ts';
import type { Place } from '../base/oldest-first.ts';
import type { Timer, Timers } from '../base/ports.ts';
import type { Flow } from './flow.ts';
import type { AnyResponse, ReadRequest, SipRequest } from './message.ts';

/** Milliseconds (RFC 3261 17.1.1.1): round trip; longest pause between retransmissions; life of a message on the way. */
export const T1 = 500;
export const T2 = 4_000;
export const T4 = 5_000;

export type TimerName = 'A' | 'B' | 'D' | 'E' | 'F' | 'G' | 'H' | 'I' | 'L' | 'M' | '100';

export type TransactionEvent =
  /** First, when the transaction stands in its table. */
  | { readonly type: 'start' }
  /** A retransmission of the request, to a server transaction. */
  | { readonly type: 'request' }
  | { readonly type: 'ack' }
  /** The server's own response. */
  | { readonly type: 'respond'; readonly status: number; readonly bytes: Buffer }
  /** A response from the other end, to a client transaction. */
  | { readonly type: 'response'; readonly response: AnyResponse }
  | { readonly type: 'timer'; readonly name: TimerName };

/** timeout: no answer or no ACK came; transport: the flow has closed; dropped: there were too many. */
export type EndReason = 'done' | 'timeout' | 'transport' | 'dropped';

export type StateName = 'calling' | 'trying' | 'proceeding' | 'accepted' | 'completed' | 'confirmed';

/** One function a state. An event that it does not know changes nothing. */
export type States = Readonly<Partial<Record<StateName, (tx: Transaction, event: TransactionEvent) => void>>>;

export interface TransactionUser {
  /** Client: every response that is no retransmission (of 2xx to an INVITE: each one, RFC 6026 7.2). */
  onResponse?(response: AnyResponse): void;
  /** Client: instead of it, where nothing but the status is of interest. Not of an INVITE. */
  onStatus?(status: number): void;
  /** Server: the INVITE is cancelled; that was answered 200 (RFC 3261 9.2). */
  onCancel?(): void;
  /** Last, where it ends without a final response: afterwards nobody waits for it. */
  onEnd?(reason: EndReason): void;
}

/** The table in which transactions stand. */
export interface TransactionTable {
  readonly timers: Timers;
  /** All is said: what is left is to answer retransmissions. */
  lingers(tx: Transaction): void;
  /** What a transaction keeps has become so many bytes longer, or shorter. */
  grown(bytes: number): void;
  /** A server has answered for good: whoever asks again gets that again. */
  answered(tx: Transaction, bytes: Buffer): void;
  /** Takes it out. */
  forget(tx: Transaction): void;
}

/** A request that has come. */
export interface Asked {
  /** Where `read` is there, it is parsed only when it is asked for. */
  readonly request: SipRequest;
  /** Where its answers go. */
  readonly flow: Flow;
  readonly read?: ReadRequest;
}

export interface TransactionParts {
  readonly states: States;
  readonly first: StateName;
  /** By which it is found. */
  readonly key: string;
  /** Server: what is to be answered. */
  readonly asked: Asked | null;
  /** Client: the request as it is sent. */
  readonly bytes: Buffer | null;
  readonly flow: Flow;
  readonly user: TransactionUser;
}

/** Where a client sends its request again, or a server its response. */
const RESENDS: ReadonlySet<TimerName> = new Set(['A', 'E', 'G']);
const NOBODY: TransactionUser = {};

export class Transaction {
  readonly key: string;
  readonly flow: Flow;
  /** Where it stands among the others, for its table. */
  place: Place<Transaction> | undefined;
  readonly #table: TransactionTable;
  readonly #states: States;
  /** Released with the final response: many transactions only linger, and long. */
  #asked: Asked | null;
  #user: TransactionUser;
  #resends: Timer | undefined;
  #ends: Timer | undefined;
  #state: StateName | 'terminated';
  /** What is sent again: the client's request or ACK, the server's last response. */
  #last: Buffer | null;
  /** Milliseconds of the pause that runs between two retransmissions. */
  pauseMs = T1;

  constructor(table: TransactionTable, parts: TransactionParts) {
    this.key = flatText(parts.key);
    this.flow = parts.flow;
    this.#table = table;
    this.#states = parts.states;
    this.#asked = parts.asked;
    this.#user = parts.user;
    this.#state = parts.first;
    this.#last = parts.bytes;
  }

  get state(): StateName | 'terminated' {
    return this.#state;
  }

  /** Server: null when it has its final response. */
  get request(): SipRequest | null {
    return this.#asked?.request ?? null;
  }

  get user(): TransactionUser {
    return this.#user;
  }

  /** Client: the request as it was sent. */
  get sent(): Buffer | null {
    return this.#last;
  }

  handle(event: TransactionEvent): void {
    if (this.#state !== 'terminated') this.#states[this.#state]?.(this, event);
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
    if (state === 'completed' || state === 'accepted') this.#table.lingers(this);
  }

  /** It has its final response: nobody waits for anything any more. */
  release(): void {
    if (this.#asked !== null && this.#state !== 'terminated') this.#table.grown(-sizeOf(this.#asked));
    this.#asked = null;
    this.#user = NOBODY;
  }

  /** Server: the last answer; what is left of it is for the table. */
  finish(bytes: Buffer): void {
    this.flow.send(bytes);
    this.release();
    this.end('done');
    this.#table.answered(this, bytes);
  }

  /** Nothing is sent again. */
  sendsNoMore(): void {
    if (this.#last !== null) this.#table.grown(-this.#last.length);
    this.#last = null;
  }

  /** Bytes that are kept as long as it runs. */
  get size(): number {
    return this.key.length + (this.#asked === null ? 0 : sizeOf(this.#asked)) + (this.#last?.length ?? 0);
  }

  /** `bytes` is what resend() sends from now on. */
  send(bytes: Buffer): void {
    if (this.#state !== 'terminated') this.#table.grown(bytes.length - (this.#last?.length ?? 0));
    this.#last = bytes;
    this.flow.send(bytes);
  }

  resend(): void {
    if (this.#last !== null) this.flow.send(this.#last);
  }

  /** One that sends again and one other run at the same time. */
  startTimer(name: TimerName, delayMs: number): void {
    const isResend = RESENDS.has(name);
    (isResend ? this.#resends : this.#ends)?.cancel();
    const timer = this.#table.timers.after(delayMs, () => {
      if (isResend) this.#resends = undefined;
      else this.#ends = undefined;
      this.handle({ type: 'timer', name });
    });
    if (isResend) this.#resends = timer;
    else this.#ends = timer;
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
    this.#table.forget(this);
    const user = this.#user;
    this.release();
    user.onEnd?.(reason);
  }

  #cancelTimers(): void {
    this.#resends?.cancel();
    this.#ends?.cancel();
    this.#resends = this.#ends = undefined;
  }
}

/** The text holds the body too, which is kept besides. */
function sizeOf(asked: Asked): number {
  return asked.read?.size ?? asked.request.text.length + asked.request.body.length;
}
