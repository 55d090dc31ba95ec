/**
 * For whom something was stored lately, by whatever node: how the node where the recipient is online learns of it. After
 * a start it learns so of all that is stored.
 */
import type { Clock } from '../base/ports.ts';
import type { MessageStore } from '../directory/message-store.ts';
import { RECENT_PAGE } from '../directory/message-store.ts';

/** Transactions that were under way together may end in another order than that of their numbers. */
const OVERLAP_MS = 5_000;

export interface Feed {
  /** Stored by this node, which knows of it. */
  own(number: number): void;
  /** One page. Rejects as the directory does. */
  read(): Promise<void>;
}

export function createFeed(store: MessageStore, clock: Clock, onStored: (to: string) => void): Feed {
  /** All up to this number were seen. */
  let settled = 0;
  /** Those behind it that were seen, and when. */
  const seen = new Map<number, number>();
  const settle = (number: number): void => {
    settled = Math.max(settled, number);
    for (const one of seen.keys()) if (one <= settled) seen.delete(one);
  };
  return {
    own(number) {
      seen.set(number, clock.now());
    },
    async read() {
      const page = await store.recent(settled);
      const nowMs = clock.now();
      for (const { number, to } of page) {
        if (seen.has(number)) continue;
        seen.set(number, nowMs);
        onStored(to);
      }
      // Where it comes so thick, what is late must wait for the next login of its recipient.
      const last = page.at(-1);
      let upTo = 0;
      if (page.length === RECENT_PAGE && last !== undefined) upTo = last.number;
      else for (const [number, atMs] of seen) if (nowMs - atMs >= OVERLAP_MS) upTo = Math.max(upTo, number);
      settle(upTo);
    },
  };
}
