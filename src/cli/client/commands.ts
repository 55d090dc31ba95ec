/** What can be typed at the prompt of `vserver client`, or given by --do. */
import { formatAddress } from '../../base/address.ts';
import { STATUSES } from '../../base/model.ts';
import { BUDDY_ACTIONS } from '../../presence/buddies.ts';
import type { Reply } from '../../udp/client-message.ts';
import { CommandError, EXIT } from '../failures.ts';
import { outline } from '../terminal.ts';
import type { Softphone } from './softphone.ts';
import { errorOf } from './handshake.ts';
import { SoftphoneError } from './softphone.ts';

/** For --json and for people. */
export interface Answer {
  readonly value: unknown;
  readonly text: string;
}

export interface CommandPorts {
  readonly phone: Softphone;
  /** What a watch sees, as it comes. */
  readonly show: (answer: Answer) => void;
  /** Ends a watch. */
  readonly until: AbortSignal;
}

export const COMMANDS_HELP = `  locate UID              where is this user (uid, or 0, country code, uid)
  watch [UID…]            print what changes of these users, or of the own buddies; Enter ends it
  buddy ACTION UID        ${BUDDY_ACTIONS.join(', ')}
  buddy list              buddies, who is asked, who asks, who is blocked
  message UID TEXT        send this to the user, now or when he is online (what comes for you is printed)
  status STATUS [NOTE]    ${STATUSES.join(', ')}
  config                  the CONFIG document
  servers                 the server list
  heartbeat               one now (they go out by themselves too)
  session                 what the server told at the login
  logout, quit            log out and leave
  help                    this list`;

/** Runs one line; undefined: log out and leave. */
export async function runLine(text: string, ports: CommandPorts): Promise<Answer | undefined> {
  const [name = '', ...args] = text.trim().split(/\s+/);
  const { phone } = ports;
  switch (name.toLowerCase()) {
    case '':
      return { value: null, text: '' };
    case 'locate':
      return locatedText(await phone.locate(one(args, 'locate UID')));
    case 'watch':
      return watch(args, ports);
    case 'buddy':
      return changeBuddy(phone, args);
    case 'message':
      return sendMessage(phone, text);
    case 'status':
      return setStatus(phone, args);
    case 'config': {
      const config = await phone.config();
      return { value: config, text: config?.xml ?? '' };
    }
    case 'servers': {
      const servers = await phone.servers();
      return { value: { servers }, text: servers.join('\n') };
    }
    case 'heartbeat':
      await phone.heartbeat();
      return { value: { ok: true }, text: 'Ok' };
    case 'session': {
      const { server, serverName, wan, network, heartbeatS, expiresS } = phone.session;
      const shown = {
        server: formatAddress(server),
        serverName,
        wan: formatAddress(wan),
        network,
        heartbeatS,
        expiresS,
      };
      return { value: shown, text: outline(shown) };
    }
    case 'help':
      return { value: { help: COMMANDS_HELP }, text: COMMANDS_HELP };
    case 'logout':
    case 'quit':
    case 'exit':
      return undefined;
    default:
      throw new CommandError(EXIT.usage, `${name}: no such command; help lists them`);
  }
}

/** Also of who is online at another server, which this one does not wait for. */
const STORED = 'Stored: he gets it within seconds if he is online at another server, else when he comes';

async function sendMessage(phone: Softphone, line: string): Promise<Answer> {
  const match = /^\s*\S+\s+(\S+)\s+(.*\S)\s*$/s.exec(line);
  if (match === null) throw new CommandError(EXIT.usage, 'usage: message UID TEXT');
  const [, to = '', text = ''] = match;
  const outcome = await phone.message(to, text);
  return { value: { to, outcome }, text: outcome === 'delivered' ? 'Delivered' : STORED };
}

async function setStatus(phone: Softphone, [word = '', ...note]: string[]): Promise<Answer> {
  const status = STATUSES.find((known) => known === word);
  if (status === undefined) throw new CommandError(EXIT.usage, `status must be one of: ${STATUSES.join(', ')}`);
  await phone.status(status, note.join(' '));
  return { value: { status, note: note.join(' ') }, text: 'Ok' };
}

async function watch(uids: readonly string[], { phone, show, until }: CommandPorts): Promise<Answer> {
  const count = await phone.watch(uids, (presence) => {
    const { uid, status, note, lastSeen } = presence;
    show({ value: presence, text: [uid, status, note, lastSeen].filter((part) => part !== '').join('  ') });
  });
  show({ value: { watching: count }, text: `Watching ${count}; who does not appear is offline` });
  if (!until.aborted) {
    await new Promise<void>((resolve) => {
      until.addEventListener('abort', () => {
        resolve();
      });
    });
  }
  await phone.unwatch();
  return { value: { watched: count }, text: '' };
}

async function changeBuddy(phone: Softphone, [word = '', uid]: string[]): Promise<Answer> {
  if (word === 'list') {
    const buddies = await phone.buddies();
    return { value: { buddies }, text: buddies.join('\n') };
  }
  const action = BUDDY_ACTIONS.find((known) => known === word);
  if (action === undefined || uid === undefined) {
    throw new CommandError(EXIT.usage, `usage: buddy list, or buddy ${BUDDY_ACTIONS.join('|')} UID`);
  }
  const outcome = await phone.buddy(action, uid);
  return { value: { action, uid, outcome }, text: outcome === 'asked' ? 'Asked for consent' : 'Ok' };
}

function locatedText(reply: Reply): Answer {
  const { verb, argument, headers, body } = reply;
  if (verb === 'Error') {
    const { status, reason } = errorOf(reply);
    throw new SoftphoneError(status, reason);
  }
  const rest = [...headers].filter(([name]) => name !== 'id' && name !== 'mac');
  const devices = body.split('\r\n').filter((line) => line !== '');
  const value = {
    answer: verb,
    uid: argument,
    ...Object.fromEntries(rest),
    ...(devices.length > 0 ? { devices } : {}),
  };
  const lines = [
    `${verb} ${argument}`,
    ...rest.map(([name, text]) => `  ${name}: ${text}`),
    ...devices.map((line) => `  - ${line}`),
  ];
  return { value, text: lines.join('\n') };
}

function one(args: readonly string[], usage: string): string {
  const [arg] = args;
  if (arg === undefined || args.length > 1) throw new CommandError(EXIT.usage, `usage: ${usage}`);
  return arg;
}
