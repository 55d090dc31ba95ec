/** The SIP edge of one node over a network in memory, and a small phone that shows every answer. */
import { hash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createCounters } from '../../src/base/counters.ts';
import type { Address } from '../../src/base/model.ts';
import type { Random, Streams } from '../../src/base/ports.ts';
import type { Intake } from '../../src/login/intake.ts';
import type { LoginDeps } from '../../src/login/login.ts';
import { createNonces } from '../../src/login/nonces.ts';
import type { UseCases } from '../../src/login/use-cases.ts';
import type { SipSettings } from '../../src/sip/context.ts';
import type { FlowHandlers } from '../../src/sip/flow.ts';
import type { SipRequest, SipResponse } from '../../src/sip/message.ts';
import { parseMessage } from '../../src/sip/message.ts';
import { makeResponse } from '../../src/sip/response.ts';
import type { ExtraHeader } from '../../src/sip/response.ts';
import type { SipServer } from '../../src/sip/server.ts';
import { createSip } from '../../src/sip/server.ts';
import { SIP_NONCE_VALID_MS } from '../../src/sip/spent-nonces.ts';
import { openUdp } from '../../src/sip/transport-udp.ts';
import { openTransports } from '../../src/sip/transports.ts';
import type { Transports } from '../../src/sip/transports.ts';
import type { LimitOptions } from './edge-doubles.ts';
import { limits, readableLog } from './edge-doubles.ts';
import { flows } from './flows.ts';
import type { MemoryNetwork } from './network.ts';
import { memoryNetwork } from './network.ts';
import { useCases } from './use-cases.ts';

export interface SipNodeOptions extends LimitOptions {
  /** Of a node beside another one: on its network, by its clock, over its directory. */
  readonly beside?: SipNode;
  readonly name?: string;
  readonly at?: Address;
  /** What it asks and tells the other nodes. */
  readonly others?: LoginDeps['others'];
  readonly settings?: Partial<SipSettings>;
  readonly usersMax?: number;
  /** Of branches, tags and tokens. */
  readonly random?: Random;
  /** Of the logins, where it is not the usual one. */
  readonly intake?: Intake;
  /** TCP and WebSocket are opened too, on these. */
  readonly streams?: Streams;
  /** What is told of every message before and after it is dealt with. */
  readonly watch?: (handlers: FlowHandlers) => FlowHandlers;
}

export const AT: Address = { host: '10.0.0.1', port: 5060 };

export async function sipNode(options: SipNodeOptions = {}): Promise<SipNode> {
  const { beside, at = AT } = options;
  const network = beside?.network ?? memoryNetwork();
  const holder: { sip?: SipServer } = {};
  const node = flows({
    name: options.name ?? 'here',
    sip: at,
    ...(options.others === undefined ? {} : { others: options.others }),
    ...(options.usersMax === undefined ? {} : { usersMax: options.usersMax }),
    ...(beside === undefined ? {} : { directory: beside.directory, time: beside.time }),
    onEnd: (row, reason, uid) => {
      holder.sip?.sessionEnded(row, reason, uid);
    },
    deliver: (row, message, onAnswer) => holder.sip?.deliver(row, message, onAnswer),
  });
  const { log, logged } = readableLog();
  const sip = (holder.sip = createSip({
    cases: { ...useCases(node, options.intake), ...NO_CONFIG },
    counters: createCounters(),
    // The same at each run, so that a fuzzer's seed says all.
    nonces: createNonces(Buffer.alloc(32, 1), SIP_NONCE_VALID_MS),
    ...limits(options),
    timers: node.time.timers,
    random: options.random ?? { bytes: randomBytes },
    log,
    clusterKey: 'the-cluster-key-of-tests',
    settings: {
      realm: 'vserver',
      domains: ['vserver', at.host, 'example.com'],
      advertise: at.host,
      expiresMinS: 60,
      expiresMaxS: 300,
      digest: 'both',
      anonymous: false,
      calls: 'auto',
      ...options.settings,
    },
  }));
  const handlers = options.watch?.(sip.handlers) ?? sip.handlers;
  const transports = options.streams === undefined ? null : await openAll(node, network, options.streams, handlers, at);
  const udp = transports ?? (await openUdp(network, at, handlers));
  sip.opened({
    port: at.port,
    tlsPort: null,
    flows: { flowTo: (to) => udp.flowTo(to), findConnection: (id) => transports?.findConnection(id) },
  });
  return { ...node, sip, network, logged, transports };
}

function openAll(
  { clock, time }: ReturnType<typeof flows>,
  datagrams: MemoryNetwork,
  streams: Streams,
  handlers: FlowHandlers,
  at: Address,
): Promise<Transports> {
  const hostOf = (request: IncomingMessage): string => request.socket.remoteAddress ?? '';
  return openTransports({ datagrams, streams, clock, timers: time.timers, at, tls: null, hostOf, handlers });
}

export interface SipNode extends ReturnType<typeof flows> {
  readonly sip: SipServer;
  readonly network: MemoryNetwork;
  readonly logged: object[];
  readonly transports: Transports | null;
}

const NO_CONFIG: Pick<UseCases, 'config' | 'configHere'> = {
  configHere: () => undefined,
  config: () => Promise.reject(new Error('not of SIP')),
};

export type Algorithm = 'MD5' | 'SHA-256';

/** What of a request differs from the usual; headers with the value null are left out. */
export interface Ask {
  readonly uri?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly callId?: string;
  readonly cseq?: number;
  readonly body?: string | Buffer;
}

export interface Secret {
  readonly password?: string;
  readonly algorithm?: Algorithm;
  readonly username?: string;
  readonly nc?: number;
  readonly uri?: string;
  readonly realm?: string;
  /** As RFC 2069 has it, by MD5. */
  readonly withoutQop?: boolean;
}

/** Text of the answer that came last is `last`; all that came are `answers`. */
export class Phone {
  readonly uid: string;
  readonly at: Address;
  readonly answers: SipResponse[] = [];
  /** What the node asked of it, the last last; answered with this status, 0: not at all. */
  readonly requests: SipRequest[] = [];
  answersWith = 200;
  /** Proves who it is unasked, by the nonce of its registration, with each request outside of a dialog. */
  proves = true;
  /** Whether it has that nonce. */
  #isRegistered = false;
  transport = 'UDP';
  nonce = '';
  nc = 0;
  cseq = 0;
  branch = 0;
  /** The last request, for a retransmission. */
  sent = '';
  readonly #send: (text: string | Buffer) => void;
  readonly #waiting: ((answer: SipResponse) => void)[] = [];

  constructor(uid: string, at: Address, send: (text: string | Buffer) => void) {
    this.uid = uid;
    this.at = at;
    this.#send = send;
  }

  get last(): SipResponse {
    const last = this.answers.at(-1);
    if (last === undefined) throw new Error('no answer came');
    return last;
  }

  get status(): number {
    return this.last.status;
  }

  heard(bytes: Buffer): void {
    const message = parseMessage(bytes, { source: AT });
    if (message?.kind === 'request') {
      this.requests.push(message);
      if (this.answersWith !== 0) this.#send(makeResponse(message, this.answersWith, 'Answered').toString());
      return;
    }
    if (message?.kind !== 'response') throw new Error(`no response: ${bytes.toString()}`);
    this.answers.push(message);
    const challenge = message.header('WWW-Authenticate') ?? message.header('Proxy-Authenticate') ?? '';
    const nonce = /nonce="([^"]*)"/.exec(challenge)?.[1];
    if (nonce !== undefined) [this.nonce, this.nc] = [nonce, 0];
    this.#waiting.shift()?.(message);
  }

  raw(text: string | Buffer): void {
    this.sent = String(text);
    this.#send(text);
  }

  repeat(): void {
    this.#send(this.sent);
  }

  ask(method: string, ask: Ask = {}): void {
    const own = `<sip:${this.uid}@vserver>`;
    const usual: Record<string, string | readonly string[] | null> = {
      Via: `SIP/2.0/${this.transport} ${this.at.host}:${this.at.port};rport;branch=z9hG4bK-${this.uid}-${++this.branch}`,
      'Max-Forwards': '70',
      From: `${own};tag=a`,
      To: own,
      'Call-ID': ask.callId ?? `${this.uid}-${this.at.port}`,
      CSeq: `${ask.cseq ?? ++this.cseq} ${method}`,
      ...(this.#isProved(method, ask) ? { Authorization: this.digest(method, { uri: ask.uri ?? 'sip:vserver' }) } : {}),
      ...ask.headers,
      'Content-Length': String(Buffer.byteLength(ask.body ?? '')),
    };
    const lines = Object.entries(usual).flatMap(([name, value]) =>
      value === null ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`),
    );
    const head = `${method} ${ask.uri ?? 'sip:vserver'} SIP/2.0\r\n${lines.join('')}\r\n`;
    this.raw(typeof ask.body === 'object' ? Buffer.concat([Buffer.from(head), ask.body]) : head + (ask.body ?? ''));
  }

  #isProved(method: string, { headers = {} }: Ask): boolean {
    if (!this.proves || !this.#isRegistered || method === 'REGISTER' || method === 'ACK') return false;
    return headers['Authorization'] === undefined && !/;tag=/.test(String(headers['To']));
  }

  /** The request that came last, of this method where one is named. */
  request(method?: string): SipRequest {
    const request = this.requests.findLast((one) => method === undefined || one.method === method);
    if (request === undefined) throw new Error(`no ${method ?? 'request'} came to ${this.uid}`);
    return request;
  }

  /** Methods of all requests that came. */
  get heardMethods(): string[] {
    return this.requests.map(({ method }) => method);
  }

  /** Answers a request, as this phone: its tag is that of the device. */
  reply(status: number, request = this.request(), headers: readonly ExtraHeader[] = []): void {
    const all =
      status < 200 || status >= 300
        ? headers
        : [...routesOf(request), ['Contact', this.contact()] as const, ...headers];
    const tag = `tag-${this.uid}-${this.at.port}`;
    this.#send(makeResponse(request, status, 'Because', all, undefined, tag).toString('latin1'));
  }

  /** Resolves with the next answer. */
  next(): Promise<SipResponse> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Value of an Authorization header. */
  digest(method: string, secret: Secret = {}): string {
    const {
      password = 'secret',
      algorithm = 'MD5',
      username = this.uid,
      uri = 'sip:vserver',
      realm = 'vserver',
    } = secret;
    const h = (text: string): string => hash(algorithm === 'MD5' ? 'md5' : 'sha256', text, 'hex');
    const fields = `Digest username="${username}", realm="${realm}", nonce="${this.nonce}", uri="${uri}"`;
    if (secret.withoutQop === true) {
      const response = h(`${h(`${username}:${realm}:${password}`)}:${this.nonce}:${h(`${method}:${uri}`)}`);
      return `${fields}, response="${response}"`;
    }
    const nc = (secret.nc ?? ++this.nc).toString(16).padStart(8, '0');
    const response = h(`${h(`${username}:${realm}:${password}`)}:${this.nonce}:${nc}:cn:auth:${h(`${method}:${uri}`)}`);
    return `${fields}, qop=auth, nc=${nc}, cnonce="cn", response="${response}", algorithm=${algorithm}`;
  }

  contact(more = ''): string {
    return `<sip:${this.uid}@${this.at.host}:${this.at.port}>${more}`;
  }

  /** REGISTER with credentials; asks for a nonce where it has none. */
  register(ask: Ask = {}, secret: Secret = {}): void {
    if (this.nonce === '') this.ask('REGISTER', { headers: { Contact: this.contact() } });
    this.#isRegistered = true;
    const headers = { Contact: this.contact(), ...ask.headers, Authorization: this.digest('REGISTER', secret) };
    this.ask('REGISTER', { ...ask, headers });
  }

  contacts(): string[] {
    return this.last.headers('Contact');
  }
}

/** RFC 3261 12.1.1: a response that makes a dialog has the Record-Route of its request. */
function routesOf(request: SipRequest): ExtraHeader[] {
  return request.headers('Record-Route').map((value) => ['Record-Route', value]);
}

let portNext = 20_000;

export async function phone(network: MemoryNetwork, uid: string, at?: Address, node = AT): Promise<Phone> {
  const address = at ?? { host: '10.0.0.7', port: portNext++ };
  const made: { phone?: Phone } = {};
  const socket = await network.bind(address, (bytes) => {
    made.phone?.heard(Buffer.from(bytes));
  });
  const one = new Phone(uid, address, (text) => {
    socket.send(Buffer.from(text), node);
  });
  made.phone = one;
  return one;
}
