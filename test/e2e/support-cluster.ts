/** Three nodes as processes of their own, and phones that keep themselves online at one of them, whatever dies. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Address } from '../../src/base/model.ts';
import type { Reply } from '../../src/udp/client-message.ts';
import { freePort } from '../support/programs.ts';
import { ROOT } from './support-cli.ts';
import type { HttpAnswer, TestClient, TestSession } from './support-node.ts';
import { addressOf, http, isSession, nodeSettings, temporaryFolder } from './support-node.ts';

const ADMIN_TOKEN = 'the admin token of the cluster';
/** How many phones there are in a run. */
export const PHONES = Number(process.env['CLUSTER_CLIENTS'] ?? '60');
/** The phones and the nodes share one small machine. */
export const HEARTBEAT_MS = Math.max(1_000, 2 * PHONES);
/** A reply that takes longer is none. */
const REPLY_MS = 2_000;
const START_MS_MAX = 60_000;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Of each name: one that comes back at another address would be refused as a second one of its name. */
const addresses = new Map<string, { readonly udp: Address; readonly sip: Address }>();

async function addressesOf(name: string): Promise<{ readonly udp: Address; readonly sip: Address }> {
  const [host, known] = ['127.0.0.1', addresses.get(name)];
  if (known !== undefined) return known;
  const made = { udp: { host, port: await freePort() }, sip: { host, port: await freePort() } };
  addresses.set(name, made);
  return made;
}

/** A node in a process of its own, that keeps its address over restarts. */
export class NodeProcess {
  readonly name: string;
  readonly #settings: Record<string, string>;
  readonly #data = temporaryFolder();
  #child: ChildProcess | null = null;
  udp: Address = { host: '127.0.0.1', port: 0 };
  sip: Address = { host: '127.0.0.1', port: 0 };
  http = '';

  constructor(name: string, settings: Record<string, string>) {
    this.name = name;
    this.#settings = settings;
  }

  async start(): Promise<void> {
    ({ udp: this.udp, sip: this.sip } = await addressesOf(this.name));
    const run = join(this.#data, 'node.json');
    rmSync(run, { force: true });
    const env = {
      ...process.env,
      ...nodeSettings({ ...this.#settings, VSERVER_DATA: this.#data }),
      ...{ VSERVER_NAME: this.name, VSERVER_ADMIN_TOKEN: ADMIN_TOKEN, VSERVER_UDP_PORT: String(this.udp.port) },
      VSERVER_SIP_PORT: String(this.sip.port),
    };
    this.#child = spawn(process.execPath, [join(ROOT, 'dist', 'main.js'), 'start'], {
      cwd: ROOT,
      env,
      stdio: 'ignore',
    });
    for (let waitedMs = 0; !existsSync(run); waitedMs += 50) {
      if (waitedMs > START_MS_MAX || this.#child.exitCode !== null) throw new Error(`node ${this.name} does not start`);
      await pause(50);
    }
    await pause(50);
    this.http = (JSON.parse(readFileSync(run, 'utf8')) as { http: string }).http;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /** Ends it with this signal and waits until it is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await gone;
  }

  /** The uids that are in its memory. */
  async online(): Promise<string[]> {
    const uids: string[] = [];
    for (let after = ''; ;) {
      const answer = await http(`${this.http}/v1/admin/sessions?limit=1000${after}`, { token: ADMIN_TOKEN });
      const page = answer.json as { sessions: { uid: string }[]; next: string | null };
      uids.push(...page.sessions.map(({ uid }) => uid));
      if (page.next === null) return uids;
      after = `&after=${page.next}`;
    }
  }

  async admin(path: string, body?: object, method = body === undefined ? 'GET' : 'POST'): Promise<HttpAnswer['json']> {
    const url = `${this.http}/v1/admin/${path}`;
    return (await http(url, { token: ADMIN_TOKEN, method, ...(body && { body }) })).json;
  }
}

export async function within<T>(reply: Promise<T>): Promise<T | null> {
  return Promise.race([reply.catch(() => null), pause(REPLY_MS).then(() => null)]);
}

export interface ClusterPhone {
  readonly uid: string;
  /** When a node last said that the session is good, epoch milliseconds. */
  readonly confirmedAtMs: number;
  /** Locates that were asked, and those without an answer. */
  readonly locates: { readonly asked: number; readonly unanswered: number; readonly refused: number };
  /** `target`: whom it looks for, a Locate with each heartbeat. */
  begin(target: string): void;
  /** Logs in at the next node, without a word to the one where it is. */
  move(): void;
  end(): Promise<void>;
}

/** A softphone: a heartbeat a second; what does not answer is left for the next node. */
export class Phone implements ClusterPhone {
  readonly uid: string;
  readonly #client: TestClient;
  readonly #nodes: readonly NodeProcess[];
  #session: TestSession | null = null;
  #next: number;
  #isOn = true;
  #loop: Promise<void> | null = null;
  confirmedAtMs = 0;
  readonly locates = { asked: 0, unanswered: 0, refused: 0 };

  constructor(client: TestClient, uid: string, nodes: readonly NodeProcess[], number: number) {
    this.#client = client;
    this.uid = uid;
    this.#nodes = nodes;
    this.#next = number % nodes.length;
  }

  begin(target: string): void {
    this.#loop = (async () => {
      await pause(Math.random() * HEARTBEAT_MS);
      for (;;) {
        if (this.#session === null) await this.#login();
        else await this.#beat(this.#session, target);
        if (!this.#isOn) return;
        await pause(this.#session === null ? 100 : HEARTBEAT_MS);
      }
    })();
  }

  move(): void {
    this.#session = null;
    this.#next = (this.#next + 1) % this.#nodes.length;
  }

  async end(): Promise<void> {
    this.#isOn = false;
    await this.#loop;
  }

  async #login(ticket?: string, at?: Address, redirects = 0): Promise<void> {
    const to = at ?? this.#nodes[this.#next]?.udp;
    if (to === undefined) throw new Error('no node');
    const answer = await within(
      this.#client.login(to, this.uid, { headers: { instance: 'phone', ...(ticket && { ticket }) } }),
    );
    if (answer !== null && isSession(answer)) {
      this.#session = answer;
      this.confirmedAtMs = Date.now();
    } else if (answer?.verb === 'Redirect' && redirects < 4) {
      await this.#login(ticketOf(answer), addressOf(answer), redirects + 1);
    } else this.#next = (this.#next + 1) % this.#nodes.length;
  }

  async #beat(session: TestSession, target: string): Promise<void> {
    const reply = (await within(session.ask('Heartbeat'))) ?? (await within(session.ask('Heartbeat')));
    if (reply?.verb === 'Ok') {
      this.confirmedAtMs = Date.now();
      await this.#locate(session, target);
      return;
    }
    this.#session = null;
    if (reply?.verb === 'Redirect') await this.#login(ticketOf(reply), addressOf(reply));
    else if (reply === null) this.#next = (this.#next + 1) % this.#nodes.length;
  }

  async #locate(session: TestSession, target: string): Promise<void> {
    this.locates.asked++;
    const reply = await within(session.ask('Locate', target));
    if (reply === null) this.locates.unanswered++;
    else if (!['User', 'SeeAlso', 'Offline'].includes(reply.verb)) this.locates.refused++;
  }
}

function ticketOf(reply: Reply): string {
  return reply.headers.get('ticket') ?? '';
}
