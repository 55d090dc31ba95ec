/** What this node tells and asks the others over the bus, and what it answers them. All of it hints: see decisions/0010. */
import type { Bus } from '../bus/bus.ts';
import type { Address } from '../base/model.ts';
import type { Log } from '../base/ports.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import { locateHere } from '../locator/locate.ts';
import type { Located } from '../locator/locate.ts';
import type { UidLocks } from '../login/locks.ts';
import type { OtherNodes } from '../login/other-nodes.ts';
import type { SessionEnds } from '../login/session-ends.ts';
import { readServerRecord } from '../redirect/server-record.ts';
import type { ServerImage } from '../redirect/servers.ts';

/** An owner who does not answer for so long has lost his user. */
const OWNER_SILENCE_MS = 2_000;
/** A Locate waits for the owner no longer than this; then the client is sent there. */
const LOCATE_MS = 1_000;

export interface ClusterDeps {
  readonly bus: Bus;
  readonly servers: ServerImage;
  readonly table: OnlineTable;
  readonly ends: SessionEnds;
  readonly locks: UidLocks;
  readonly log: Log;
  readonly realm: string;
}

/** Takes part in the talk of the nodes. */
export function joinTalk(deps: ClusterDeps): OtherNodes {
  const { bus, servers, table, realm } = deps;
  servers.onAnnounce = (own) => {
    bus.tellAll('server', own);
  };
  bus.on('server', (body, from) => {
    const record = readServerRecord(body);
    if (record?.name === from) servers.hear(record);
  });
  bus.on('taken', (body) => onTaken(deps, body), { anyTime: true });
  bus.on('has', (body) => ({ has: table.users.find(textOf(body, 'uid')) >= 0 }));
  bus.on('locate', (body) => ({ located: locateHere(table, textOf(body, 'asker'), textOf(body, 'uid')) ?? null }));
  // Told to those who want to join, whatever their clock says.
  bus.on('join', () => ({ realm }), { anyTime: true });

  return {
    async has({ name }, uid) {
      const answer = await bus.ask(name, 'has', { uid }, OWNER_SILENCE_MS);
      if (answer === 'down') return true;
      if (typeof answer === 'string') {
        servers.suspect(name);
        return false;
      }
      return (answer.body as { has?: unknown }).has === true;
    },
    taken(former, uid, epoch, source) {
      bus.tell(former, 'taken', { uid, epoch, source });
    },
    async locate({ name }, asker, uid) {
      const answer = await bus.ask(name, 'locate', { asker, uid }, LOCATE_MS);
      if (typeof answer === 'string') return undefined;
      const { located } = answer.body as { located?: Located | null };
      if (located === null) return null;
      if (located?.kind !== 'user') return undefined;
      const [first, ...more] = located.devices.map((device) => ({ ...device, row: -1 }));
      return first === undefined ? undefined : { ...located, devices: [first, ...more] };
    },
  };
}

function textOf(body: unknown, field: string): string {
  const value: unknown = (body as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : '';
}

/** Another node has written a newer login of this user. In turn with logins here, of which one may be newer still. */
async function onTaken({ table, ends, locks }: ClusterDeps, body: unknown): Promise<void> {
  const uid = textOf(body, 'uid');
  const { epoch, source } = body as { epoch?: unknown; source?: Address };
  if (typeof epoch !== 'number' || source === undefined) return;
  const drop = (): void => {
    const userRow = table.users.find(uid);
    if (userRow >= 0 && (table.users.epoch[userRow] ?? 0) < epoch) ends.taken(uid, source);
  };
  if (!locks.isBusy(uid)) drop();
  else {
    await locks.run(uid, () => {
      drop();
      return Promise.resolve();
    });
  }
}
