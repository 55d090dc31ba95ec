/** A request that the reader has found ordinary, as far as it takes to send it on (RFC 3261 16.6): the rest is copied. */
import { readDecimal } from './express-bytes.ts';
import { CREDENTIALS, IN_REQUEST } from './dropped-headers.ts';
import type { ExpressHead } from './express-head.ts';
import { ANSWER, LINES_COUNT, LOOP, MESSAGE, TAG_BYTES } from './express-layout.ts';
import { messagesPut, reader } from './express-reader.ts';
import { putSource } from './express-writer.ts';
import type { Flow } from './flow.ts';
import { readMessage } from './flow.ts';
import { isForRealm } from './forward-message.ts';
import { AUTHORIZATION, CALL_ID, MAX_FORWARDS, PROXY_AUTHORIZATION } from './header-names.ts';
import type { ReadRequest } from './message.ts';
import { SipRequest } from './message.ts';

const FORWARDS_MAX = 255;
const { bytes, places } = reader;

function text(at: number, end: number): string {
  return bytes.toString('latin1', at, end);
}

/** `key`: that of its transaction. */
export class ForwardedRequest implements ReadRequest {
  readonly kind = 'read';
  readonly method: string;
  readonly callId: string;
  readonly toTag: string | undefined;
  readonly maxForwards: number;
  readonly vias: string;
  readonly loopHash: string;
  readonly key: string;
  readonly lines: number;
  readonly size: number;
  // Not by #, as in message.ts.
  private readonly flow: Flow;
  private readonly message: Buffer;
  private readonly number: number;
  private readonly credentials: string;
  private parsed: SipRequest | null = null;

  constructor(head: ExpressHead, flow: Flow, key: string) {
    const { to } = head;
    this.method = head.method;
    this.callId = text(head.at(CALL_ID), head.end(CALL_ID));
    this.toTag = to.tagAt === 0 ? undefined : text(to.tagAt, to.tagEnd);
    this.maxForwards = readDecimal(bytes, head.at(MAX_FORWARDS), head.end(MAX_FORWARDS), FORWARDS_MAX);
    this.vias = text(ANSWER, reader.writeVia(ANSWER, flow.remote.port, putSource(flow)));
    reader.writeLoop();
    this.loopHash = text(LOOP, LOOP + TAG_BYTES);
    this.key = key;
    this.lines = places[LINES_COUNT] ?? 0;
    this.flow = flow;
    this.message = Buffer.from(head.message);
    this.size = this.message.length;
    this.number = messagesPut();
    this.credentials = credentialsOf(head);
  }

  get whole(): SipRequest {
    if (this.parsed !== null) return this.parsed;
    const request = readMessage(this.message, this.flow);
    if (!(request instanceof SipRequest)) throw new Error('a request was taken that is none');
    return (this.parsed = request);
  }

  behind(head: string, realm: string | null): Buffer | null {
    if (messagesPut() !== this.number) return null;
    const isOurs = realm !== null && this.credentials !== '' && isForRealm(this.credentials, realm);
    const end = reader.writeKept(ANSWER, MESSAGE + this.size, isOurs ? IN_REQUEST | CREDENTIALS : IN_REQUEST);
    const whole = Buffer.allocUnsafe(head.length + end - ANSWER);
    whole.write(head, 'latin1');
    bytes.copy(whole, head.length, ANSWER, end);
    return whole;
  }
}

/** Whether credentials go no further is asked of each header by itself: those of two are none of the ordinary kind. */
export function hasOrdinaryCredentials(head: ExpressHead): boolean {
  return !head.has(AUTHORIZATION) || !head.has(PROXY_AUTHORIZATION);
}

function credentialsOf(head: ExpressHead): string {
  const header = head.has(AUTHORIZATION) ? AUTHORIZATION : PROXY_AUTHORIZATION;
  return text(head.at(header), head.end(header));
}
