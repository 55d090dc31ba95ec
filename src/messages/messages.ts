/**
 * Messages between users: to the devices of who is online here, else into the directory, where they wait for him.
 *
 * The sender is answered when a device has taken the message or when it is stored, so nothing that was answered is lost.
 * Who is invisible, and who blocks the sender, is told as if he was offline.
 */
import { isUnavailable, VserverError } from '../base/errors.ts';
import type { Counters } from '../base/counters.ts';
import type { Clock, Log, Timers } from '../base/ports.ts';
import { createRecentDigests } from '../base/recent-digests.ts';
import { createRecentMap } from '../base/recent-map.ts';
import { sharedTimers } from '../base/shared-timers.ts';
import type { Directory } from '../directory/directory.ts';
import type { Message, MessageStore, StoredMessage } from '../directory/message-store.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { UserFinder } from '../locator/find-user.ts';
import type { DeliverTo, DeviceAnswer } from './delivery.ts';
import { contained, deliverToAll } from './delivery.ts';
import type { Sender } from './direct-way.ts';
import { createDirectWay } from './direct-way.ts';
import type { Feed } from './feed.ts';
import { createFeed } from './feed.ts';
import type { Mailboxes } from './mailboxes.ts';
import { createMailboxes, KEPT_MS } from './mailboxes.ts';
import { messageKey } from './message-key.ts';
import type { Sent } from './message-rules.ts';
import { isMomentary, mayReach, recipientOf, requireMessage } from './message-rules.ts';
import { createOnce, REMEMBERED_MAX } from './once.ts';
import type { Pass } from './once.ts';
import { createSenderLimit } from './sender-limit.ts';

export interface Draft {
  /** Uid. */
  readonly from: string;
  /** Of the sender's record. */
  readonly mayCallOut: boolean;
  /** Uid or number. */
  readonly to: string;
  /** The sender's own: a repeated one is no new message. */
  readonly id: string;
  readonly contentType: string;
  readonly body: string;
}

export interface Messages {
  /** As send(); the sender is told before it returns where nobody has to be waited for. */
  pass(draft: Draft, sender: Sender): void;
  /** Rejects with BAD_REQUEST, TOO_LONG, SLOW_DOWN, DIRECTORY_UNAVAILABLE, OVERLOADED. */
  send(draft: Draft): Promise<Sent>;
  /** The user has logged in or registered: what waits for him is brought. */
  arrived(uid: string): void;
  /** A sign of life of an open session: what was tried in vain is tried again, less and less often. Never waits. */
  heard(row: number): void;
  /** What waits for him behind the number `after`: one page, in its order. Rejects with DIRECTORY_UNAVAILABLE. */
  waiting(uid: string, after: number): Promise<readonly StoredMessage[]>;
  /** He has it. False: it is not there. Rejects with DIRECTORY_UNAVAILABLE. */
  acknowledged(uid: string, number: number): Promise<boolean>;
  /** Learns what other nodes have stored. Rejects with DIRECTORY_UNAVAILABLE. */
  look(): Promise<void>;
  /** Removes what has waited too long. Rejects with DIRECTORY_UNAVAILABLE. */
  tidy(): Promise<void>;
}

export interface MessagesDeps {
  readonly directory: Pick<Directory, 'messages'>;
  readonly table: OnlineTable;
  readonly finder: UserFinder;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly counters: Counters;
  readonly deliverTo: DeliverTo;
  /** Whether a sender who sends too fast is told to slow down. */
  readonly isLimited: boolean;
}

/** Messages whose store has failed: while the directory is down, of all who send. */
const DOUBTFUL_MAX = 10_000;
/** Who repeats a message does it by then. */
const DOUBTFUL_MS = 10 * 60_000;
const OLD_PAGES_MAX = 20;
/** Messages whose senders wait for an answer. */
const UNDER_WAY_MAX = 10_000;

export function createMessages(deps: MessagesDeps): Messages {
  const { table, finder, clock, counters } = deps;
  const store = deps.directory.messages;
  const { boxes, feed, pass } = createPassage(deps, store);
  const waitOf = createSenderLimit(deps.isLimited);
  const passOnce = createOnce(pass);
  let underWay = 0;

  const judged = (draft: Draft, uid: string, verdict: Verdict, sender: Sender): void => {
    if (verdict === 'no') sender.sent('refused');
    else if (verdict === 'blocked') {
      sender.sent(store === null && !isMomentary(draft.contentType) ? 'unreachable' : 'stored');
    } else {
      const { from, id, contentType, body } = draft;
      passOnce({ from, to: uid, id, contentType, body, sentAt: clock.now() }, sender);
    }
  };
  const judge = (draft: Draft, sender: Sender): void => {
    const { from, mayCallOut, to } = draft;
    const userRow = table.users.find(to);
    if (userRow >= 0) judged(draft, to, verdictHere(table, userRow, draft), sender);
    else {
      finder
        .find(to)
        .then((entry) => {
          if (entry === null) sender.sent('unknown-user');
          else judged(draft, entry.user.uid, mayReach(recipientOf(entry), from, mayCallOut), sender);
        })
        .catch(sender.failed);
    }
  };
  const admit = (draft: Draft): void => {
    requireMessage(draft);
    if (underWay >= UNDER_WAY_MAX) throw new VserverError('OVERLOADED', undefined, { retryAfter: 1 });
    const waitS = waitOf(draft.from, clock.now());
    if (waitS > 0) throw new VserverError('SLOW_DOWN', undefined, { retryAfter: waitS });
  };
  const passOne = (draft: Draft, sender: Sender): void => {
    try {
      admit(draft);
    } catch (error) {
      sender.failed(error);
      return;
    }
    underWay++;
    const told = toldOnce(sender, (outcome) => {
      underWay--;
      if (outcome !== null) counters[COUNTED[outcome]]++;
    });
    try {
      judge(draft, told);
    } catch (error) {
      told.failed(error);
    }
  };

  return {
    pass: passOne,
    send: (draft) =>
      new Promise((resolve, reject) => {
        passOne(draft, { sent: resolve, failed: reject });
      }),
    arrived(uid) {
      boxes?.arrived(uid);
    },
    heard(row) {
      boxes?.heard(row);
    },
    waiting: async (uid, after) => (await store?.list(uid, after, clock.now() - KEPT_MS)) ?? [],
    acknowledged: async (uid, number) => (await store?.remove(uid, number)) ?? false,
    async look() {
      await feed?.read();
    },
    async tidy() {
      boxes?.tidy();
      for (let pages = 0; pages < OLD_PAGES_MAX; pages++) {
        if (((await store?.removeBefore(clock.now() - KEPT_MS)) ?? 0) === 0) return;
      }
    },
  };
}

const COUNTED = {
  delivered: 'messagesDelivered',
  stored: 'messagesStored',
  'unknown-user': 'messagesRefused',
  refused: 'messagesRefused',
  full: 'messagesRefused',
  unreachable: 'messagesRefused',
} as const satisfies Record<Sent, keyof Counters>;

/** Tells the sender one thing only, however often he would be told; before that `onEnd` hears it (null: it failed). */
function toldOnce(sender: Sender, onEnd: (outcome: Sent | null) => void): Sender {
  let isTold = false;
  const first = (outcome: Sent | null): boolean => {
    if (isTold) return false;
    isTold = true;
    onEnd(outcome);
    return true;
  };
  return {
    sent(outcome) {
      if (first(outcome)) sender.sent(outcome);
    },
    failed(error) {
      if (first(null)) sender.failed(error);
    },
  };
}

interface Passage {
  readonly boxes: Mailboxes | null;
  readonly feed: Feed | null;
  /** To the devices, or into the store. */
  readonly pass: Pass;
}

function createPassage(deps: MessagesDeps, store: MessageStore | null): Passage {
  const { table, clock, log } = deps;
  const timers = sharedTimers(deps.timers);
  const deliverTo = contained(deps.deliverTo, log);
  /** What may stand in the store nevertheless. */
  const deliveredLately = createRecentDigests(REMEMBERED_MAX);
  /** When their store has failed: it may have been done nevertheless. */
  const doubtful = createRecentMap<number>(DOUBTFUL_MAX);

  const onTaken = (message: Message): void => {
    deliveredLately.set(messageKey(message), 1);
  };
  const deliver = (message: Message): Promise<DeviceAnswer> =>
    new Promise((resolve) => {
      deliverToAll(table, deliverTo, message, (answer) => {
        if (answer === 'taken') onTaken(message);
        resolve(answer);
      });
    });
  const isDelivered = (message: Message): boolean => deliveredLately.get(messageKey(message)) !== 0;
  const boxes = store && createMailboxes(store, { ...{ table, clock, timers, log, deliver, isDelivered } });
  const feed = store && createFeed(store, clock, (to) => boxes?.wake(to));

  const addTo = async (to: MessageStore, message: Message): ReturnType<MessageStore['add']> => {
    try {
      return await to.add(message, clock.now() - KEPT_MS);
    } catch (error) {
      doubtful.set(messageKey(message), clock.now());
      throw error;
    }
  };
  /** Where the sender repeats it: then it may go to the store only, which knows whether it is there. */
  const mayBeStored = (message: Message): boolean => {
    const sinceMs = doubtful.get(messageKey(message));
    return sinceMs !== undefined && clock.now() - sinceMs < DOUBTFUL_MS;
  };
  const keep = async (message: Message): Promise<StoredMessage | Exclude<Sent, 'delivered'>> => {
    if (store === null) return 'unreachable';
    const stored = await addTo(store, message);
    if (stored === 'repeated') return 'stored';
    if (stored === 'unknown') return 'unknown-user';
    if (typeof stored !== 'string') feed?.own(stored.number);
    return stored;
  };
  /** A device has taken what was stored meanwhile. */
  const takeOut = ({ to, number }: StoredMessage): void => {
    store?.remove(to, number).catch((error: unknown) => {
      if (!isUnavailable(error)) log.error({ err: error, uid: to }, 'a delivered message could not be removed');
    });
  };

  const toOffline = async (message: Message): Promise<Sent> => {
    if (isMomentary(message.contentType)) return 'stored';
    const kept = await keep(message);
    // He may have come meanwhile, and what waited for him was read before.
    boxes?.wake(message.to);
    return typeof kept === 'string' ? kept : 'stored';
  };

  const toDevices = createDirectWay({ table, timers, boxes, keep, takeOut, deliverTo, onTaken });
  const pass: Pass = (message, sender) => {
    const userRow = table.users.find(message.to);
    const isHidden = userRow >= 0 && message.from !== message.to && table.isHidden(userRow);
    const isBehind = isHidden || (boxes?.has(message.to) ?? false) || mayBeStored(message);
    const mustWait = boxes !== null && isBehind && !isMomentary(message.contentType);
    if (boxes === null && userRow >= 0 && isDelivered(message)) sender.sent(isHidden ? 'unreachable' : 'delivered');
    else if (userRow < 0 || mustWait) toOffline(message).then(sender.sent, sender.failed);
    else toDevices(message, isHidden, sender);
  };

  return { boxes, feed, pass };
}

type Verdict = ReturnType<typeof mayReach>;

/** Of a recipient who is online here. */
function verdictHere({ users }: OnlineTable, row: number, { from, to, mayCallOut }: Draft): Verdict {
  // Nearly everybody is, and then his lists need not be read.
  if (users.isOpenToAll(row)) return mayCallOut || from === to ? 'yes' : 'no';
  return mayReach(users.profile(row), from, mayCallOut);
}
