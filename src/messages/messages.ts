/**
 * Messages between users: to the devices of who is online here, else into the directory, where they wait for him.
 *
 * The sender is answered when a device has taken the message or when it is stored, so nothing that was answered is lost.
 * Who is invisible, and who blocks the sender, is told as if he was offline.
 */
import { isUnavailable, VserverError } from '../base/errors.ts';
import type { Counters } from '../base/counters.ts';
import type { Clock, Log, Timers } from '../base/ports.ts';
import { createRecentMap } from '../base/recent-map.ts';
import type { Directory } from '../directory/directory.ts';
import type { Message, MessageStore, StoredMessage } from '../directory/message-store.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { UserFinder } from '../locator/find-user.ts';
import type { DeliverTo, DeviceAnswer } from './delivery.ts';
import { deliverToAll, within } from './delivery.ts';
import type { Feed } from './feed.ts';
import { createFeed } from './feed.ts';
import type { Mailboxes } from './mailboxes.ts';
import { createMailboxes, KEPT_MS } from './mailboxes.ts';
import type { Recipient, Sent } from './message-rules.ts';
import { isMomentary, mayReach, recipientOf, requireMessage } from './message-rules.ts';
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

/** A sender waits no longer for the devices: then it is stored, and taken out again where one takes it after all. */
const DEVICES_MS_MAX = 3_000;
/** Messages by their ids, to tell repeated ones. */
const REMEMBERED_MAX = 50_000;
const OLD_PAGES_MAX = 20;
/** Messages whose senders wait for an answer. */
const UNDER_WAY_MAX = 10_000;

export function createMessages(deps: MessagesDeps): Messages {
  const { table, finder, clock, counters } = deps;
  const store = deps.directory.messages;
  const { boxes, feed, pass } = createPassage(deps, store);
  const waitOf = createSenderLimit(deps.isLimited);
  const sentLately = createRecentMap<Promise<Sent>>(REMEMBERED_MAX);
  let underWay = 0;

  const sendOne = async (draft: Draft): Promise<Sent> => {
    const recipient = await findRecipient(table, finder, draft.to);
    if (recipient === null) return 'unknown-user';
    const verdict = mayReach(recipient, draft.from, draft.mayCallOut);
    if (verdict === 'no') return 'refused';
    if (verdict === 'blocked') return store === null && !isMomentary(draft.contentType) ? 'unreachable' : 'stored';
    const { from, id, contentType, body } = draft;
    const message: Message = { from, to: recipient.uid, id, contentType, body, sentAt: clock.now() };
    return once(sentLately, nameOf(message), () => pass(message));
  };

  return {
    async send(draft) {
      requireMessage(draft);
      if (underWay >= UNDER_WAY_MAX) throw new VserverError('OVERLOADED', undefined, { retryAfter: 1 });
      const waitS = waitOf(draft.from, clock.now());
      if (waitS > 0) throw new VserverError('SLOW_DOWN', undefined, { retryAfter: waitS });
      underWay++;
      try {
        const sent = await sendOne(draft);
        counters[COUNTED[sent]]++;
        return sent;
      } finally {
        underWay--;
      }
    },
    arrived(uid) {
      boxes?.wake(uid);
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

interface Passage {
  readonly boxes: Mailboxes | null;
  readonly feed: Feed | null;
  /** To the devices, or into the store. */
  readonly pass: (message: Message) => Promise<Sent>;
}

function createPassage(deps: MessagesDeps, store: MessageStore | null): Passage {
  const { table, clock, timers, log } = deps;
  const deliveredLately = createRecentMap<true>(REMEMBERED_MAX);

  const deliver = async (message: Message): Promise<DeviceAnswer> => {
    const answer = await deliverToAll(table, deps.deliverTo, message);
    if (answer === 'taken') deliveredLately.set(nameOf(message), true);
    return answer;
  };
  const isDelivered = (message: Message): boolean => deliveredLately.get(nameOf(message)) === true;
  const boxes = store && createMailboxes(store, { ...{ table, clock, timers, log, deliver, isDelivered } });
  const feed = store && createFeed(store, clock, (to) => boxes?.wake(to));

  const keep = async (message: Message): Promise<StoredMessage | Exclude<Sent, 'delivered'>> => {
    if (store === null) return 'unreachable';
    const stored = await store.add(message, clock.now() - KEPT_MS);
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

  const toDevices = async (message: Message, isHidden: boolean): Promise<Sent> => {
    const delivery = deliver(message);
    boxes?.during(message.to, delivery);
    const answer = await within(timers, DEVICES_MS_MAX, delivery);
    if (isMomentary(message.contentType)) return answer === 'taken' && !isHidden ? 'delivered' : 'stored';
    if (answer === 'taken') return isHidden ? 'unreachable' : 'delivered';
    const kept = await keep(message);
    if (typeof kept === 'string') return kept;
    if (answer !== 'refused') boxes?.hold(message.to);
    if (answer === undefined) void delivery.then((late) => late === 'taken' && takeOut(kept));
    return 'stored';
  };

  const pass = (message: Message): Promise<Sent> => {
    const userRow = table.users.find(message.to);
    if (userRow < 0) return toOffline(message);
    const isHidden = message.from !== message.to && table.isHidden(userRow);
    const mustWait = boxes !== null && (isHidden || boxes.has(message.to)) && !isMomentary(message.contentType);
    return mustWait ? toOffline(message) : toDevices(message, isHidden);
  };

  return { boxes, feed, pass };
}

/** No uid and no id holds a space. */
function nameOf({ from, to, id }: Message): string {
  return `${from} ${to} ${id}`;
}

async function findRecipient(table: OnlineTable, finder: UserFinder, to: string): Promise<Recipient | null> {
  const known = table.users.find(to);
  if (known >= 0) return table.users.profile(known);
  const entry = await finder.find(to);
  return entry && recipientOf(entry);
}

/** What came of it the first time, while it is remembered and unless it failed. */
function once(lately: ReturnType<typeof createRecentMap<Promise<Sent>>>, name: string, pass: () => Promise<Sent>) {
  const before = lately.get(name);
  if (before !== undefined) return before;
  const sent = pass();
  lately.set(name, sent);
  const forget = (): void => {
    lately.delete(name);
  };
  sent.then((outcome) => {
    if (outcome !== 'delivered' && outcome !== 'stored') forget();
  }, forget);
  return sent;
}
