/** `vserver check`: what is wrong, and how to mend it. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Command } from 'commander';
import { isLoopback } from '../base/address.ts';
import { loadBatchCalls } from '../base/batch-calls.ts';
import { VserverError } from '../base/errors.ts';
import { systemDatagrams } from '../base/system-dgram.ts';
import { systemClock } from '../base/system.ts';
import type { Config } from '../config.ts';
import type { Directory, Finding } from '../directory/directory.ts';
import { SQL_SCHEMA } from '../directory/sql.ts';
import { SETTINGS } from '../settings.ts';
import { act, missingFile, withDirectory } from './context.ts';
import { EXIT, EXIT_CODES_HELP } from './failures.ts';
import type { RunningNode } from './node-api.ts';
import { findNode } from './node-api.ts';
import type { Terminal } from './terminal.ts';

/** More than this between two clocks makes servers take each other for dead (they are heard of every 5 s). */
const CLOCK_MS_MAX = 5_000;

/** 128 bits in hexadecimal. */
const TURN_SECRET_CHARACTERS_MIN = 32;

export function addCheck(program: Command): void {
  const command = program
    .command('check')
    .description(
      'Look for what is wrong with settings, data folder, ports, directory (reachable, credentials, schema, indexes, ' +
        'rights), NATS and clock, and say how to mend it. Changes nothing. Exit code 1 where there is an error.',
    )
    .addHelpText(
      'after',
      `\nExamples:\n  vserver check\n  vserver check --config vserver.yaml --json\n\n${EXIT_CODES_HELP}`,
    );
  act(command, async ({ terminal, config }) => {
    const findings = await findAll(config);
    const errors = findings.filter((finding) => finding.level === 'error').length;
    const warnings = findings.filter((finding) => finding.level === 'warning').length;
    const verdict = errors + warnings === 0 ? 'Nothing is wrong.' : `${errors} errors, ${warnings} warnings`;
    terminal.answer(
      { errors, warnings, findings },
      [...findings.map((one) => line(one, terminal)), verdict].join('\n'),
    );
    if (errors > 0) process.exitCode = EXIT.failed;
  });
}

function line({ level, subject, message, remedy }: Finding, { paint }: Terminal): string {
  const mark = { ok: paint('green', 'ok     '), warning: paint('yellow', 'warning'), error: paint('red', 'error  ') }[
    level
  ];
  return `${mark}  ${subject}: ${message}${remedy === '' ? '' : `\n         -> ${remedy}`}`;
}

const ok = (subject: string, message: string): Finding => ({ level: 'ok', subject, message, remedy: '' });
const warning = (subject: string, message: string, remedy: string): Finding => ({
  level: 'warning',
  subject,
  message,
  remedy,
});
const error = (subject: string, message: string, remedy: string): Finding => ({
  level: 'error',
  subject,
  message,
  remedy,
});

async function findAll(read: () => Config): Promise<Finding[]> {
  let config: Config;
  try {
    config = read();
  } catch (failure) {
    if (!(failure instanceof VserverError)) throw failure;
    const remedy = 'correct the variable or the file; README.md lists all settings';
    return failure.message.split('\n').map((message) => error('settings', message, remedy));
  }
  const node = findNode(config);
  return [
    ...settingsFindings(config),
    ...dataFindings(config),
    ...(node === null ? await portFindings(config) : [await nodeFinding(node)]),
    ...(await directoryFindings(config)),
    ...(config.nats === '' ? [] : await clusterFindings(config)),
  ];
}

async function clusterFindings({ directory, state, nats }: Config): Promise<Finding[]> {
  const findings: Finding[] = [];
  const [setting, shared] = state === '' ? [SETTINGS.directory, directory] : [SETTINGS.state, state];
  if (shared.startsWith('sqlite:')) {
    const message = 'an embedded directory is not shared with other nodes';
    findings.push(warning('cluster', message, `set ${setting.env} to one in LDAP or MySQL`));
  }
  const { tryNats } = await import('../bus/nats.ts');
  try {
    findings.push(ok('NATS', `connected to ${(await tryNats(nats)).server}`));
  } catch (failure) {
    const why = failure instanceof Error ? failure.message : String(failure);
    findings.push(warning('NATS', `${why}; until it answers the node goes on alone`, `see ${SETTINGS.nats.env}`));
  }
  return findings;
}

function settingsFindings(config: Config): Finding[] {
  const findings: Finding[] = [];
  const open = !isLoopback(config.listen);
  if (open && config.httpCert === '' && config.httpProxies.length === 0) {
    const message = config.httpInsecure
      ? 'passwords and tokens travel in clear over HTTP'
      : 'listens to the network without HTTPS: passwords and tokens are refused there';
    findings.push(
      warning('settings', message, `set ${SETTINGS.httpCert.env} and ${SETTINGS.httpKey.env}, or name a proxy`),
    );
  }
  for (const key of ['httpCert', 'httpKey', 'ldapCa'] as const) {
    const path = config[key];
    if (path !== '' && !isAccessible(path, constants.R_OK)) {
      findings.push(
        error('settings', `${path} can't be read`, `set ${SETTINGS[key].env} to a file that this user may read`),
      );
    }
  }
  const url = URL.canParse(config.directory) ? new URL(config.directory) : undefined;
  const remote = url !== undefined && !isLoopback(url.hostname.replace(/[[\]]/g, '')) && url.hostname !== 'localhost';
  if (remote && url.protocol === 'ldap:' && config.ldapPassword !== '' && !config.ldapStartTls) {
    const remedy = `use ldaps:// or ${SETTINGS.ldapStartTls.env}=on`;
    findings.push(warning('settings', 'the LDAP password travels in clear', remedy));
  }
  if (config.turnSecret !== '' && config.turnSecret.length < TURN_SECRET_CHARACTERS_MIN) {
    const message = `the TURN secret is short: whoever has one password from a CONFIG can try secrets offline`;
    findings.push(
      warning('settings', message, `a longer one in coturn and ${SETTINGS.turnSecret.env}: openssl rand -hex 32`),
    );
  }
  const batches = config.io === 'batch' ? loadBatchCalls() : undefined;
  if (typeof batches === 'string') {
    findings.push(error('settings', `${SETTINGS.io.env}=batch: ${batches}`, `set ${SETTINGS.io.env} to auto`));
  }
  return findings.length > 0 ? findings : [ok('settings', 'read, no contradictions')];
}

function dataFindings({ data }: Config): Finding[] {
  if (!existsSync(data)) return [ok('data folder', `${data} is not there yet: the first start makes it`)];
  if (!statSync(data).isDirectory()) return [error('data folder', `${data} is no folder`, 'set VSERVER_DATA')];
  if (!isAccessible(data, constants.R_OK | constants.W_OK | constants.X_OK)) {
    return [error('data folder', `${data} can't be written by this user`, `chown it, or set VSERVER_DATA`)];
  }
  const loose = ['admin-token', 'cluster-key', 'sessions.snapshot', 'vserver.db', 'outbox.jsonl']
    .map((name) => join(data, name))
    .filter((path) => existsSync(path) && (statSync(path).mode & 0o077) !== 0);
  if (loose.length === 0) return [ok('data folder', `${data}, secrets readable by their owner only`)];
  return loose.map((path) => error('data folder', `${path} can be read by others`, `chmod 600 ${path}`));
}

async function portFindings(config: Config): Promise<Finding[]> {
  const { listen: host } = config;
  const { createLog } = await import('../logger.ts');
  const datagrams = systemDatagrams(createLog('silent'));
  const udp = async (port: number): Promise<void> => {
    await (await datagrams.bind({ host, port }, () => undefined)).close();
  };
  const tcp = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const server = createServer();
      server.once('error', reject);
      server.listen(port, host, () => server.close(() => resolve()));
    });
  return Promise.all([
    portFinding('UDP', config.udpPort, SETTINGS.udpPort.env, udp),
    portFinding('UDP', config.udpAltPort, SETTINGS.udpAltPort.env, udp),
    portFinding('TCP', config.httpPort, SETTINGS.httpPort.env, tcp),
    portFinding('UDP', config.sipPort, SETTINGS.sipPort.env, udp),
    portFinding('TCP', config.sipPort, SETTINGS.sipPort.env, tcp),
    ...(config.httpCert === '' ? [] : [portFinding('TLS', config.sipTlsPort, SETTINGS.sipTlsPort.env, tcp)]),
  ]);
}

async function portFinding(
  kind: string,
  port: number,
  env: string,
  open: (port: number) => Promise<void>,
): Promise<Finding> {
  const subject = `${kind} port ${port}`;
  try {
    await open(port);
    return ok(subject, port === 0 ? 'a free one is picked at the start' : 'free');
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') return error(subject, 'taken by another program', `end that program, or set ${env}`);
    if (code === 'EACCES') return error(subject, 'may not be opened by this user', `set ${env} to 1024 or more`);
    if (code === 'EADDRNOTAVAIL') return error(subject, 'the address is not of this machine', 'set VSERVER_LISTEN');
    return error(subject, (failure as Error).message, `set ${env}`);
  }
}

async function nodeFinding(node: RunningNode): Promise<Finding> {
  try {
    const { state, numbers } = await node.call<{ state: string; numbers: { sessions: number } }>(
      'GET',
      '/v1/admin/status',
    );
    return ok('node', `runs here (process ${node.pid}, ${node.http}), ${state}, ${numbers.sessions} sessions`);
  } catch (failure) {
    return error('node', (failure as Error).message, 'look at its log; restart it');
  }
}

const LDAP_CREDENTIALS = ', VSERVER_LDAP_BIND_DN and VSERVER_LDAP_PASSWORD';
/** Where the credentials stand, by the scheme of VSERVER_DIRECTORY. */
const CREDENTIALS: Readonly<Record<string, string>> = {
  ldap: LDAP_CREDENTIALS,
  ldaps: LDAP_CREDENTIALS,
  mysql: ', which holds user, password and database',
};

async function directoryFindings(config: Config): Promise<Finding[]> {
  const missing = missingFile(config.directory) ?? missingFile(config.state);
  if (missing !== null) return [ok('directory', `${missing} is not there yet: the first start makes it`)];
  try {
    return await withDirectory(config, 'as-it-is', (directory) => lookInto(directory, config));
  } catch (failure) {
    if (!(failure instanceof VserverError)) throw failure;
    const remedy = `is it running? See VSERVER_DIRECTORY${CREDENTIALS[config.directory.split(':')[0] ?? ''] ?? ''}`;
    return [error('directory', failure.message + causeOf(failure), remedy)];
  }
}

function causeOf({ cause }: VserverError): string {
  if (!(cause instanceof Error)) return '';
  // invalidCredentials of LDAP, which says nothing else
  if ((cause as { code?: unknown }).code === 49) return ' (LDAP result 49: wrong bind DN or password)';
  return ` (${cause.message.trim()})`;
}

async function lookInto(directory: Directory, config: Config): Promise<Finding[]> {
  await directory.ping();
  const findings = [ok('directory', directory.description), ...(await directory.check())];
  // Where the schema is broken or still to be made, that is the finding, and nothing more can be asked.
  if (findings.some(({ level, subject }) => level === 'error' || (level === 'warning' && subject === SQL_SCHEMA))) {
    return findings;
  }
  const { hasSampleUser } = await import('../sample.ts');
  if (!isLoopback(config.listen) && (await hasSampleUser(directory))) {
    const remedy = 'vserver user del 10017676 10043939 10055501 10066502 10088888 10099999';
    findings.push(error('directory', 'the sample users are in it, with a password that everybody knows', remedy));
  }
  return [...findings, ...clockFindings(await directory.servers(), config)];
}

function clockFindings(servers: Awaited<ReturnType<Directory['servers']>>, config: Config): Finding[] {
  const nowMs = systemClock.now();
  const ahead = servers.filter((one) => one.name !== config.name && one.seenAt - nowMs > CLOCK_MS_MAX);
  if (ahead.length === 0) return [ok('clock', 'no server of the list is ahead of it')];
  return ahead.map(({ name, seenAt }) => {
    const seconds = Math.round((seenAt - nowMs) / 1000);
    return error(
      'clock',
      `${name} wrote its record ${seconds} s in the future`,
      'let both machines set their clock by NTP',
    );
  });
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
