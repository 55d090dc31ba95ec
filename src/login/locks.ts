/** One thing at a time a uid: logins of the same user follow one another in the order in which they came. */
import { VserverError } from '../base/errors.ts';

/** More logins of one uid than this don't wait for each other: the newest are refused. */
const WAITING_MAX = 16;

export class UidLocks {
  readonly #chains = new Map<string, { tail: Promise<unknown>; length: number }>();

  /** Runs `work` after all earlier work for the uid; rejects with SLOW_DOWN where too much waits already. */
  async run<T>(uid: string, work: () => Promise<T>): Promise<T> {
    const chain = this.#chains.get(uid) ?? { tail: Promise.resolve(), length: 0 };
    if (chain.length >= WAITING_MAX) throw new VserverError('SLOW_DOWN', undefined, { retryAfter: 1 });
    this.#chains.set(uid, chain);
    chain.length++;
    const result = chain.tail.then(work);
    chain.tail = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      chain.length--;
      if (chain.length === 0) this.#chains.delete(uid);
    }
  }

  /** Users for whom work is under way. */
  get count(): number {
    return this.#chains.size;
  }

  /** Whether work for the uid is under way. */
  isBusy(uid: string): boolean {
    return this.#chains.has(uid);
  }
}
