/** A real coturn on a free port of loopback, and its own client. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './programs.ts';

const INSTALL = 'apt-get install coturn';
const CLIENT_MS_MAX = 60_000;

export interface Coturn {
  readonly port: number;
  /** Lets coturn's client allocate two relays and send through them both ways; what it says, and whether it came to that. */
  relay(user: string, password: string): Promise<{ readonly isRelayed: boolean; readonly output: string }>;
  stop(): Promise<void>;
}

export async function startCoturn(secret: string, realm: string): Promise<Coturn> {
  const folder = mkdtempSync(join(tmpdir(), 'vserver-coturn-'));
  const port = await freePort();
  const host = '127.0.0.1';
  const server = spawn(
    'turnserver',
    [
      ...['-n', '--use-auth-secret', `--static-auth-secret=${secret}`, `--realm=${realm}`],
      ...[`--listening-ip=${host}`, `--relay-ip=${host}`, `--listening-port=${port}`, '--allow-loopback-peers'],
      ...['--no-cli', '--no-tls', '--no-dtls', '--log-file=stdout', '--simple-log'],
      ...[`--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'db')}`],
    ],
    { stdio: 'ignore' },
  );
  const ended = Promise.race([once(server, 'error'), once(server, 'exit')]).then(() => {
    throw new Error(`turnserver does not run: ${INSTALL}`);
  });
  // It may end when nobody waits for it any more.
  ended.catch(() => undefined);
  await Promise.race([isBound(port), ended]);
  return {
    port,
    relay: (user, password) =>
      runClient(['-u', user, '-w', password, '-p', String(port), '-n', '1', '-m', '1', '-y', '-c', host]),
    async stop() {
      const gone = once(server, 'exit');
      if (server.exitCode === null && server.kill('SIGKILL')) await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function runClient(args: readonly string[]): Promise<{ isRelayed: boolean; output: string }> {
  const client = spawn('turnutils_uclient', args, { timeout: CLIENT_MS_MAX });
  let output = '';
  const keep = (bytes: Buffer): void => void (output += bytes.toString());
  client.stdout.on('data', keep);
  client.stderr.on('data', keep);
  const failed = once(client, 'error').then(([error]: unknown[]) => {
    throw new Error(`turnutils_uclient does not run: ${INSTALL}`, { cause: error });
  });
  const [code] = (await Promise.race([once(client, 'close'), failed])) as [number | null];
  return { isRelayed: code === 0 && /tot_send_msgs=2, tot_recv_msgs=2/.test(output), output };
}

/** Asks until it answers a STUN Binding request (RFC 8489 section 5). */
async function isBound(port: number): Promise<void> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const request = Buffer.from('000100002112a442000000000000000000000001', 'hex');
  const answered = once(socket, 'message').then(() => true);
  const soon = (): Promise<false> => new Promise((resolve) => setTimeout(resolve, 20, false));
  let isAnswered = false;
  for (let tries = 0; tries < 3_000 && !isAnswered; tries++) {
    socket.send(request, port, '127.0.0.1');
    isAnswered = await Promise.race([answered, soon()]);
  }
  socket.close();
  if (!isAnswered) throw new Error(`turnserver does not answer on ${port}`);
}
