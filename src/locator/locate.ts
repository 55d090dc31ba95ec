/** Locate: here, see also, offline, unknown. */
import { formatAddress } from '../base/address.ts';
import type { Audience, Forwarding, ServerRecord } from '../base/model.ts';
import { NO_FORWARDING } from '../base/model.ts';
import type { Entry } from '../directory/directory.ts';
import type { Device, OnlineTable } from '../heartbeat/online.ts';
import type { ServerImage } from '../redirect/servers.ts';
import type { UserFinder } from './find-user.ts';
import { look, Sight } from './sight.ts';

export type Located =
  | {
      readonly kind: 'user';
      readonly uid: string;
      readonly alias: string;
      /** [] where the asker may not see them. */
      readonly telephones: readonly string[];
      /** Whether the asker may see wan and local. */
      readonly showAddresses: boolean;
      /** Whether the asker may call him (the user's `mayBeCalledBy`). */
      readonly mayCall: boolean;
      readonly forwarding: Forwarding;
      /** Those that are not invisible, the last active one first; never empty. */
      readonly devices: readonly [Device, ...Device[]];
    }
  | { readonly kind: 'see-also'; readonly uid: string; readonly server: ServerRecord }
  | {
      readonly kind: 'offline';
      readonly uid: string;
      /** Epoch milliseconds of the last public logout. */
      readonly lastSeen: number | null;
      /** For calls of the asker; none where he may not call. */
      readonly forwarding: Forwarding;
    }
  | { readonly kind: 'unknown' };

/** One step of the way to an answer, for `locate --explain`. */
export type Trace = (step: string) => void;

export interface LocateDeps {
  readonly table: OnlineTable;
  readonly finder: UserFinder;
  readonly servers: ServerImage;
}

/**
 * The answer from memory, or undefined where the directory has to be asked. Who is invisible or blocks the asker is
 * looked up like somebody who is offline, so that the time of the answer does not give him away.
 */
export function locateHere(table: OnlineTable, asker: string, target: string, trace?: Trace): Located | undefined {
  switch (look(table, asker, target, sight)) {
    case 'absent':
      trace?.(`memory: ${target} has no session here`);
      return undefined;
    case 'blocked':
      trace?.(`memory: ${target} is online here, but blocks ${asker}`);
      return undefined;
    case 'invisible':
      trace?.(`memory: ${target} is online here, but invisible`);
      return undefined;
    case 'seen':
  }
  const { alias, telephones, privacy, forwarding } = table.users.profile(sight.userRow);
  const devices = table.devices(sight.userRow).filter((device) => asker === target || device.status !== 'invisible');
  const [first, ...others] = devices as [Device, ...Device[]];
  const { seesAddresses, seesTelephones, mayCall } = sight;
  trace?.(
    `memory: ${target} is online here with ${devices.length} visible device(s); the last active one stands first`,
  );
  trace?.(`privacy: "${privacy}", so ${nameOf(asker)} ${seesAddresses ? 'sees' : 'does not see'} the addresses`);
  trace?.(
    `address: ${formatAddress(first.wan)}, where that device was heard of last, at ${timeText(first.seenS * 1000)}`,
  );
  return {
    kind: 'user',
    uid: target,
    alias,
    telephones: seesTelephones ? telephones : [],
    showAddresses: seesAddresses,
    mayCall,
    forwarding,
    devices: [first, ...others],
  };
}
const sight = new Sight();

/**
 * The answer by the directory; rejects with DIRECTORY_UNAVAILABLE. `mayBeOld`: the user may be sought where he was a
 * moment ago, as that node will tell.
 */
export async function locateElsewhere(
  deps: LocateDeps,
  asker: string,
  target: string,
  trace?: Trace,
  mayBeOld = trace === undefined,
): Promise<Located> {
  const suffices = (entry: Entry | null): boolean => entry !== null && isElsewhere(deps.servers, entry);
  const entry = await deps.finder.find(target, mayBeOld ? suffices : undefined);
  if (entry === null) {
    trace?.(`directory: nobody is known as ${target}, neither by uid nor by number`);
    return { kind: 'unknown' };
  }
  const { uid } = entry.user;
  if (uid !== target) {
    trace?.(`directory: the number ${target} is the uid ${uid}`);
    const here = locateHere(deps.table, asker, uid, trace);
    if (here !== undefined) return here;
  }
  return byRecord(deps.servers, entry, asker, trace);
}

/** Whether somebody who is not the user himself belongs to the audience. */
export function isAmong(audience: Audience, buddies: readonly string[], asker: string): boolean {
  return audience === 'all' || (audience === 'buddies' && buddies.includes(asker));
}

/**
 * Whether the asker is sent to another node, which asks the directory anew where the user has left it meanwhile. That
 * somebody is offline, or should be here, has to be the last word of the directory: he may just have logged in.
 */
function isElsewhere(servers: ServerImage, { location: { server, hidden } }: Entry): boolean {
  return server !== null && !hidden && servers.other(server.name) !== undefined;
}

function byRecord(servers: ServerImage, entry: Entry, asker: string, trace?: Trace): Located {
  const { user, location } = entry;
  const { uid } = user;
  const { blocked, buddies } = user.lists;
  const mayCall = asker === uid || (!blocked.includes(asker) && isAmong(user.service.mayBeCalledBy, buddies, asker));
  const forwarding = mayCall ? user.forwarding : NO_FORWARDING;
  const offline: Located = { kind: 'offline', uid, lastSeen: location.logoutAt, forwarding };
  const owner = location.server;
  if (owner === null) {
    trace?.(`directory, read just now: ${uid} is logged out (epoch ${location.epoch})`);
    return offline;
  }
  const since = location.loginAt === null ? '' : ` since ${timeText(location.loginAt)}`;
  trace?.(`directory, read just now: ${uid} is on ${owner.name}${since} (epoch ${location.epoch})`);
  const hidden = location.hidden || blocked.includes(asker);
  const server = servers.other(owner.name);
  if (owner.name === servers.me.name) {
    trace?.(`owner: this server, which shows no session of his to ${nameOf(asker)}`);
    return offline;
  }
  if (hidden && asker !== uid) {
    trace?.(`privacy: ${uid} is invisible or blocks ${nameOf(asker)}`);
    return offline;
  }
  if (server === undefined) {
    trace?.(`owner: ${owner.name} was not heard of for 15 s, so the session counts as ended`);
    return offline;
  }
  const { state, users, usersMax, seenAt } = server;
  trace?.(`owner: ${owner.name} is ${state} with ${users} of ${usersMax} users, heard of at ${timeText(seenAt)}`);
  trace?.(`address: ${formatAddress(server.udp)}, that of the owner, who is asked next`);
  return { kind: 'see-also', uid, server };
}

/** For the trace; an administrator may ask without a name. */
function nameOf(asker: string): string {
  return asker === '' ? 'a stranger' : asker;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
