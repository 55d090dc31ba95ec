/**
 * The head of an ordinary request, found in one pass over its bytes: where the values stand that the express lane
 * reads. What is out of the ordinary in any way (folded lines, a header twice, a control character, what is malformed)
 * is left to parseMessage(), which knows all of RFC 3261.
 */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, equalsText, standsAt } from '../base/bytes.ts';
import { CONTENT_LENGTH, CSEQ, FROM, MAX_FORWARDS, TO, VIA } from './header-names.ts';
import { ipv4End, readDecimal } from './express-bytes.ts';
import { ExpressLines, skipPort } from './express-lines.ts';
import { CSEQ_MAX } from './required-headers.ts';
import type { Flow } from './flow.ts';
import { skipBytes, TOKEN } from './syntax.ts';

const SPACE = 0x20;
const DELETE = 0x7f;
const SEMICOLON = 0x3b;
const METHODS = ['REGISTER', 'OPTIONS', 'INVITE', 'ACK'] as const;
const METHOD_BEGINS = METHODS.map((name) => bytesOf(`${name} `));
const METHOD_NAMES = METHODS.map(bytesOf);
const VERSION = bytesOf(' SIP/2.0\r\n');

export class ExpressHead extends ExpressLines {
  method: (typeof METHODS)[number] = 'REGISTER';
  /** The Request-URI. */
  uriAt = 0;
  uriEnd = 0;
  cseq = 0;
  /** The first Via: its host, where a port behind it ends, and where `rport` ends. */
  viaHostAt = 0;
  viaHostEnd = 0;
  viaPortEnd = 0;
  rportEnd = 0;

  /** Whether this is an ordinary request of one of METHODS. False: nothing is known of it. */
  read(message: Buffer): boolean {
    if (!this.load(message)) return false;
    const { bytes, view } = this;
    const number = METHOD_BEGINS.findIndex((text) => standsAt(view, 0, text));
    const method = METHODS[number];
    const name = METHOD_NAMES[number];
    if (method === undefined || name === undefined) return false;
    this.method = method;
    let i = (this.uriAt = name.length + 1);
    while (i < this.length && (bytes[i] ?? 0) > SPACE && bytes[i] !== DELETE) i++;
    this.uriEnd = i;
    if (!standsAt(view, i, VERSION)) return false;
    const bodyAt = this.readLines(i + VERSION.length);
    if (bodyAt < 0) return false;
    const { at, end } = this;
    const length = readDecimal(bytes, at[CONTENT_LENGTH] ?? 0, end[CONTENT_LENGTH] ?? 0, message.length);
    const forwards = readDecimal(bytes, at[MAX_FORWARDS] ?? 0, end[MAX_FORWARDS] ?? 0, 255);
    return (
      length === message.length - bodyAt &&
      forwards > 0 &&
      this.#readCSeq(name) &&
      this.readCallId() &&
      this.#readVia() &&
      this.readPerson(FROM, this.from) &&
      this.readPerson(TO, this.to)
    );
  }

  #readCSeq(method: Bytes): boolean {
    const { bytes, view } = this;
    const at = this.at[CSEQ] ?? 0;
    const end = this.end[CSEQ] ?? 0;
    const digitsEnd = end - method.length - 1;
    this.cseq = readDecimal(bytes, at, digitsEnd, CSEQ_MAX);
    return this.cseq >= 0 && bytes[digitsEnd] === SPACE && equalsText(view, digitsEnd + 1, end, method);
  }

  /** `SIP/2.0/UDP 192.0.2.1:5060` with `branch` and `rport`, in either order, and nothing else. */
  #readVia(): boolean {
    const { bytes, view } = this;
    const at = this.at[VIA] ?? 0;
    const end = this.end[VIA] ?? 0;
    if (!standsAt(view, at, PROTOCOL)) return false;
    this.viaHostAt = at + PROTOCOL.length + UDP.length;
    if (!isTransport(view, at + PROTOCOL.length)) return false;
    this.viaHostEnd = ipv4End(bytes, this.viaHostAt, end);
    let i = (this.viaPortEnd = skipPort(bytes, this.viaHostEnd, end));
    this.rportEnd = this.branchAt = 0;
    while (i > 0 && i < end) {
      if (bytes[i] !== SEMICOLON) return false;
      const nameAt = i + 1;
      if (this.rportEnd === 0 && standsAt(view, nameAt, RPORT)) {
        i = this.rportEnd = nameAt + RPORT.length;
      } else if (this.branchAt === 0 && standsAt(view, nameAt, BRANCH)) {
        this.branchAt = nameAt + BRANCH.length;
        i = this.branchEnd = skipBytes(bytes, this.branchAt, end, TOKEN);
        if (this.branchEnd === this.branchAt) return false;
      } else return false;
    }
    return i === end && this.rportEnd !== 0 && this.branchAt !== 0;
  }
}

const PROTOCOL = bytesOf('SIP/2.0/');
const UDP = bytesOf('UDP ');
const TCP = bytesOf('TCP ');
const TLS = bytesOf('TLS ');
const RPORT = bytesOf('rport');
const BRANCH = bytesOf('branch=');

/** Answers the request, or says false and has done nothing. */
export type ExpressLane = (head: ExpressHead, flow: Flow, nowMs: number) => boolean;

/** Whether the bytes from `at` to `end` name this node. */
export type IsOurs = (bytes: DataView, at: number, end: number) => boolean;

/** `UDP `, `TCP ` or `TLS `, in upper case as the answer has it. */
function isTransport(view: DataView, at: number): boolean {
  return standsAt(view, at, UDP) || standsAt(view, at, TCP) || standsAt(view, at, TLS);
}
