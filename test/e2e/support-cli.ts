/** The built command in child processes, each with a bound on its time, and nodes started by it. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'dist', 'main.js');
/** For nodes too, which live as long as the tests; a machine under load is slow. */
const RUN_MS_MAX = 180_000;

/** Compiles what is newer than dist, as `npm test` does before. */
export function ensureBuilt(): void {
  const script = "import { build } from './scripts/setup.mjs'; build();";
  const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('the build failed');
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Resolves when `where` has written something that matches; rejects where the process ends before. */
  seen(where: 'stdout' | 'stderr', pattern: RegExp): Promise<string>;
}

/** One data folder, and commands that work on it. */
export interface Place {
  readonly data: string;
  /** `vserver ARGS…`. */
  run(args: readonly string[], options?: { input?: string; env?: Record<string, string> }): Promise<Finished>;
  begin(args: readonly string[], env?: Record<string, string>): Running;
  /** A line for the shell, in the project folder. */
  shell(line: string, input?: string): Promise<Finished>;
  /** Ends what still runs, and removes the folder. */
  clear(): Promise<void>;
}

export function newPlace(): Place {
  const data = mkdtempSync(join(tmpdir(), 'vserver-cli-'));
  const running = new Set<Running>();
  const launch = (command: string, args: readonly string[], env: Record<string, string> = {}): Running => {
    const one = launched(command, args, { ...cleanEnvironment(), VSERVER_DATA: data, ...env });
    running.add(one);
    void one.finished.finally(() => running.delete(one));
    return one;
  };
  return {
    data,
    begin: (args, env) => launch(process.execPath, [MAIN, ...args], env),
    run: (args, { input = '', env } = {}) => {
      const one = launch(process.execPath, [MAIN, ...args], env);
      one.child.stdin?.end(input);
      return one.finished;
    },
    shell: (line, input = '') => {
      const one = launch('sh', ['-c', line]);
      one.child.stdin?.end(input);
      return one.finished;
    },
    async clear() {
      for (const { child } of running) child.kill('SIGKILL');
      await Promise.all([...running].map((one) => one.finished));
      rmSync(data, { recursive: true, force: true });
    },
  };
}

function cleanEnvironment(): Record<string, string> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('VSERVER_'));
  const ports = { VSERVER_UDP_PORT: '0', VSERVER_UDP_ALT_PORT: '0', VSERVER_HTTP_PORT: '0', VSERVER_SIP_PORT: '0' };
  return { ...(Object.fromEntries(own) as Record<string, string>), ...ports };
}

function launched(command: string, args: readonly string[], env: Record<string, string>): Running {
  const child = spawn(command, args, { cwd: ROOT, env, stdio: 'pipe' });
  const text = { stdout: '', stderr: '' };
  const listeners = new Set<() => void>();
  for (const where of ['stdout', 'stderr'] as const) {
    child[where].setEncoding('utf8').on('data', (piece: string) => {
      text[where] += piece;
      for (const listener of listeners) listener();
    });
  }
  // A command that has ended reads no more input.
  child.stdin.on('error', () => undefined);
  const bound = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(bound);
      resolve({ code, ...text });
    });
  });
  const seen: Running['seen'] = (where, pattern) =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!pattern.test(text[where])) return;
        listeners.delete(look);
        resolve(text[where]);
      };
      listeners.add(look);
      look();
      finished.then(({ stderr }) => reject(new Error(`ended before ${String(pattern)} came: ${stderr}`)), reject);
    });
  return { child, finished, seen };
}

/** The one JSON document of the answer. */
export function answerOf({ code, stdout, stderr }: Finished): Record<string, unknown> {
  if (stdout === '') throw new Error(`no answer, exit code ${code}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** The error that --json writes. */
export function errorOf({ stderr }: Finished): { code: string; message: string; exitCode: number } {
  return (JSON.parse(stderr) as { error: { code: string; message: string; exitCode: number } }).error;
}
