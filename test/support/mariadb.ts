/**
 * A real MariaDB in a temporary folder, on loopback only.
 * Packages on Debian and Ubuntu: mariadb-server-core mariadb-client-core (no service is started by them).
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { freePort, standStill } from './programs.ts';

export interface Mariadb {
  readonly port: number;
  /** Of a database of this name, made where it is missing, empty before. */
  url(database: string): Promise<string>;
  /** As administrator, behind the directory's back. */
  sql(database: string, statement: string, values?: readonly (string | number)[]): Promise<Record<string, unknown>[]>;
  /** Gone at once, as by a power cut; the data stays. */
  kill(): Promise<void>;
  shutDown(): Promise<void>;
  /** After kill: the same data on the same port. */
  start(): Promise<void>;
  /** Hangs: connections stay open, nobody answers. */
  pause(): Promise<void>;
  resume(): void;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

const PACKAGES = 'mariadb-server-core mariadb-client-core';
const READY_MS_MAX = 60_000;

export async function startMariadb(): Promise<Mariadb> {
  const folder = await mkdtemp(join(tmpdir(), 'vserver-mariadb-'));
  await installMariadb(join(folder, 'data'));
  return runMariadb(folder, await freePort());
}

/** An empty data folder. */
export async function installMariadb(data: string): Promise<void> {
  await promisify(execFile)(findProgram('mariadb-install-db'), [
    '--no-defaults',
    `--datadir=${data}`,
    `--user=${userInfo().username}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    // In a folder that others have too each server that starts removes the tables of all.
    `--tmpdir=${dirname(data)}`,
  ]);
}

/** A server over `folder`/data, with more options of its command line. */
export async function runMariadb(folder: string, port: number, more: readonly string[] = []): Promise<Mariadb> {
  const mariadbd = findProgram('mariadbd');
  const options = [
    '--no-defaults',
    `--datadir=${join(folder, 'data')}`,
    `--user=${userInfo().username}`,
    `--socket=${join(folder, 'socket')}`,
    `--pid-file=${join(folder, 'pid')}`,
    `--tmpdir=${folder}`,
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    '--skip-name-resolve',
    '--innodb-buffer-pool-size=64M',
    '--innodb-log-file-size=32M',
    ...more,
  ];
  const root = { host: '127.0.0.1', port, user: 'root' };
  let server: ChildProcess;

  const start = async (): Promise<void> => {
    // A cluster looks for its scripts beside the data.
    const env = { ...process.env, PATH: [folder, process.env['PATH']].join(delimiter) };
    server = spawn(mariadbd, options, { stdio: 'ignore', env });
    await ready(root, server);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill(signal);
    await exited;
  };
  await start();

  return {
    port,
    async url(database) {
      const admin = await createConnection(root);
      await admin.query(`DROP DATABASE IF EXISTS ${database}`);
      await admin.query(`CREATE DATABASE ${database}`);
      await admin.query(`CREATE USER IF NOT EXISTS vserver IDENTIFIED BY 'p@ss/word'`);
      await admin.query(`GRANT ALL ON ${database}.* TO vserver`);
      await admin.end();
      return `mysql://vserver:${encodeURIComponent('p@ss/word')}@127.0.0.1:${port}/${database}`;
    },
    async sql(database, statement, values = []) {
      const admin = await createConnection({ ...root, database });
      const [rows] = await admin.query(statement, [...values]);
      await admin.end();
      return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
    },
    kill: () => end('SIGKILL'),
    shutDown: () => end('SIGTERM'),
    start,
    pause: () => standStill(server),
    resume: () => void server.kill('SIGCONT'),
    async stop() {
      // One that was left paused would not hear anything else.
      await end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ready(root: { host: string; port: number; user: string }, server: ChildProcess): Promise<void> {
  const before = performance.now();
  for (;;) {
    try {
      const connection = await createConnection(root);
      await connection.end();
      return;
    } catch (error) {
      if (server.exitCode !== null) throw new Error('mariadbd ended at once', { cause: error });
      if (performance.now() - before > READY_MS_MAX) throw new Error('mariadbd does not answer', { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function findProgram(name: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${name} is missing: apt-get install ${PACKAGES}`);
  return found;
}
