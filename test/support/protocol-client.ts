/** A client that speaks by the text of PROTOCOL.md alone, without any code of the edge. */
import { createHash, createHmac } from 'node:crypto';
import { formatAddress } from '../../src/base/address.ts';
import type { Address } from '../../src/base/model.ts';
import { settle } from './clock.ts';
import type { MemoryNetwork } from './network.ts';

/** A message as it stands on the wire. */
export interface Message {
  /** All of it. */
  readonly text: string;
  readonly bytes: number;
  /** `Error 401 log in again`. */
  readonly first: string;
  readonly verb: string;
  readonly argument: string;
  /** By name as written. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly from: string;
}

export interface Session {
  readonly uid: string;
  /** K. */
  readonly key: string;
  readonly cookie: string;
  seq: number;
  readonly welcome: Message;
}

const hmac = (key: string, text: string): string => createHmac('sha256', key).update(text).digest('hex');

export const verifierOf = (uid: string, password: string, realm = 'vserver'): string =>
  createHash('sha256').update(`${uid}:${realm}:${password}`).digest('hex');

export function parseMessage(bytes: Buffer, from = ''): Message {
  const text = bytes.toString('utf8');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) throw new Error(`no empty line: ${text}`);
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const [verb = '', ...words] = first.split(' ');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
  );
  const body = text.slice(end + 4);
  return { text, bytes: bytes.length, first, verb, argument: words.join(' '), headers, body, from };
}

/** Whether the mac of a message is the one that K makes. */
export function isSignedBy(key: string, { text, headers, body }: Message): boolean {
  const before = text.slice(0, text.lastIndexOf('mac: '));
  return headers['mac'] === hmac(key, body === '' ? before : `${before}\r\n${body}`).slice(0, 32);
}

/** What a Login with a proof was, and what came back. */
export interface Tried {
  readonly nonce: string;
  readonly request: string;
  readonly key: string;
  readonly replies: readonly Message[];
}

export type Client = Awaited<ReturnType<typeof protocolClient>>;

export async function protocolClient(network: MemoryNetwork, at: Address, server: Address) {
  const inbox: Message[] = [];
  const socket = await network.bind(at, (bytes, from) => inbox.push(parseMessage(bytes, formatAddress(from))));
  let lastId = 0;
  const newId = (): string => `r${++lastId}`;

  const client = {
    at,
    inbox,
    /** Sends this and answers what came back at once. */
    send(datagram: string | Buffer, to = server): Message[] {
      inbox.length = 0;
      socket.send(Buffer.from(datagram), to);
      return [...inbox];
    },
    /** The same, and what the node answers when it has asked the directory. */
    async ask(datagram: string | Buffer, to = server): Promise<Message[]> {
      client.send(datagram, to);
      await settle();
      await settle();
      return [...inbox];
    },
    /** Exactly one reply, or an error. */
    async one(datagram: string | Buffer, to = server): Promise<Message> {
      const [reply, ...more] = await client.ask(datagram, to);
      if (reply === undefined || more.length > 0) throw new Error(`${more.length + (reply ? 1 : 0)} replies`);
      return reply;
    },
    /** An unsigned request; `lines` are headers. */
    plain: (first: string, lines: readonly string[] = [], id = newId()): string =>
      [first, `id: ${id}`, ...lines, '', ''].join('\r\n'),
    signed(session: Session, first: string, lines: readonly string[] = [], id = newId(), body = ''): string {
      session.seq++;
      const head = [first, `id: ${id}`, `cookie: ${session.cookie}`, `seq: ${session.seq}`, ...lines, ''].join('\r\n');
      const mac = hmac(session.key, body === '' ? head : `${head}\r\n${body}`).slice(0, 32);
      return `${head}mac: ${mac}\r\n\r\n${body}`;
    },
    async challenge(uid: string, to = server): Promise<Message> {
      return client.one(client.plain(`Login ${uid}`, ['cnonce: c0ffee', `pad: ${'x'.repeat(200)}`]), to);
    },
    /** The second Login, with the nonce of a Challenge. */
    proven(uid: string, nonce: string, password = 'secret', lines: readonly string[] = []): string {
      const proof = hmac(verifierOf(uid, password), `${nonce}:c0ffee:${uid}`);
      return client.plain(`Login ${uid}`, [`nonce: ${nonce}`, 'cnonce: c0ffee', `proof: ${proof}`, ...lines]);
    },
    keyOf: (uid: string, nonce: string, password = 'secret'): string =>
      hmac(verifierOf(uid, password), `session:${nonce}:c0ffee`),
    /** Challenge, proof, whatever the answer is. */
    async tryLogin(uid: string, lines: readonly string[] = [], password = 'secret', to = server): Promise<Tried> {
      const nonce = (await client.challenge(uid, to)).headers['nonce'] ?? '';
      const request = client.proven(uid, nonce, password, lines);
      return { nonce, request, key: client.keyOf(uid, nonce, password), replies: await client.ask(request, to) };
    },
    async login(uid: string, lines: readonly string[] = [], to = server): Promise<Session> {
      const { replies, key } = await client.tryLogin(uid, lines, 'secret', to);
      const welcome = replies.find(({ verb }) => verb === 'Welcome');
      if (welcome === undefined) throw new Error(`no Welcome: ${replies.map(({ text }) => text).join('\n')}`);
      return { uid, key, cookie: welcome.headers['cookie'] ?? '', seq: 0, welcome };
    },
  };
  return client;
}
