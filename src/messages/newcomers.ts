/**
 * Who has just logged in, until it is known whether something waits for him. For nearly everybody nothing does, and all
 * phones of a node may come at once: so they are asked about together, and nothing is made for each of them.
 */
import { isUnavailable } from '../base/errors.ts';
import type { Log, Timers } from '../base/ports.ts';
import type { MessageStore } from '../directory/message-store.ts';
import { RECIPIENTS_MAX } from '../directory/message-store.ts';

export interface Newcomers {
  add(uid: string): void;
  /** Whether it is not known yet what waits for him. */
  has(uid: string): boolean;
}

export interface NewcomersDeps {
  readonly store: Pick<MessageStore, 'recipientsAmong'>;
  readonly timers: Timers;
  readonly log: Log;
  /** The answer to what a user asked for should be there first, and others may come meanwhile. */
  readonly settleMs: number;
  /** Something waits for him. */
  readonly onWaiting: (uid: string) => void;
  /** The directory could not be asked. */
  readonly onDoubt: (uid: string) => void;
}

export function createNewcomers({ store, timers, log, settleMs, onWaiting, onDoubt }: NewcomersDeps): Newcomers {
  let coming = new Set<string>();
  /** Those who are asked about now. */
  let asked = new Set<string>();

  const askOf = async (uids: readonly string[]): Promise<void> => {
    try {
      const recipients = await store.recipientsAmong(uids);
      for (const uid of uids) if (recipients.has(uid)) onWaiting(uid);
    } catch (error) {
      if (!isUnavailable(error)) log.error({ err: error }, 'it is not known for whom messages wait');
      for (const uid of uids) onDoubt(uid);
    }
  };
  const ask = async (): Promise<void> => {
    [coming, asked] = [asked, coming];
    const uids = [...asked];
    for (let at = 0; at < uids.length; at += RECIPIENTS_MAX) await askOf(uids.slice(at, at + RECIPIENTS_MAX));
    asked.clear();
    if (coming.size > 0) askSoon();
  };
  const askSoon = (): void => {
    timers.after(settleMs, () => void ask());
  };

  return {
    add(uid) {
      // Where somebody is asked about, the rest is asked about after that.
      const isFirst = coming.size === 0 && asked.size === 0;
      coming.add(uid);
      if (isFirst) askSoon();
    },
    has: (uid) => coming.has(uid) || asked.has(uid),
  };
}
