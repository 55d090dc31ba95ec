/** 100,000 mutated messages of all methods through the whole SIP edge: UDP, TCP and WebSocket at once, in memory. */
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { sameAddress } from '../../src/base/address.ts';
import { SEEN_STATUSES } from '../../src/presence/compose.ts';
import { renderPidf } from '../../src/sip/pidf.ts';
import type { Address } from '../../src/base/model.ts';
import type { Flow, FlowHandlers } from '../../src/sip/flow.ts';
import { readMessage } from '../../src/sip/flow.ts';
import { settle } from '../support/clock.ts';
import { heapUsed } from '../support/heap.ts';
import { mutated, randomOf } from '../support/random.ts';
import { AT, Phone, phone, sipNode } from '../support/sip-node.ts';
import { memoryStreams } from '../support/streams.ts';
import type { MemoryStream } from '../support/streams.ts';
import { tortureMessages } from '../support/torture.ts';
import { memoryWebSocket } from '../support/web-sockets.ts';

const ROUNDS = 100_000;
/** Another one may be given: `FUZZ_SEED=7 npx vitest run test/fuzz/sip-edge.test.ts`. */
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_121);
/** All that is learnt once is learnt by then; afterwards the heap must not grow. */
const WARM_ROUNDS = 30_000;
const HEAP_GROWTH_MAX = 4 * 2 ** 20;
/** Two challenges are longer than a short request; nothing of any size comes back to who sends little. */
const LONGER_BY_MAX = 450;
const ADVANCE_MS = 1_000;
/** 32 s are 16,000 messages, of which few are well-formed, well-authenticated and of a method that keeps state. */
const LINGERING_MAX = 4_000;

const METHODS = ['REGISTER', 'INVITE', 'ACK', 'BYE', 'CANCEL', 'OPTIONS', 'MESSAGE', 'SUBSCRIBE', 'NOTIFY'];
METHODS.push('PUBLISH', 'REFER', 'INFO', 'UPDATE', 'PRACK', 'DANCE');
const RFC_FILES = ['rfc4475.txt', 'rfc5118.txt'].map((name) => new URL(`../conformance/${name}`, import.meta.url));
const TORTURE = RFC_FILES.flatMap((file) => [...tortureMessages(file).values()]);
const PIECES = [
  ...['\r\n', '\n', '\r', ' ', '"', '\\', '<', '>', ',', ';', ':', '=', '%', '@', '[', ']', '*', '\0', 'é', '\r\n '],
  ...['Via: x\r\n', 'l: 0\r\n', 'Content-Length: 70000\r\n', '\r\n\r\n', 'SIP/2.0', '99999999999', '-1', ';tag=1'],
  ...[
    'sip:',
    '%00',
    ';rport',
    ';maddr=10.0.0.1',
    'Expires: 0\r\n',
    'Contact: *\r\n',
    'Require: x\r\n',
    'x'.repeat(300),
  ],
].map((text) => Buffer.from(text));
const UIDS = ['alice', 'bob', 'carol'];
const DEVICES_MAX = 5;

interface Line {
  readonly phone: Phone;
  /** Sends, and waits until it was dealt with. */
  send(bytes: Buffer): Promise<void>;
}

interface Seen {
  /** Messages that may be answered, and the answers. */
  due: number;
  answers: number;
  /** Of each transport. */
  readonly messages: Record<string, number>;
  /** What went wrong while a message was dealt with, which may be in a handler of an event. */
  wrong: Error | null;
}

function isAnswer(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, 8).toString('latin1').startsWith('SIP/2.0 ');
}

test(`seed ${SEED}: nothing is thrown, nothing grows, at most one answer a request and none to others`, async () => {
  const random = randomOf(SEED);
  const one = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  const seen: Seen = { due: 0, answers: 0, messages: {}, wrong: null };
  const streams = memoryStreams();
  const node = await sipNode({ streams, watch: (handlers) => watched(handlers, seen) });
  const { network, transports } = node;
  if (transports === null) throw new Error('not open');
  for (const uid of UIDS)
    node.directory.put({ uid, service: { ...node.directory.put({ uid }).service, devicesMax: DEVICES_MAX } });

  const udp = await udpLine('alice', { host: '10.0.0.7', port: 5062 });
  const stranger = await udpLine('alice', { host: '192.0.2.66', port: 5060 });
  const tcp = tcpLine('bob');
  const ws = await wsLine('carol', { host: '10.0.0.9', port: 1234 });
  const lines: readonly Line[] = [udp, stranger, tcp, ws];

  async function udpLine(uid: string, at: Address): Promise<Line> {
    const socket = await network.bind(at, (bytes) => {
      learn(line.phone, bytes);
    });
    const line: Line = {
      phone: new Phone(uid, at, () => undefined),
      send(bytes) {
        network.sent.length = 0;
        const before = seen.answers;
        socket.send(bytes, AT);
        const answers = network.sent.filter((sent) => sameAddress(sent.from, AT) && isAnswer(sent.bytes));
        seen.answers += answers.length;
        for (const answer of answers) expect(answer.bytes.length).toBeLessThan(bytes.length + LONGER_BY_MAX);
        expect(seen.answers - before).toBeLessThanOrEqual(1);
        return Promise.resolve();
      },
    };
    return line;
  }

  /** What ends its connection gets a new one; what is cut in the middle is glued to the next. */
  function tcpLine(uid: string): Line {
    let port = 2_000;
    let stream: MemoryStream | undefined;
    const line: Line = {
      phone: new Phone(uid, { host: '10.0.0.8', port: 5060 }, () => undefined),
      send(bytes) {
        if (stream?.isOpen !== true) {
          stream =
            streams.connect(AT, { host: '10.0.0.8', port: ++port === 60_000 ? (port = 2_000) : port }) ?? undefined;
        }
        stream?.send(bytes);
        for (const answer of stream?.received.splice(0) ?? []) learn(line.phone, answer);
        return Promise.resolve();
      },
    };
    line.phone.transport = 'TCP';
    return line;
  }

  async function wsLine(uid: string, from: Address): Promise<Line> {
    let socket: WebSocket | undefined;
    let dealtWith: () => void = () => undefined;
    const line: Line = {
      phone: new Phone(uid, { host: 'carol.invalid', port: 5060 }, () => undefined),
      async send(bytes) {
        if (socket?.readyState !== 1) {
          socket = await memoryWebSocket(transports?.onUpgrade ?? (() => undefined), from);
          socket.on('message', (answer: Buffer) => {
            learn(line.phone, answer);
          });
          for (const event of ['pong', 'close']) socket.on(event, () => dealtWith());
        }
        const ended = new Promise<void>((resolve) => (dealtWith = resolve));
        socket.send(bytes, { binary: random(2) === 0 });
        // The pong comes behind whatever the message made the node send.
        socket.ping();
        await ended;
      },
    };
    line.phone.transport = 'WS';
    await line.send(Buffer.from('\r\n\r\n'));
    return line;
  }

  /** As its phone would send it, with credentials, contacts and bodies; or what the RFCs torture a parser with. */
  const valid = ({ phone: from }: Line): Buffer => {
    if (random(4) === 0) return one(TORTURE);
    const method = one(METHODS);
    const uri = method === 'REGISTER' ? 'sip:vserver' : `sip:${one([...UIDS, 'nobody'])}@vserver`;
    const secret = { uri, password: random(20) === 0 ? 'wrong' : 'secret', withoutQop: random(8) === 0 };
    const contact = from.contact(one(['', ';q=0.5', ';expires=0', ';+sip.instance="<urn:uuid:1>";reg-id=1']));
    const headers = {
      Contact: random(30) === 0 ? '*' : contact,
      ...(random(4) === 0 ? {} : { Authorization: from.digest(method, secret) }),
      ...(random(4) === 0 ? { Path: '<sip:edge.example.com;lr>', Supported: 'path, outbound' } : {}),
      ...(method === 'REGISTER' ? {} : { To: `<${uri}>${random(4) === 0 ? ';tag=1' : ''}` }),
      ...(method === 'SUBSCRIBE' || method === 'PUBLISH'
        ? { Event: one(['presence', 'presence;id=1', 'dialog']) }
        : {}),
      ...(method === 'PUBLISH' ? { 'Content-Type': 'application/pidf+xml', 'SIP-If-Match': one([null, 'x']) } : {}),
    };
    const body =
      method === 'PUBLISH' ? renderPidf('a@vserver', { status: one(SEEN_STATUSES), note: 'n' }).toString() : '';
    from.ask(method, { uri, headers, body });
    return Buffer.from(random(10) === 0 ? from.sent.replace(/^[^\r]*/, 'SIP/2.0 200 OK') : from.sent);
  };

  const tables = () => ({
    sessions: node.table.count <= UIDS.length * DEVICES_MAX,
    waiting: node.sip.context.waiting.size,
    connections: transports.connections <= 2,
  });
  const bounded = { sessions: true, waiting: 0, connections: true };
  /** What was answered or sent within the last 32 s lingers. */
  const lingering = () => ({
    transactions: node.sip.context.transactions.count(),
    subscriptions: node.presence.subscriptions.count,
    // The sweep of the connections.
    timers: node.time.running() - 1,
  });

  let heap = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const line = one(lines);
    const bytes = valid(line);
    await line.send(random(5) === 0 ? bytes : mutated(bytes, PIECES, random));
    if (seen.wrong !== null) throw seen.wrong;
    if (round % 500 === 0) {
      // What fails is answered later.
      await node.time.advance(ADVANCE_MS);
      expect(tables()).toEqual(bounded);
      expect(Math.max(...Object.values(lingering()))).toBeLessThan(LINGERING_MAX);
      expect(seen.answers).toBeLessThanOrEqual(seen.due);
      for (const kept of [node.logged, node.later, node.ended, node.directory.calls, network.sent]) kept.length = 0;
    }
    if (round === WARM_ROUNDS) heap = heapUsed();
  }
  expect(heapUsed() - heap).toBeLessThan(HEAP_GROWTH_MAX);
  // Enough came through, and was answered, for the above to mean anything.
  for (const name of ['udp', 'tcp', 'ws']) expect(seen.messages[name], name).toBeGreaterThan(ROUNDS / 8);
  expect(seen.answers).toBeGreaterThan(ROUNDS / 10);

  await node.time.advance(600_000);
  expect(tables()).toEqual(bounded);
  expect(lingering()).toEqual({ transactions: 0, subscriptions: 0, timers: 0 });
  node.directory.put({ uid: 'dave' });
  const dave = await phone(network, 'dave');
  dave.register();
  await settle();
  expect(dave.status).toBe(200);
}, 120_000);

/** The nonce that came, so that what follows is well authenticated. */
function learn(phone: Phone, bytes: Buffer): void {
  const nonce = /nonce="([^"]{32})"/.exec(bytes.toString('latin1'))?.[1];
  if (nonce !== undefined) [phone.nonce, phone.nc] = [nonce, 0];
}

/** Counts what comes in and what goes out on connections; over UDP the network does. */
function watched(handlers: FlowHandlers, seen: Seen): FlowHandlers {
  const known = new WeakSet<Flow>();
  return {
    admitStun: (from) => handlers.admitStun(from),
    onMessage(bytes, flow) {
      if (flow.isReliable && !known.has(flow)) {
        known.add(flow);
        const send = flow.send.bind(flow);
        flow.send = (answer) => {
          if (isAnswer(answer)) seen.answers++;
          send(answer);
        };
      }
      seen.messages[flow.transport] = (seen.messages[flow.transport] ?? 0) + 1;
      const message = readMessage(bytes, flow);
      const isDue = message?.kind === 'problem' || (message?.kind === 'request' && message.method !== 'ACK');
      if (isDue) seen.due++;
      const before = seen.answers;
      const text = bytes.toString('latin1');
      try {
        handlers.onMessage(bytes, flow);
      } catch (cause) {
        seen.wrong ??= new Error(`thrown at ${text}`, { cause });
      }
      if (seen.answers - before > (isDue ? 1 : 0)) seen.wrong ??= new Error(`answered: ${text}`);
    },
    onClosed(flow) {
      handlers.onClosed(flow);
    },
  };
}
