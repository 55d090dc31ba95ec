/** Changes of a user's buddy and blocked lists, made by himself; where the other's record asks for it, with his consent. */
import { VserverError } from '../base/errors.ts';
import type { Lists } from '../base/model.ts';
import { LIST_ENTRIES_MAX } from '../base/model.ts';
import type { Directory, Entry } from '../directory/directory.ts';
import type { UidLocks } from '../login/locks.ts';
import { asksForConsent } from './compose.ts';

export const BUDDY_ACTIONS = ['add', 'remove', 'accept', 'block', 'unblock'] as const;
export type BuddyAction = (typeof BUDDY_ACTIONS)[number];

/** `asked`: the other one is a buddy as soon as he consents. */
export type BuddyOutcome = 'done' | 'asked';

export interface BuddyDeps {
  readonly directory: Directory;
  readonly locks: UidLocks;
  /** A record has changed: who is online takes it over at once. */
  readonly refresh: (uid: string) => Promise<void>;
}

/** What a change makes of a user's lists; the same object where nothing changes. */
type Edit = (lists: Lists) => Lists;

/**
 * Rejects with NO_SUCH_USER, NOT_FOUND (there is nobody to accept), CONFLICT (himself), TOO_LONG (the list is full),
 * DIRECTORY_UNAVAILABLE, READ_ONLY. Done again it changes nothing.
 */
export async function changeBuddy(
  deps: BuddyDeps,
  uid: string,
  action: BuddyAction,
  other: string,
): Promise<BuddyOutcome> {
  if (uid === other) throw new VserverError('CONFLICT', 'nobody is his own buddy');
  switch (action) {
    case 'add':
      return add(deps, uid, other);
    case 'remove':
      await edit(deps, uid, without(other, 'buddies', 'asked', 'asking'));
      await edit(deps, other, without(uid, 'asked', 'asking'));
      return 'done';
    case 'accept':
      return accept(deps, uid, other);
    case 'block':
      await find(deps, other);
      // Nobody learns that he is blocked: what the other one asked for stays open on his side.
      await edit(deps, uid, both(without(other, 'asking'), including(other, 'blocked')));
      return 'done';
    case 'unblock':
      await edit(deps, uid, without(other, 'blocked'));
      return 'done';
  }
}

/** As they are stored now. Rejects with NO_SUCH_USER, DIRECTORY_UNAVAILABLE. */
export async function listsOf(deps: Pick<BuddyDeps, 'directory'>, uid: string): Promise<Lists> {
  return (await find(deps, uid)).user.lists;
}

async function add(deps: BuddyDeps, uid: string, other: string): Promise<BuddyOutcome> {
  const { buddies, asking } = await listsOf(deps, uid);
  if (buddies.includes(other)) return 'done';
  if (asking.includes(other)) return accept(deps, uid, other);
  const { user } = await find(deps, other);
  if (!asksForConsent(user.service) || user.lists.buddies.includes(uid)) {
    await edit(deps, uid, both(without(other, 'asked'), including(other, 'buddies')));
    return 'done';
  }
  await edit(deps, uid, including(other, 'asked'));
  // Who is blocked is not heard, and is told the same.
  if (!user.lists.blocked.includes(uid)) await edit(deps, other, including(uid, 'asking'));
  return 'asked';
}

async function accept(deps: BuddyDeps, uid: string, other: string): Promise<BuddyOutcome> {
  const { asking } = await listsOf(deps, uid);
  if (!asking.includes(other)) throw new VserverError('NOT_FOUND', 'this user has not asked');
  await edit(deps, uid, befriending(other));
  await edit(deps, other, (lists) => (lists.asked.includes(uid) ? befriending(uid)(lists) : lists));
  return 'done';
}

async function find({ directory }: Pick<BuddyDeps, 'directory'>, uid: string): Promise<Entry> {
  const entry = await directory.find(uid);
  if (entry === null) throw new VserverError('NO_SUCH_USER');
  return entry;
}

/** One change after the other, so that none is lost; never two users at once, so that they can't wait for each other. */
async function edit({ directory, locks, refresh }: BuddyDeps, uid: string, change: Edit): Promise<void> {
  const isChanged = await locks.run(uid, async () => {
    const entry = await directory.find(uid);
    // Somebody who is gone has no lists to be taken off.
    if (entry === null) return false;
    const lists = change(entry.user.lists);
    if (lists === entry.user.lists) return false;
    return (await directory.change(uid, { lists })) === 'changed';
  });
  if (isChanged) await refresh(uid);
}

function both(first: Edit, second: Edit): Edit {
  return (lists) => second(first(lists));
}

function befriending(uid: string): Edit {
  return both(without(uid, 'asked', 'asking'), including(uid, 'buddies'));
}

function including(uid: string, name: keyof Lists): Edit {
  return (lists) => {
    if (lists[name].includes(uid)) return lists;
    if (lists[name].length >= LIST_ENTRIES_MAX) throw new VserverError('TOO_LONG', `the list is full: ${name}`);
    return { ...lists, [name]: [...lists[name], uid] };
  };
}

function without(uid: string, ...names: readonly (keyof Lists)[]): Edit {
  return (lists) =>
    names
      .filter((name) => lists[name].includes(uid))
      .reduce<Lists>((left, name) => ({ ...left, [name]: left[name].filter((one) => one !== uid) }), lists);
}
