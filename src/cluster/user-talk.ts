/** What a node asks of the one that has a user: to end or show his sessions, and to publish for him. */
import type { AdminElsewhere } from '../admin/admin.ts';
import { isUnavailable, VserverError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';
import type { Bus } from '../bus/bus.ts';
import { NO_BUS } from '../bus/bus.ts';
import type { Directory } from '../directory/directory.ts';
import type { Device, OnlineTable } from '../heartbeat/online.ts';
import type { SessionEnds } from '../login/session-ends.ts';
import type { Publications, PublishOutcome, PublishRequest } from '../presence/publications.ts';
import type { ServerImage } from '../redirect/servers.ts';

export interface UserTalkDeps {
  readonly bus: Bus;
  readonly servers: ServerImage;
  readonly directory: Pick<Directory, 'find'>;
  readonly table: OnlineTable;
  readonly ends: SessionEnds;
  readonly publications: Publications;
  readonly clock: Clock;
  /** Reads the record of a user anew: he is online here. */
  readonly refresh: (uid: string) => Promise<void>;
  /** The record of a user has changed, wherever he is. */
  readonly forget: (uid: string) => void;
}

const ANSWER_MS = 2_000;
const RETRY_AFTER_S = 5;
/** More would not fit into a message of the bus. */
const DEVICES_MAX = 32;

export interface UserTalk extends AdminElsewhere {
  /**
   * For a user who is not here: at the node that has him, or here where there is none. Rejects with
   * DIRECTORY_UNAVAILABLE, OVERLOADED.
   */
  readonly publish: (request: PublishRequest) => Promise<PublishOutcome>;
}

/** Takes part in it. */
export function joinUserTalk(deps: UserTalkDeps): UserTalk {
  const { bus, servers, directory, publications, clock } = deps;
  listen(deps);
  const ownerOf = async (uid: string): Promise<string | null> => {
    const name = (await directory.find(uid))?.location.server?.name;
    return name === undefined ? null : (servers.other(name)?.name ?? null);
  };
  const ask = async (server: string, kind: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await bus.ask(server, kind, body, ANSWER_MS);
    return typeof answer === 'string' ? {} : (answer.body as Record<string, unknown>);
  };
  return {
    async kick(uid) {
      const server = await ownerOf(uid);
      const { sessions } = server === null ? {} : await ask(server, 'kick', { uid });
      return { server, sessions: typeof sessions === 'number' ? sessions : 0 };
    },
    async devices(uid) {
      const server = await ownerOf(uid);
      const { devices } = server === null ? {} : await ask(server, 'devices', { uid });
      return { server, devices: Array.isArray(devices) ? (devices as Device[]) : [] };
    },
    async publish(request) {
      const server = bus === NO_BUS ? null : await ownerOf(request.uid);
      if (server === null) return publications.publish(request, nowS(clock));
      const { outcome } = await ask(server, 'publish', { request });
      // What he has published here, he has not there.
      if (outcome === 'not-here') return publications.publish(request, nowS(clock));
      if (outcome !== undefined) return outcome as PublishOutcome;
      throw new VserverError('OVERLOADED', `${server} does not answer`, { retryAfter: RETRY_AFTER_S });
    },
  };
}

/** The record of a user has changed: the node that has him reads it at once, and none keeps it as it was. */
export function tellChanged(bus: Bus, uid: string): void {
  bus.tellAll('changed', { uid });
}

function listen({ bus, table, ends, publications, clock, refresh, forget }: UserTalkDeps): void {
  bus.on('kick', (body) => ({ sessions: ends.endAll(uidIn(body), 'kicked') }));
  bus.on('devices', (body) => {
    const userRow = table.users.find(uidIn(body));
    return { devices: userRow < 0 ? [] : table.devices(userRow).slice(0, DEVICES_MAX) };
  });
  bus.on('changed', async (body) => {
    const uid = uidIn(body);
    forget(uid);
    if (table.users.find(uid) < 0) return;
    await refresh(uid).catch((error: unknown) => {
      // Then the sweep finds it.
      if (!isUnavailable(error)) throw error;
    });
  });
  bus.on('publish', (body) => {
    const { request } = body as { request: PublishRequest };
    if (table.users.find(request.uid) < 0) return { outcome: 'not-here' };
    return { outcome: publications.publish(request, nowS(clock)) };
  });
}

function uidIn(body: unknown): string {
  const { uid } = body as { uid?: unknown };
  return typeof uid === 'string' ? uid : '';
}

function nowS(clock: Clock): number {
  return Math.floor(clock.now() / 1000);
}
