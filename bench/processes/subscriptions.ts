/** The inside of a node with many subscriptions of SIP phones, without sockets: the memory that they take. */
import { randomBytes } from 'node:crypto';
import type * as SystemModule from '../../src/base/system.ts';
import type * as OnlineModule from '../../src/heartbeat/online.ts';
import type * as PresenceModule from '../../src/presence/presence.ts';
import type * as DialogsModule from '../../src/sip/subscription-dialogs.ts';
import { answer, built, residentBytes } from './talk.ts';

const { systemClock, systemTimers } = await built<typeof SystemModule>('base/system.js');
const { OnlineTable } = await built<typeof OnlineModule>('heartbeat/online.js');
const { Presence } = await built<typeof PresenceModule>('presence/presence.js');
const { SubscriptionDialogs, tagOfRow } = await built<typeof DialogsModule>('sip/subscription-dialogs.js');

const WATCHERS = 10;
const nowS = Math.floor(systemClock.now() / 1000);
const table = new OnlineTable({ capacity: 1, lifetimeMaxS: 3_600, nowS });
const presence = new Presence({ table, clock: systemClock, timers: systemTimers });
const dialogs = new SubscriptionDialogs();
// Told and answered at once.
presence.attach('sip', { notify: (row) => presence.notified(row), ended: () => undefined });
let count = 0;

/** As a phone asks for it; each user is watched by the next ones. */
function subscribeOne(index: number): void {
  const user = Math.floor(index / WATCHERS);
  const presentity = uidOf(user);
  const watcher = uidOf(user + 1 + (index % WATCHERS));
  const row = presence.subscribe({ watcher, presentity, edge: 'sip', ref: 0, endsS: nowS + 3_600 });
  if (row < 0) throw new Error('no room');
  const localTag = tagOfRow(row, randomBytes(12).toString('base64url'));
  const remoteTag = randomBytes(6).toString('hex');
  const dialog = {
    ...{ callId: `${randomBytes(12).toString('hex')}@10.20.30.40`, localTag, remoteTag },
    to: `<sip:${watcher}@example.com>;tag=${remoteTag}`,
    from: `<sip:${presentity}@example.com>;tag=${localTag}`,
    target: `sip:${watcher}@10.20.30.40:5062;transport=udp`,
    ...{ route: [], eventId: '', entity: `${presentity}@example.com`, flowId: 'to 10.20.30.40:5062' },
  };
  dialogs.put(row, dialog, 1);
  presence.announce(row);
}

function uidOf(index: number): string {
  return String(10_000_000 + index);
}

function subscribe({ until }: { until: number }): void {
  while (count < until) subscribeOne(count++);
}

answer({ subscribe, residentBytes }, () => {
  presence.close();
  return Promise.resolve();
});
