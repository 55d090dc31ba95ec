/** All phones of a node that has crashed register again at once, against the writes of their locations alone. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { startChild } from '../child.ts';
import type { Client, Session } from '../client.ts';
import { inFlight, openClient, passwordOf, REALM } from '../client.ts';
import type { Row } from '../report.ts';
import { format } from '../report.ts';
import type { Run, Subject } from '../subject.ts';
import type { Place } from '../users.ts';
import { importUsers, openMariadb, uidOf, writeUsers } from '../users.ts';

const USERS = Number(process.env['BENCH_STORM_USERS'] ?? 200_000);
const QUICK_USERS = 2_000;
/** Native users who are online before, and whose heartbeats go on. */
const OTHERS = 20;
const HEARTBEAT_MS = 100;
const IN_FLIGHT = 64;
const CORES = '0-1';
const SOURCE_PORT = 45_071;
const SECONDS_MAX = 600;
/** Of the locations before each run. */
const EPOCH = 7;

export const storm: readonly Subject[] = [
  {
    name: 'storm-mariadb',
    async measure(run) {
      const backend = await openMariadb(run.folder);
      const place = await backend.fresh();
      try {
        return [await measure(run, place)];
      } finally {
        await place.remove();
        await backend.close();
      }
    },
  },
];

async function measure(run: Run, place: Place): Promise<Row> {
  const users = run.quick ? QUICK_USERS : USERS;
  const program = compile(run.folder);
  const file = join(run.folder, 'storm.ldif');
  await writeUsers(file, users + OTHERS);
  await importUsers(place, file);
  const phones = Array.from({ length: users }, (_, i) => uidOf(i));
  const writes = await startChild('writes', { cores: CORES, env: place.env });
  const ours: number[] = [];
  const reference: number[] = [];
  const notes: string[] = [];
  try {
    // Nothing warms up: a node that has crashed is a new process.
    for (let i = 0; i < run.reps; i++) {
      await setLocations(place);
      reference.push(1_000 * (await writes.ask<number>('write', { uids: phones, epoch: EPOCH, limit: IN_FLIGHT })));
      await setLocations(place);
      const { seconds, note } = await stormed(run, place, program, users);
      ours.push(1_000 * seconds);
      notes.push(note);
    }
  } finally {
    await writes.stop();
  }
  return {
    subject: `${format(users)} phones register at once after a crash, MariaDB`,
    unit: 'ms',
    ours,
    reference: { name: `location writes alone, ${IN_FLIGHT} in flight`, values: reference },
    goal: { ratioMax: 1.5 },
    notes,
  };
}

function compile(folder: string): string {
  const source = fileURLToPath(new URL('../native/storm.c', import.meta.url));
  const program = join(folder, 'storm');
  if (spawnSync('cc', ['-O2', '-o', program, source], { stdio: 'ignore' }).status !== 0) {
    throw new Error('a C compiler is missing: on Debian or Ubuntu, sudo apt-get install gcc libc-dev');
  }
  return program;
}

/** Everybody is online at the node, as it has left them. */
async function setLocations({ env }: Place): Promise<void> {
  const connection = await createConnection({ uri: env['VSERVER_DIRECTORY'] ?? '' });
  await connection.query(
    `REPLACE INTO locations (uid, server, server_address, network, wan, lan, login_at, logout_at, hidden, epoch)
     SELECT uid, ?, '127.0.0.1:4321', 'lan', '127.0.0.1:40000', '192.168.1.20:4321', ?, NULL, 0, ? FROM users`,
    [env['VSERVER_NAME'], Date.now() - 3_600_000, EPOCH],
  );
  await connection.end();
}

/** What the program says of its phones. */
interface Storm {
  readonly registered: number;
  readonly seconds: number;
  readonly halfAfter: number;
  readonly sent: number;
  readonly repeated: number;
  readonly challenged: number;
  readonly refused: number;
  readonly refusalsMax: number;
  readonly timedOut: number;
}

async function stormed(run: Run, place: Place, program: string, users: number) {
  const env = {
    ...place.env,
    VSERVER_DATA: await mkdtemp(join(run.folder, 'storm-')),
    VSERVER_MAX_USERS: '1000000',
  };
  const node = await startChild('vserver', { cores: CORES, env });
  const { udp, sip } = await node.ask<{ udp: number; sip: number }>('ports');
  const client = await openClient(udp);
  try {
    const sessions = await inFlight(
      Array.from({ length: OTHERS }, (_, i) => uidOf(users + i)),
      IN_FLIGHT,
      (uid) => client.login(uid),
    );
    const beats = beating(client, sessions);
    const cpuBefore = await node.cpuMs();
    const args = [sip, SOURCE_PORT, users, uidOf(0), REALM, passwordOf(''), SECONDS_MAX].map(String);
    const result = JSON.parse((await promisify(execFile)(program, args)).stdout) as Storm;
    const cpuMs = (await node.cpuMs()) - cpuBefore;
    const waits = await beats.stop();
    const online = await node.ask<number>('online');
    if (result.registered < users || online !== users + OTHERS) {
      throw new Error(`${result.registered} of ${users} are registered, ${online} online: ${JSON.stringify(result)}`);
    }
    const peak = await node.ask<number>('peakBytes');
    return { seconds: result.seconds, note: noteOf(result, cpuMs / 1_000, peak, waits) };
  } finally {
    await client.close();
    await node.stop();
  }
}

/** Heartbeats of one session after the other, with a pause; `stop` tells how long each was waited for, milliseconds. */
function beating(client: Client, sessions: readonly Session[]): { stop(): Promise<number[]> } {
  const waits: number[] = [];
  let isOver = false;
  const beat = async (): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      const start = performance.now();
      await client.heartbeat(sessions[i % sessions.length] as Session);
      waits.push(performance.now() - start);
      await pause(HEARTBEAT_MS);
    }
  };
  const ended = beat();
  return {
    async stop() {
      isOver = true;
      await ended;
      return waits.sort((a, b) => a - b);
    },
  };
}

function noteOf(result: Storm, cpuS: number, peakBytes: number, waits: readonly number[]): string {
  const { halfAfter, sent, repeated, challenged, refused, refusalsMax, timedOut } = result;
  const wait = (share: number): string => (waits[Math.floor(share * (waits.length - 1))] ?? Number.NaN).toFixed(1);
  return [
    `half of them after ${halfAfter.toFixed(1)} s`,
    `${format(sent)} requests, ${format(repeated)} of them repeated, ${format(challenged)} challenges`,
    `${format(refused)} refusals, at most ${refusalsMax} a phone`,
    `${timedOut} timeouts`,
    `node: ${cpuS.toFixed(1)} CPU seconds, ${format(peakBytes / 2 ** 20)} MB at most`,
    `${waits.length} heartbeats meanwhile: median ${wait(0.5)}, p99 ${wait(0.99)}, most ${wait(1)} ms`,
  ].join(', ');
}
