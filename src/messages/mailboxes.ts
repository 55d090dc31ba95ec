/**
 * What waits for users who are online here, brought to them in its order: one message of a user at a time, the next one
 * when a device has taken it. Where nobody answers it stops, until something new happens to the user.
 */
import type { Clock, Log, Timers } from '../base/ports.ts';
import type { Message, MessageStore, StoredMessage } from '../directory/message-store.ts';
import { isUnavailable } from '../base/errors.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { DeviceAnswer } from './delivery.ts';
import { createNewcomers } from './newcomers.ts';

/** Messages are kept so long: 7 days. */
export const KEPT_MS = 7 * 24 * 60 * 60 * 1000;
/** Mailboxes that are emptied at the same time: each of them asks the directory. */
const EMPTYING_MAX = 128;
/** The answer to what the user asked for should be there first. */
const SETTLE_MS = 100;
/** A device that answers heartbeats, but no messages, is tried less and less often. */
const RETRY_MS = 15_000;
const RETRY_MS_MAX = 60 * 60 * 1000;

interface Mailbox {
  /** Of the user in the online table when something new happened to him last; -1: nothing has yet. */
  userRow: number;
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
  /** The user has logged in: what waits for him is brought. */
  arrived(uid: string): void;
  /** Something may wait, and it makes sense to try: it is new, or the user has shown himself. */
  wake(uid: string): void;
  /** Something was stored that no device has answered: to be tried when he is heard of again. */
  hold(uid: string): void;
  /** A sign of life: what was tried in vain is tried again, where it is time. On the path of the heartbeats. */
  heard(row: number): void;
  /** Keeps the mailbox shut until as many opened() were called: a delivery past it is under way. */
  shut(uid: string): void;
  opened(uid: string): void;
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
  const boxes = createBoxes(table);
  /** How many deliveries past the mailbox are under way: their messages may be stored by now. */
  const direct = new Map<string, number>();

  const inVain = (box: Mailbox): void => {
    box.retryAtMs = clock.now() + box.retryPauseMs;
    box.retryPauseMs = Math.min(box.retryPauseMs * 2, RETRY_MS_MAX);
  };
  const start = (uid: string, box: Mailbox, afterMs = SETTLE_MS): void => {
    if (box.state !== 'waiting' || direct.has(uid) || !box.isWanted) return;
    box.isWanted = false;
    box.state = 'queued';
    timers.after(afterMs, () => {
      enqueue(uid);
    });
  };
  const settle = (uid: string, box: Mailbox): void => {
    if (box.state === 'waiting' && !box.mayHold) boxes.remove(uid);
    else start(uid, box);
  };
  const run = async (uid: string): Promise<void> => {
    const box = boxes.of(uid);
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
  const wake = (uid: string, afterMs = SETTLE_MS): void => {
    const box = boxes.ofOnline(uid);
    if (box === undefined) return;
    box.mayHold = true;
    // What is queued has not been read yet.
    if (box.state !== 'queued') box.isWanted = true;
    start(uid, box, afterMs);
  };
  const hold = (uid: string): void => {
    const box = boxes.ofOnline(uid);
    if (box === undefined) return;
    box.mayHold = true;
    inVain(box);
  };
  // Who was asked about has been here for some time.
  const onWaiting = (uid: string): void => {
    wake(uid, 0);
  };
  const newcomers = createNewcomers({ store, timers, log, settleMs: SETTLE_MS, onWaiting, onDoubt: hold });

  return {
    has: (uid) => boxes.find(uid)?.mayHold === true || newcomers.has(uid),
    arrived: newcomers.add.bind(newcomers),
    wake,
    hold,
    heard(row) {
      const box = boxes.atRow(table.sessions.user(row));
      if (box?.mayHold !== true || box.state !== 'waiting' || clock.now() < box.retryAtMs) return;
      const uid = table.uidOf(row);
      // Else it is that of a user who had this row before.
      if (boxes.find(uid) === box) wake(uid);
    },
    shut(uid) {
      direct.set(uid, (direct.get(uid) ?? 0) + 1);
    },
    opened(uid) {
      const left = (direct.get(uid) ?? 0) - 1;
      if (left > 0) direct.set(uid, left);
      else direct.delete(uid);
      const box = boxes.find(uid);
      if (box !== undefined) settle(uid, box);
    },
    tidy() {
      for (const [uid, box] of boxes.all()) {
        if (box.state === 'waiting' && table.users.find(uid) < 0) boxes.remove(uid);
      }
    },
  };
}

/**
 * The mailboxes by uid, and by row of the user in the online table, so that a heartbeat of somebody for whom nothing waits
 * makes no text of his uid.
 */
function createBoxes(table: OnlineTable) {
  const byUid = new Map<string, Mailbox>();
  const byRow = new Map<number, Mailbox>();
  /** Where it stood; the row may be another user's by now. */
  const leaveRow = (box: Mailbox): void => {
    if (byRow.get(box.userRow) === box) byRow.delete(box.userRow);
  };
  const of = (uid: string): Mailbox => {
    const known = byUid.get(uid);
    if (known !== undefined) return known;
    const isNew = { mayHold: false, isWanted: false, retryAtMs: 0, retryPauseMs: RETRY_MS };
    const box: Mailbox = { userRow: -1, state: 'waiting', ...isNew };
    byUid.set(uid, box);
    return box;
  };
  return {
    find: (uid: string) => byUid.get(uid),
    /** Of the user who has this row, or of one who had it. */
    atRow: (userRow: number) => byRow.get(userRow),
    all: () => byUid.entries(),
    of,
    /** Undefined where he is not online here; else it is found by his row from now on. */
    ofOnline(uid: string): Mailbox | undefined {
      const userRow = table.users.find(uid);
      if (userRow < 0) return undefined;
      const box = of(uid);
      leaveRow(box);
      box.userRow = userRow;
      byRow.set(userRow, box);
      return box;
    },
    remove(uid: string): void {
      const box = byUid.get(uid);
      if (box === undefined) return;
      byUid.delete(uid);
      leaveRow(box);
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
