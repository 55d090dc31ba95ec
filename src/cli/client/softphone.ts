/**
 * A softphone's side of the client protocol (PROTOCOL.md section 1), without sound: for `vserver client`, for the
 * tests, and as the example for those who write one. It logs in, keeps the session and its NAT binding alive, follows
 * Redirect and SeeAlso, logs in again where the server forgot it, and believes nothing that is not signed.
 */
import { formatAddress, parseAddress } from '../../base/address.ts';
import type { Address, Status } from '../../base/model.ts';
import type { Datagrams, Random, Timer, Timers } from '../../base/ports.ts';
import { createRecentMap } from '../../base/recent-map.ts';
import { macOf } from '../../login/proof.ts';
import type { BuddyAction } from '../../presence/buddies.ts';
import type { Reply } from '../../udp/client-message.ts';
import { encode, encodeSigned } from '../../udp/encode.ts';
import type { Headers } from '../../udp/encode.ts';
import { DATAGRAM_BYTES_MAX } from '../../udp/message.ts';
import type { RequestVerb } from '../../udp/message.ts';
import type { Exchange, Received } from './exchange.ts';
import { openExchange } from './exchange.ts';
import type { Credentials, Handshake, Session, Standing } from './handshake.ts';
import { errorOf, findStanding, isSigned, newId, shakeHands } from './handshake.ts';

export interface SoftphoneOptions extends Omit<Credentials, 'status' | 'device'> {
  readonly server: Address;
  /** Where the server answers Hello a second time, for the firewall test. */
  readonly alternate: Address;
  readonly status?: Status;
  /** `cpu=…; mem=…; disk=…; net=…; agent=…` */
  readonly device?: string;
  /** The own addresses, the best one first. */
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
  /** From another user. Known by `from` and `id`: shown once, however often it comes. */
  | {
      readonly kind: 'message';
      readonly from: string;
      readonly id: string;
      readonly type: string;
      readonly time: string;
      readonly body: string;
    }
  /** The user logged in elsewhere: this session is over, and nothing is tried any more. */
  | { readonly kind: 'taken-over' }
  /** A heartbeat failed; the next one tries again. */
  | { readonly kind: 'trouble'; readonly reason: string };

/** What may be seen of a user; '' where there is nothing. */
export interface Presence {
  readonly uid: string;
  readonly status: string;
  readonly note: string;
  readonly lastSeen: string;
}

interface Watch {
  readonly uids: readonly string[];
  readonly onPresence: (presence: Presence) => void;
  /** By uid, what was told last. */
  readonly seen: Map<string, string>;
}

/** What a server answered instead of what was asked for; status 0: nobody answered. */
export class SoftphoneError extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

const HOPS_MAX = 3;
const MESSAGE_ID_BYTES = 16;
const SHOWN_MAX = 1_000;
/** A request that finds its session gone logs in and asks again, so often. */
const LOGINS_A_REQUEST = 2;
/** What comes with a ticket comes without a session: room for the longest reply of one datagram. */
const PAD_TICKET = 'x'.repeat(800);

/** Opens a socket and logs in; rejects with SoftphoneError where that fails, and leaves nothing open then. */
export async function softphone(options: SoftphoneOptions): Promise<Softphone> {
  let phone: Softphone | undefined = undefined as Softphone | undefined;
  const onRequest = (received: Received): void => phone?.onServerRequest(received);
  const exchange = await openExchange({ ...options, at: options.bind, onRequest });
  phone = new Softphone(options, exchange);
  try {
    await phone.logIn();
    return phone;
  } catch (error) {
    await phone.close();
    throw error;
  }
}

/** Made by softphone(). Requests reject with SoftphoneError. */
export class Softphone {
  readonly #options: SoftphoneOptions;
  readonly #exchange: Exchange;
  /** The last one, also when the server has forgotten it. */
  #session: Session | undefined;
  /** Logged out, or taken over: nothing is tried any more. */
  #over = false;
  #loggingIn: Promise<Session> | undefined;
  #beats: Timer | undefined;
  /** Messages that came, by sender and id. */
  readonly #shown = createRecentMap<true>(SHOWN_MAX);
  #watch: Watch | undefined;

  constructor(options: SoftphoneOptions, exchange: Exchange) {
    this.#options = options;
    this.#exchange = exchange;
  }

  get session(): Session {
    if (this.#session === undefined) throw new Error('a softphone is handed out only when it is logged in');
    return this.#session;
  }

  /** `User`, `Offline`, or `Error 404`. A user of another server is asked for there. */
  async locate(uid: string): Promise<Reply> {
    let reply = await this.#ask('Locate', uid);
    for (let hops = 0; reply.verb === 'SeeAlso' && hops < HOPS_MAX; hops++) {
      const to = parseAddress(reply.argument);
      if (to === null) break;
      const id = newId(this.#options.random);
      // There we have no session: the ticket says who sent us, and the padding makes room for the reply.
      const bytes = encode('Locate', uid, id, { ticket: reply.headers.get('ticket'), pad: PAD_TICKET });
      const received = await this.#exchange.ask(to, id, bytes, () => true);
      if (received === undefined) throw new SoftphoneError(0, `the server ${reply.argument} does not answer`);
      reply = received.reply;
    }
    return reply;
  }

  /** The CONFIG, or undefined where it still has this etag. */
  async config(etag?: string): Promise<{ etag: string; xml: string } | undefined> {
    const reply = await this.#ask('Config', '', { etag });
    if (reply.verb === 'NotModified') return undefined;
    return { etag: reply.headers.get('etag') ?? '', xml: expected(reply, 'Config').body };
  }

  async status(status: Status, note: string): Promise<void> {
    expected(await this.#ask('Status', status, { note: note === '' ? undefined : note }), 'Ok');
  }

  /** From now on `onPresence` hears of these users (none: the own buddies). Answers how many; so far they count as offline. */
  async watch(uids: readonly string[], onPresence: (presence: Presence) => void): Promise<number> {
    this.#watch = { uids, onPresence, seen: new Map() };
    return Number(expected(await this.#ask('Watch', uids.join(' ')), 'Ok').argument);
  }

  async unwatch(): Promise<void> {
    this.#watch = undefined;
    expected(await this.#ask('Unwatch'), 'Ok');
  }

  /** `asked`: the other one has to consent first. */
  async buddy(action: BuddyAction, uid: string): Promise<'done' | 'asked'> {
    const { argument } = expected(await this.#ask('Buddy', `${action} ${uid}`), 'Ok');
    return argument === 'asked' ? 'asked' : 'done';
  }

  /** A line an entry: `buddy`, `asked`, `asking` or `blocked`, and the uid. */
  async buddies(): Promise<readonly string[]> {
    const { body } = expected(await this.#ask('Buddy', 'list'), 'Buddies');
    return body.split('\r\n').filter((line) => line !== '');
  }

  /** Whether a device of the recipient took it, or it is stored for him. Text that fits into a datagram. */
  async message(to: string, text: string): Promise<'delivered' | 'stored'> {
    const msg = this.#options.random.bytes(MESSAGE_ID_BYTES).toString('base64url');
    const { argument } = expected(await this.#ask('Message', to, { msg, type: 'text/plain' }, text), 'Ok');
    return argument === 'delivered' ? 'delivered' : 'stored';
  }

  /** A line a server: `name ip:port state users max-users`. */
  async servers(): Promise<readonly string[]> {
    const { body } = expected(await this.#ask('Servers'), 'Servers');
    return body.split('\r\n').filter((text) => text !== '');
  }

  /** They go out by themselves too, as often as the server asks for them. */
  async heartbeat(): Promise<void> {
    let reply = await this.#ask('Heartbeat');
    const probe = reply.headers.get('probe');
    // The server sees us at a new address. It moves there when we show that we got this token at it.
    if (probe !== undefined) reply = await this.#ask('Heartbeat', '', { probe });
    if (reply.verb === 'Redirect') {
      // This server is about to stop: it wants us elsewhere.
      const to = parseAddress(reply.argument);
      if (to !== null) this.#session = { ...this.session, server: to };
      await this.logIn();
      return;
    }
    const wan = parseAddress(expected(reply, 'Ok').headers.get('wan') ?? '');
    if (probe === undefined || wan === null) return;
    this.session.wan = wan;
    this.#options.onEvent({ kind: 'moved', wan });
  }

  /** Logs out and closes the socket. */
  async logout(): Promise<void> {
    this.#beats?.cancel();
    try {
      if (this.#over) return;
      const reply = await this.#ask('Logout', '', {}, '', 0);
      // Who is forgotten is logged out.
      if (!isForgotten(reply)) expected(reply, 'Ok');
    } finally {
      await this.close();
    }
  }

  /** Closes the socket and says nothing: the session ends by silence. */
  async close(): Promise<void> {
    this.#beats?.cancel();
    this.#over = true;
    await this.#exchange.close();
  }

  /** However many requests find the session gone, one of them logs in. */
  logIn(): Promise<Session> {
    return (this.#loggingIn ??= this.#tryServers().finally(() => (this.#loggingIn = undefined)));
  }

  /** The server speaks first, and repeats it until our signed Ok. */
  onServerRequest(received: Received): void {
    const session = this.#session;
    if (session === undefined || !isSigned(session.key, received)) return;
    const { cookie, key, server } = session;
    const ok = encodeSigned(key, macOf, 'Ok', '', received.reply.id, { cookie, seq: ++session.seq });
    this.#exchange.send(server, ok);
    const { reply } = received;
    if (reply.verb === 'Message') this.#onMessage(reply);
    else if (reply.verb === 'Presence') this.#onPresence(reply);
    // Logging in again replaces the session that the server may still hold: that takeover is our own.
    if (this.#over || this.#loggingIn !== undefined || reply.verb !== 'Error' || errorOf(reply).status !== 409) return;
    this.#over = true;
    this.#beats?.cancel();
    this.#options.onEvent({ kind: 'taken-over' });
  }

  /** Our Ok may get lost, and what was taken from the server then comes again. */
  #onMessage({ argument: from, headers, body }: Reply): void {
    const header = (name: string): string => headers.get(name) ?? '';
    const name = `${from} ${header('msg')}`;
    if (this.#shown.get(name) === true) return;
    this.#shown.set(name, true);
    const text = { id: header('msg'), type: header('type'), time: header('time'), body };
    this.#options.onEvent({ kind: 'message', from, ...text });
  }

  /** What comes again because our Ok got lost says nothing new. */
  #onPresence({ argument: uid, headers }: Reply): void {
    if (this.#watch === undefined) return;
    const header = (name: string): string => headers.get(name) ?? '';
    const presence = { uid, status: header('status'), note: header('note'), lastSeen: header('last-seen') };
    const text = JSON.stringify(presence);
    const { seen, onPresence } = this.#watch;
    if (seen.get(uid) === text) return;
    seen.set(uid, text);
    onPresence(presence);
  }

  /** A new session watches nobody. */
  #watchAgain(): void {
    if (this.#watch === undefined) return;
    this.#watch.seen.clear();
    this.#ask('Watch', this.#watch.uids.join(' ')).catch(() => undefined);
  }

  /** At the server of the last session, the others that it named, the first one: whichever answers. */
  async #tryServers(): Promise<Session> {
    const { server, alternate, ownHosts, random, onEvent } = this.#options;
    const before = this.#session;
    const places = before === undefined ? [server] : [before.server, ...before.others, server];
    const standing = await findStanding({ exchange: this.#exchange, random }, server, alternate, ownHosts);
    let failure = new SoftphoneError(0, `${formatAddress(server)} does not answer`);
    for (const place of places) {
      const met = await this.#logInAt(place, standing);
      if (met.kind === 'welcome') {
        this.#session = met.session;
        this.#keepAlive(met.session.heartbeatS);
        onEvent({ kind: 'logged-in', session: met.session, standing, again: before !== undefined });
        this.#watchAgain();
        return met.session;
      }
      if (met.kind !== 'error') continue;
      failure = new SoftphoneError(met.status, met.reason);
      // Another server would refuse him too; one that is full or has lost its directory need not be the last.
      if (met.status !== 503) break;
    }
    throw failure;
  }

  /** Follows Redirects, 3 at most. */
  async #logInAt(place: Address, standing: Standing): Promise<Handshake> {
    const { uid, password, instance, status = 'online', device = 'agent=vserver', random } = this.#options;
    const line = { exchange: this.#exchange, random };
    const credentials = { uid, password, instance, status, device };
    let met = await shakeHands(line, place, credentials, standing, undefined);
    for (let hops = 0; met.kind === 'redirect' && hops < HOPS_MAX; hops++) {
      met = await shakeHands(line, met.to, credentials, standing, met.ticket);
    }
    return met;
  }

  /** Sent with the next seq and signed. The reply is signed too; only `log in again` may come from who knows no key. */
  async #ask(
    verb: RequestVerb,
    argument = '',
    headers: Headers = {},
    body = '',
    loginsMax = LOGINS_A_REQUEST,
  ): Promise<Reply> {
    for (let logins = 0; ; logins++) {
      if (this.#over) throw new SoftphoneError(409, 'logged out, or logged in elsewhere');
      const session = this.session;
      const { key, cookie, server } = session;
      const id = newId(this.#options.random);
      const bytes = encodeSigned(key, macOf, verb, argument, id, { ...headers, cookie, seq: ++session.seq }, body);
      if (bytes.length > DATAGRAM_BYTES_MAX) throw new SoftphoneError(413, 'too long for a datagram: use HTTPS');
      const isGood = (one: Received): boolean => isSigned(key, one) || isForgotten(one.reply);
      const received = await this.#exchange.ask(server, id, bytes, isGood);
      if (received !== undefined && (!isForgotten(received.reply) || logins >= loginsMax)) return received.reply;
      if (logins >= loginsMax) throw new SoftphoneError(0, 'the server does not answer');
      // Another request may have logged in meanwhile.
      if (!this.#isOver() && session === this.#session) await this.logIn();
    }
  }

  /** Asked anew after a wait, in which it may have changed. */
  #isOver(): boolean {
    return this.#over;
  }

  #keepAlive(everyS: number): void {
    const { timers, onEvent } = this.#options;
    this.#beats?.cancel();
    let beating = false;
    this.#beats = timers.every(everyS * 1000, () => {
      if (beating) return;
      beating = true;
      this.heartbeat()
        .catch((error: unknown) => {
          const reason = error instanceof Error ? error.message : 'it failed';
          if (!this.#over) onEvent({ kind: 'trouble', reason });
        })
        .finally(() => (beating = false));
    });
  }
}

function isForgotten(reply: Reply): boolean {
  return reply.verb === 'Error' && errorOf(reply).status === 401;
}

function expected(reply: Reply, verb: Reply['verb']): Reply {
  if (reply.verb === verb) return reply;
  const { status, reason } = errorOf(reply);
  throw new SoftphoneError(status, reason);
}
