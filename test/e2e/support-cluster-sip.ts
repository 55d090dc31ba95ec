/** SIP telephones for the cluster of processes: each keeps itself registered over UDP, at whatever node answers. */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parseAddress } from '../../src/base/address.ts';
import type { Address } from '../../src/base/model.ts';
import type { ClusterPhone, NodeProcess } from './support-cluster.ts';
import { HEARTBEAT_MS, pause, within } from './support-cluster.ts';
import { PASSWORD } from './support-node.ts';

/** One socket of many telephones. */
export interface SipSocket {
  readonly port: number;
  /** The final answer; never, where none comes. */
  ask(to: Address, request: string): Promise<string>;
  close(): Promise<void>;
}

export async function openSipSocket(): Promise<SipSocket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 2 ** 20 });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const waiting = new Map<string, (answer: string) => void>();
  socket.on('message', (bytes, from) => {
    const text = bytes.toString('latin1');
    if (!text.startsWith('SIP/2.0 ')) socket.send(okTo(text), from.port, from.address);
    else if (!text.startsWith('SIP/2.0 1')) {
      waiting.get(keyOf(text))?.(text);
      waiting.delete(keyOf(text));
    }
  });
  return {
    port: socket.address().port,
    ask: (to, request) =>
      new Promise((resolve) => {
        waiting.set(keyOf(request), resolve);
        socket.send(request, to.port, to.host);
      }),
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

function lineOf(text: string, name: string): string {
  return new RegExp(`^${name}: *(.*)\r$`, 'im').exec(text)?.[1] ?? '';
}

function keyOf(text: string): string {
  return `${lineOf(text, 'Call-ID')} ${lineOf(text, 'CSeq')}`;
}

/** What a node sends on its own is taken note of. */
function okTo(request: string): string {
  const kept = request.split('\r\n').filter((line) => /^(?:Via|From|To|Call-ID|CSeq): /i.test(line));
  return `SIP/2.0 200 OK\r\n${kept.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`;
}

/** Refreshes its registration as often as others send a heartbeat; a node that does not answer is left for the next. */
export class SipPhone implements ClusterPhone {
  readonly uid: string;
  confirmedAtMs = 0;
  /** It asks for nobody. */
  readonly locates = { asked: 0, unanswered: 0, refused: 0 };
  readonly #socket: SipSocket;
  readonly #nodes: readonly NodeProcess[];
  #next: number;
  #at: Address | null = null;
  #nonce = '';
  #count = 0;
  #cseq = 0;
  #isOn = true;
  #loop: Promise<void> | null = null;

  constructor(socket: SipSocket, uid: string, nodes: readonly NodeProcess[], number: number) {
    this.#socket = socket;
    this.uid = uid;
    this.#nodes = nodes;
    this.#next = number % nodes.length;
  }

  begin(): void {
    this.#loop = (async () => {
      await pause(Math.random() * HEARTBEAT_MS);
      while (this.#isOn) {
        const isGood = await this.#register();
        await pause(isGood ? HEARTBEAT_MS : 100);
      }
    })();
  }

  move(): void {
    this.#turnToNext();
  }

  async end(): Promise<void> {
    this.#isOn = false;
    await this.#loop;
  }

  #turnToNext(): void {
    this.#next = (this.#next + 1) % this.#nodes.length;
    this.#at = null;
  }

  async #register(redirects = 0): Promise<boolean> {
    const to = this.#at ?? this.#nodes[this.#next]?.sip;
    if (to === undefined) throw new Error('no node');
    const atMs = Date.now();
    let answer = (await this.#ask(to)) ?? (await this.#ask(to));
    if (answer?.startsWith('SIP/2.0 401') === true) {
      this.#nonce = /nonce="([^"]+)"/.exec(answer)?.[1] ?? '';
      this.#count = 0;
      answer = await this.#ask(to);
    }
    const status = answer?.slice(8, 11);
    if (status === '200') this.confirmedAtMs = atMs;
    else if (status === '302' && redirects < 4) {
      this.#at = parseAddress(/<sip:(?:[^@>]*@)?([\d.]+:\d+)/.exec(lineOf(answer ?? '', 'Contact'))?.[1] ?? '');
      return this.#register(redirects + 1);
    } else this.#turnToNext();
    return status === '200';
  }

  #ask(to: Address): Promise<string | null> {
    return within(this.#socket.ask(to, this.#request()));
  }

  #request(): string {
    const { uid } = this;
    const own = `127.0.0.1:${this.#socket.port}`;
    return [
      'REGISTER sip:vserver SIP/2.0',
      `Via: SIP/2.0/UDP ${own};rport;branch=z9hG4bK${uid}-${++this.#cseq}`,
      'Max-Forwards: 70',
      `From: <sip:${uid}@vserver>;tag=${uid}`,
      `To: <sip:${uid}@vserver>`,
      `Call-ID: ${uid}@${own}`,
      `CSeq: ${this.#cseq} REGISTER`,
      `Contact: <sip:${uid}@${own}>;expires=30`,
      ...(this.#nonce === '' ? [] : [this.#authorization()]),
      'Content-Length: 0',
      '\r\n',
    ].join('\r\n');
  }

  #authorization(): string {
    const nc = (++this.#count).toString(16).padStart(8, '0');
    const ha1 = md5(`${this.uid}:vserver:${PASSWORD}`);
    const response = md5(`${ha1}:${this.#nonce}:${nc}:c0ffee:auth:${md5('REGISTER:sip:vserver')}`);
    const said = `username="${this.uid}", realm="vserver", nonce="${this.#nonce}", uri="sip:vserver"`;
    return `Authorization: Digest ${said}, qop=auth, nc=${nc}, cnonce="c0ffee", response="${response}", algorithm=MD5`;
  }
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
