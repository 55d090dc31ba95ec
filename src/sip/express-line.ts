/**
 * First REGISTERs that wait for their turn at the directory (login/intake.ts). Thousands of them do for seconds, so they
 * are kept as bytes, which the garbage collector has nothing to do with, and read again when it is their turn.
 */
import { createByteQueue } from '../base/byte-queue.ts';
import { isTooLate, WAITING_MAX } from '../login/intake.ts';
import type { Inbound, SipContext } from './context.ts';
import type { ExpressLane } from './express-head.ts';
import { ExpressHead } from './express-head.ts';
import type { Flow } from './flow.ts';
import { readMessage } from './flow.ts';
import { SipRequest } from './message.ts';
import { onRegister, refuseNow } from './registrar.ts';

/** Room for requests that are longer than usual: some 1,000 bytes each where as many wait as may. */
const BYTES_MAX = 16 * 1024 * 1024;

export interface LoginLine {
  /** Lets the request wait for its turn; what repeats it is known by the key meanwhile. False: there is no room. */
  add(key: string, message: Buffer, flow: Flow, cameMs: number): boolean;
}

/** `begin` logs in whose turn it is, and leaves the intake when that is done. False: it has done nothing. */
export function createLoginLine(context: SipContext, begin: ExpressLane): LoginLine {
  const { intake, waiting, cases, log } = context;
  const queue = createByteQueue(WAITING_MAX, BYTES_MAX);
  const keys: string[] = [];
  const flows: (Flow | undefined)[] = [];
  const cameMs: number[] = [];
  const head = new ExpressHead();

  const giveUp = (): void => {
    intake.giveUp(cases.clock.now());
  };
  const deal = (bytes: Buffer, flow: Flow, atMs: number): void => {
    let hasBegun = false;
    try {
      const isLate = isTooLate(atMs, cases.clock.now());
      hasBegun = !isLate && head.read(bytes) && begin(head, flow, atMs);
      if (!hasBegun) (isLate ? refuseNow : onRegister)(context, new KeptInbound(Buffer.from(bytes), flow, atMs));
    } catch (error) {
      // What is wrong with this one is nothing to the one whose leaving has made it its turn.
      log.error({ err: error }, 'a REGISTER that waited could not be dealt with');
    }
    // One after the other also where all that wait come to this.
    if (!hasBegun) queueMicrotask(giveUp);
  };
  const turn = (): void => {
    const slot = queue.firstSlot;
    const flow = flows[slot];
    if (flow === undefined) throw new Error('nobody waits');
    const bytes = queue.first();
    queue.drop();
    flows[slot] = undefined;
    waiting.delete(keys[slot] ?? '');
    deal(bytes, flow, cameMs[slot] ?? 0);
  };

  return {
    add(key, message, flow, atMs) {
      const slot = queue.add(message, 0, message.length);
      if (slot < 0) return false;
      keys[slot] = key;
      flows[slot] = flow;
      cameMs[slot] = atMs;
      waiting.set(key, IN_LINE);
      intake.enter(turn, atMs);
      return true;
    },
  };
}

const IN_LINE = { cancelled: false };

/** A request of the express lane, parsed when it is asked for. */
export class KeptInbound implements Inbound {
  readonly flow: Flow;
  readonly cameMs: number;
  readonly #message: Buffer;
  #request: SipRequest | null = null;

  constructor(message: Buffer, flow: Flow, cameMs: number) {
    this.#message = message;
    this.flow = flow;
    this.cameMs = cameMs;
  }

  get request(): SipRequest {
    if (this.#request !== null) return this.#request;
    const request = readMessage(this.#message, this.flow);
    if (!(request instanceof SipRequest)) throw new Error('a request was taken that is none');
    this.#request = request;
    return request;
  }
}
