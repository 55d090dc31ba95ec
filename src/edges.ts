/** Opens the edges of a node: the sockets of the client protocol and the HTTP server. */
import { formatAddress } from './base/address.ts';
import { VserverError } from './base/errors.ts';
import type { Address } from './base/model.ts';
import type { Datagrams, DatagramSocket } from './base/ports.ts';
import type { Config } from './config.ts';
import type { Core, CorePorts } from './core.ts';
import type { GuardedDirectory } from './directory/guarded.ts';
import type { NodeNumbers } from './http/deps.ts';
import { createHttp } from './http/server.ts';
import { createNonces } from './login/nonces.ts';
import { createRateLimit } from './login/rate-limit.ts';
import type { EndReason } from './login/session-ends.ts';
import type { Secrets } from './secrets.ts';
import { SETTINGS } from './settings.ts';
import type { Receive } from './udp/server.ts';
import { createUdp } from './udp/server.ts';

export interface Edges {
  readonly udp: Address;
  readonly udpAlt: Address;
  /** `http://host:port` or `https://host:port`, as it is told to others. */
  readonly http: string;
  /** Tells the client, where its edge can. */
  sessionEnded(row: number, reason: EndReason): void;
  close(): Promise<void>;
}

export interface EdgesOptions {
  readonly config: Config;
  readonly ports: CorePorts & { readonly datagrams: Datagrams };
  readonly core: Core;
  readonly directory: GuardedDirectory;
  readonly secrets: Secrets;
  /** An administrator asks the node to stop. */
  readonly onStop: (logout: boolean) => void;
}

const SOURCES_MAX = 131_072;
/** PROTOCOL.md section 3: 10 failed logins a minute a source are never refused. */
const FAILED_LOGINS_A_MINUTE = 20;
/** The same for 50 requests a second. */
const REQUESTS_A_SECOND_MIN = 50;

/** Rejects with SETTINGS where an address is taken or not ours; what was opened by then is closed. */
export async function openEdges(options: EdgesOptions): Promise<Edges> {
  const { config, ports, core, secrets } = options;
  const shared = sharedLimits(config, ports);
  const udp = createUdp({
    ...ports,
    ...shared,
    cases: core.cases,
    counters: core.counters,
    clusterKey: secrets.clusterKey,
    settings: config,
  });
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    udp.close();
    for (const one of closers.reverse()) await one();
  };
  try {
    const bind = async (port: number, env: string, receive: Receive): Promise<DatagramSocket> => {
      const at = { host: config.listen, port };
      const bound: DatagramSocket = await listening(at, 'UDP', env, () =>
        ports.datagrams.bind(at, (bytes, from) => {
          receive(bound, bytes, from);
        }),
      );
      closers.push(() => bound.close());
      return bound;
    };
    const socket = await bind(config.udpPort, SETTINGS.udpPort.env, udp.receive);
    const alternate = await bind(config.udpAltPort, SETTINGS.udpAltPort.env, udp.receiveAlternate);
    const http = await openHttp(options, shared, closers);
    return {
      udp: { host: config.advertise, port: socket.local.port },
      udpAlt: { host: config.advertise, port: alternate.local.port },
      http,
      sessionEnded: (row, reason) => {
        udp.sessionEnded(socket, row, reason);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function sharedLimits(config: Config, { random }: CorePorts) {
  const limit = (tokens: number, periodMs: number) =>
    createRateLimit({ tokens, periodMs, burst: tokens, sourcesMax: SOURCES_MAX, seed: random.bytes(4).readUInt32LE() });
  return {
    nonces: createNonces(random.bytes(32)),
    requests: limit(config.rateLimit === 0 ? 0 : Math.max(config.rateLimit, REQUESTS_A_SECOND_MIN), 1_000),
    // Load tests switch both off.
    failedLogins: limit(config.rateLimit === 0 ? 0 : FAILED_LOGINS_A_MINUTE, 60_000),
  };
}

async function openHttp(
  { config, ports, core, directory, secrets, onStop }: EdgesOptions,
  { nonces, requests, failedLogins }: ReturnType<typeof sharedLimits>,
  closers: (() => Promise<void>)[],
): Promise<string> {
  const tls = config.httpCert === '' ? null : { certFile: config.httpCert, keyFile: config.httpKey };
  const http = await createHttp({
    ...ports,
    settings: {
      realm: config.realm,
      heartbeatS: config.heartbeat,
      expiresS: config.expires,
      adminToken: secrets.adminToken,
      clusterKey: secrets.clusterKey,
      proxies: config.httpProxies,
      insecure: config.httpInsecure,
      tls,
    },
    uses: core.cases,
    admin: core.admin,
    directory,
    nonces,
    requests,
    failures: failedLogins,
    ready: () => [{ dependency: 'directory', ok: directory.health().up, detail: directory.health().lastError }],
    numbers: () => numbersOf(core, directory),
    stop: onStop,
  });
  closers.push(() => http.close());
  const at = { host: config.listen, port: config.httpPort };
  const bound = await listening(at, 'TCP', SETTINGS.httpPort.env, () => http.listen(at));
  return `${tls === null ? 'http' : 'https'}://${formatAddress({ host: config.advertise, port: bound.port })}`;
}

async function listening<T>(at: Address, kind: string, env: string, listen: () => Promise<T>): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const place = `${kind} ${formatAddress(at)}`;
    if (code === 'EADDRINUSE') {
      throw new VserverError('SETTINGS', `${place} is taken: end the program that holds it, or set ${env}`);
    }
    if (code === 'EADDRNOTAVAIL') {
      throw new VserverError('SETTINGS', `${place} is no address of this machine: set ${SETTINGS.listen.env}`);
    }
    if (code === 'EACCES') throw new VserverError('SETTINGS', `${place} may not be opened by this user: set ${env}`);
    throw error;
  }
}

function numbersOf({ counters, table, outbox }: Core, directory: GuardedDirectory): NodeNumbers {
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
    natRebindings: counters.natRebindings,
    rejectedFragments: counters.fragmentsRejected,
  };
}
