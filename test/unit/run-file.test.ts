/** Whether a node runs on a data folder, by what node.json says of its process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isRunning, startOfProcess } from '../../src/base/process.ts';
import { findNode } from '../../src/cli/node-api.ts';
import { loadConfig } from '../../src/config.ts';
import { readRunFile } from '../../src/run-file.ts';

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'vserver-run-file-'));
});
afterEach(() => {
  rmSync(data, { recursive: true });
});

function found(pid: number, processStart: string | null): number | undefined {
  const http = 'http://127.0.0.1:1';
  writeFileSync(join(data, 'node.json'), JSON.stringify({ pid, processStart, http, local: http }));
  return findNode(loadConfig({ VSERVER_DATA: data }))?.pid;
}

it('is the process of that pid and that start', () => {
  expect(found(process.pid, startOfProcess(process.pid))).toBe(process.pid);
});

it('is not one that was given the pid after a reboot', () => {
  const ticks = Number(startOfProcess(process.pid));
  expect(ticks).toBeGreaterThan(0);
  expect(found(process.pid, String(ticks + 1))).toBeUndefined();
});

it('is by its pid alone where the start was not to be known', () => {
  expect(found(process.pid, null)).toBe(process.pid);
});

it('is not one that has ended', async () => {
  const child = spawn(process.execPath, ['-e', '0']);
  const { pid = 0 } = child;
  await once(child, 'exit');
  expect(found(pid, null)).toBeUndefined();
});

it('is not one that was killed and waits for its parent to collect it', async () => {
  // The shell becomes a program that never collects its children.
  const parent = spawn('sh', ['-c', 'sleep 100 & echo $!; exec sleep 100'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  const start = startOfProcess(pid);
  expect(isRunning(pid, start)).toBe(true);
  await expect.poll(() => readFileSync(`/proc/${parent.pid}/comm`, 'utf8')).toBe('sleep\n');
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => isRunning(pid, start)).toBe(false);
  parent.kill('SIGKILL');
});

it('is not what no node has written', () => {
  for (const text of ['', 'null', '[]', '{}', `{"pid":${process.pid}}`]) {
    writeFileSync(join(data, 'node.json'), text);
    expect(findNode(loadConfig({ VSERVER_DATA: data }))).toBeNull();
  }
});

it('is believed of no other user than oneself, but by root', () => {
  found(process.pid, null);
  const me = process.getuid?.() ?? 0;
  const [another, root] = [me + 1, 0];
  expect([me, another, root].map((who) => readRunFile(data, who)?.pid)).toEqual([process.pid, undefined, process.pid]);
});
