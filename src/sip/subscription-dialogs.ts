/**
 * The dialogs of SIP subscriptions (RFC 6665 4.4, RFC 3261 12), by the row of the subscription: texts outside of the
 * heap, numbers in columns. The local tag names the row, so that no index is needed to find a dialog again.
 */
import { formatAddress, parseAddress } from '../base/address.ts';
import { viewOn } from '../base/bytes.ts';
import { Arena } from '../heartbeat/arena.ts';
import { doubled } from '../heartbeat/columns.ts';
import type { Flow } from './flow.ts';
import type { Transports } from './transports.ts';

/** Header values are as they were written, texts without their tag where a field of its own holds it. */
export interface Dialog {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  /** To and From of our requests: those of the SUBSCRIBE the other way round, with their tags. */
  readonly to: string;
  readonly from: string;
  /** Remote target: the URI of the Contact. */
  readonly target: string;
  /** Values of Route. */
  readonly route: readonly string[];
  /** `id` of the Event header; '' where there is none. */
  readonly eventId: string;
  /** `user@domain` of the presentity, as he was asked for. */
  readonly entity: string;
  /** Over which the last SUBSCRIBE came. */
  readonly flowId: string;
}

const CAPACITY = 64;

/** What a dialog is stored as: texts, each behind its length (16 bits, the low byte first). */
const FIELDS = [
  'callId',
  'localTag',
  'remoteTag',
  'to',
  'from',
  'target',
  'route',
  'eventId',
  'entity',
  'flowId',
] as const;
const LENGTH_BYTES = 2;
const ROUTE_IS = 'Route: ';
const END_OF_LINE = '\r\n';

/** Where the texts of a dialog stand as bytes, as they go into a request; valid until the dialog changes. */
export class DialogPlace {
  chunk: Buffer = Buffer.alloc(0);
  view = viewOn(this.chunk);
  /** Of each of FIELDS. */
  readonly at = new Uint32Array(FIELDS.length);
  readonly end = new Uint32Array(FIELDS.length);

  text(field: number): string {
    return this.chunk.toString('utf8', this.at[field], this.end[field]);
  }

  /** Bytes of all texts. */
  get length(): number {
    return (this.end[FIELDS.length - 1] ?? 0) - (this.at[0] ?? 0);
  }

  /** How many Route headers there are. */
  get routes(): number {
    return this.at[ROUTE] === this.end[ROUTE] ? 0 : this.text(ROUTE).split(END_OF_LINE).length - 1;
  }
}
export const CALL_ID = FIELDS.indexOf('callId');
const LOCAL_TAG = FIELDS.indexOf('localTag');
const REMOTE_TAG = FIELDS.indexOf('remoteTag');
export const TO = FIELDS.indexOf('to');
export const FROM = FIELDS.indexOf('from');
export const TARGET = FIELDS.indexOf('target');
/** Whole header lines. */
export const ROUTE = FIELDS.indexOf('route');
export const EVENT_ID = FIELDS.indexOf('eventId');
export const ENTITY = FIELDS.indexOf('entity');
export const FLOW_ID = FIELDS.indexOf('flowId');

function linesOf(route: readonly string[]): string {
  return route.map((value) => `${ROUTE_IS}${value}${END_OF_LINE}`).join('');
}

function routeOf(lines: string): readonly string[] {
  return lines
    .split(END_OF_LINE)
    .slice(0, -1)
    .map((line) => line.slice(ROUTE_IS.length));
}

export class SubscriptionDialogs {
  readonly #texts = new Arena();
  #text = new Uint32Array(CAPACITY);
  #sent = new Uint32Array(CAPACITY);
  #heard = new Uint32Array(CAPACITY);
  /** Tells a dialog from the one that had its row before. */
  #serial = new Uint32Array(CAPACITY);
  #lastSerial = 0;

  /** `heard`: CSeq of the SUBSCRIBE. */
  put(row: number, dialog: Dialog, heard: number): void {
    while (row >= this.#text.length) this.#grow();
    const texts = FIELDS.map((name) => (name === 'route' ? linesOf(dialog.route) : dialog[name]));
    if (!this.has(row)) {
      this.#sent[row] = 0;
      this.#serial[row] = ++this.#lastSerial;
    }
    this.#texts.free(this.#text[row] ?? 0);
    this.#text[row] = this.#texts.put(encode(texts));
    this.#heard[row] = heard;
  }

  has(row: number): boolean {
    return (this.#text[row] ?? 0) !== 0;
  }

  /** undefined where there is none. */
  get(row: number): Dialog | undefined {
    if (!this.find(row, place)) return undefined;
    return {
      callId: place.text(CALL_ID),
      localTag: place.text(LOCAL_TAG),
      remoteTag: place.text(REMOTE_TAG),
      to: place.text(TO),
      from: place.text(FROM),
      target: place.text(TARGET),
      route: routeOf(place.text(ROUTE)),
      eventId: place.text(EVENT_ID),
      entity: place.text(ENTITY),
      flowId: place.text(FLOW_ID),
    };
  }

  /** The same without making texts of it; false where there is none. */
  find(row: number, into: DialogPlace): boolean {
    const ref = this.#text[row] ?? 0;
    if (ref === 0) return false;
    into.chunk = this.#texts.chunkOf(ref);
    const view = (into.view = this.#texts.viewOf(ref));
    let at = this.#texts.startOf(ref);
    for (let field = 0; field < FIELDS.length; field++) {
      const length = view.getUint16(at, true);
      at += LENGTH_BYTES;
      into.at[field] = at;
      at += length;
      into.end[field] = at;
    }
    return true;
  }

  /** The same as long as the dialog lasts, and no other's; 0 where there is none. */
  serial(row: number): number {
    return this.has(row) ? (this.#serial[row] ?? 0) : 0;
  }

  /** CSeq of the last request that the subscriber sent in it. */
  heard(row: number): number {
    return this.#heard[row] ?? 0;
  }

  /** CSeq of the next request of ours. */
  nextCSeq(row: number): number {
    const next = (this.#sent[row] ?? 0) + 1;
    this.#sent[row] = next;
    return next;
  }

  remove(row: number): void {
    this.#texts.free(this.#text[row] ?? 0);
    this.#text[row] = 0;
  }

  #grow(): void {
    this.#text = doubled(this.#text);
    this.#sent = doubled(this.#sent);
    this.#heard = doubled(this.#heard);
    this.#serial = doubled(this.#serial);
  }
}

const place = new DialogPlace();

function encode(texts: readonly string[]): Buffer {
  const bytes = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + LENGTH_BYTES + Buffer.byteLength(text), 0));
  let at = 0;
  for (const text of texts)
    at = bytes.writeUInt16LE(bytes.write(text, at + LENGTH_BYTES), at) + Buffer.byteLength(text);
  return bytes;
}

/** A tag from which rowOfTag() reads the row; `token` makes it one that can't be guessed. */
export function tagOfRow(row: number, token: string): string {
  return `${row.toString(36)}.${token}`;
}

/** -1 where the tag is none of ours. */
export function rowOfTag(tag: string): number {
  const match = /^([0-9a-z]{1,6})\./.exec(tag);
  return match === null ? -1 : Number.parseInt(match[1] ?? '', 36);
}

/** How a flow is found again: a connection by its id, a pair of UDP addresses by the other end's. */
export function flowIdOf({ isReliable, id, remote }: Flow): string {
  return isReliable ? id : `${UDP}${formatAddress(remote)}`;
}
const UDP = 'to ';

/** undefined where the connection has closed. */
export function flowOfId(flowId: string, flows: Pick<Transports, 'flowTo' | 'findConnection'>): Flow | undefined {
  if (!flowId.startsWith(UDP)) return flows.findConnection(flowId);
  const remote = parseAddress(flowId.slice(UDP.length));
  return remote === null ? undefined : flows.flowTo(remote);
}
