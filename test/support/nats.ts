/** A real nats-server on a free port of loopback, that tests may end and start again. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { freePort, listens } from './programs.ts';

export interface NatsServer {
  readonly url: string;
  /** Ends the process with this signal and waits until it is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** On the same port as before. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export async function startNats(): Promise<NatsServer> {
  const port = await freePort();
  let running: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    const child = spawn('nats-server', ['--addr', '127.0.0.1', '--port', String(port)], { stdio: 'ignore' });
    await listens(child, port).catch((error: unknown) => {
      throw new Error('nats-server does not start: apt-get install nats-server', { cause: error });
    });
    running = child;
  };
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    if (running === null) return;
    const gone = once(running, 'exit');
    running.kill(signal);
    running = null;
    await gone;
  };
  await start();
  return { url: `nats://127.0.0.1:${port}`, kill, start, stop: () => kill('SIGTERM') };
}
