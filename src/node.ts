/** The composition root: a node from its settings, part by part, and its end in reverse order. */
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join, resolve } from 'node:path';
import { openDirectory } from './backends.ts';
import { isLoopback, isWildcard } from './base/address.ts';
import { isUnavailable } from './base/errors.ts';
import type { Address } from './base/model.ts';
import type { Datagrams, Streams, Timer } from './base/ports.ts';
import { startOfProcess } from './base/process.ts';
import { systemAddresses, systemClock, systemRandom, systemTimers } from './base/system.ts';
import { systemStreams } from './base/system-streams.ts';
import type { Bus } from './bus/bus.ts';
import { createBus, NO_BUS } from './bus/bus.ts';
import { natsWire } from './bus/nats.ts';
import type { Config } from './config.ts';
import type { Core, CorePorts, Outward } from './core.ts';
import { createCore } from './core.ts';
import { openDatagrams } from './datagrams.ts';
import type { Directory } from './directory/directory.ts';
import type { GuardedDirectory } from './directory/guarded.ts';
import { guarded } from './directory/guarded.ts';
import type { Edges } from './edges.ts';
import { openEdges } from './edges.ts';
import { announcedVersion, meetOthers } from './join.ts';
import { createLog } from './logger.ts';
import { restoreSnapshot, saveSnapshot } from './login/snapshot.ts';
import type { Identity } from './redirect/servers.ts';
import { startRounds } from './rounds.ts';
import type { RunFile } from './run-file.ts';
import { runFilePath } from './run-file.ts';
import { fillWithSample } from './sample.ts';
import type { Secrets } from './secrets.ts';
import { ensureSecrets } from './secrets.ts';

/** What a node needs of the world; tests bring their own. */
export interface NodePorts extends CorePorts {
  readonly datagrams: Datagrams;
  readonly streams: Streams;
  /** The machine's own, numeric. */
  readonly addresses: () => readonly string[];
  /** Instead of the directory that the settings name. */
  readonly directory?: Directory;
}

export interface VserverNode {
  readonly core: Core;
  readonly directory: GuardedDirectory;
  readonly udp: Address;
  readonly udpAlt: Address;
  /** Of SIP over UDP and TCP. */
  readonly sip: Address;
  /** null where no certificate is set. */
  readonly sipTls: Address | null;
  /** `http://host:port` or `https://host:port`. */
  readonly http: string;
  readonly adminToken: string;
  /** Reads the system variables anew (SIGHUP). */
  reload(): Promise<void>;
  /** `logout`: everybody is logged out; else the sessions are kept for the next start. Again: the same promise. */
  stop(logout: boolean): Promise<void>;
  /** Resolves when the node has stopped, whoever asked for it. */
  readonly stopped: Promise<void>;
}

export const VERSION = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** What is still to be written at the end may take so long; the rest waits in the outbox for the next start. */
const FLUSH_MS_MAX = 3_000;

export function systemPorts(config: Pick<Config, 'logLevel' | 'io'>): NodePorts {
  const log = createLog(config.logLevel);
  return {
    ...{ clock: systemClock, timers: systemTimers, random: systemRandom, log },
    datagrams: openDatagrams(config.io, log),
    streams: systemStreams(log),
    addresses: systemAddresses,
  };
}

/** Starts a node; rejects with SETTINGS and a remedy where it can't start, after closing what was open by then. */
export async function createNode(config: Config, ports: NodePorts = systemPorts(config)): Promise<VserverNode> {
  const closers: (() => Promise<void>)[] = [];
  try {
    return await startNode(config, ports, closers);
  } catch (error) {
    // What can't be closed must not hide why the start failed.
    for (const close of closers.reverse()) await close().catch(() => undefined);
    throw error;
  }
}

async function startNode(config: Config, ports: NodePorts, closers: (() => Promise<void>)[]): Promise<VserverNode> {
  const { log, clock } = ports;
  const secrets = ensureSecrets(config, ports.random);
  const backend = ports.directory ?? (await openDirectory(config, ports));
  const directory = guarded(backend, { ...ports, deadlineMs: config.directoryDeadline });
  closers.push(() => directory.close());
  let prepared = await prepare(config, ports, directory);

  // Sessions may end before the edges are open: the snapshot's.
  let edges: Edges | undefined = undefined as Edges | undefined;
  const startedAt = clock.now();
  const bus = openBus(config, ports, secrets);
  closers.push(() => bus.close());
  const outward: Outward = {
    sessionEnded: (row, reason, uid) => {
      if (reason === 'silence') core.counters.silences++;
      else core.counters.logouts++;
      edges?.sessionEnded(row, reason, uid);
    },
    deliver: (row, message, onAnswer) => {
      if (edges === undefined) onAnswer('silent');
      else edges.deliver(row, message, onAnswer);
    },
  };
  const core = await createCore(config, ports, directory, identity(config, secrets, startedAt), outward, bus);
  closers.push(() => core.outbox.close());
  const restored = await restoreSnapshot(snapshotPath(config), {
    ...{ table: core.table, directory, clock, log, server: config.name },
    onSilent: (row) => {
      core.ends.end(row, 'silence');
    },
  });
  if (restored.taken + restored.left > 0) log.info(restored, 'sessions taken back after the restart');

  let markStopped: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => (markStopped = resolve));
  let timers: readonly Timer[] = [];
  let ending: Promise<void> | undefined;
  const stop = (logout: boolean): Promise<void> =>
    (ending ??= endNode(config, ports, { core, directory, edges, timers }, logout).then(markStopped));
  const opened = await openEdges({ config, ports, core, directory, secrets, onStop: (logout) => void stop(logout) });
  edges = opened;
  closers.push(() => opened.close());
  core.servers.me = { ...core.servers.me, udp: opened.udp, http: opened.http, sip: opened.sip };
  let begun = await meetOthers(config, core, secrets, ports);
  timers = startRounds(core, ports, {
    begun: () => begun,
    async begin() {
      prepared ||= await prepare(config, ports, directory);
      begun ||= prepared && (await meetOthers(config, core, secrets, ports));
    },
    stop: () => stop(false),
  });
  const { udp, udpAlt, http, sip, sipTls } = opened;
  writeRunFile(config, opened, startedAt);
  log.info({ http, udp, sip, directory: directory.description, version: VERSION }, 'vserver runs');
  const { adminToken } = secrets;
  return {
    core,
    directory,
    udp,
    udpAlt,
    http,
    sip,
    sipTls,
    adminToken,
    reload: () => core.variables.refresh(),
    stop,
    stopped,
  };
}

/** Nothing waits for it: a node whose NATS is away runs alone. */
function openBus(config: Config, ports: NodePorts, { clusterKey }: Secrets): Bus {
  if (config.nats === '') return NO_BUS;
  const wire = natsWire(config.nats, config.name, ports);
  return createBus({ ...ports, wire, clusterKey, name: config.name });
}

function writeRunFile({ listen, data, httpCert, adminToken }: Config, opened: Edges, startedAt: number): void {
  const { udp, http, sip } = opened;
  const { pid } = process;
  const local = new URL(http);
  const host = isWildcard(listen) ? (listen.includes(':') ? '::1' : '127.0.0.1') : listen;
  local.hostname = isIPv6(host) ? `[${host}]` : host;
  const run: RunFile = {
    ...{ pid, processStart: startOfProcess(pid), http, udp, sip, startedAt },
    local: local.origin,
    certFile: httpCert === '' ? '' : resolve(httpCert),
    adminToken: adminToken === '' ? 'in data folder' : 'set',
  };
  writeFileSync(runFilePath(data), `${JSON.stringify(run)}\n`, { mode: 0o600 });
}

function snapshotPath(config: Config): string {
  return join(config.data, 'sessions.snapshot');
}

function identity(config: Config, { clusterKey }: Secrets, startedAt: number): Identity {
  return {
    name: config.name,
    // The ports are known when the listeners are open.
    udp: { host: config.advertise, port: 0 },
    http: '',
    sip: null,
    usersMax: config.usersMax,
    startedAt,
    version: announcedVersion(VERSION, clusterKey),
  };
}

/** Brings the schema up to date and fills a new embedded directory; false where the directory can't be asked now. */
async function prepare(config: Config, { log, clock }: NodePorts, directory: GuardedDirectory): Promise<boolean> {
  try {
    for (const step of await directory.migrate()) log.info({ step }, 'directory brought up to date');
    if (config.directory.startsWith('sqlite:') && isLoopback(config.listen) && config.state === '') {
      if (await fillWithSample(directory, clock)) log.info({}, 'empty directory filled with the sample users');
    }
    return true;
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    log.warn({ err: error }, 'the directory is unreachable: logins are refused until it is back');
    return false;
  }
}

interface Running {
  readonly core: Core;
  readonly directory: GuardedDirectory;
  readonly edges: Edges | undefined;
  readonly timers: readonly Timer[];
}

async function endNode(config: Config, ports: NodePorts, running: Running, logout: boolean): Promise<void> {
  const { core, directory } = running;
  /** What fails must not keep the rest from being done. */
  const step = async (what: string, run: () => Promise<void> | undefined): Promise<void> => {
    try {
      await run();
    } catch (error) {
      ports.log.error({ err: error }, `the node stops: ${what} failed`);
    }
  };
  for (const timer of running.timers) timer.cancel();
  core.cases.presence.close();
  await step('closing the listeners', () => running.edges?.close());
  if (logout) {
    for (const row of core.table.openRows()) core.ends.end(row, 'stopped');
  } else {
    await step('saving the sessions', async () => {
      const saved = await saveSnapshot(snapshotPath(config), core.table, config.name);
      ports.log.info({ saved }, 'sessions kept for the next start');
    });
  }
  const lastWrites = Promise.allSettled([core.outbox.flush(), core.servers.leave()]);
  await Promise.race([lastWrites, new Promise<void>((resolve) => ports.timers.after(FLUSH_MS_MAX, resolve))]);
  await step('closing the outbox', () => core.outbox.close());
  await step('closing the bus', () => core.bus.close());
  await step('closing the directory', () => directory.close());
  await step('removing the run file', () => rm(runFilePath(config.data), { force: true }));
  ports.log.info({}, 'vserver stopped');
}
