/** SIP phones that others wrote, run headless on loopback: baresip and linphonec. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket as NetSocket } from 'node:net';
import { join } from 'node:path';
import type { Address } from '../../src/base/model.ts';
import { awaitEnd, freePort, run, temporaryHome } from './programs.ts';

const HOST = '127.0.0.1';
/** One that does not end by itself is killed. */
const END_MS_MAX = 30_000;
const CONSOLE_TRIES = 1_200;

export type PhoneTransport = 'udp' | 'tcp';

/** What a user knows of his account, and nothing else. */
export interface PhoneAccount {
  readonly server: Address;
  readonly uid: string;
  readonly password: string;
  readonly transport: PhoneTransport;
  /** Asked for; the server may shorten it. */
  readonly expiresS: number;
  /** A WAV file that it says, and the folder where it keeps what it hears. */
  readonly audio?: { readonly play: string; readonly record: string };
  /** Uids of those to whom messages are sent. */
  readonly peers?: readonly string[];
  /** It publishes its presence, and watches its peers. */
  readonly presence?: boolean;
}

export interface Phone {
  /** Calls this user; who is called answers by himself. */
  call(to: string): void;
  hangUp(): void;
  /** Sends a line to one of the account's peers. */
  message(to: string, text: string): Promise<void>;
  /** A line to its prompt. */
  command(line: string): void;
  /** All that the program has printed. */
  output(): string;
  /** As its user does it: it unregisters first. */
  quit(): Promise<void>;
}

export async function startBaresip(account: PhoneAccount): Promise<Phone> {
  const { uid, password, transport, expiresS, peers = [], presence = false } = account;
  const home = temporaryHome();
  const consolePort = await freePort();
  const config = [
    'poll_method epoll',
    `sip_listen ${HOST}:0`,
    `sip_trans_def ${transport}`,
    `net_interface ${HOST}`,
    'module_path /usr/lib/baresip/modules',
    'module_tmp uuid.so',
    'module_tmp account.so',
    'module_app menu.so',
    'module_app contact.so',
    ...(presence ? ['module_app presence.so'] : []),
    'module cons.so',
    `cons_listen ${HOST}:${consolePort}`,
    ...audioConfig(account),
  ];
  writeFileSync(join(home, 'config'), `${config.join('\n')}\n`);
  const publishing = presence ? ';pubint=60' : '';
  writeFileSync(
    join(home, 'accounts'),
    `<${uriOf(account, uid)}>;auth_pass=${password};regint=${expiresS}${publishing};answermode=auto\n`,
  );
  const watching = presence ? ';presence=p2p' : '';
  const contacts = peers.map((peer) => `"${peer}" <${uriOf(account, peer)}>${watching}\n`);
  writeFileSync(join(home, 'contacts'), contacts.join(''));
  const program = run('baresip', ['-f', home, '-v'], home);
  const terminal = await openConsole(consolePort);
  let shown = '';
  terminal.setEncoding('utf8').on('data', (text: string) => (shown += text));
  terminal.on('error', () => undefined);
  return {
    output: () => program.output() + shown,
    command(line) {
      terminal.write(`${line}\n`);
    },
    async message(to, text) {
      // To the current contact, which is chosen by going through them.
      for (let at = 0; currentContact(shown) !== to && at <= peers.length; at++) {
        const { length } = shown;
        terminal.write('/contact_next\n');
        while (!shown.slice(length).includes('Current contact')) await pause();
      }
      terminal.write(`/message ${text}\n`);
    },
    call(to) {
      // It adds the transport itself.
      terminal.write(`/dial sip:${to}@${account.server.host}:${account.server.port}\n`);
    },
    hangUp() {
      terminal.write('/hangup\n');
    },
    async quit() {
      terminal.destroy();
      program.child.kill('SIGTERM');
      await awaitEnd(program, END_MS_MAX);
    },
  };
}

/** Its own sound comes from a file; what it hears goes to `dump-….wav` in the folder of the recording. */
function audioConfig({ audio }: PhoneAccount): string[] {
  if (audio === undefined) return [];
  const modules = ['g711', 'aufile', 'sndfile'].map((name) => `module ${name}.so`);
  return [...modules, `audio_source aufile,${audio.play}`, `snd_path ${audio.record}`];
}

/** The console of a baresip that has just been started. */
async function openConsole(port: number): Promise<NetSocket> {
  for (let tries = 0; ; tries++) {
    const socket = connect(port, HOST);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (tries >= CONSOLE_TRIES) throw error;
      await pause();
    }
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}

/** What it printed last. */
function currentContact(output: string): string | undefined {
  return [...output.matchAll(/Current contact: .*sip:(\w+)@/g)].at(-1)?.[1];
}

function uriOf({ server, transport }: PhoneAccount, uid: string): string {
  return `sip:${uid}@${server.host}:${server.port};transport=${transport}`;
}

export async function startLinphone(account: PhoneAccount): Promise<Phone> {
  const { server, uid, password, transport, expiresS, peers = [], presence = false, audio } = account;
  const home = temporaryHome();
  const port = await freePort();
  const identity = `<sip:${uid}@${server.host}>`;
  const config = [
    '[sip]',
    `sip_port=${transport === 'udp' ? port : 0}`,
    `sip_tcp_port=${transport === 'tcp' ? port : 0}`,
    'sip_tls_port=0',
    `contact=${identity}`,
    'default_proxy=0',
    `bind_address=${HOST}`,
    'guess_hostname=0',
    'register_only_when_network_is_up=0',
    'network_reachable=1',
    // Milliseconds; it is a minute by default.
    'refresher_retry_after=1000',
    '[sound]',
    'playback_dev_id=ANULL',
    'capture_dev_id=ANULL',
    'ringer_dev_id=ANULL',
    '[proxy_0]',
    `reg_proxy=<sip:${server.host}:${server.port};transport=${transport}>`,
    `reg_identity=${identity}`,
    `reg_expires=${expiresS}`,
    'reg_sendregister=1',
    `publish=${presence ? 1 : 0}`,
    '[auth_info_0]',
    `username=${uid}`,
    `passwd=${password}`,
    `domain=${server.host}`,
    ...(presence ? peers : []).flatMap((peer, i) => [
      `[friend_${i}]`,
      `url=<sip:${peer}@${server.host}>`,
      'subscribe=1',
    ]),
  ];
  // It keeps a database and does not make the folders for it.
  for (const folder of ['.local/share/linphone', '.config/linphone'])
    mkdirSync(join(home, folder), { recursive: true });
  writeFileSync(join(home, 'linphonerc'), `${config.join('\n')}\n`);
  const program = run('linphonec', ['-c', join(home, 'linphonerc'), '-d', '5', '-l', '/dev/stderr'], home);
  const commands =
    audio === undefined
      ? []
      : ['soundcard use files', `play ${audio.play}`, `record ${join(audio.record, 'heard.wav')}`];
  program.child.stdin?.write([...commands, 'autoanswer enable', ''].join('\n'));
  return {
    output: () => program.output(),
    command(line) {
      program.child.stdin?.write(`${line}\n`);
    },
    message(to, text) {
      program.child.stdin?.write(`chat sip:${to}@${server.host} ${text}\n`);
      return Promise.resolve();
    },
    call(to) {
      program.child.stdin?.write(`call sip:${to}@${server.host}\n`);
    },
    hangUp() {
      program.child.stdin?.write('terminate\n');
    },
    async quit() {
      program.child.stdin?.write('quit\n');
      await awaitEnd(program, END_MS_MAX);
    },
  };
}
