/** What others may see of a user: one state, made of all his devices (RFC 3859 2, RFC 4479). */
import type { Status } from '../base/model.ts';
import type { Device, OnlineTable } from '../heartbeat/online.ts';
import type { Profile } from '../heartbeat/profile.ts';

/** Of a user, to somebody else: who is invisible is offline. */
export const SEEN_STATUSES = ['offline', 'online', 'busy', 'on-phone', 'away'] as const;
export type SeenStatus = (typeof SEEN_STATUSES)[number];

export interface Seen {
  readonly status: SeenStatus;
  readonly note: string;
}

/** Offline, invisible, blocking, without consent, or on another node: all alike. */
export const CLOSED: Seen = Object.freeze({ status: 'offline', note: '' });

/**
 * The first of these that one of the devices says. To be on the phone or busy is said of the person and holds for all
 * of his devices (RFC 4480 3.2); to be away is said of a device, so he is away only where he is at no other.
 */
const PRECEDENCE = ['on-phone', 'busy', 'online', 'away'] as const satisfies readonly Status[];

/**
 * The state of somebody with these devices; its note is that of a device which says this status, and has one. When a
 * device was last heard of plays no part: heartbeats would make the state go to and fro.
 */
export function compose(devices: readonly Pick<Device, 'status' | 'note'>[]): Seen {
  for (const status of PRECEDENCE) {
    const among = devices.filter((device) => device.status === status);
    if (among.length > 0) return { status, note: among.find(({ note }) => note !== '')?.note ?? '' };
  }
  return CLOSED;
}

/** Whether his record asks that others have his consent before they see him. */
export function asksForConsent({ privacy }: Pick<Profile, 'privacy'>): boolean {
  return privacy !== 'all';
}

/** Whether a watcher may see a user with this record; who watches himself is not asked about. */
export function admits(profile: Pick<Profile, 'privacy' | 'buddies' | 'blocked'>): (watcher: string) => boolean {
  const blocked = new Set(profile.blocked);
  const admitted = asksForConsent(profile) ? new Set(profile.buddies) : null;
  return (watcher) => !blocked.has(watcher) && admitted?.has(watcher) !== false;
}

/** A user who is online here, as of now, from memory. Made once for many watchers. */
export interface Sight {
  readonly state: Seen;
  readonly admits: (watcher: string) => boolean;
}

/** undefined where he has no session here. */
export function sightOf(table: OnlineTable, uid: string): Sight | undefined {
  const userRow = table.users.find(uid);
  if (userRow < 0) return undefined;
  const state = compose(table.devices(userRow));
  if (state === CLOSED) return { state, admits: () => false };
  return { state, admits: admits(table.users.profile(userRow)) };
}
