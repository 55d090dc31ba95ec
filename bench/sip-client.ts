/** SIP requests as datagrams, prepared for the load generator, and what it must read of the answers. */
import { hash } from 'node:crypto';
import { passwordOf, REALM } from './client.ts';

/** Of a challenge, with what the phone has used of it. */
export interface Challenge {
  readonly nonce: string;
  /** The nonce-count of the next request. */
  readonly count: number;
}

export interface Ask {
  readonly uid: string;
  /** Of the datagram in its run: stands in the branch, where the load generator finds it in the answer. */
  readonly index: number;
  readonly sourcePort: number;
  readonly cseq: number;
}

const CNONCE = '0a4f113b';
const URI = `sip:${REALM}`;
/** By method and URI: a run has few. */
const ha2s = new Map<string, string>();
const ha1s = new Map<string, string>();

export function register(ask: Ask, challenge: Challenge | null): Buffer {
  const { uid, cseq } = ask;
  const own = `<sip:${uid}@${REALM}>`;
  return Buffer.from(
    `REGISTER ${URI} SIP/2.0\r\n${via(ask)}Max-Forwards: 70\r\nFrom: ${own};tag=t${uid}\r\nTo: ${own}\r\n` +
      `Call-ID: c${uid}-7f3a9c21@10.20.30.40\r\nCSeq: ${cseq} REGISTER\r\n` +
      `Contact: <sip:${uid}@10.20.30.40:5062;transport=udp>;expires=3600\r\n` +
      `${challenge === null ? '' : authorization('REGISTER', URI, uid, challenge)}User-Agent: bench-ua/1.0\r\nContent-Length: 0\r\n\r\n`,
    'latin1',
  );
}

/** The header line of a Digest answer. */
export function authorization(method: string, uri: string, uid: string, { nonce, count }: Challenge): string {
  const nc = count.toString(16).padStart(8, '0');
  const response = md5(`${ha1Of(uid)}:${nonce}:${nc}:${CNONCE}:auth:${ha2Of(method, uri)}`);
  return (
    `Authorization: Digest username="${uid}", realm="${REALM}", nonce="${nonce}", uri="${uri}", qop=auth, nc=${nc}, ` +
    `cnonce="${CNONCE}", response="${response}", algorithm=MD5\r\n`
  );
}

function ha2Of(method: string, uri: string): string {
  const key = `${method}:${uri}`;
  let ha2 = ha2s.get(key);
  if (ha2 === undefined) ha2s.set(key, (ha2 = md5(key)));
  return ha2;
}

function ha1Of(uid: string): string {
  let ha1 = ha1s.get(uid);
  if (ha1 === undefined) ha1s.set(uid, (ha1 = md5(`${uid}:${REALM}:${passwordOf(uid)}`)));
  return ha1;
}

function md5(text: string): string {
  return hash('md5', text, 'hex');
}

export const SDP = `v=0\r\no=- 1 1 IN IP4 10.20.30.41\r\ns=-\r\nc=IN IP4 10.20.30.41\r\nt=0 0\r
m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n`.replace(/\r?\n/g, '\r\n');

/** OPTIONS, or INVITE with a body, of somebody who is not registered. */
export function request(method: 'OPTIONS' | 'INVITE', ask: Ask): Buffer {
  const { uid, index, sourcePort, cseq } = ask;
  const body = method === 'INVITE' ? SDP : '';
  return Buffer.from(
    `${method} sip:${uid}@${REALM} SIP/2.0\r\n${via(ask)}Max-Forwards: 70\r\nFrom: <sip:caller@${REALM}>;tag=f${index}\r\n` +
      `To: <sip:${uid}@${REALM}>\r\nCall-ID: i${uid}-${cseq}@10.20.30.41\r\nCSeq: 1 ${method}\r\n` +
      `Contact: <sip:caller@127.0.0.1:${sourcePort}>\r\nUser-Agent: bench-ua/1.0\r\n` +
      `${body === '' ? '' : 'Content-Type: application/sdp\r\n'}Content-Length: ${body.length}\r\n\r\n${body}`,
    'latin1',
  );
}

function via({ index, sourcePort }: Ask): string {
  const branch = index.toString(16).padStart(8, '0');
  return `Via: SIP/2.0/UDP 127.0.0.1:${sourcePort};rport;branch=z9hG4bK${branch}\r\n`;
}

/** Which datagram of the run this is the answer to. */
export function indexOf(answer: Buffer): number {
  return Number.parseInt(/branch=z9hG4bK([0-9a-f]{8})/.exec(answer.toString('latin1'))?.[1] ?? '', 16);
}

export function nonceOf(answer: Buffer): string {
  const nonce = /nonce="([^"]+)"/.exec(answer.toString('latin1'))?.[1];
  if (nonce === undefined) throw new Error(`no challenge: ${answer.toString('latin1')}`);
  return nonce;
}
