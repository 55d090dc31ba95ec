/** `Watch`, `Unwatch` and `Buddy` of a client, and the `Presence` that it is sent for whom it watches. */
import { VserverError } from '../base/errors.ts';
import type { Lists } from '../base/model.ts';
import { isUid } from '../base/model.ts';
import type { UseCases } from '../login/use-cases.ts';
import { BUDDY_ACTIONS } from '../presence/buddies.ts';
import type { Seen } from '../presence/compose.ts';
import type { Outlet } from '../presence/presence.ts';
import type { ReplyText } from './replies.ts';
import { errorReply } from './replies.ts';

/** Of one session, so many wait for their `Ok` at a time: further ones leave when one has come. */
const UNDER_WAY_MAX = 8;

type Cases = Pick<UseCases, 'table' | 'presence' | 'buddy' | 'lists'>;

/** `Watch <uid>…`, or without any the user's own buddies. Tells of each of them who is not offline, from now on. */
export function watchReply({ table, presence }: Cases, row: number, argument: string): ReplyText {
  const watcher = table.uidOf(row);
  const uids = uidsOf(argument);
  if (uids === null) return errorReply(new VserverError('BAD_REQUEST'));
  const buddies = uids.length > 0 ? uids : table.users.profile(table.sessions.user(row)).buddies;
  const watched = watchedOf(presence, watcher, row);
  for (const presentity of buddies) {
    const known = watched.get(presentity);
    const one = known ?? presence.subscribe({ watcher, presentity, edge: 'native', ref: row, endsS: 0 });
    if (one < 0) return errorReply(new VserverError('OVERLOADED'));
    watched.set(presentity, one);
    presence.introduce(one);
  }
  return { verb: 'Ok', argument: String(watched.size) };
}

/** `Unwatch <uid>…`, or without any everybody. */
export function unwatchReply({ table, presence }: Cases, row: number, argument: string): ReplyText {
  const uids = uidsOf(argument);
  if (uids === null) return errorReply(new VserverError('BAD_REQUEST'));
  const watched = watchedOf(presence, table.uidOf(row), row);
  for (const presentity of uids.length > 0 ? uids : [...watched.keys()]) {
    const one = watched.get(presentity);
    if (one !== undefined && watched.delete(presentity)) presence.unsubscribe(one);
  }
  return { verb: 'Ok', argument: String(watched.size) };
}

/** `Buddy add|remove|accept|block|unblock <uid>`, or `Buddy list`. Rejects as changeBuddy() does. */
export async function buddyReply(cases: Cases, row: number, argument: string): Promise<ReplyText> {
  const uid = cases.table.uidOf(row);
  if (argument === 'list') return listsReply(await cases.lists(uid));
  const [word, other = '', ...more] = argument.split(' ');
  const action = BUDDY_ACTIONS.find((known) => known === word);
  if (action === undefined || !isUid(other) || more.length > 0) throw new VserverError('BAD_REQUEST');
  const outcome = await cases.buddy(uid, action, other);
  return { verb: 'Ok', argument: outcome === 'asked' ? 'asked' : '' };
}

/** A line an entry: `buddy`, `asked`, `asking` or `blocked`, and the uid. */
function listsReply({ buddies, asked, asking, blocked }: Lists): ReplyText {
  const lines = Object.entries({ buddy: buddies, asked, asking, blocked }).flatMap(([name, uids]) =>
    uids.map((uid) => `${name} ${uid}\r\n`),
  );
  return { verb: 'Buddies', argument: String(lines.length), body: lines.join('') };
}

/** [] where there is none; null where one of them is no uid. */
function uidsOf(argument: string): string[] | null {
  const uids = argument === '' ? [] : argument.split(' ');
  return uids.every(isUid) ? uids : null;
}

/** The subscriptions of this session, by whom they watch. */
function watchedOf({ subscriptions }: Cases['presence'], watcher: string, row: number): Map<string, number> {
  const watched = new Map<string, number>();
  for (const one of subscriptions.watchedBy(watcher)) {
    if (subscriptions.edgeOf(one) !== 'native' || subscriptions.refOf(one) !== row) continue;
    watched.set(subscriptions.presentityOf(one), one);
  }
  return watched;
}

interface Told {
  readonly row: number;
  readonly presentity: string;
  readonly text: ReplyText;
}

/** `send`: to the session of this row; resolves with whether its `Ok` came. */
export function createWatcherOutlet(
  { table, presence }: Pick<UseCases, 'table' | 'presence'>,
  send: (sessionRow: number, text: ReplyText) => Promise<boolean>,
): Outlet {
  const { subscriptions } = presence;
  /** By cookie; what waits by the row of the subscription, so that it is never more than those. */
  const sessions = new Map<string, { underWay: number; readonly waiting: Map<number, Told> }>();

  const isStill = ({ row, presentity }: Told, cookie: string): boolean =>
    subscriptions.isUsed(row) &&
    subscriptions.edgeOf(row) === 'native' &&
    subscriptions.presentityOf(row) === presentity &&
    table.sessions.find(cookie) === subscriptions.refOf(row);

  const tell = (told: Told, cookie: string): void => {
    const session = sessions.get(cookie) ?? { underWay: 0, waiting: new Map<number, Told>() };
    sessions.set(cookie, session);
    if (session.underWay >= UNDER_WAY_MAX) {
      session.waiting.set(told.row, told);
      return;
    }
    session.underWay++;
    void send(subscriptions.refOf(told.row), told.text).then((isAcknowledged) => {
      session.underWay--;
      if (isStill(told, cookie)) presence.notified(told.row, !isAcknowledged);
      for (const [waitingRow, next] of session.waiting) {
        session.waiting.delete(waitingRow);
        if (!isStill(next, cookie)) continue;
        tell(next, cookie);
        return;
      }
      if (session.underWay === 0) sessions.delete(cookie);
    });
  };

  return {
    notify(row, seen, wentS) {
      const presentity = subscriptions.presentityOf(row);
      const text = presenceText(presentity, seen, wentS);
      tell({ row, presentity, text }, table.sessions.cookie(subscriptions.refOf(row)));
    },
    // It ends with its session only, which has nobody to be told.
    ended: () => undefined,
  };
}

function presenceText(uid: string, { status, note }: Seen, wentS: number | null): ReplyText {
  return {
    verb: 'Presence',
    argument: uid,
    headers: {
      status,
      note: note === '' ? undefined : note,
      'last-seen': wentS === null ? undefined : new Date(wentS * 1000).toISOString(),
    },
  };
}
