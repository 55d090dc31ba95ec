/** What a node tells of itself to those who run it: what it depends on, and what it counts. */
import type { Core } from './core.ts';
import type { GuardedDirectory } from './directory/guarded.ts';
import { NO_BUS } from './bus/bus.ts';
import type { NodeNumbers, Readiness } from './http/deps.ts';

/** NATS only where this is a node of a cluster; never any of its address, which may hold a password. */
export function readinessOf({ bus }: Core, directory: GuardedDirectory): readonly Readiness[] {
  const { up, lastError } = directory.health();
  const detail = up ? lastError : `${directory.description}: ${lastError}`;
  const own: Readiness = { dependency: 'directory', ok: up, needed: true, detail };
  if (bus === NO_BUS) return [own];
  const nats = bus.isUp ? '' : 'away: this node goes on alone until it is back';
  return [own, { dependency: 'nats', ok: bus.isUp, needed: false, detail: nats }];
}

export function numbersOf({ cases, bus, counters, table, outbox }: Core, directory: GuardedDirectory): NodeNumbers {
  return {
    sessions: table.count,
    users: table.users.count,
    logins: {
      welcome: counters.loginsWelcomed,
      redirect: counters.loginsRedirected,
      denied: counters.loginsDenied,
      failed: counters.loginsFailed,
    },
    heartbeats: counters.heartbeats,
    locates: {
      user: counters.locatesUser,
      'see-also': counters.locatesSeeAlso,
      offline: counters.locatesOffline,
      unknown: counters.locatesUnknown,
    },
    directoryUp: directory.health().up,
    outboxWaiting: outbox.waiting(),
    messages: {
      delivered: counters.messagesDelivered,
      stored: counters.messagesStored,
      refused: counters.messagesRefused,
    },
    subscriptions: cases.presence.subscriptions.count,
    natRebindings: counters.natRebindings,
    ends: { logout: counters.logouts, silence: counters.silences },
    datagrams: {
      received: counters.datagramsReceived,
      dropped: counters.datagramsDropped,
      malformed: counters.datagramsMalformed,
      'rate-limited': counters.rateLimited,
      'wrong-mac': counters.wrongMacs,
      repeat: counters.repeats,
    },
    rejectedFragments: counters.fragmentsRejected,
    drift: {
      dropped: counters.driftDropped,
      rewritten: counters.driftRewritten,
      cleared: counters.driftCleared,
    },
    bus: bus === NO_BUS ? null : { isUp: bus.isUp, messages: { ...bus.counters } },
  };
}
