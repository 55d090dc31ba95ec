/** The inside of a node with many users online, without sockets: its memory, and what a heartbeat costs there. */
import { randomBytes } from 'node:crypto';
import type * as BackendsModule from '../../src/backends.ts';
import type { Address } from '../../src/base/model.ts';
import type { DatagramSocket } from '../../src/base/ports.ts';
import type * as SystemModule from '../../src/base/system.ts';
import type * as ConfigModule from '../../src/config.ts';
import type * as CoreModule from '../../src/core.ts';
import type * as GuardedModule from '../../src/directory/guarded.ts';
import type { OnlineUser } from '../../src/heartbeat/online.ts';
import type { NewSession } from '../../src/heartbeat/session-rows.ts';
import type * as LogModule from '../../src/logger.ts';
import type * as NoncesModule from '../../src/login/nonces.ts';
import type * as ProofModule from '../../src/login/proof.ts';
import type * as RateLimitModule from '../../src/login/rate-limit.ts';
import type * as BindingsModule from '../../src/sip/bindings.ts';
import type * as EncodeModule from '../../src/udp/encode.ts';
import type * as ServerModule from '../../src/udp/server.ts';
import { answer, built, residentBytes } from './talk.ts';

const { openDirectory } = await built<typeof BackendsModule>('backends.js');
const { systemRandom, systemTimers } = await built<typeof SystemModule>('base/system.js');
const { loadConfig } = await built<typeof ConfigModule>('config.js');
const { createCore } = await built<typeof CoreModule>('core.js');
const { guarded } = await built<typeof GuardedModule>('directory/guarded.js');
const { createLog } = await built<typeof LogModule>('logger.js');
const { createNonces } = await built<typeof NoncesModule>('login/nonces.js');
const { macOf } = await built<typeof ProofModule>('login/proof.js');
const { createRateLimit } = await built<typeof RateLimitModule>('login/rate-limit.js');
const { encodeSigned } = await built<typeof EncodeModule>('udp/encode.js');
const { formatRegistration } = await built<typeof BindingsModule>('sip/bindings.js');
const { createUdp } = await built<typeof ServerModule>('udp/server.js');

const HEARTBEAT_S = 30;
/** Datagrams a system call, as in base/batch-arena.ts. */
const BATCH = 64;
const EXPIRES_S = 90;
const SOURCE: Address = { host: '127.0.0.1', port: 40_000 };

// Time passes with the heartbeats, so that a small and a large table do the same work a heartbeat.
let nowMs = Date.now();
const clock = { now: () => nowMs };
const config = loadConfig({
  ...process.env,
  VSERVER_HEARTBEAT: String(HEARTBEAT_S),
  VSERVER_EXPIRES: String(EXPIRES_S),
});
const ports = { clock, timers: systemTimers, random: systemRandom, log: createLog('error') };
const directory = guarded(await openDirectory(config, ports), ports);
const me = {
  name: 'bench',
  udp: SOURCE,
  http: '',
  sip: null,
  usersMax: config.usersMax,
  startedAt: nowMs,
  version: '',
};
const core = await createCore(config, ports, directory, me, {
  sessionEnded: () => undefined,
  deliver: (_row, _message, onAnswer) => onAnswer('silent'),
});
const noLimit = createRateLimit({ tokens: 0, periodMs: 1_000, burst: 1, sourcesMax: 16, seed: 1 });
const udp = createUdp({
  ...ports,
  cases: core.cases,
  counters: core.counters,
  nonces: createNonces(randomBytes(32)),
  requests: noLimit,
  failedLogins: noLimit,
  clusterKey: 'x'.repeat(32),
  settings: config,
});

let replies = 0;
const socket: DatagramSocket = {
  local: SOURCE,
  send: (bytes) => void (replies += Number(bytes[0] === OK)),
  close: () => Promise.resolve(),
};
const OK = 'O'.charCodeAt(0);
const rows: number[] = [];

const DEVICE = 'cpu=arm64 8x2.4GHz; mem=8192; disk=131072; net=wifi; agent=ExampleSoftphone/4.2.1 (android 15; b17)'
  .padEnd(100, ' ')
  .slice(0, 100);

/** `plain` says nothing of its device; `sip` is a registration: contact, Call-ID and one device. */
export type Kind = 'native' | 'plain' | 'sip';

function addUser(kind: Kind): void {
  const index = rows.length;
  const uid = String(10_000_000 + index);
  const who: OnlineUser = {
    profile: {
      uid,
      alias: `Bench User ${uid}`,
      telephones: [],
      buddies: [],
      blocked: [],
      privacy: 'all',
      contactVisibleTo: 'all',
      mayBeCalledBy: 'all',
      mayCallOut: true,
      devicesMax: 5,
      forwarding: { always: '', busy: '', noAnswer: '', noAnswerSeconds: 20, unreachable: '' },
    },
    stamp: { version: randomBytes(8).toString('hex'), secret: randomBytes(8).toString('hex'), endsS: 0 },
    epoch: 1,
    logoutAt: null,
  };
  const session: NewSession = {
    cookie: randomBytes(16).toString('hex'),
    key: randomBytes(32),
    wan: SOURCE,
    local: { host: `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`, port: 4321 },
    network: 'lan',
    firewall: 'weak',
    status: 'online',
    instance: '',
    note: '',
    device: kind === 'native' ? DEVICE : '',
    contact: '',
    registration: '',
    lifetimeS: EXPIRES_S,
    ...(kind === 'sip' ? registration(uid) : {}),
  };
  rows.push(core.table.open(who, session, secondNow()));
}

/** As the registrar keeps it of an ordinary phone. */
function registration(uid: string): Pick<NewSession, 'instance' | 'device' | 'contact' | 'registration'> {
  const contact = `sip:${uid}@10.20.30.40:5062;transport=udp`;
  const callId = `c${uid}-7f3a9c21@10.20.30.40`;
  const kept = formatRegistration({ callId, q: '', regId: '', instanceId: '', path: '', edge: '' });
  return { instance: contact, device: 'agent=ExamplePhone/1.0', contact, registration: kept };
}

function secondNow(): number {
  return Math.floor(nowMs / 1000);
}

function passSecond(): void {
  nowMs += 1_000;
  core.table.turn(secondNow(), (row) => core.ends.end(row, 'silence'));
}

/** Logins spread over one lifetime, so that as many deadlines come up in each second from now on. */
function fill({ users, kind }: { users: number; kind: Kind }): void {
  const from = rows.length;
  for (let second = 1; second <= EXPIRES_S; second++) {
    const until = from + Math.floor(((users - from) * second) / EXPIRES_S);
    while (rows.length < until) addUser(kind);
    passSecond();
    // All of them are heard of: nobody is to expire.
    for (const row of rows) core.table.touch(row, secondNow());
  }
}

/** The users in random order, each once a round. */
let order: number[] = [];
let nextInOrder = 0;
let seqs = new Uint32Array(0);
let datagrams: Buffer[] = [];

function shuffle(): void {
  order = rows.map((_, i) => i);
  seqs = new Uint32Array(rows.length);
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
}

function prepare({ count }: { count: number }): void {
  if (order.length !== rows.length) shuffle();
  const { sessions } = core.table;
  datagrams = Array.from({ length: count }, (_, i) => {
    const user = order[nextInOrder++ % order.length] ?? 0;
    const row = rows[user] ?? 0;
    const seq = (seqs[user] = (seqs[user] ?? 0) + 1);
    return encodeSigned(sessions.key(row), macOf, 'Heartbeat', '', `h${i}`, { cookie: sessions.cookie(row), seq });
  });
}

/** Requests a second of processor time, in batches as they come from a socket with as many in flight. */
function beat(): number {
  const beatsASecond = rows.length / HEARTBEAT_S;
  let untilSecond = beatsASecond;
  replies = 0;
  const before = process.cpuUsage();
  for (let from = 0; from < datagrams.length; from += BATCH) {
    const batch = datagrams.slice(from, from + BATCH);
    for (const datagram of batch) udp.coming(datagram);
    for (const datagram of batch) {
      udp.receive(socket, datagram, SOURCE);
      if (--untilSecond <= 0) {
        untilSecond += beatsASecond;
        passSecond();
      }
    }
  }
  const { user, system } = process.cpuUsage(before);
  if (replies !== datagrams.length) throw new Error(`${datagrams.length - replies} heartbeats were not answered Ok`);
  return datagrams.length / ((user + system) / 1e6);
}

answer({ fill, residentBytes, prepare, beat }, async () => {
  udp.close();
  await core.outbox.close();
  await directory.close();
});
