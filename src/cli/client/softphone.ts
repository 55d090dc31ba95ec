/**
 * A softphone's side of the client protocol (PROTOCOL.md section 1), without sound: for `vserver client`, for the
 * tests, and as the example for those who write one. It logs in, keeps the session and its NAT binding alive, follows
 * Redirect and SeeAlso, logs in again where the server forgot it, and believes nothing that is not signed.
 */
import { parseAddress } from '../../base/address.ts';
import type { Address, Status } from '../../base/model.ts';
import type { Datagrams, Random, Timer, Timers } from '../../base/ports.ts';
import { macOf } from '../../login/proof.ts';
import type { Reply } from '../../udp/client-message.ts';
import { encode, encodeSigned } from '../../udp/encode.ts';
import type { Headers } from '../../udp/encode.ts';
import type { RequestVerb } from '../../udp/message.ts';
import type { Received } from './exchange.ts';
import { openExchange } from './exchange.ts';
import type { Credentials, Session, Standing } from './handshake.ts';
import { errorOf, findStanding, isSigned, newId, shakeHands } from './handshake.ts';

export interface SoftphoneOptions extends Omit<Credentials, 'status' | 'device'> {
  readonly server: Address;
  /** Where the server answers Hello a second time, for the firewall test. */
  readonly alternate: Address;
  readonly status?: Status;
  /** `cpu=…; mem=…; disk=…; net=…; agent=…` */
  readonly device?: string;
  /** Own addresses, the best first; '' … the socket's. */
  readonly ownHosts: readonly string[];
  /** What to bind, port 0 for any. */
  readonly bind: Address;
  readonly datagrams: Datagrams;
  readonly timers: Timers;
  readonly random: Random;
  readonly onEvent: (event: SoftphoneEvent) => void;
}

export type SoftphoneEvent =
  | { readonly kind: 'logged-in'; readonly session: Session; readonly standing: Standing; readonly again: boolean }
  /** The NAT gave this client another address, and the server has taken it over. */
  | { readonly kind: 'moved'; readonly wan: Address }
  /** The user logged in elsewhere: this session is over, and nothing is tried any more. */
  | { readonly kind: 'taken-over' }
  /** A heartbeat failed; the next one tries again. */
  | { readonly kind: 'trouble'; readonly reason: string };

/** What a server answered instead of what was asked for; status 0: nobody answered. */
export class SoftphoneError extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

/** Requests reject with SoftphoneError. */
export interface Softphone {
  readonly session: () => Session;
  /** `User`, `Offline`, or `Error 404`. */
  locate(uid: string): Promise<Reply>;
  /** The CONFIG, or undefined where it still has this etag. */
  config(etag?: string): Promise<{ etag: string; xml: string } | undefined>;
  status(status: Status, note: string): Promise<void>;
  /** A line a server: `name ip:port state users max-users`. */
  servers(): Promise<readonly string[]>;
  /** They go out by themselves too, as often as the server asks for them. */
  heartbeat(): Promise<void>;
  /** Logs out and closes the socket. */
  logout(): Promise<void>;
  /** Closes the socket and says nothing: the session ends by silence. */
  close(): Promise<void>;
}

const HOPS_MAX = 3;
/** A request that finds its session gone logs in and asks again, so often. */
const LOGINS_A_REQUEST = 2;
/** What comes with a ticket comes without a session: room for the longest reply of one datagram. */
const PAD_TICKET = 'x'.repeat(800);

/** Logs in; rejects with SoftphoneError where that fails, and leaves nothing open then. */
export async function softphone(options: SoftphoneOptions): Promise<Softphone> {
  const { server, alternate, timers, random, onEvent } = options;
  const credentials: Credentials = {
    ...options,
    status: options.status ?? 'online',
    device: options.device ?? 'agent=vserver',
  };
  let session: Session | undefined;
  let over = false;
  let loggingIn: Promise<Session> | undefined;
  let beats: Timer | undefined;

  const exchange = await openExchange({ ...options, at: options.bind, onRequest: onServerRequest });
  const line = { exchange, random };

  /** The server speaks first: only to say that the session was taken over. It repeats that until our signed Ok. */
  function onServerRequest(received: Received): void {
    if (session === undefined || !isSigned(session.key, received)) return;
    const { cookie, key, server: to } = session;
    exchange.send(to, encodeSigned(key, macOf, 'Ok', '', received.reply.id, { cookie, seq: ++session.seq }));
    if (over || errorOf(received.reply).status !== 409) return;
    over = true;
    beats?.cancel();
    onEvent({ kind: 'taken-over' });
  }

  /** At the server asked for, or the next one that answers; Redirects are followed. */
  async function logIn(): Promise<Session> {
    const again = session !== undefined;
    const places = [...(session === undefined ? [] : [session.server, ...session.others]), server];
    const standing = await findStanding(line, server, alternate, options.ownHosts);
    let failure = new SoftphoneError(0, 'no server answers');
    for (const place of places) {
      let [at, ticket]: [Address, string | undefined] = [place, undefined];
      for (let hops = 0; hops <= HOPS_MAX; hops++) {
        const met = await shakeHands(line, at, credentials, standing, ticket);
        if (met.kind === 'redirect') [at, ticket] = [met.to, met.ticket];
        else if (met.kind === 'welcome') {
          session = met.session;
          keepAlive(session.heartbeatS);
          onEvent({ kind: 'logged-in', session, standing, again });
          return session;
        } else {
          if (met.kind === 'error') failure = new SoftphoneError(met.status, met.reason);
          break;
        }
      }
      // Another server would refuse him too; one that is full or has lost its directory need not be the last.
      if (failure.status !== 0 && failure.status !== 503) break;
    }
    throw failure;
  }

  /** However many requests find the session gone, one of them logs in. */
  function renewed(): Promise<Session> {
    return (loggingIn ??= logIn().finally(() => (loggingIn = undefined)));
  }

  /** Sent with the next seq and signed; the reply is signed too. Only `log in again` may come from a server that knows no key. */
  async function ask(verb: RequestVerb, argument = '', headers: Headers = {}): Promise<Reply> {
    let current = session ?? (await renewed());
    for (let logins = 0; ; logins++) {
      if (over) throw new SoftphoneError(409, 'logged in elsewhere');
      const { key, cookie, server: to } = current;
      const id = newId(random);
      const bytes = encodeSigned(key, macOf, verb, argument, id, { ...headers, cookie, seq: ++current.seq });
      const isGood = (one: Received): boolean => isSigned(key, one) || errorOf(one.reply).status === 401;
      const received = await exchange.ask(to, id, bytes, isGood);
      const forgotten =
        received === undefined || (received.reply.verb === 'Error' && errorOf(received.reply).status === 401);
      if (!forgotten) return received.reply;
      if (logins >= LOGINS_A_REQUEST) throw new SoftphoneError(0, 'the server does not answer');
      // Another request may have logged in meanwhile.
      current = session === current ? await renewed() : (session ?? current);
    }
  }

  function keepAlive(everyS: number): void {
    beats?.cancel();
    let beating = false;
    beats = timers.every(everyS * 1000, () => {
      if (beating) return;
      beating = true;
      heartbeat()
        .catch((error: unknown) => {
          if (!over) onEvent({ kind: 'trouble', reason: error instanceof Error ? error.message : 'heartbeat failed' });
        })
        .finally(() => (beating = false));
    });
  }

  async function heartbeat(): Promise<void> {
    let reply = await ask('Heartbeat');
    const probe = reply.headers.get('probe');
    // The server sees us at a new address. It moves there when we show that we got this token at it.
    if (probe !== undefined) reply = await ask('Heartbeat', '', { probe });
    if (reply.verb === 'Redirect') {
      // This server is about to stop: it wants us elsewhere.
      const to = parseAddress(reply.argument);
      if (to !== null && session !== undefined) session = { ...session, server: to };
      await renewed();
      return;
    }
    const wan = parseAddress(expected(reply, 'Ok').headers.get('wan') ?? '');
    if (probe === undefined || wan === null || session === undefined) return;
    session.wan = wan;
    onEvent({ kind: 'moved', wan });
  }

  async function locate(uid: string): Promise<Reply> {
    let reply = await ask('Locate', uid);
    for (let hops = 0; reply.verb === 'SeeAlso' && hops < HOPS_MAX; hops++) {
      const to = parseAddress(reply.argument);
      if (to === null) break;
      const id = newId(random);
      // There we have no session: the ticket says who sent us, and the padding makes room for the reply.
      const bytes = encode('Locate', uid, id, { ticket: reply.headers.get('ticket'), pad: PAD_TICKET });
      const received = await exchange.ask(to, id, bytes, () => true);
      if (received === undefined) throw new SoftphoneError(0, `the server ${reply.argument} does not answer`);
      reply = received.reply;
    }
    return reply;
  }

  async function close(): Promise<void> {
    beats?.cancel();
    over = true;
    await exchange.close();
  }

  try {
    await renewed();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    session: () => session ?? fail(),
    locate,
    heartbeat,
    close,
    async config(etag) {
      const reply = await ask('Config', '', { etag });
      if (reply.verb === 'NotModified') return undefined;
      return { etag: reply.headers.get('etag') ?? '', xml: expected(reply, 'Config').body };
    },
    async status(status, note) {
      expected(await ask('Status', status, { note: note === '' ? undefined : note }), 'Ok');
    },
    async servers() {
      return expected(await ask('Servers'), 'Servers')
        .body.split('\r\n')
        .filter((text) => text !== '');
    },
    async logout() {
      beats?.cancel();
      try {
        if (!over) expected(await ask('Logout'), 'Ok');
      } finally {
        await close();
      }
    },
  };
}

function expected(reply: Reply, verb: Reply['verb']): Reply {
  if (reply.verb === verb) return reply;
  const { status, reason } = errorOf(reply);
  throw new SoftphoneError(status, reason);
}

function fail(): never {
  throw new Error('a softphone is handed out only when it is logged in');
}
