/** `vserver client`: a client of the protocol at the command line. */
import { lookup } from 'node:dns/promises';
import { hostname, networkInterfaces } from 'node:os';
import type { Command } from 'commander';
import { canonicalHost, formatAddress, isLoopback } from '../../base/address.ts';
import type { Address } from '../../base/model.ts';
import { systemDatagrams } from '../../base/system-dgram.ts';
import { systemRandom, systemTimers } from '../../base/system.ts';
import type { Context } from '../context.ts';
import { act } from '../context.ts';
import { CommandError, EXIT, EXIT_CODES_HELP } from '../failures.ts';
import { askPassword } from '../password.ts';
import { COMMANDS_HELP } from './commands.ts';
import type { Softphone, SoftphoneEvent } from './softphone.ts';
import { softphone } from './softphone.ts';
import type { Source } from './talk.ts';
import { commandError, listedLines, pipedLines, talk, typedLines } from './talk.ts';

interface LoginOptions {
  readonly server?: string;
  readonly altPort?: string;
  readonly passwordStdin?: boolean;
  readonly instance: string;
  readonly do?: string[];
}

export function addClient(program: Command): void {
  const client = program
    .command('client')
    .description(
      'Be a client of the protocol: the example for people who write softphones (src/cli/client/softphone.ts).',
    )
    .addHelpText('after', `\nExamples:\n  vserver client login 10017676\n\n${EXIT_CODES_HELP}`);
  const login = client
    .command('login')
    .argument('<uid>')
    .description('Log in over UDP and stay at a prompt, with heartbeats going out, until quit or Ctrl-C logs out.')
    .option('--server <host:port>', 'where the server speaks the client protocol (default: as in the settings)')
    .option('--alt-port <port>', 'its second port, for the firewall test (default: one above the first)')
    .option('--password-stdin', 'the password is the first line of stdin; without --do, commands follow it')
    .option('--instance <id>', 'stable id of this device', `cli-${hostname()}`.slice(0, 64))
    .option(
      '--do <command>',
      'run this instead of a prompt, then log out; can be given several times',
      (one: string, all: string[] | undefined) => [...(all ?? []), one],
    )
    .addHelpText('after', HELP);
  act<LoginOptions>(login, run);
}

const HELP = `
At the prompt, and for --do:
${COMMANDS_HELP}

Examples:
  vserver client login 10017676
  vserver client login 10017676 --server 127.0.0.1:4321
  echo secret | vserver client login 10017676 --password-stdin --do "locate 10043939" --do config
  printf 'secret\\nstatus busy lunch\\nquit\\n' | vserver client login 10017676 --password-stdin

${EXIT_CODES_HELP}`;

async function run(context: Context, [uid = '']: readonly string[], options: LoginOptions): Promise<void> {
  const { server, alternate } = await placeOf(context, options);
  // Commands may follow the password in the same stream, so that one reader takes both.
  const piped = options.passwordStdin === true ? pipedLines() : undefined;
  try {
    const password = piped === undefined ? await askPassword(`Password of ${uid}`, false) : await firstOf(piped);
    const over = new AbortController();
    const login = { uid, password, server, alternate, instance: options.instance };
    const phone = await connect(context, login, over);
    const source = options.do === undefined ? (piped ?? typedLines()) : listedLines(options.do);
    await talk(context, phone, source, over.signal);
  } catch (error) {
    throw commandError(error);
  } finally {
    process.stdin.destroy();
  }
}

async function firstOf({ lines }: Source): Promise<string> {
  const first = await lines.next();
  if (first.done === true) throw new CommandError(EXIT.usage, 'stdin holds no password');
  return first.value;
}

async function connect(
  { terminal }: Context,
  login: { uid: string; password: string; server: Address; alternate: Address; instance: string },
  over: AbortController,
): Promise<Softphone> {
  const six = login.server.host.includes(':');
  const isLocal = isLoopback(login.server.host);
  const host = isLocal ? login.server.host : six ? '::' : '0.0.0.0';
  const onEvent = (event: SoftphoneEvent): void => {
    const text = eventText(event);
    if (!terminal.json) terminal.say(text);
    if (event.kind === 'taken-over') over.abort();
  };
  const { createLog } = await import('../../logger.ts');
  return softphone({
    ...login,
    bind: { host, port: 0 },
    ownHosts: isLocal ? [host] : ownHosts(six),
    datagrams: systemDatagrams(createLog('silent')),
    timers: systemTimers,
    random: systemRandom,
    onEvent,
  });
}

function ownHosts(six: boolean): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family, scopeid }) => !internal && (family === 'IPv6') === six && !scopeid)
    .map(({ address }) => canonicalHost(address));
}

function eventText(event: SoftphoneEvent): string {
  switch (event.kind) {
    case 'logged-in': {
      const { session, standing, again } = event;
      const { serverName, server, wan, network, heartbeatS } = session;
      return (
        `Logged in${again ? ' again' : ''} at ${serverName} (${formatAddress(server)}); seen as ${formatAddress(wan)}, ` +
        `network ${network}, firewall ${standing.firewall}, a heartbeat every ${heartbeatS} s.`
      );
    }
    case 'moved':
      return `The address changed: now ${formatAddress(event.wan)}.`;
    case 'message':
      return `Message from ${event.from} (${event.time}): ${event.body}`;
    case 'taken-over':
      return 'This user logged in elsewhere: the session is over.';
    case 'trouble':
      return `Heartbeat: ${event.reason}.`;
  }
}

async function placeOf(context: Context, options: LoginOptions): Promise<{ server: Address; alternate: Address }> {
  if (options.server === undefined) {
    const { advertise: host, udpPort, udpAltPort } = context.config();
    const altPort = options.altPort === undefined ? udpAltPort : portOf(options.altPort);
    return { server: { host, port: udpPort }, alternate: { host, port: altPort } };
  }
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(options.server);
  if (match === null) throw new CommandError(EXIT.usage, '--server must be host:port, an IPv6 address in brackets');
  const name = match[1] ?? match[2] ?? '';
  const port = portOf(match[3] ?? '4321');
  const found = await lookup(name).catch(() => undefined);
  if (found === undefined) throw new CommandError(EXIT.unreachable, `there is no host ${name}`);
  const host = canonicalHost(found.address);
  const altPort = options.altPort === undefined ? port + 1 : portOf(options.altPort);
  return { server: { host, port }, alternate: { host, port: altPort } };
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new CommandError(EXIT.usage, `${text} is no port`);
  return port;
}
