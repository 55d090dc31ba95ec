/** What can be told without a node, from the directory alone. Apart, since it loads more than most commands need. */
import { createCounters } from '../base/counters.ts';
import { VserverError } from '../base/errors.ts';
import { systemClock } from '../base/system.ts';
import type { Config } from '../config.ts';
import { turnSettings } from '../config.ts';
import type { ConfigDocument } from '../config-xml/document.ts';
import { systemVariables } from '../config-xml/system-variables.ts';
import { userConfigs } from '../config-xml/user-config.ts';
import type { Directory } from '../directory/directory.ts';
import { records } from '../directory/records.ts';
import { serverText } from '../http/session-routes.ts';
import { createLog } from '../logger.ts';
import { SILENCE_MS_MAX } from '../redirect/servers.ts';

export interface ShownServer {
  readonly name: string;
  readonly udp: string;
  readonly http: string;
  readonly state: string;
  readonly users: number;
  readonly usersMax: number;
}

/** The CONFIG without passwords; rejects with NO_SUCH_USER. */
export async function configOf(directory: Directory, config: Config, uid: string): Promise<ConfigDocument> {
  const log = createLog('warn');
  const nowMs = systemClock.now();
  const servers = await directory.servers();
  const running = servers.filter((one) => one.state === 'on' && nowMs - one.seenAt <= SILENCE_MS_MAX);
  const variables = systemVariables({ directory, servers: () => running, log });
  await variables.refresh();
  const cache = records(directory, systemClock);
  const configs = userConfigs({
    ...{ records: cache, variables, counters: createCounters(), log },
    clock: systemClock,
    turn: turnSettings(config),
  });
  const document = await configs.config(uid, false);
  if (document === null) throw new VserverError('NO_SUCH_USER');
  return document;
}

/** The server list. */
export async function storedServers(directory: Directory): Promise<ShownServer[]> {
  const nowMs = systemClock.now();
  const servers = await directory.servers();
  // The last word of a server that fell silent does not hold any more.
  const asSeen = servers.map((one) => (nowMs - one.seenAt > SILENCE_MS_MAX ? { ...one, state: 'off' as const } : one));
  return asSeen.map((one) => serverText(one) as ShownServer);
}
