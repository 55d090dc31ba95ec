/** Programs that others wrote, run headless in temporary homes; what a test leaves running is killed. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HOST = '127.0.0.1';
/** A machine under load is slow. */
const RUN_MS_MAX = 100_000;
const LISTENS_MS_MAX = 60_000;
/** Below those that systems pick for sockets without one (32,768 and more): nobody takes one by chance. */
const PORT_MIN = 10_000;
/** Each process of the tests has ports of its own. */
const SHARES = 100;
const PORTS_A_SHARE = 220;

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

let portsGiven = Math.floor(Math.random() * PORTS_A_SHARE);

/** A port of loopback, free for UDP and TCP, that stays so: a server that ends can be started there again. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS_A_SHARE; tries++) {
    const port = PORT_MIN + (process.pid % SHARES) * PORTS_A_SHARE + (portsGiven++ % PORTS_A_SHARE);
    const isFree = await Promise.all([isFreeOfTcp(port), isFreeOfUdp(port)]);
    if (isFree.every(Boolean)) return port;
  }
  throw new Error('no port is free');
}

function isFreeOfTcp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}

function isFreeOfUdp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4').once('error', () => resolve(false));
    socket.bind(port, HOST, () => socket.close(() => resolve(true)));
  });
}

/** Waits until `child` listens on this TCP port; rejects where it ends before, or can not be started. */
export async function listens(child: ChildProcess, port: number): Promise<void> {
  const failures: Error[] = [];
  child.once('error', (error) => failures.push(error));
  const sinceMs = performance.now();
  while (!(await isConnected(port))) {
    if (failures[0] !== undefined) throw failures[0];
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${child.spawnfile} ended at once`);
    if (performance.now() - sinceMs > LISTENS_MS_MAX) throw new Error(`${child.spawnfile} does not listen on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * SIGSTOP, and waits until each of its threads stands still: while the one that gets the signal has no processor, the
 * others go on answering.
 */
export async function standStill(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP');
  const threads = `/proc/${child.pid}/task`;
  const isStopped = (thread: string): boolean => /\) [Tt] /.test(readFileSync(join(threads, thread, 'stat'), 'utf8'));
  while (existsSync(threads) && !readdirSync(threads).every(isStopped)) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function isConnected(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
