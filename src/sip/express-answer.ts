/**
 * The express lane of answers to requests of our own: of them nothing is of interest but the status. Whatever is out of
 * the ordinary, and answers to what was sent on for others, are left to parseMessage().
 */
import { bytesOf, equalsText, standsAt } from '../base/bytes.ts';
import { ipv4End, readDecimal } from './express-bytes.ts';
import { ExpressLines, skipPort } from './express-lines.ts';
import { CONTENT_LENGTH, CSEQ, FROM, TO, VIA } from './header-names.ts';
import { CSEQ_MAX } from './required-headers.ts';
import { DIGIT, skipBytes, TOKEN } from './syntax.ts';
import type { Transactions } from './transactions.ts';

const VERSION = bytesOf('SIP/2.0 ');
const STATUS_DIGITS = 3;
const METHODS = ['NOTIFY', 'MESSAGE'].map((name) => ({ name, bytes: bytesOf(name) }));
const PROTOCOL = bytesOf('SIP/2.0/');
const TRANSPORTS = ['UDP ', 'TCP ', 'TLS '].map(bytesOf);
const BRANCH = bytesOf('branch=');
const RPORT = bytesOf('rport');
const RECEIVED = bytesOf('received=');
const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;
const EQUALS = 0x3d;
const SEMICOLON = 0x3b;

/** Gives the answer to the transaction that waits for it. False: nothing has been done, it is left to the others. */
export function createAnswerLane(transactions: Transactions): (message: Buffer) => boolean {
  const answer = new ExpressAnswer();
  return (message) => answer.read(message) && transactions.receiveStatus(answer.method, answer.branch, answer.status);
}

class ExpressAnswer extends ExpressLines {
  status = 0;
  method = '';

  get branch(): string {
    return this.bytes.toString('latin1', this.branchAt, this.branchEnd);
  }

  /** Whether this is an ordinary answer to one of METHODS. False: nothing is known of it. */
  read(message: Buffer): boolean {
    if (!this.load(message)) return false;
    const { bytes, view, at, end } = this;
    const statusEnd = VERSION.length + STATUS_DIGITS;
    if (!standsAt(view, 0, VERSION) || bytes[statusEnd] !== SPACE) return false;
    this.status = readDecimal(bytes, VERSION.length, statusEnd, 699);
    const lineEnd = this.lineEnd(statusEnd);
    if (this.status < 100 || bytes[lineEnd] !== CR || bytes[lineEnd + 1] !== LF) return false;
    const bodyAt = this.readLines(lineEnd + 2);
    if (bodyAt < 0) return false;
    const length = readDecimal(bytes, at[CONTENT_LENGTH] ?? 0, end[CONTENT_LENGTH] ?? 0, message.length);
    return (
      length === message.length - bodyAt &&
      this.#readCSeq() &&
      this.readCallId() &&
      this.#readVia() &&
      this.readPerson(FROM, this.from) &&
      this.readPerson(TO, this.to)
    );
  }

  #readCSeq(): boolean {
    const { bytes, view } = this;
    const at = this.at[CSEQ] ?? 0;
    const end = this.end[CSEQ] ?? 0;
    const digitsEnd = skipBytes(bytes, at, end, DIGIT);
    if (readDecimal(bytes, at, digitsEnd, CSEQ_MAX) < 0 || bytes[digitsEnd] !== SPACE) return false;
    for (const { name, bytes: method } of METHODS) {
      if (!equalsText(view, digitsEnd + 1, end, method)) continue;
      this.method = name;
      return true;
    }
    return false;
  }

  /** The Via that we have put there, with what the other side has noted in it (RFC 3581). */
  #readVia(): boolean {
    const { bytes, view } = this;
    const at = this.at[VIA] ?? 0;
    const end = this.end[VIA] ?? 0;
    if (!standsAt(view, at, PROTOCOL)) return false;
    let i = at + PROTOCOL.length;
    const transport = TRANSPORTS.find((one) => standsAt(view, i, one));
    if (transport === undefined) return false;
    i = skipPort(bytes, ipv4End(bytes, i + transport.length, end), end);
    this.branchAt = 0;
    let hasRport = false;
    let hasReceived = false;
    while (i > 0 && i < end) {
      if (bytes[i] !== SEMICOLON) return false;
      i++;
      if (this.branchAt === 0 && standsAt(view, i, BRANCH)) {
        this.branchAt = i + BRANCH.length;
        i = this.branchEnd = skipBytes(bytes, this.branchAt, end, TOKEN);
        if (i === this.branchAt) return false;
      } else if (!hasRport && standsAt(view, i, RPORT)) {
        hasRport = true;
        i += RPORT.length;
        if (bytes[i] !== EQUALS) continue;
        const portAt = i + 1;
        i = skipBytes(bytes, portAt, end, DIGIT);
        if (i === portAt) return false;
      } else if (!hasReceived && standsAt(view, i, RECEIVED)) {
        hasReceived = true;
        i = ipv4End(bytes, i + RECEIVED.length, end);
      } else return false;
    }
    return i === end && this.branchAt !== 0;
  }
}
