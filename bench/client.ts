/** A client of the protocol that logs many users in, with the program's own encoder, reader and proofs. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { proofOf, macOf, sessionKey, verifierOf } from '../src/login/proof.ts';
import { decodeReply } from '../src/udp/client-message.ts';
import type { Reply } from '../src/udp/client-message.ts';
import { encode, encodeSigned } from '../src/udp/encode.ts';
import type { Headers } from '../src/udp/encode.ts';
import { macInput } from '../src/udp/message.ts';
import type { RequestVerb } from '../src/udp/message.ts';

export interface Session {
  readonly uid: string;
  readonly cookie: string;
  /** The 32 bytes behind K. */
  readonly key: Buffer;
  /** Of the last request. */
  seq: number;
}

export interface Client {
  readonly port: number;
  /** Challenge, proof, Welcome. Rejects where the server answers otherwise. */
  login(uid: string, headers?: Headers): Promise<Session>;
  heartbeat(session: Session): Promise<void>;
  logout(session: Session): Promise<void>;
  locate(session: Session, uid: string): Promise<Reply>;
  /** As a client that was sent here from another node. */
  locateByTicket(uid: string, ticket: string): Promise<Reply>;
  close(): Promise<void>;
}

export const REALM = 'vserver';
const DEVICE = 'cpu=arm64 8x2.4GHz; mem=8192; disk=131072; net=wifi; agent=ExampleSoftphone/4.2.1 (bench; android 15)';
export const LOGIN_HEADERS: Headers = {
  local: '192.168.1.20:4321',
  firewall: 'weak',
  status: 'online',
  device: DEVICE,
};
/** The answer to a Hello or Login must not be longer than the request. */
export const PAD = 'x'.repeat(120);
const TICKET_PAD = 'x'.repeat(600);
const ANSWER_MS_MAX = 1_000;
const TRIES_MAX = 4;

export function passwordOf(uid: string): string {
  return `secret-${uid}`;
}

export async function openClient(serverPort: number): Promise<Client> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.setRecvBufferSize(4 * 1024 * 1024);
  const waiting = new Map<string, (reply: Reply) => void>();
  socket.on('message', (bytes) => {
    const reply = decodeReply(bytes);
    if (reply === null) return;
    waiting.get(reply.id)?.(reply);
  });
  let lastId = 0;
  const nextId = (): string => `b${++lastId}`;

  const ask = (id: string, bytes: Buffer): Promise<Reply> =>
    new Promise((resolve, reject) => {
      let tries = 0;
      const send = (): void => {
        if (++tries > TRIES_MAX) {
          waiting.delete(id);
          reject(new Error('the server does not answer'));
          return;
        }
        socket.send(bytes, serverPort, '127.0.0.1');
        timer = setTimeout(send, ANSWER_MS_MAX);
      };
      let timer: NodeJS.Timeout | undefined;
      waiting.set(id, (reply) => {
        clearTimeout(timer);
        waiting.delete(id);
        resolve(reply);
      });
      send();
    });

  const tell = async (session: Session, verb: RequestVerb): Promise<void> => {
    const id = nextId();
    const reply = await ask(id, signed(session, verb, '', id));
    if (reply.verb !== 'Ok') throw unexpected(reply);
  };

  return {
    port: socket.address().port,
    async login(uid, headers = LOGIN_HEADERS) {
      const cnonce = randomBytes(12).toString('base64url');
      const first = nextId();
      const challenge = await ask(first, encode('Login', uid, first, { cnonce, pad: PAD }));
      const nonce = challenge.headers.get('nonce') ?? '';
      if (challenge.verb !== 'Challenge') throw unexpected(challenge);
      const verifier = verifierOf(uid, REALM, passwordOf(uid));
      const proof = proofOf(verifier, nonce, cnonce, uid);
      const second = nextId();
      const welcome = await ask(second, encode('Login', uid, second, { cnonce, nonce, proof, ...headers }));
      if (welcome.verb !== 'Welcome') throw unexpected(welcome);
      const key = Buffer.from(sessionKey(verifier, nonce, cnonce), 'hex');
      return { uid, cookie: welcome.headers.get('cookie') ?? '', key, seq: 0 };
    },
    heartbeat: (session) => tell(session, 'Heartbeat'),
    logout: (session) => tell(session, 'Logout'),
    locate(session, uid) {
      const id = nextId();
      return ask(id, signed(session, 'Locate', uid, id));
    },
    locateByTicket(uid, ticket) {
      const id = nextId();
      return ask(id, encode('Locate', uid, id, { ticket, pad: TICKET_PAD }));
    },
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

function unexpected(reply: Reply): Error {
  return new Error(`the server answers ${reply.verb} ${reply.argument}`);
}

/** The session's next request. */
export function signed(session: Session, verb: RequestVerb, argument: string, id: string): Buffer {
  const { cookie, key } = session;
  return encodeSigned(key, macOf, verb, argument, id, { cookie, seq: ++session.seq });
}

/** Whether this is a reply of that verb under the session's key. */
export function isSignedReply(bytes: Buffer, verb: string, { key }: Session): boolean {
  const reply = decodeReply(bytes);
  if (reply?.verb !== verb || reply.macLineAt < 0) return false;
  return macOf(key, macInput(bytes, reply)) === reply.headers.get('mac');
}

/** Runs `work` on every item, `limit` at a time. */
export async function inFlight<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as Item);
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}
