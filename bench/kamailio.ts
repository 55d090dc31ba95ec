/** Kamailio as registrar, redirect server, proxy and presence server in memory, the reference of the SIP rows. */
import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pinned } from './child.ts';

export interface Kamailio {
  readonly port: number;
  /** Milliseconds of processor time so far, all its processes; in steps of 10. */
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

const CONFIG = new URL('reference/kamailio.cfg', import.meta.url);
/** The presence modules ask for a database, though all stays in memory: empty tables as text. */
const TABLES = '/usr/share/kamailio/dbtext/kamailio';
const START_MS_MAX = 10_000;
const POLL_MS = 100;
/** The unit of processor times in /proc on every Linux that Node runs on. */
const TICK_MS = 10;

/** What it does with requests for users, and whether it keeps presence. */
export type KamailioRole = 'redirect' | 'proxy' | 'presence';

/** Rejects, naming the package, where Kamailio is missing. */
export async function startKamailio(folder: string, core: string, role: KamailioRole = 'redirect'): Promise<Kamailio> {
  if (spawnSync('kamailio', ['-v'], { stdio: 'ignore' }).error !== undefined) {
    throw new Error('kamailio is missing: on Debian or Ubuntu, sudo apt-get install kamailio');
  }
  const port = await freePort();
  const home = await mkdtemp(join(folder, 'kamailio-'));
  const file = join(home, 'kamailio.cfg');
  const config = await readFile(CONFIG, 'utf8');
  await writeFile(file, config.replaceAll(':PORT', `:${port}`).replaceAll('TABLES', TABLES));
  // fm is its fast allocator; the usual one is for debugging and 2.5 times slower.
  const args = [
    '-DD',
    '-E',
    '-x',
    'fm',
    '-m',
    '1024',
    '-M',
    '16',
    '-Y',
    home,
    '-P',
    join(home, 'pid'),
    '-A',
    role,
    '-f',
    file,
  ];
  const child = spawn(...pinned(core, ['kamailio', ...args]), { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const { pid } = child;
  if (pid === undefined) throw new Error('kamailio was not started');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  for (let waitedMs = 0; !(await answers(port)); waitedMs += POLL_MS) {
    if (waitedMs < START_MS_MAX && child.exitCode === null) continue;
    await stop();
    const hint = role === 'presence' ? ': on Debian or Ubuntu, sudo apt-get install kamailio-presence-modules' : '';
    throw new Error(`kamailio does not answer${hint}`);
  }
  return { port, cpuMs: () => Promise.resolve(cpuMsOf(pid)), stop };
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Whether an OPTIONS gets any answer within POLL_MS. */
async function answers(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  // Nobody listens yet: asked again.
  socket.on('error', () => undefined);
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const from = socket.address().port;
  const heard = new Promise<boolean>((resolve) => socket.once('message', () => resolve(true)));
  socket.send(
    `OPTIONS sip:nobody@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:${from};rport;branch=z9hG4bKready\r\n` +
      'From: <sip:nobody@127.0.0.1>;tag=a\r\nTo: <sip:nobody@127.0.0.1>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\n' +
      'Content-Length: 0\r\n\r\n',
  );
  const isHeard = await Promise.race([
    heard,
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), POLL_MS)),
  ]);
  socket.close();
  return isHeard;
}

/** Of the process and all that it started. */
function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name in brackets may hold anything; behind it come the state (3), …, utime (14), stime (15).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
  return children.reduce((sum, child) => sum + cpuMsOf(Number(child)), own);
}
