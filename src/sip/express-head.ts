/** The head of an ordinary request, as the reader has found it: valid until the next one is read, by whomever. */
import {
  BRANCH_AT,
  BRANCH_END,
  CSEQ_NUMBER,
  FROM_PLACE,
  HOST_AT,
  HOST_END,
  MESSAGE,
  ONE_HOST,
  RPORT_END,
  TAG_AT,
  TAG_END,
  TO_PLACE,
  URI,
  URI_AT,
  URI_END,
  USER_AT,
  USER_END,
  VIA_HOST_AT,
  VIA_HOST_END,
  VIA_PORT_END,
} from './express-layout.ts';
import { putMessage, reader } from './express-reader.ts';
import type { Flow } from './flow.ts';

const { bytes, view, places, values } = reader;

function place(number: number): number {
  return places[number] ?? 0;
}

/** Offsets of `sip:user@host` or `sip:host`, a port behind it left out. */
export class UriPlace {
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
  }

  /** 0 where it names only a host. */
  get userAt(): number {
    return place(this.#first + USER_AT);
  }
  get userEnd(): number {
    return place(this.#first + USER_END);
  }
  /** 0 where the URI is out of the ordinary. */
  get hostAt(): number {
    return place(this.#first + HOST_AT);
  }
  get hostEnd(): number {
    return place(this.#first + HOST_END);
  }
  /** Of a From or To; 0 where there is no tag. */
  get tagAt(): number {
    return place(this.#first + TAG_AT);
  }
  get tagEnd(): number {
    return place(this.#first + TAG_END);
  }
}

type Method = 'REGISTER' | 'OPTIONS' | 'MESSAGE' | 'INVITE' | 'ACK' | 'BYE';
/** By the length of the name. */
const METHODS: readonly (Method | null)[] = [null, null, null, 'ACK', null, null, 'INVITE', 'OPTIONS', 'REGISTER'];

/** Those that are as long as OPTIONS and ACK. */
const MESSAGE_FIRST = 0x4d;
const BYE_FIRST = 0x42;

export class ExpressHead {
  /** The message is somewhere in it: all offsets count from the beginning. */
  readonly bytes = bytes;
  /** The same. */
  readonly view = view;
  readonly uri = new UriPlace(URI);
  readonly from = new UriPlace(FROM_PLACE);
  readonly to = new UriPlace(TO_PLACE);
  method: Method = 'REGISTER';
  length = 0;

  /** Whether this is an ordinary request of one of METHODS. False: nothing is known of it. */
  read(message: Buffer): boolean {
    const method = putMessage(message) ? METHODS[reader.readRequest(message.length)] : null;
    if (method === undefined || method === null) return false;
    const first = bytes[MESSAGE];
    this.method = first === MESSAGE_FIRST ? 'MESSAGE' : first === BYE_FIRST ? 'BYE' : method;
    this.length = message.length;
    return true;
  }

  get message(): Buffer {
    return bytes.subarray(MESSAGE, MESSAGE + this.length);
  }

  /** Where the value of the header with this number begins; 0 where there is none. */
  at(header: number): number {
    return values[header * 2] ?? 0;
  }
  end(header: number): number {
    return values[header * 2 + 1] ?? 0;
  }
  has(header: number): boolean {
    return this.at(header) !== 0;
  }

  get uriAt(): number {
    return place(URI_AT);
  }
  get uriEnd(): number {
    return place(URI_END);
  }
  /**
   * A number for the host that Request-URI, From and To have in common, as far as they have one; 0 where it is not known
   * that they do. No other host ever gets the same.
   */
  get oneHost(): number {
    return place(ONE_HOST);
  }
  get cseq(): number {
    return place(CSEQ_NUMBER);
  }
  /** The first Via: its host, where a port behind it ends, and where `rport` ends. */
  get viaHostAt(): number {
    return place(VIA_HOST_AT);
  }
  get viaHostEnd(): number {
    return place(VIA_HOST_END);
  }
  get viaPortEnd(): number {
    return place(VIA_PORT_END);
  }
  get rportEnd(): number {
    return place(RPORT_END);
  }
  /** `host:port` of the first Via, as transactions are found by it. */
  get sentBy(): string {
    const { viaHostAt, viaHostEnd, viaPortEnd } = this;
    const host = bytes.toString('latin1', viaHostAt, viaHostEnd);
    return `${host}:${viaPortEnd > viaHostEnd ? bytes.toString('latin1', viaHostEnd + 1, viaPortEnd) : ''}`;
  }
  get branchAt(): number {
    return place(BRANCH_AT);
  }
  get branchEnd(): number {
    return place(BRANCH_END);
  }
}

/** Answers the request, or says false and has done nothing. */
export type ExpressLane = (head: ExpressHead, flow: Flow, nowMs: number) => boolean;

/** Whether the host of this URI of the request, which must have one, names this node. */
export type IsOurs = (head: ExpressHead, uri: UriPlace) => boolean;
