/**
 * What waits for users who are online here, brought to them in its order: one message of a user at a time, the next one
 * when a device has taken it. Where nobody answers it stops, until something new happens to the user.
 */
import type { Clock, Log, Timers } from '../base/ports.ts';
import type { Message, MessageStore, StoredMessage } from '../directory/message-store.ts';
import { isUnavailable } from '../base/errors.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { DeviceAnswer } from './delivery.ts';

/** Messages are kept so long: 7 days. */
export const KEPT_MS = 7 * 24 * 60 * 60 * 1000;
/** Mailboxes that are emptied at the same time: each of them asks the directory, those of many logins together. */
const EMPTYING_MAX = 128;
/** The answer to what the user asked for should be there first. */
const SETTLE_MS = 100;
/** A device that answers heartbeats, but no messages, is tried less and less often. */
const RETRY_MS = 15_000;
const RETRY_MS_MAX = 60 * 60 * 1000;

interface Mailbox {
  /** Deliveries past the mailbox that are under way: their messages may be stored by now. */
  direct: number;
  state: 'waiting' | 'queued' | 'emptying';
  /** Something may be in the store for him. */
  mayHold: boolean;
  /** Something happened meanwhile: to be emptied again. */
  isWanted: boolean;
  /** After a try in vain: no sooner for a mere sign of life. */
  retryAtMs: number;
  retryPauseMs: number;
}

export interface Mailboxes {
  /** Something may wait for him, so that what is new has to wait behind it. */
  has(uid: string): boolean;
  /** Something may wait, and it makes sense to try: it is new, or the user has shown himself. */
  wake(uid: string): void;
  /** Something was stored that no device has answered: to be tried when he is heard of again. */
  hold(uid: string): void;
  /** A sign of life: what was tried in vain is tried again, where it is time. On the path of the heartbeats. */
  heard(row: number): void;
  /** Keeps the mailbox shut until `delivery` has ended. */
  during(uid: string, delivery: Promise<unknown>): void;
  /** Forgets those who are no longer online here. */
  tidy(): void;
}

export interface MailboxDeps {
  readonly table: OnlineTable;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly deliver: (message: Message) => Promise<DeviceAnswer>;
  /** Whether a device took it already, and it could not be removed then. */
  readonly isDelivered: (message: Message) => boolean;
}

export function createMailboxes(store: MessageStore, deps: MailboxDeps): Mailboxes {
  const { table, clock, timers, log } = deps;
  const boxes = new Map<string, Mailbox>();

  const boxOf = (uid: string): Mailbox => {
    const box = boxes.get(uid) ?? {
      ...{ direct: 0, state: 'waiting', mayHold: false, isWanted: false },
      ...{ retryAtMs: 0, retryPauseMs: RETRY_MS },
    };
    boxes.set(uid, box);
    return box;
  };
  const inVain = (box: Mailbox): void => {
    box.retryAtMs = clock.now() + box.retryPauseMs;
    box.retryPauseMs = Math.min(box.retryPauseMs * 2, RETRY_MS_MAX);
  };
  const isOnline = (uid: string): boolean => table.users.find(uid) >= 0;

  const start = (uid: string, box: Mailbox): void => {
    if (box.state !== 'waiting' || box.direct > 0 || !box.isWanted) return;
    box.isWanted = false;
    box.state = 'queued';
    timers.after(SETTLE_MS, () => {
      enqueue(uid);
    });
  };
  const settle = (uid: string, box: Mailbox): void => {
    if (box.state === 'waiting' && box.direct === 0 && !box.mayHold) boxes.delete(uid);
    else start(uid, box);
  };
  const run = async (uid: string): Promise<void> => {
    const box = boxOf(uid);
    box.state = 'emptying';
    let isEmpty = false;
    try {
      isEmpty = await empty(store, deps, uid);
    } catch (error) {
      if (!isUnavailable(error)) log.error({ err: error, uid }, 'messages that wait could not be delivered');
    }
    box.state = 'waiting';
    // What was stored since asked for another round.
    if (!isEmpty) inVain(box);
    else if (!box.isWanted) box.mayHold = false;
    settle(uid, box);
  };
  const enqueue = createQueue(EMPTYING_MAX, run);
  const wake = (uid: string): void => {
    if (!isOnline(uid)) return;
    const box = boxOf(uid);
    box.mayHold = true;
    // What is queued has not been read yet.
    if (box.state !== 'queued') box.isWanted = true;
    start(uid, box);
  };

  return {
    has: (uid) => boxes.get(uid)?.mayHold === true,
    wake,
    hold(uid) {
      if (!isOnline(uid)) return;
      const box = boxOf(uid);
      box.mayHold = true;
      inVain(box);
    },
    heard(row) {
      if (boxes.size === 0) return;
      const uid = table.uidOf(row);
      const box = boxes.get(uid);
      if (box?.mayHold === true && box.state === 'waiting' && clock.now() >= box.retryAtMs) wake(uid);
    },
    during(uid, delivery) {
      const box = boxOf(uid);
      box.direct++;
      void delivery.finally(() => {
        box.direct--;
        settle(uid, box);
      });
    },
    tidy() {
      for (const [uid, box] of boxes) {
        if (box.state === 'waiting' && box.direct === 0 && !isOnline(uid)) boxes.delete(uid);
      }
    },
  };
}

/** Runs it for each that is put in, for at most `max` at the same time, in their order. `run` never rejects. */
function createQueue(max: number, run: (uid: string) => Promise<void>): (uid: string) => void {
  const queue: string[] = [];
  let running = 0;
  const next = (): void => {
    if (running >= max) return;
    const uid = queue.shift();
    if (uid === undefined) return;
    running++;
    void run(uid).finally(() => {
      running--;
      next();
    });
  };
  return (uid) => {
    queue.push(uid);
    next();
  };
}

/** Whether nothing is left but what his devices refused. */
async function empty(store: MessageStore, deps: MailboxDeps, uid: string): Promise<boolean> {
  let after = 0;
  for (;;) {
    const page = await store.list(uid, after, deps.clock.now() - KEPT_MS);
    if (page.length === 0) return true;
    for (const message of page) {
      const answer = deps.isDelivered(message) ? 'taken' : await deps.deliver(plain(message));
      if (answer === 'silent') return false;
      if (answer === 'taken') await store.remove(uid, message.number);
      after = message.number;
    }
  }
}

function plain({ from, to, id, contentType, body, sentAt }: StoredMessage): Message {
  return { from, to, id, contentType, body, sentAt };
}
