/** `vserver start`: a node in the foreground. */
import { basename, relative } from 'node:path';
import type { Command } from 'commander';
import { formatAddress } from '../base/address.ts';
import type { Config } from '../config.ts';
import type { NodePorts, VserverNode } from '../node.ts';
import type { Context } from './context.ts';
import { act } from './context.ts';
import { CommandError, EXIT, EXIT_CODES_HELP } from './failures.ts';
import { findNode } from './node-api.ts';

export function addStart(program: Command): void {
  const command = program
    .command('start')
    .description(
      'Start a node, in the foreground. It prints where it listens and what to try; the log goes to stderr, ' +
        'on a terminal only from warnings up unless VSERVER_LOG_LEVEL is set.',
    )
    .addHelpText('after', HELP);
  act(command, (context) => start(context));
}

const HELP = `
An embedded directory that is empty is filled with sample users, on loopback only.

Signals:
  SIGINT, SIGTERM   stop; the sessions are kept for the next start. A second SIGINT ends the process at once
  SIGHUP            read the system variables anew

Examples:
  vserver start
  vserver start --config vserver.yaml
  VSERVER_DIRECTORY=ldap://127.0.0.1:389/dc=netbbq,dc=com vserver start
  VSERVER_UDP_PORT=0 VSERVER_UDP_ALT_PORT=0 VSERVER_HTTP_PORT=0 VSERVER_SIP_PORT=0 vserver start --json

${EXIT_CODES_HELP}`;

async function start(context: Context): Promise<void> {
  const { terminal } = context;
  const config = context.config();
  const other = findNode(config);
  // In a container the crashed node and this one can have the same process id.
  if (other !== null && other.pid !== process.pid) {
    throw new CommandError(EXIT.failed, `a node runs on ${config.data} already (process ${other.pid}, ${other.http})`);
  }
  const { createNode, systemPorts } = await import('../node.ts');
  const quiet = terminal.live && process.env['VSERVER_LOG_LEVEL'] === undefined && config.logLevel === 'info';
  const ports = systemPorts(quiet ? { ...config, logLevel: 'warn' } : config);
  const node = await createNode(config, ports);
  onSignals(node, ports, context);
  const about = await describe(node, config);
  terminal.answer(about, screen(about, context));
  await node.stopped;
  if (terminal.live) terminal.say('Stopped.');
}

function onSignals(node: VserverNode, { log }: NodePorts, { terminal }: Context): void {
  let asked = false;
  const stop = (signal: string): void => {
    if (asked) {
      if (signal === 'SIGINT') process.exit(130);
      return;
    }
    asked = true;
    if (terminal.live) terminal.say('\nStopping; the sessions are kept for the next start …');
    node.stop(false).catch((error: unknown) => {
      log.error({ err: error }, 'the node did not stop cleanly');
      process.exit(EXIT.failed);
    });
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', () => {
    node.reload().catch((error: unknown) => {
      log.warn({ err: error }, 'the system variables could not be read');
    });
  });
}

interface About {
  readonly pid: number;
  readonly version: string;
  readonly udp: string;
  readonly udpAlt: string;
  readonly http: string;
  /** Of UDP and TCP. */
  readonly sip: string;
  readonly directory: string;
  /** Nobody can log in yet. */
  readonly isEmpty: boolean;
  /** Whether VSERVER_NATS is set. */
  readonly hasBus: boolean;
  readonly data: string;
  readonly sampleUser: { readonly uid: string; readonly password: string } | null;
  /** Commands to paste into a second terminal; [] without a sample user. */
  readonly try: readonly { readonly what: string; readonly command: string }[];
}

async function describe(node: VserverNode, config: Config): Promise<About> {
  const [{ VERSION }, { hasSampleUser, SAMPLE_USER }] = [await import('../node.ts'), await import('../sample.ts')];
  // A directory that is unreachable now has no sample user to show.
  const sample = (await hasSampleUser(node.directory).catch(() => false)) ? SAMPLE_USER : null;
  // An LDAP server would name all of its users, and is seldom empty.
  const isSql = !config.directory.startsWith('ldap');
  const first = isSql ? await node.directory.search({ field: 'uid', prefix: '', limit: 1 }).catch(() => null) : null;
  return {
    pid: process.pid,
    version: VERSION,
    udp: formatAddress(node.udp),
    udpAlt: formatAddress(node.udpAlt),
    http: node.http,
    sip: formatAddress(node.sip),
    directory: node.directory.description,
    isEmpty: first?.users.length === 0,
    hasBus: config.nats !== '',
    data: config.data,
    sampleUser: sample,
    try: sample === null ? [] : commandsToTry(node, sample),
  };
}

function commandsToTry(node: VserverNode, { uid, password }: { uid: string; password: string }): About['try'] {
  const client = `${ownCommand()} client login`;
  const server = `--server ${formatAddress(node.udp)} --alt-port ${node.udpAlt.port}`;
  return [
    { what: `log in, and stay at a prompt (password: ${password})`, command: `${client} ${uid} ${server}` },
    {
      what: 'another user looks for him (Locate)',
      command: `echo ${password} | ${client} 10043939 ${server} --password-stdin --do "locate ${uid}"`,
    },
    { what: 'his CONFIG', command: `curl -u ${uid}:${password} ${node.http}/config/${uid}.xml` },
  ];
}

/** How this program was called, so that the commands work where it was started. */
function ownCommand(): string {
  const script = process.argv[1] ?? '';
  if (basename(script) === 'vserver') return 'vserver';
  const path = relative(process.cwd(), script);
  return path.endsWith('.ts') ? `npx tsx ${path}` : `node ${path}`;
}

function screen(about: About, { terminal: { paint } }: Context): string {
  const lines = [
    `${paint('bold', `vserver ${about.version} runs`)}  (process ${about.pid})`,
    '',
    `  UDP        ${paint('cyan', about.udp)}   firewall test ${about.udpAlt}`,
    `  HTTP       ${paint('cyan', about.http)}   API at ${about.http}/docs`,
    `  SIP        ${paint('cyan', about.sip)}   UDP and TCP; WebSocket at ${about.http.replace('http', 'ws')}/sip`,
    `  Directory  ${about.directory}`,
    `  Data       ${about.data}`,
  ];
  if (about.hasBus) lines.push('  Cluster    NATS; vserver servers lists the nodes');
  if (about.isEmpty) lines.push('', 'The directory has no users: vserver user add UID, or vserver import FILE.');
  if (about.sampleUser !== null) {
    lines.push(
      `  Sample     user ${paint('bold', about.sampleUser.uid)}, password ${paint('bold', about.sampleUser.password)}`,
    );
    lines.push('', 'Try, in a second terminal:');
    for (const { what, command } of about.try) lines.push('', paint('dim', `  # ${what}`), `  ${command}`);
  }
  lines.push('', 'Ctrl-C stops it; started again, it has its data.');
  return lines.join('\n');
}
