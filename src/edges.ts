/** Opens the edges of a node: the sockets of the client protocol, the HTTP server and the transports of SIP. */
import type { IncomingMessage } from 'node:http';
import { canonicalHost, formatAddress, isWildcard } from './base/address.ts';
import type { TlsFiles } from './base/certificate.ts';
import { readPem, watchCertificate } from './base/certificate.ts';
import { contained } from './base/contained.ts';
import { VserverError } from './base/errors.ts';
import type { Address } from './base/model.ts';
import type { ComingHandler, Datagrams, DatagramSocket, Streams } from './base/ports.ts';
import type { Config } from './config.ts';
import type { Core, CorePorts } from './core.ts';
import type { GuardedDirectory } from './directory/guarded.ts';
import { createPeers } from './http/peer.ts';
import type { HttpServer } from './http/server.ts';
import { createHttp } from './http/server.ts';
import { createNonces } from './login/nonces.ts';
import { createRateLimit } from './login/rate-limit.ts';
import type { EndReason } from './login/session-ends.ts';
import type { DeliverTo } from './messages/delivery.ts';
import { numbersOf, readinessOf } from './reports.ts';
import type { Secrets } from './secrets.ts';
import { SETTINGS } from './settings.ts';
import type { SipServer } from './sip/server.ts';
import { createSip } from './sip/server.ts';
import { SIP_NONCE_VALID_MS } from './sip/spent-nonces.ts';
import { openTransports } from './sip/transports.ts';
import type { Receive } from './udp/server.ts';
import { createUdp } from './udp/server.ts';

export interface Edges {
  readonly udp: Address;
  readonly udpAlt: Address;
  /** `http://host:port` or `https://host:port`, as it is told to others. */
  readonly http: string;
  /** Of SIP over UDP and TCP. */
  readonly sip: Address;
  /** null where no certificate is set. */
  readonly sipTls: Address | null;
  /** Tells the client, where its edge can. */
  sessionEnded(row: number, reason: EndReason, uid: string): void;
  /** To the device of this session, by the edge over which it came. */
  readonly deliver: DeliverTo;
  close(): Promise<void>;
}

export interface EdgesOptions {
  readonly config: Config;
  readonly ports: CorePorts & {
    readonly datagrams: Datagrams;
    readonly streams: Streams;
    readonly addresses: () => readonly string[];
  };
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

const SIP_TURN_MS = 1_000;

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
    const bind = async (
      port: number,
      env: string,
      receive: Receive,
      coming?: ComingHandler,
    ): Promise<DatagramSocket> => {
      const at = { host: config.listen, port };
      const bound: DatagramSocket = await listening(at, 'UDP', env, () =>
        ports.datagrams.bind(
          at,
          contained(ports.log, 'a datagram', (bytes, from) => {
            receive(bound, bytes, from);
          }),
          coming,
        ),
      );
      closers.push(() => bound.close());
      return bound;
    };
    const socket = await bind(config.udpPort, SETTINGS.udpPort.env, udp.receive, udp.coming);
    core.cases.presence.attach('native', udp.watcherOutlet(socket));
    const alternate = await bind(config.udpAltPort, SETTINGS.udpAltPort.env, udp.receiveAlternate);
    const { server, url } = await openHttp(options, shared, closers);
    const sip = createSip({
      ...ports,
      ...{ cases: core.cases, counters: core.counters, requests: shared.requests, failedLogins: shared.failedLogins },
      nonces: createNonces(ports.random.bytes(32), SIP_NONCE_VALID_MS),
      clusterKey: secrets.clusterKey,
      settings: sipSettings(config, ports.addresses),
    });
    const opened = await openSip(options, sip, server, closers);
    return {
      udp: { host: config.advertise, port: socket.local.port },
      udpAlt: { host: config.advertise, port: alternate.local.port },
      http: url,
      sip: { host: config.advertise, port: opened.port },
      sipTls: opened.tlsPort === null ? null : { host: config.advertise, port: opened.tlsPort },
      sessionEnded: (row, reason, uid) => {
        udp.sessionEnded(socket, row, reason);
        sip.sessionEnded(row, reason, uid);
      },
      deliver: (row, message, onAnswer) => {
        if (core.table.sessions.isSip(row)) sip.deliver(row, message, onAnswer);
        else void udp.deliver(socket, row, message).then(onAnswer);
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
): Promise<{ readonly server: HttpServer; readonly url: string }> {
  const tls = tlsFiles(config);
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
    ready: () => readinessOf(core, directory),
    numbers: () => numbersOf(core, directory),
    stop: onStop,
  });
  closers.push(() => http.close());
  const at = { host: config.listen, port: config.httpPort };
  const bound = await listening(at, 'TCP', SETTINGS.httpPort.env, () => http.listen(at));
  const scheme = tls === null ? 'http' : 'https';
  return { server: http, url: `${scheme}://${formatAddress({ host: config.advertise, port: bound.port })}` };
}

function tlsFiles(config: Config): TlsFiles | null {
  return config.httpCert === '' ? null : { certFile: config.httpCert, keyFile: config.httpKey };
}

function sipSettings(config: Config, addresses: () => readonly string[]) {
  const { realm, listen, advertise, sipDomains } = config;
  // Requests come to any address of the machine where all are listened to.
  const own = isWildcard(listen) ? addresses() : [listen];
  return {
    realm,
    advertise,
    domains: [realm, ...own, advertise, ...sipDomains].map((host) => canonicalHost(host.toLowerCase())),
    expiresMinS: config.sipExpiresMin,
    expiresMaxS: config.sipExpiresMax,
    digest: config.sipDigest,
    anonymous: config.sipAnonymous === 'redirect',
    calls: config.sipCalls,
  };
}

async function openSip(
  { config, ports }: EdgesOptions,
  sip: SipServer,
  http: HttpServer,
  closers: (() => Promise<void>)[],
): Promise<{ readonly port: number; readonly tlsPort: number | null }> {
  const host = config.listen;
  const files = tlsFiles(config);
  const at = { host, port: config.sipPort };
  const tls = files === null ? null : { at: { host, port: config.sipTlsPort }, pem: await readPem(files) };
  const peers = createPeers({ proxies: config.httpProxies, insecure: config.httpInsecure });
  const hostOf = (request: IncomingMessage): string => peers.host(request);
  const env = tls === null ? SETTINGS.sipPort.env : `${SETTINGS.sipPort.env} or ${SETTINGS.sipTlsPort.env}`;
  const transports = await listening(at, 'SIP', env, () =>
    openTransports({
      ...ports,
      at,
      tls,
      hostOf,
      handlers: {
        ...sip.handlers,
        onMessage: contained(ports.log, 'a SIP message', (bytes, flow) => {
          sip.handlers.onMessage(bytes, flow);
        }),
      },
    }),
  );
  const turns = ports.timers.every(SIP_TURN_MS, sip.turn);
  closers.push(async () => {
    turns.cancel();
    sip.stop();
    await transports.close();
  });
  if (files !== null) {
    const stopWatching = watchCertificate(files, ports.timers, ports.log, (pem) => {
      transports.renew(pem);
    });
    closers.push(() => {
      stopWatching();
      return Promise.resolve();
    });
  }
  http.app.server.on('upgrade', transports.onUpgrade);
  const opened = { port: transports.udp.port, tlsPort: transports.tls?.port ?? null };
  sip.opened({ ...opened, flows: transports });
  return opened;
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
