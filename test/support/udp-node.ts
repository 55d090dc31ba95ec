/** The UDP edge of one node over a network in memory: use cases on the fake directory, time that a test moves. */
import { hash } from 'node:crypto';
import { createCounters } from '../../src/base/counters.ts';
import type { Address } from '../../src/base/model.ts';
import type { DatagramSocket, Random } from '../../src/base/ports.ts';
import { createNonces } from '../../src/login/nonces.ts';
import type { UseCases } from '../../src/login/use-cases.ts';
import type { UdpDeps, UdpSettings } from '../../src/udp/context.ts';
import type { Receive } from '../../src/udp/server.ts';
import { createUdp } from '../../src/udp/server.ts';
import type { ManualTime } from './clock.ts';
import type { fakeDirectory } from './fake-directory.ts';
import type { LimitOptions } from './edge-doubles.ts';
import { limits, readableLog } from './edge-doubles.ts';
import { flows } from './flows.ts';
import type { MemoryNetwork } from './network.ts';
import { memoryNetwork } from './network.ts';
import { useCases } from './use-cases.ts';

export interface UdpNodeOptions extends LimitOptions {
  readonly name?: string;
  readonly usersMax?: number;
  readonly at?: Address;
  readonly network?: MemoryNetwork;
  readonly time?: ManualTime;
  readonly directory?: ReturnType<typeof fakeDirectory>;
  readonly settings?: Partial<UdpSettings>;
  /** The same keys, nonces and cookies at each run. */
  readonly random?: Random;
}

export const CLUSTER_KEY = 'the-cluster-key';

export async function udpNode(options: UdpNodeOptions = {}) {
  const network = options.network ?? memoryNetwork();
  const at = options.at ?? { host: '10.0.0.1', port: 4321 };
  const node = flows({
    name: options.name ?? 'vserver1',
    udp: at,
    ...(options.usersMax === undefined ? {} : { usersMax: options.usersMax }),
    ...(options.directory === undefined ? {} : { directory: options.directory }),
    ...(options.time === undefined ? {} : { time: options.time }),
    ...(options.random === undefined ? {} : { random: options.random }),
    onEnd: (row, reason) => {
      udp.sessionEnded(socket, row, reason);
    },
    deliver: (row, message, onAnswer) => void udp.deliver(socket, row, message).then(onAnswer),
  });
  const { log, logged } = readableLog();
  const counters = createCounters();
  const cases: UseCases = { ...useCases(node), ...configCases(node) };
  const deps: UdpDeps = {
    cases,
    counters,
    nonces: createNonces(node.deps.random.bytes(32)),
    ...limits(options),
    clusterKey: CLUSTER_KEY,
    timers: node.time.timers,
    random: node.deps.random,
    log,
    settings: {
      realm: 'vserver',
      heartbeat: 30,
      expires: 90,
      loginDatagram: true,
      configPasswords: false,
      ...options.settings,
    },
  };
  const udp = createUdp(deps);
  const bind = async (port: number, receive: Receive): Promise<DatagramSocket> => {
    const bound: DatagramSocket = await network.bind({ host: at.host, port }, (bytes, from) => {
      receive(bound, bytes, from);
    });
    return bound;
  };
  const socket = await bind(at.port, udp.receive);
  cases.presence.attach('native', udp.watcherOutlet(socket));
  const alternate = await bind(at.port + 1, udp.receiveAlternate);
  return { ...node, udp, udpDeps: deps, network, at, socket, alternate, counters, logged, cases };
}

export type UdpNode = Awaited<ReturnType<typeof udpNode>>;

function configCases({ directory }: ReturnType<typeof flows>): Pick<UseCases, 'config' | 'configHere'> {
  return {
    configHere: () => undefined,
    async config(uid, withPasswords) {
      const entry = await directory.find(uid);
      if (entry === null) return null;
      const password = withPasswords ? (entry.user.voip[0]?.password ?? '') : '';
      const body = Buffer.from(`<CONFIG PWD="${password}">${entry.user.xmlext}</CONFIG>`);
      return { body, etag: `"${hash('sha256', body)}"` };
    },
  };
}
