/** The inside of a node over a directory that names it for many users: what reconciling them takes, without its pauses. */
import type * as BackendsModule from '../../src/backends.ts';
import type * as SystemModule from '../../src/base/system.ts';
import type * as ConfigModule from '../../src/config.ts';
import type * as CoreModule from '../../src/core.ts';
import type { Core } from '../../src/core.ts';
import type { Directory } from '../../src/directory/directory.ts';
import type * as GuardedModule from '../../src/directory/guarded.ts';
import type * as OnlineModule from '../../src/heartbeat/profile.ts';
import type * as LogModule from '../../src/logger.ts';
import { answer, built } from './talk.ts';

const { openDirectory } = await built<typeof BackendsModule>('backends.js');
const { systemClock, systemRandom, systemTimers } = await built<typeof SystemModule>('base/system.js');
const { loadConfig } = await built<typeof ConfigModule>('config.js');
const { createCore } = await built<typeof CoreModule>('core.js');
const { guarded } = await built<typeof GuardedModule>('directory/guarded.js');
const { keptOf } = await built<typeof OnlineModule>('heartbeat/profile.js');
const { createLog } = await built<typeof LogModule>('logger.js');

const PAGE = 500;
const SWEEP_STEPS = 45;
const config = loadConfig(process.env);
const ports = { clock: systemClock, timers: systemTimers, random: systemRandom, log: createLog('error') };
const directory = guarded(await openDirectory(config, ports), ports);
const udp = { host: '127.0.0.1', port: 4321 };
/** Of the last page of locations that was read. */
let pageLength = 0;
const watched: Directory = {
  ...directory,
  async owned(...args) {
    const page = await directory.owned(...args);
    pageLength = page.length;
    return page;
  },
};
const cores: Core[] = [];

async function newCore(): Promise<Core> {
  const me = { name: config.name, udp, http: '', sip: null, usersMax: config.usersMax, startedAt: 1, version: '' };
  const core = await createCore(config, ports, { ...watched, health: () => directory.health() }, me, {
    sessionEnded: () => undefined,
    deliver: (_row, _message, onAnswer) => onAnswer('silent'),
  });
  cores.push(core);
  return core;
}

/** Opens a session for each user whom the directory has here. */
async function fill(core: Core): Promise<void> {
  const nowS = Math.floor(systemClock.now() / 1000);
  for (let after: string | undefined; ;) {
    const page = await directory.owned(config.name, PAGE, after);
    const entries = await Promise.all(page.map(({ uid }) => directory.find(uid)));
    for (const entry of entries) {
      if (entry === null) continue;
      const { epoch, logoutAt } = entry.location;
      core.table.open(
        { ...keptOf(entry.user, entry.version), epoch, logoutAt },
        {
          ...{ cookie: systemRandom.bytes(16).toString('hex'), key: systemRandom.bytes(32), wan: udp, local: null },
          ...{ network: 'wan', firewall: 'none', status: 'online', instance: '', note: '', device: '' },
          ...{ contact: '', registration: '', lifetimeS: config.expires },
        },
        nowS,
      );
    }
    after = page.at(-1)?.uid;
    if (page.length < PAGE) return;
  }
}

async function pass(core: Core): Promise<void> {
  do await core.reconciler.step();
  while (pageLength === PAGE);
}

let current = await newCore();
answer(
  {
    fill: () => fill(current),
    /** Memory against the directory, everybody once. */
    async sweep() {
      for (let i = 0; i < SWEEP_STEPS; i++) await current.sweep.step();
      return current.table.count;
    },
    /** The directory against memory: as it was filled, or empty after a crash. */
    async pass({ isEmpty }: { isEmpty: boolean }) {
      if (isEmpty) current = await newCore();
      await pass(current);
      return current.counters.driftCleared;
    },
  },
  async () => {
    for (const core of cores) await core.outbox.close();
    await directory.close();
  },
);
