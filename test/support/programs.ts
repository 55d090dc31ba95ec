/** Programs that others wrote, run headless in temporary homes; what a test leaves running is killed. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HOST = '127.0.0.1';
const RUN_MS_MAX = 30_000;

export interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  output(): string;
}

const programs = new Set<Program>();
const folders: string[] = [];

export function temporaryHome(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vserver-phone-'));
  folders.push(folder);
  return folder;
}

export function run(command: string, args: readonly string[], cwd: string): Program {
  const env = { PATH: process.env['PATH'], HOME: cwd, LANG: 'C' };
  const child = spawn(command, args, { cwd, env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  // It may have ended before a command is written.
  child.stdin.on('error', () => undefined);
  const program: Program = {
    child,
    ended: new Promise((resolve) => {
      child.once('close', resolve);
      child.once('error', (error) => {
        output += error.message;
        resolve(null);
      });
    }),
    output: () => output,
  };
  programs.add(program);
  void program.ended.then(() => programs.delete(program));
  return program;
}

/** Waits until it ends by itself; kills it where it does not. */
export async function awaitEnd({ child, ended }: Program, ms: number): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  await ended;
  clearTimeout(timer);
}

/** Kills what a test left running, and removes the homes. */
export async function endPrograms(): Promise<void> {
  for (const { child } of programs) child.kill('SIGKILL');
  await Promise.all([...programs].map(({ ended }) => ended));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

export interface Finished {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a tool to its end. */
export async function runTool(command: string, args: readonly string[], home = temporaryHome()): Promise<Finished> {
  const program = run(command, args, home);
  await awaitEnd(program, RUN_MS_MAX);
  return { status: program.child.exitCode, output: program.output() };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
