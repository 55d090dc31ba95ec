/**
 * The dialogs of SIP subscriptions (RFC 6665 4.4, RFC 3261 12), by the row of the subscription: texts outside of the
 * heap, numbers in columns. The local tag names the row, so that no index is needed to find a dialog again.
 */
import { formatAddress, parseAddress } from '../base/address.ts';
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

/** The fields of a dialog in the order in which they are stored. */
type Fields = [
  ...[callId: string, localTag: string, remoteTag: string, to: string, from: string, target: string],
  ...[route: readonly string[], eventId: string, entity: string, flowId: string],
];

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
    const { callId, localTag, remoteTag, to, from, target, route, eventId, entity, flowId } = dialog;
    // Header values may hold any character, so none of them could separate the fields.
    const fields: Fields = [callId, localTag, remoteTag, to, from, target, route, eventId, entity, flowId];
    if (!this.has(row)) {
      this.#sent[row] = 0;
      this.#serial[row] = ++this.#lastSerial;
    }
    this.#texts.free(this.#text[row] ?? 0);
    this.#text[row] = this.#texts.put(Buffer.from(JSON.stringify(fields)));
    this.#heard[row] = heard;
  }

  has(row: number): boolean {
    return (this.#text[row] ?? 0) !== 0;
  }

  /** undefined where there is none. */
  get(row: number): Dialog | undefined {
    const ref = this.#text[row] ?? 0;
    if (ref === 0) return undefined;
    const fields = JSON.parse(this.#texts.text(ref)) as Fields;
    const [callId, localTag, remoteTag, to, from, target, route, eventId, entity, flowId] = fields;
    return { callId, localTag, remoteTag, to, from, target, route, eventId, entity, flowId };
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
