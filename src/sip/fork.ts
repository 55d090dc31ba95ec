/**
 * A request that is sent on: the response context of a stateful proxy (RFC 3261 16.6–16.10). Its targets are tried in
 * groups; all of a group at once, the next group when the one before has failed or rang in vain.
 */
import { flatText } from '../base/flat-text.ts';
import type { Timer } from '../base/ports.ts';
import { bestOf, otherChallenges } from './best-response.ts';
import type { Final } from './best-response.ts';
import { openBranch } from './branch.ts';
import type { Branch, BranchUser } from './branch.ts';
import type { Inbound, SipContext } from './context.ts';
import { answer, hold, ownUri, readOf } from './context.ts';
import type { Flow } from './flow.ts';
import { forwardRequest, relayResponse } from './forward-message.ts';
import type { AnyResponse } from './message.ts';
import type { Target } from './outgoing.ts';
import { viaOf } from './outgoing.ts';
import type { ExtraHeader } from './response.ts';
import { viaLines } from './response.ts';
import { loopHash } from './routing.ts';
import type { Transaction, TransactionUser } from './transaction.ts';

/** Of one request, over all groups. */
export const BRANCHES_MAX = 25;

/** These make a dialog, so that what follows must find the way through us (16.6 step 4). */
const RECORDED: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE', 'REFER']);

export interface ForkTarget extends Target {
  /** Header lines for this target alone. */
  readonly more?: string;
}

export interface Plan {
  readonly groups: readonly (readonly ForkTarget[])[];
  /** How long a group of an INVITE rings where there is something else to try. */
  readonly ringMs: number;
  /** Whether there is, besides the groups. */
  readonly hasMore: boolean;
}

/** Why a whole plan has failed; `other`: somebody refused. */
export type Cause = 'busy' | 'no-answer' | 'unreachable' | 'other';

export type Step =
  | { readonly kind: 'try'; readonly plan: Plan }
  | { readonly kind: 'answer'; readonly status: number; readonly headers?: readonly ExtraHeader[] };

/** What to do instead when a plan has failed; null: tell the caller of the failure. */
export type Instead = (cause: Cause) => Step | null | Promise<Step | null>;

/** A target that is tried. */
class Attempt implements BranchUser {
  branch: Branch | undefined;
  isOver = false;
  /** It rang in vain; whether it is answered after all is still of interest. */
  isGivenUp = false;
  readonly #fork: Fork;

  constructor(fork: Fork) {
    this.#fork = fork;
  }

  onProvisional(response: AnyResponse): void {
    this.#fork.onProvisional(response);
  }

  onFinal(status: number, response: AnyResponse | null): void {
    this.isOver = true;
    if (response !== null && status < 300) this.#fork.onSuccess(response);
    else this.#fork.onFailure({ status, response: response?.whole ?? null });
  }
}

/** Sends the request on; all that follows happens by itself. */
export function fork(context: SipContext, inbound: Inbound, plan: Plan, instead?: Instead): void {
  const vias = viaLines(readOf(inbound));
  if (vias.length > VIAS_MAX) answer(inbound, 513);
  else new Fork(context, inbound, vias, plan, instead).start();
}
/** Characters: more than 70 hops have. They are kept for half a minute when an INVITE has been answered. */
const VIAS_MAX = 8_192;

class Fork implements TransactionUser {
  readonly #context: SipContext;
  /** null when it is over: an answered INVITE is kept for long, because others may answer it too. */
  #inbound: Inbound | null;
  readonly #transaction: Transaction;
  readonly #isInvite: boolean;
  /** As they came: for the request that is sent on, and for its responses. */
  #vias: string;
  readonly #loopHash: string;
  #instead: Instead | undefined;
  #attempts: Attempt[] = [];
  #finals: Final[] = [];
  #plan: Plan;
  #groups: (readonly ForkTarget[])[];
  /** Where the finals of this plan begin. */
  #planAt = 0;
  #ring: Timer | undefined;
  #rangInVain = false;
  #rings = false;
  /** No further target is tried. */
  #isLast = false;
  #isCancelled = false;
  /** A final response went upstream. */
  #isOver = false;
  #isOpening = false;
  #isAsking = false;
  #ownAnswer: Extract<Step, { kind: 'answer' }> | null = null;

  constructor(context: SipContext, inbound: Inbound, vias: string, plan: Plan, instead: Instead | undefined) {
    this.#context = context;
    this.#plan = plan;
    this.#groups = [...plan.groups];
    this.#instead = instead;
    const request = readOf(inbound);
    this.#isInvite = request.method === 'INVITE';
    this.#vias = vias;
    this.#loopHash = loopHash(request);
    const held = hold(context, inbound, this);
    this.#inbound = held;
    this.#transaction = held.transaction;
  }

  start(): void {
    this.#tryNext();
  }

  get #call(): Inbound {
    if (this.#inbound === null) throw new Error('the request is over');
    return this.#inbound;
  }

  #tryNext(): void {
    const group = this.#groups.shift();
    if (group === undefined) {
      this.#exhausted();
      return;
    }
    this.#isOpening = true;
    for (const target of group) if (this.#attempts.length < BRANCHES_MAX && !this.#isOver) this.#open(target);
    this.#isOpening = false;
    if (this.#isInvite && (this.#groups.length > 0 || this.#plan.hasMore)) {
      this.#ring?.cancel();
      this.#ring = this.#context.timers.after(this.#plan.ringMs, () => {
        this.#giveUp();
      });
    }
    this.#settle();
  }

  #open(target: ForkTarget): void {
    const { flow } = target;
    if (flow.isReliable && this.#context.flows.findConnection(flow.id) === undefined) {
      this.#finals.push({ status: 503, response: null });
      return;
    }
    const { method } = readOf(this.#call);
    const branchId = `${this.#context.ids.branch()}.${this.#loopHash}`;
    const bytes = this.#requestFor(target, branchId);
    if (bytes === null) {
      this.#finals.push({ status: 513, response: null });
      return;
    }
    // Its final response may come before openBranch() returns.
    const attempt = new Attempt(this);
    this.#attempts.push(attempt);
    const branch = openBranch(this.#context, { method, branch: branchId }, bytes, flow, attempt);
    attempt.branch = branch;
    if (this.#isCancelled || this.#isOver) branch.cancel();
  }

  #requestFor({ uri, flow, route, more = '' }: ForkTarget, branch: string): Buffer | null {
    const { settings } = this.#context;
    const request = readOf(this.#call);
    const via = viaOf(this.#context, flow, branch);
    const isRecorded = RECORDED.has(request.method) && request.toTag === undefined;
    const recordRoute = isRecorded ? [this.#side(flow), this.#side(this.#call.flow)] : [];
    return forwardRequest(request, { uri, via, vias: this.#vias, recordRoute, route, more }, settings.realm);
  }

  /** A Record-Route for each side, because they may use different transports; each names the flow of its side. */
  #side(flow: Flow): string {
    const { tokens } = this.#context;
    return `<${ownUri(this.#context, flow, ';lr', tokens.make(flow, readOf(this.#call).callId))}>`;
  }

  #relay(response: AnyResponse, more = ''): void {
    this.#transaction.respond(response.status, relayResponse(this.#vias, response, more));
  }

  onProvisional(response: AnyResponse): void {
    this.#rings = true;
    if (!this.#isOver) this.#relay(response);
  }

  onSuccess(response: AnyResponse): void {
    // Of two phones that were answered at once, both calls reach the caller (16.7 step 5).
    if (this.#isOver && !this.#isInvite) return;
    // First: it may be good only until something else is sent.
    const bytes = relayResponse(this.#vias, response);
    if (!this.#isOver) this.#end();
    this.#transaction.respond(response.status, bytes);
  }

  onFailure(final: Final): void {
    if (this.#isOver) return;
    this.#finals.push(final);
    if (final.status >= 600) this.#dropGroups();
    this.#settle();
  }

  /** The group rang long enough. What of it is answered from now on counts all the same. */
  #giveUp(): void {
    this.#rangInVain = true;
    for (const attempt of this.#attempts) {
      attempt.isGivenUp = true;
      attempt.branch?.cancel();
    }
    this.#settle();
  }

  /** The caller's CANCEL. */
  onCancel(): void {
    if (this.#isOver) return;
    this.#isCancelled = true;
    this.#isLast = true;
    this.#dropGroups();
    this.#settle();
  }

  #dropGroups(): void {
    this.#groups = [];
    this.#ring?.cancel();
    for (const { branch } of this.#attempts) branch?.cancel();
  }

  /** The caller's transaction has ended. */
  onEnd(): void {
    if (!this.#isOver) this.#end();
  }

  #end(): void {
    this.#isOver = this.#isLast = true;
    this.#dropGroups();
    this.#release();
  }

  /** What of it is only of use while it is under way. */
  #release(): void {
    this.#inbound = null;
    this.#instead = undefined;
    this.#plan = OVER;
    this.#vias = flatText(this.#vias);
    this.#groups = [];
    this.#attempts = [];
    this.#finals = [];
  }

  /** Goes on where nothing of this group is awaited any more. */
  #settle(): void {
    if (this.#isOver || this.#isOpening || this.#isAsking) return;
    if (this.#attempts.some(({ isOver, isGivenUp }) => !isOver && !isGivenUp)) return;
    this.#ring?.cancel();
    if (!this.#isLast) this.#tryNext();
    else if (this.#attempts.every(({ isOver }) => isOver)) this.#finish();
  }

  #exhausted(): void {
    if (this.#instead === undefined) {
      this.#isLast = true;
      this.#settle();
      return;
    }
    const step = this.#instead(this.#cause());
    if (!(step instanceof Promise)) {
      this.#take(step);
      return;
    }
    this.#isAsking = true;
    void step
      .catch((error: unknown) => {
        this.#context.log.warn({ err: error }, 'a call could not be forwarded');
        return null;
      })
      .then((found) => {
        this.#isAsking = false;
        this.#take(found);
      });
  }

  #take(step: Step | null): void {
    if (step === null || step.kind === 'answer' || this.#isLast) {
      this.#isLast = true;
      if (step?.kind === 'answer') this.#ownAnswer = step;
      this.#settle();
      return;
    }
    this.#plan = step.plan;
    this.#groups = [...step.plan.groups];
    this.#planAt = this.#finals.length;
    this.#rings = this.#rangInVain = false;
    this.#tryNext();
  }

  #cause(): Cause {
    if (this.#rangInVain) return 'no-answer';
    const finals = this.#finals.slice(this.#planAt);
    if (finals.some(({ status }) => status === 486 || status === 600)) return 'busy';
    if (!finals.every(({ status }) => NOBODY_ANSWERED.has(status))) return 'other';
    return this.#rings ? 'no-answer' : 'unreachable';
  }

  #finish(): void {
    const best = bestOf(this.#finals);
    this.#isOver = true;
    const call = this.#call;
    if (this.#isCancelled) answer(call, 487);
    else if (this.#ownAnswer !== null) answer(call, this.#ownAnswer.status, this.#ownAnswer.headers);
    else if (best.response !== null && best.status !== 503) {
      this.#relay(best.response, otherChallenges(best, this.#finals));
    } else if (best.response !== null) answer(call, 500);
    else if (best.status === 513) answer(call, 513);
    else if (best.status !== 408) answer(call, 480);
    else if (this.#isInvite) answer(call, 408);
    // RFC 4320 4.2: the caller of another method has given up by himself.
    else this.#transaction.end('timeout');
    this.#release();
  }
}

const OVER: Plan = { groups: [], ringMs: 0, hasMore: false };

const NOBODY_ANSWERED: ReadonlySet<number> = new Set([408, 410, 430, 480, 487, 503]);
