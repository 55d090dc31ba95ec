/** How a client meets a server (PROTOCOL.md section 1): Hello on both ports, then Login → Challenge → proof → Welcome. */
import { formatAddress, parseAddress, sameAddress } from '../../base/address.ts';
import type { Address, Firewall, Status } from '../../base/model.ts';
import type { Random } from '../../base/ports.ts';
import { equalSecrets, macOf, proofOf, sessionKey, verifierOf } from '../../login/proof.ts';
import type { Reply } from '../../udp/client-message.ts';
import { encode } from '../../udp/encode.ts';
import type { Exchange, Received } from './exchange.ts';

/** What the server told at the login, and what the client counts. */
export interface Session {
  readonly server: Address;
  readonly serverName: string;
  readonly cookie: string;
  /** The 32 bytes behind K. */
  readonly key: Buffer;
  /** Of the last request; rises by one with each. */
  seq: number;
  /** As the server sees this client. */
  wan: Address;
  readonly network: string;
  readonly heartbeatS: number;
  readonly expiresS: number;
  /** Servers to try when this one stops answering. */
  readonly others: readonly Address[];
}

export interface Credentials {
  readonly uid: string;
  readonly password: string;
  /** Stable id of the device, 64 characters at most. */
  readonly instance: string;
  readonly status: Status;
  readonly device: string;
}

/** Where this client stands, as far as it can tell by itself. */
export interface Standing {
  readonly local: Address;
  readonly firewall: Firewall;
}

export type Handshake =
  | { readonly kind: 'welcome'; readonly session: Session }
  | { readonly kind: 'redirect'; readonly to: Address; readonly ticket: string | undefined }
  | { readonly kind: 'error'; readonly status: number; readonly reason: string }
  /** Nobody answered. */
  | { readonly kind: 'silent' };

export interface Line {
  readonly exchange: Exchange;
  readonly random: Random;
}

/** An unverified source never gets a reply longer than what it sent: so much room is asked for. */
const PAD_HELLO = 'x'.repeat(200);
/** The guess is not worth a long wait. */
const HELLO_PAUSES_MS = [300, 700, 1_000];
const PAD_LOGIN = 'x'.repeat(400);
/** A nonce is stale after 30 s; who is challenged again so often talks to a server that does not work. */
const CHALLENGES_MAX = 3;

export function newId(random: Random): string {
  return random.bytes(9).toString('hex');
}

/**
 * Compares what both ports see. Whoever shows the port of the protocol another address than the alternate one is behind
 * a symmetric NAT; whether another NAT is open or restricted can't be told by two ports of one host.
 */
export async function findStanding(
  line: Line,
  server: Address,
  alternate: Address,
  ownHosts: readonly string[],
): Promise<Standing> {
  const [seen, seenByAlternate] = await Promise.all([hello(line, server), hello(line, alternate)]);
  const { port } = line.exchange.local;
  const host = ownHosts.find((own) => own === seen?.host) ?? ownHosts[0] ?? line.exchange.local.host;
  const local = { host, port };
  if (seen === undefined || seenByAlternate === undefined) return { local, firewall: 'strong' };
  if (!sameAddress(seen, seenByAlternate)) return { local, firewall: 'strong' };
  return { local, firewall: sameAddress(seen, local) ? 'none' : 'medium' };
}

async function hello({ exchange, random }: Line, to: Address): Promise<Address | undefined> {
  const id = newId(random);
  const bytes = encode('Hello', '', id, { pad: PAD_HELLO });
  const received = await exchange.ask(to, id, bytes, ({ reply }) => reply.verb === 'Hello', HELLO_PAUSES_MS);
  return parseAddress(received?.reply.headers.get('wan') ?? '') ?? undefined;
}

/** One login at one server. `ticket`: of the server that sent this client here. */
export async function shakeHands(
  line: Line,
  server: Address,
  credentials: Credentials,
  standing: Standing,
  ticket: string | undefined,
): Promise<Handshake> {
  const { exchange, random } = line;
  const { uid } = credentials;
  const cnonce = random.bytes(16).toString('hex');
  const id = newId(random);
  const first = encode('Login', uid, id, { cnonce, pad: PAD_LOGIN });
  const isAnswer = ({ reply }: Received): boolean => reply.verb === 'Challenge' || reply.verb === 'Error';
  let reply = (await exchange.ask(server, id, first, isAnswer))?.reply;
  for (let challenges = 0; reply?.verb === 'Challenge' && challenges < CHALLENGES_MAX; challenges++) {
    const proven = await prove(line, server, reply, cnonce, credentials, standing, ticket);
    if (proven.kind !== 'challenge') return proven;
    // The nonce was stale: the proof is made anew.
    reply = proven.reply;
  }
  return reply === undefined ? { kind: 'silent' } : errorOf(reply);
}

/** Answers the Challenge. What comes back signed is believed only under the key that both sides now have. */
async function prove(
  { exchange, random }: Line,
  server: Address,
  challenge: Reply,
  cnonce: string,
  { uid, password, instance, status, device }: Credentials,
  { local, firewall }: Standing,
  ticket: string | undefined,
): Promise<Handshake | { readonly kind: 'challenge'; readonly reply: Reply }> {
  const nonce = challenge.headers.get('nonce') ?? '';
  const verifier = verifierOf(uid, challenge.headers.get('realm') ?? '', password);
  const key = Buffer.from(sessionKey(verifier, nonce, cnonce), 'hex');
  const id = newId(random);
  const bytes = encode('Login', uid, id, {
    nonce,
    cnonce,
    proof: proofOf(verifier, nonce, cnonce, uid),
    instance,
    local: formatAddress(local),
    firewall,
    status,
    device,
    ticket,
    pad: PAD_LOGIN,
  });
  const received = await exchange.ask(server, id, bytes, (one) => {
    const { verb } = one.reply;
    if (verb === 'Welcome' || verb === 'Redirect') return isSigned(key, one);
    return verb === 'Challenge' || verb === 'Error';
  });
  if (received === undefined) return { kind: 'silent' };
  const { reply } = received;
  switch (reply.verb) {
    case 'Welcome':
      return welcomed(server, key, reply);
    case 'Redirect':
      return redirected(reply);
    case 'Challenge':
      return { kind: 'challenge', reply };
    default:
      return errorOf(reply);
  }
}

function welcomed(server: Address, key: Buffer, { headers }: Reply): Handshake {
  const wan = parseAddress(headers.get('wan') ?? '');
  const cookie = headers.get('cookie') ?? '';
  if (wan === null || cookie === '') return { kind: 'error', status: 400, reason: 'a Welcome without wan or cookie' };
  const session: Session = {
    server,
    serverName: headers.get('server') ?? '',
    cookie,
    key,
    seq: 0,
    wan,
    network: headers.get('network') ?? '',
    heartbeatS: seconds(headers.get('heartbeat'), 30),
    expiresS: seconds(headers.get('expires'), 90),
    others: addressesIn(headers.get('servers')),
  };
  return { kind: 'welcome', session };
}

function redirected({ argument, headers }: Reply): Handshake {
  const to = parseAddress(argument);
  if (to === null) return { kind: 'error', status: 400, reason: 'a Redirect to nowhere' };
  return { kind: 'redirect', to, ticket: headers.get('ticket') };
}

/** `Error 403 refused`. */
export function errorOf({ verb, argument }: Reply): Extract<Handshake, { kind: 'error' }> {
  if (verb !== 'Error') return { kind: 'error', status: 500, reason: `an unexpected ${verb}` };
  const [status = '', ...reason] = argument.split(' ');
  return { kind: 'error', status: Number(status) || 500, reason: reason.join(' ') };
}

/** Whether the message carries the mac that only the other holder of the key can make. */
export function isSigned(key: Buffer, { reply, bytes }: Received): boolean {
  if (reply.macLineAt < 0) return false;
  return equalSecrets(macOf(key, bytes, reply.macLineAt, reply.bodyAt), reply.headers.get('mac')?.toLowerCase() ?? '');
}

function seconds(text: string | undefined, fallback: number): number {
  const value = Number(text);
  return Number.isInteger(value) && value >= 1 && value <= 86_400 ? value : fallback;
}

function addressesIn(list: string | undefined): Address[] {
  return (list ?? '')
    .split(';')
    .map(parseAddress)
    .filter((address) => address !== null);
}
