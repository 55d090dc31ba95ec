/** `vserver client`: a client of the protocol at the command line. */
import { lookup } from 'node:dns/promises';
import { hostname, networkInterfaces } from 'node:os';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import type { Command } from 'commander';
import { canonicalHost, formatAddress } from '../../base/address.ts';
import type { Address } from '../../base/model.ts';
import { systemDatagrams, systemRandom, systemTimers } from '../../base/system.ts';
import { createLog } from '../../logger.ts';
import type { Context } from '../context.ts';
import { act } from '../context.ts';
import type { ExitCode } from '../failures.ts';
import { CommandError, EXIT, EXIT_CODES_HELP, failureOf } from '../failures.ts';
import { askPassword } from '../password.ts';
import type { Answer } from './commands.ts';
import { COMMANDS_HELP, runLine } from './commands.ts';
import type { Softphone, SoftphoneEvent } from './softphone.ts';
import { softphone, SoftphoneError } from './softphone.ts';

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
      (one: string, all: string[] = []) => [...all, one],
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
  const commands = options.do;
  // Commands may follow the password in the same stream, so that one reader takes both.
  const script =
    options.passwordStdin === true ? createInterface({ input: process.stdin, crlfDelay: Infinity }) : undefined;
  const lines = script?.[Symbol.asyncIterator]();
  try {
    const password = lines === undefined ? await askPassword(`Password of ${uid}`, false) : await firstOf(lines);
    const phone = await connect(context, { uid, password, server, alternate, instance: options.instance });
    await talk(
      context,
      phone,
      commands === undefined ? (lines ?? terminalLines()) : listed(commands),
      commands !== undefined,
    );
  } finally {
    script?.close();
    process.stdin.destroy();
  }
}

type Lines = AsyncIterator<string, unknown>;

async function firstOf(lines: Lines): Promise<string> {
  const first = await lines.next();
  if (first.done === true) throw new CommandError(EXIT.usage, 'stdin holds no password');
  return first.value;
}

async function connect(
  { terminal }: Context,
  login: { uid: string; password: string; server: Address; alternate: Address; instance: string },
): Promise<Softphone> {
  const six = login.server.host.includes(':');
  const isLocal = login.server.host.startsWith('127.') || login.server.host === '::1';
  const host = isLocal ? login.server.host : six ? '::' : '0.0.0.0';
  const onEvent = (event: SoftphoneEvent): void => {
    const text = eventText(event);
    if (!terminal.json && text !== '') terminal.say(text);
  };
  try {
    return await softphone({
      ...login,
      bind: { host, port: 0 },
      ownHosts: isLocal ? [host] : ownHosts(six),
      datagrams: systemDatagrams(createLog('silent')),
      timers: systemTimers,
      random: systemRandom,
      onEvent,
    });
  } catch (error) {
    throw commandError(error, `${formatAddress(login.server)}: `);
  }
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
    case 'taken-over':
      return 'This user logged in elsewhere: the session is over.';
    case 'trouble':
      return `Heartbeat: ${event.reason}.`;
  }
}

/** Takes line after line until there is none or one says quit; then logs out. `strict`: the first failure ends it. */
async function talk(context: Context, phone: Softphone, lines: Lines, strict: boolean): Promise<void> {
  const { terminal } = context;
  const results: unknown[] = [];
  const show = ({ value, text }: Answer): void => {
    if (!terminal.json) terminal.answer(value, text);
    else results.push(value);
  };
  let watching = new AbortController();
  const interrupted = new AbortController();
  const onInterrupt = (): void => {
    interrupted.abort();
    watching.abort();
  };
  process.on('SIGINT', onInterrupt).on('SIGTERM', onInterrupt);
  try {
    let next = lines.next();
    while (!interrupted.signal.aborted) {
      const line = await Promise.race([next, aborted(interrupted.signal)]);
      if (line === undefined || line.done === true) break;
      next = lines.next();
      watching = new AbortController();
      // At a prompt the next line ends a watch; in a list of commands it only waits its turn.
      const ended = watching;
      if (!strict) void next.then(() => ended.abort());
      const answer = await answered(line.value, { phone, show, until: watching.signal }, context, strict);
      if (answer === undefined) break;
      show(answer);
    }
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onInterrupt);
    await phone.logout().catch((error: unknown) => {
      throw commandError(error);
    });
  }
  if (terminal.json) terminal.answer({ uid: undefined, results }, '');
}

async function answered(
  line: string,
  ports: Parameters<typeof runLine>[1],
  { terminal }: Context,
  strict: boolean,
): Promise<Answer | undefined> {
  try {
    return await runLine(line, ports);
  } catch (error) {
    const known = commandError(error);
    const failure = failureOf(known);
    if (strict || failure === undefined) throw known;
    if (!terminal.json) terminal.say(failure.message);
    return { value: { error: { code: failure.code, message: failure.message } }, text: '' };
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve(undefined);
    });
  });
}

async function* listed(commands: readonly string[]): AsyncGenerator<string, undefined> {
  yield* commands;
  return await Promise.resolve(undefined);
}

/** A prompt at a terminal. */
async function* terminalLines(): AsyncGenerator<string, undefined> {
  const prompt: Interface = createInterface({ input: process.stdin, output: process.stderr, prompt: 'vserver> ' });
  // readline takes Ctrl-C for itself.
  prompt.on('SIGINT', () => process.emit('SIGINT'));
  try {
    prompt.prompt();
    for await (const line of prompt) {
      yield line;
      prompt.prompt();
    }
  } finally {
    prompt.close();
  }
  return undefined;
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

function commandError(error: unknown, where = ''): unknown {
  if (!(error instanceof SoftphoneError)) return error;
  const { status } = error;
  const exitCodes: Readonly<Record<number, ExitCode>> = {
    0: EXIT.unreachable,
    403: EXIT.refused,
    404: EXIT.notFound,
    503: EXIT.unreachable,
  };
  const hint =
    status === 403 ? ' (wrong uid or password, or a password stored one-way only: log in over HTTPS then)' : '';
  return new CommandError(
    exitCodes[status] ?? EXIT.failed,
    `${where}${status === 0 ? '' : `${status} `}${error.message}${hint}`,
  );
}
