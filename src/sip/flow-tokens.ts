/**
 * Flow tokens (RFC 5626 5.2): the user part of a Record-Route of ours names the flow of one side of a call, so that
 * requests in the dialog find the phone behind its NAT or at the end of its connection. The MAC covers the Call-ID: a
 * token is good for its call only, and nobody makes one up.
 */
import { createHmac, hash } from 'node:crypto';
import { ADDRESS_BYTES, readAddress, writeAddress } from '../base/address.ts';
import { HEX_PAIRS, viewOn } from '../base/bytes.ts';
import { flatText } from '../base/flat-text.ts';
import type { Address } from '../base/model.ts';
import type { Clock } from '../base/ports.ts';
import { createRecentMap } from '../base/recent-map.ts';
import { createMacRoom, PAD_BYTES } from '../login/proof.ts';
import type { Flow } from './flow.ts';

export interface FlowTokens {
  make(flow: Flow, callId: string): string;
  /** `forged`: not of our making, or of another call; `closed`: its connection is no more, or its time is up. */
  read(token: string, callId: string): Flow | 'forged' | 'closed';
  /** For the Path of a registration (RFC 3327): good for every request to the phone, as long as it is there. */
  makePath(flow: Flow): string;
  readPath(token: string): Flow | 'forged' | 'closed';
}

interface WaysOut {
  flowTo(remote: Flow['remote']): Flow;
  findConnection(id: string): Flow | undefined;
}

/** Hexadecimal digits: 80 bits. */
const MAC_CHARACTERS = 20;
const DATAGRAMS = 0;
const CONNECTION = 1;
const TOKEN_CHARACTERS_MAX = 120;

/**
 * A token of UDP, where no connection ends, is good for the rest of the period that it was made in and two more: for a day
 * at least, since a dialog never gets another one. Within a period it stays the same, as a Path should.
 */
const PERIOD_MS = 12 * 3_600_000;
const PERIODS_MAX = 2;
const PERIOD_BYTES = 4;
const ADDRESS_AT = 1 + PERIOD_BYTES;

/** Tokens that were made last are known without their MAC: most requests of a call follow its beginning. */
const KNOWN_MAX = 4_096;

/** What a token names. */
type Way =
  | { readonly kind: 'connection'; readonly id: string }
  | { readonly kind: 'datagrams'; readonly remote: Address; readonly period: number };

/**
 * `clusterKey`: tokens of UDP outlive a restart of the node. `start`: unlike for each start, because the numbers of
 * connections begin anew.
 */
export function createFlowTokens(clusterKey: string, start: string, clock: Clock, flows: () => WaysOut): FlowTokens {
  // The prefix keeps tokens apart from all else that is made with the cluster key.
  const key = createHmac('sha256', clusterKey).update('sip flow').digest();
  /** By token and Call-ID. */
  const known = createRecentMap<Way>(KNOWN_MAX);

  const period = (): number => Math.floor(clock.now() / PERIOD_MS);
  // Of the next period: from a node whose clock is ahead.
  const isTimely = (of: number): boolean => of <= period() + 1 && period() - of <= PERIODS_MAX;

  /** Of what is signed, which stands in the room up to `end`. */
  const macAt = (end: number, callId: string): DataView => {
    let at = room.bytes[PAD_BYTES] === CONNECTION ? write(end, `\n${start}`) : end;
    at = write(at, callId.length > CALL_ID_CHARACTERS_MAX ? `\nlong ${hash('sha256', callId)}` : `\n${callId}`);
    room.useKey(key, 0);
    return room.mac(at);
  };

  const make = (flow: Flow, callId: string): string => {
    const way: Way = flow.isReliable
      ? { kind: 'connection', id: flow.id }
      : { kind: 'datagrams', remote: flow.remote, period: period() };
    const end = writeWay(way);
    const signed = room.bytes.toString('base64url', PAD_BYTES, end);
    const mac = macAt(end, callId);
    for (let i = 0; i < MAC_BYTES; i++) macView.setUint16(i * 2, HEX_PAIRS[mac.getUint8(i)] ?? 0, true);
    const token = signed + macText.toString('latin1');
    // A phone may make a Call-ID as long as a message.
    if (callId.length <= CALL_ID_CHARACTERS_MAX) known.set(flatText(`${token} ${callId}`), way);
    return token;
  };

  /** What a token of ours names; null where it is none. */
  const wayOf = (token: string, callId: string): Way | null => {
    const made = known.get(`${token} ${callId}`);
    if (made !== undefined) return made;
    const signedEnd = token.length - MAC_CHARACTERS;
    if (signedEnd <= 0 || token.length > TOKEN_CHARACTERS_MAX) return null;
    const end = PAD_BYTES + room.bytes.write(token.slice(0, signedEnd), PAD_BYTES, 'base64url');
    const mac = macAt(end, callId);
    // In a time that tells nothing of where they differ.
    let difference = 0;
    for (let i = 0; i < MAC_BYTES; i++) {
      const pair = HEX_PAIRS[mac.getUint8(i)] ?? 0;
      difference |= (pair & 0xff) ^ token.charCodeAt(signedEnd + i * 2);
      difference |= (pair >> 8) ^ token.charCodeAt(signedEnd + i * 2 + 1);
    }
    return difference === 0 ? readWay(end) : null;
  };

  const read = (token: string, callId: string): Flow | 'forged' | 'closed' => {
    const way = wayOf(token, callId);
    if (way === null) return 'forged';
    if (way.kind === 'connection') return flows().findConnection(way.id) ?? 'closed';
    return isTimely(way.period) ? flows().flowTo(way.remote) : 'closed';
  };

  return { make, read, makePath: (flow) => make(flow, PATH), readPath: (token) => read(token, PATH) };
}

/** Is no Call-ID. */
const PATH = '\npath';
const CALL_ID_CHARACTERS_MAX = 512;

/** What is signed is written here, behind the pad of the key, and read again. */
const room = createMacRoom(1_024);
const MAC_BYTES = MAC_CHARACTERS / 2;
const macText = Buffer.alloc(MAC_CHARACTERS);
const macView = viewOn(macText);

/** Text of a character a byte; the offset behind it. */
function write(at: number, text: string): number {
  for (let i = 0; i < text.length; i++) room.bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** The offset behind it. */
function writeWay(way: Way): number {
  const { bytes, view } = room;
  bytes[PAD_BYTES] = way.kind === 'connection' ? CONNECTION : DATAGRAMS;
  if (way.kind === 'connection') return write(PAD_BYTES + 1, way.id);
  view.setUint32(PAD_BYTES + 1, way.period);
  writeAddress(bytes, PAD_BYTES + ADDRESS_AT, way.remote);
  return PAD_BYTES + ADDRESS_AT + ADDRESS_BYTES;
}

/** The reverse; null where it is none. */
function readWay(end: number): Way | null {
  const { bytes, view } = room;
  if (bytes[PAD_BYTES] === CONNECTION) return { kind: 'connection', id: bytes.toString('latin1', PAD_BYTES + 1, end) };
  if (end !== PAD_BYTES + ADDRESS_AT + ADDRESS_BYTES) return null;
  const remote = readAddress(bytes, PAD_BYTES + ADDRESS_AT);
  return remote === null ? null : { kind: 'datagrams', remote, period: view.getUint32(PAD_BYTES + 1) };
}
