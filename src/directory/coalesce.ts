/** Many small operations at once as few large ones: what comes while others are under way is asked together. */
import { VserverError } from '../base/errors.ts';

export interface Batches<Item, Answer> {
  /** Items in one batch. */
  readonly itemsMax: number;
  /** Batches under way at once; the rest waits and grows into the next one. */
  readonly batchesMax: number;
  /** One item by itself, exactly as in a batch. */
  readonly single: (item: Item) => Promise<Answer>;
  /**
   * One answer an item, in their order. Where it rejects, each item is done again by itself: what may be done by then
   * must bear that.
   */
  readonly batch: (items: readonly Item[]) => Promise<readonly Answer[]>;
}

const WAITING_MAX = 1_024;

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer | PromiseLike<Answer>) => void;
}

/**
 * `single` for many callers: items of one turn of the event loop go together. Where a batch fails, each of its items
 * is done again by itself, so that a bad one fails alone. Rejects with OVERLOADED where too many wait.
 */
export function coalesced<Item, Answer>(batches: Batches<Item, Answer>): (item: Item) => Promise<Answer> {
  const { itemsMax, batchesMax, single, batch } = batches;
  let waiting: Waiting<Item, Answer>[] = [];
  let underWay = 0;
  let scheduled = false;

  const runOne = async (group: readonly Waiting<Item, Answer>[]): Promise<void> => {
    const [first] = group;
    if (first === undefined) return;
    if (group.length === 1) {
      const answer = single(first.item);
      first.resolve(answer);
      await answer.catch(() => undefined);
      return;
    }
    try {
      const answers = await batch(group.map(({ item }) => item));
      for (const [i, { resolve }] of group.entries()) resolve(answers[i] as Answer);
    } catch {
      for (const { item, resolve } of group) resolve(single(item));
    }
  };
  const runWaiting = (): void => {
    scheduled = false;
    while (waiting.length > 0 && underWay < batchesMax) {
      const group = waiting.slice(0, itemsMax);
      waiting = waiting.slice(itemsMax);
      underWay++;
      void runOne(group).finally(() => {
        underWay--;
        schedule();
      });
    }
  };
  const schedule = (): void => {
    if (scheduled || waiting.length === 0 || underWay >= batchesMax) return;
    scheduled = true;
    setImmediate(runWaiting);
  };

  return (item) =>
    new Promise((resolve) => {
      if (waiting.length >= WAITING_MAX) throw new VserverError('OVERLOADED', undefined, { retryAfter: 1 });
      waiting.push({ item, resolve });
      schedule();
    });
}
