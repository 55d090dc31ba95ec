/** Processes that are measured: each a program of bench/processes on cores of its own, asked by messages. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Child {
  /** What the program answers to `question`; rejects where it fails or ends instead. */
  ask<T>(question: string, args?: object): Promise<T>;
  /** Milliseconds of processor time so far, all threads. */
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

const STOP_MS_MAX = 10_000;
/** Where the programs leave their CPU profiles (docs/performance.md); none are made where it is not set. */
const PROFILES = process.env['BENCH_PROFILE'];
export const canPin = spawnSync('taskset', ['-c', '0', 'true']).status === 0;

/** `cores` as taskset names them (`0`, `0-1`); without taskset the system chooses. */
export function pinned(cores: string, command: readonly string[]): [string, string[]] {
  const [program = '', ...rest] = canPin ? ['taskset', '-c', cores, ...command] : command;
  return [program, rest];
}

/** Starts bench/processes/`name`.ts and waits until it is ready. */
export async function startChild(
  name: string,
  options: {
    readonly cores: string;
    readonly args?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly node?: readonly string[];
  },
): Promise<Child> {
  const file = fileURLToPath(new URL(`processes/${name}.ts`, import.meta.url));
  const profile = PROFILES === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${PROFILES}`];
  const node = [
    process.execPath,
    ...profile,
    ...(options.node ?? []),
    '--import',
    'tsx',
    file,
    ...(options.args ?? []),
  ];
  const child = spawn(...pinned(options.cores, node), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...withoutSettings(), ...options.env },
  });
  let lastId = 0;
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  child.on('message', ({ id, value, error }: Answer) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asked?.resolve(value);
    else asked?.reject(new Error(`${name}: ${error}`));
  });
  const exited = once(child, 'exit').then(() => {
    for (const { reject } of waiting.values()) reject(new Error(`${name} has ended`));
    waiting.clear();
  });
  const answerTo = (id: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (child.exitCode !== null) reject(new Error(`${name} has ended`));
      else waiting.set(id, { resolve, reject });
    });
  const ask = async <T>(question: string, args: object = {}): Promise<T> => {
    const id = ++lastId;
    const answer = answerTo(id);
    child.send({ id, question, args });
    return (await answer) as T;
  };
  await answerTo(0);
  return {
    ask,
    cpuMs: () => ask<number>('cpuMs'),
    async stop() {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** Settings of the one who runs the benchmark must not reach the programs, but for the one to be compared. */
function withoutSettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => name === 'VSERVER_IO' || !name.startsWith('VSERVER_')),
  );
}
