/** A message that is sent again is no new one. */
import { createRecentDigests } from '../base/recent-digests.ts';
import type { Message } from '../directory/message-store.ts';
import type { Sender } from './direct-way.ts';
import { messageKey } from './message-key.ts';

export type Pass = (message: Message, sender: Sender) => void;

/** Messages by their keys, to tell repeated ones. */
export const REMEMBERED_MAX = 50_000;

/** Passes a message once under its key; who sends it again is told what came of it, unless it failed, while that is known. */
export function createOnce(pass: Pass): Pass {
  const underWay = new Map<string, Sender[]>();
  const lately = createRecentDigests(REMEMBERED_MAX);
  return (message, sender) => {
    const key = messageKey(message);
    const before = lately.get(key);
    const waiting = underWay.get(key);
    if (before !== 0) sender.sent(before === DELIVERED ? 'delivered' : 'stored');
    else if (waiting !== undefined) waiting.push(sender);
    else {
      const senders = [sender];
      underWay.set(key, senders);
      pass(message, {
        sent(outcome) {
          underWay.delete(key);
          if (outcome === 'delivered' || outcome === 'stored')
            lately.set(key, outcome === 'delivered' ? DELIVERED : STORED);
          for (const one of senders) one.sent(outcome);
        },
        failed(error) {
          underWay.delete(key);
          for (const one of senders) one.failed(error);
        },
      });
    }
  };
}
const DELIVERED = 1;
const STORED = 2;
