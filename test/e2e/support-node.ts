/** Whole nodes on loopback for the end-to-end tests, and a small client of the protocol that shows every reply. */
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAddress } from '../../src/base/address.ts';
import type { Address } from '../../src/base/model.ts';
import type { Config } from '../../src/config.ts';
import { loadConfig } from '../../src/config.ts';
import { equalSecrets, macOf, proofOf, sessionKey, verifierOf } from '../../src/login/proof.ts';
import type { NodePorts, VserverNode } from '../../src/node.ts';
import { createNode, systemPorts } from '../../src/node.ts';
import { decodeReply } from '../../src/udp/client-message.ts';
import type { Reply } from '../../src/udp/client-message.ts';
import { encode, encodeSigned } from '../../src/udp/encode.ts';
import type { Headers } from '../../src/udp/encode.ts';
import { macInput } from '../../src/udp/message.ts';
import type { RequestVerb } from '../../src/udp/message.ts';
import { createPartJoiner } from '../../src/udp/parts.ts';

/** Every password of the sample tree. */
export const PASSWORD = 'secret';
const REPLY_MS_MAX = 20_000;
const PAD = 'x'.repeat(300);
/** A ticket of 200 characters, and a reply with a user in it. */
const TICKET_PAD = 'x'.repeat(600);

const folders: string[] = [];

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vserver-e2e-'));
  folders.push(folder);
  return folder;
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** Settings of a quiet node on free ports of loopback, with its data in a folder of its own. */
export function nodeSettings(more: Record<string, string> = {}): Record<string, string> {
  return {
    VSERVER_UDP_PORT: '0',
    VSERVER_UDP_ALT_PORT: '0',
    VSERVER_HTTP_PORT: '0',
    VSERVER_SIP_PORT: '0',
    VSERVER_SIP_TLS_PORT: '0',
    VSERVER_NAME: 'here',
    VSERVER_LOG_LEVEL: 'silent',
    ...(more['VSERVER_DATA'] === undefined ? { VSERVER_DATA: temporaryFolder() } : {}),
    ...more,
  };
}

export interface TestNode extends VserverNode {
  readonly config: Config;
}

const running = new Set<TestNode>();

/** `ports`: what the test replaces of the world. */
export async function startNode(
  settings: Record<string, string> = {},
  ports: Partial<NodePorts> = {},
): Promise<TestNode> {
  const config = loadConfig(nodeSettings(settings));
  const node = { ...(await createNode(config, { ...systemPorts(config), ...ports })), config };
  running.add(node);
  return node;
}

/** Those that a test left running. */
export async function stopNodes(): Promise<void> {
  const nodes = [...running];
  running.clear();
  await Promise.all(nodes.map((node) => node.stop(false)));
}

export interface TestClient {
  /** As the clients of the protocol pad it. Rejects where no reply comes. */
  unsigned(to: Address, verb: RequestVerb, argument: string, headers?: Headers): Promise<Reply>;
  /** Challenge and proof; the session, or what was answered instead of a Welcome. */
  login(to: Address, uid: string, options?: LoginOptions): Promise<TestSession | Reply>;
  /** The same; throws where the login was not welcome. */
  welcome(to: Address, uid: string, options?: LoginOptions): Promise<TestSession>;
  /** A session that was got elsewhere: over HTTP, or before a restart. */
  session(to: Address, uid: string, cookie: string, key: Buffer, seq?: number): TestSession;
  readonly port: number;
  /** What the server sent on its own. */
  readonly notices: readonly Reply[];
  close(): Promise<void>;
}

export interface LoginOptions {
  readonly password?: string;
  readonly headers?: Headers;
}

export interface TestSession {
  readonly uid: string;
  readonly cookie: string;
  readonly key: Buffer;
  /** The last one that was used. */
  readonly seq: number;
  readonly welcome: Reply | null;
  /** Signs and sends; the reply's mac is checked, but for a bare Error. */
  ask(verb: RequestVerb, argument?: string, headers?: Headers): Promise<Reply>;
  /** Sends without waiting for a reply; `seq` as given. */
  send(verb: RequestVerb, seq: number, id: string): void;
}

export function isSession(answer: TestSession | Reply): answer is TestSession {
  return 'cookie' in answer;
}

/** A socket on loopback. */
export async function openClient(host: '127.0.0.1' | '::1' = '127.0.0.1'): Promise<TestClient> {
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  const joiner = createPartJoiner();
  const waiting = new Map<string, (message: Buffer, reply: Reply) => void>();
  const notices: Reply[] = [];
  let lastId = 0;
  socket.on('message', (datagram) => {
    const message = joiner.add(datagram) ?? datagram;
    const reply = decodeReply(message);
    if (reply === null) return;
    if (reply.id.startsWith('s')) notices.push(reply);
    else waiting.get(reply.id)?.(message, reply);
  });

  const ask = (to: Address, id: string, bytes: Buffer, key?: Buffer): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new Error(`no reply to ${bytes.toString('utf8', 0, 40)}`));
      }, REPLY_MS_MAX);
      waiting.set(id, (message, reply) => {
        clearTimeout(timer);
        waiting.delete(id);
        if (key !== undefined && reply.macLineAt >= 0) {
          const mac = macOf(key, macInput(message, reply));
          if (!equalSecrets(mac, reply.headers.get('mac') ?? '')) {
            reject(new Error(`wrong mac of ${reply.verb}`));
            return;
          }
        }
        resolve(reply);
      });
      socket.send(bytes, to.port, to.host);
    });
  const nextId = (): string => `r${++lastId}`;

  const session = (
    to: Address,
    uid: string,
    cookie: string,
    key: Buffer,
    before = 0,
    welcome: Reply | null = null,
  ): TestSession => {
    let seq = before;
    const signed = (verb: RequestVerb, argument: string, id: string, number: number, headers: Headers = {}): Buffer =>
      encodeSigned(key, macOf, verb, argument, id, { ...headers, cookie, seq: number });
    return {
      uid,
      cookie,
      key,
      get seq() {
        return seq;
      },
      welcome,
      ask(verb, argument = '', headers = {}) {
        const id = nextId();
        return ask(to, id, signed(verb, argument, id, ++seq, headers), key);
      },
      send(verb, number, id) {
        socket.send(signed(verb, '', id, number), to.port, to.host);
      },
    };
  };
  const client: TestClient = {
    port: socket.address().port,
    notices,
    unsigned(to, verb, argument, headers = {}) {
      const id = nextId();
      return ask(to, id, encode(verb, argument, id, { ...headers, pad: verb === 'Login' ? PAD : TICKET_PAD }));
    },
    async login(to, uid, { password = PASSWORD, headers = {} } = {}) {
      const cnonce = 'c0ffee';
      const challenge = await client.unsigned(to, 'Login', uid, { cnonce });
      const nonce = challenge.headers.get('nonce');
      if (challenge.verb !== 'Challenge' || nonce === undefined) return challenge;
      const verifier = verifierOf(uid, challenge.headers.get('realm') ?? '', password);
      const key = Buffer.from(sessionKey(verifier, nonce, cnonce), 'hex');
      const id = nextId();
      const proof = proofOf(verifier, nonce, cnonce, uid);
      const request = encode('Login', uid, id, { ...headers, cnonce, nonce, proof, pad: PAD });
      const reply = await ask(to, id, request, key);
      if (reply.verb !== 'Welcome') return reply;
      return session(to, uid, reply.headers.get('cookie') ?? '', key, 0, reply);
    },
    async welcome(to, uid, options) {
      const answer = await client.login(to, uid, options);
      if (!isSession(answer)) throw new Error(`${answer.verb} ${answer.argument} instead of a Welcome`);
      return answer;
    },
    session: (to, uid, cookie, key, seq) => session(to, uid, cookie, key, seq),
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
  return client;
}

/** The address that a `SeeAlso` or `Redirect` names. */
export function addressOf(reply: Reply): Address {
  const address = parseAddress(reply.argument);
  if (address === null) throw new Error(`no address: ${reply.verb} ${reply.argument}`);
  return address;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: globalThis.Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** `token`: for `Authorization: Bearer`. Redirects are not followed. */
export async function http(
  url: string,
  options: { method?: string; token?: string; body?: object; headers?: Record<string, string> } = {},
): Promise<HttpAnswer> {
  const { method = options.body === undefined ? 'GET' : 'POST', token, body } = options;
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = (response.headers.get('content-type') ?? '').includes('json');
  const json = isJson && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { status: response.status, headers: response.headers, text, json };
}

/** A login over HTTP; throws where it was not welcome. */
export async function httpLogin(node: VserverNode, uid: string, more: object = {}) {
  const answer = await http(`${node.http}/v1/login`, { body: { uid, password: PASSWORD, ...more } });
  if (answer.status !== 200) throw new Error(`login answered ${answer.status} ${answer.text}`);
  return answer.json as { cookie: string; key: string; token: string; servers: string[] };
}
