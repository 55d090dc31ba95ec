/**
 * The bus: what nodes of a cluster tell and ask each other, over any wire. A message counts only where it was made with
 * the cluster key, lately, and was not heard before.
 */
import { VserverError } from '../base/errors.ts';
import type { Clock, Log, Random } from '../base/ports.ts';
import { createReplayGuard } from './replay-guard.ts';
import { clusterId, MESSAGE_BYTES_MAX, seal, unseal } from './envelope.ts';
import type { Envelope } from './envelope.ts';
import type { Wire } from './wire.ts';

/** Clocks of nodes may differ by so much; a message is good for so long. */
export const MESSAGE_AGE_MS_MAX = 30_000;
/** More requests than this don't wait for answers at once, and not more are worked on. */
const REQUESTS_MAX = 10_000;
const CLOCK_WARNING_MS = 60_000;

/** `down`: the wire is down, or too much waits already. */
export type Answer = { readonly body: unknown; readonly at: number } | 'nobody' | 'silence' | 'down';

/** Answers what stands in the body of the answer; undefined: nothing to say. */
export type Handler = (body: unknown, from: string) => unknown;

export interface BusCounters {
  sent: number;
  received: number;
  /** Refused: made with another key, or changed, or meant for another place. */
  forged: number;
  /** Refused: too old, or of a node whose clock is wrong. */
  stale: number;
  /** Refused: heard before. */
  replayed: number;
  /** Requests that nobody answered in time. */
  unanswered: number;
}

export interface Bus {
  readonly isUp: boolean;
  readonly counters: Readonly<BusCounters>;
  /** To all other nodes. */
  tellAll(kind: string, body: object): void;
  /** To one node. */
  tell(node: string, kind: string, body: object): void;
  ask(node: string, kind: string, body: object, withinMs: number): Promise<Answer>;
  /**
   * Hears messages and requests of this kind; one handler a kind, those without one are ignored. `anyTime`: for what
   * does no harm when it comes late or twice, so that it is understood whatever the clocks say.
   */
  on(kind: string, handler: Handler, options?: { readonly anyTime: boolean }): void;
  close(): Promise<void>;
}

export interface BusOptions {
  readonly wire: Wire;
  readonly clusterKey: string;
  /** Of this node. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

interface Hearing {
  readonly handler: Handler;
  readonly anyTime: boolean;
}

export function createBus({ wire, clusterKey, name, clock, random, log }: BusOptions): Bus {
  const prefix = `vserver.${clusterId(clusterKey)}`;
  const all = `${prefix}.all`;
  const subjectOf = (node: string): string => `${prefix}.node.${Buffer.from(node).toString('base64url')}`;
  const counters: BusCounters = { sent: 0, received: 0, forged: 0, stale: 0, replayed: 0, unanswered: 0 };
  const hearings = new Map<string, Hearing>();
  let asking = 0;

  const run = random.bytes(8).toString('hex');
  const envelope = (kind: string, body: unknown): Envelope => ({
    ...{ from: name, run, at: clock.now(), nonce: random.bytes(16).toString('hex'), kind, body },
  });
  const sealed = (context: string, made: Envelope): Buffer => {
    const bytes = seal(clusterKey, context, made);
    if (bytes.length > MESSAGE_BYTES_MAX) throw new VserverError('TOO_LONG', `a bus message of ${bytes.length} bytes`);
    return bytes;
  };
  const send = (subject: string, kind: string, body: object): void => {
    const bytes = sealed(subject, envelope(kind, body));
    if (!wire.isUp) return;
    counters.sent++;
    wire.publish(subject, bytes);
  };
  const hear = createHearing({ clusterKey, run, clock, log, counters, hearings, envelope, sealed });
  for (const subject of [all, subjectOf(name)]) wire.subscribe(subject, (bytes, reply) => hear(subject, bytes, reply));

  return {
    get isUp() {
      return wire.isUp;
    },
    counters,
    tellAll: (kind, body) => send(all, kind, body),
    tell: (node, kind, body) => send(subjectOf(node), kind, body),
    async ask(node, kind, body, withinMs) {
      if (!wire.isUp || asking >= REQUESTS_MAX) return 'down';
      const subject = subjectOf(node);
      const request = envelope(kind, body);
      asking++;
      counters.sent++;
      try {
        const answer = await wire.request(subject, sealed(subject, request), withinMs);
        if (typeof answer !== 'string') {
          // Its nonce proves that it is the answer to this very request: no clock is asked.
          const message = unseal(clusterKey, request.nonce, answer);
          if (message !== null && message.from === node) return { body: message.body, at: message.at };
          counters.forged++;
        }
        counters.unanswered++;
        return answer === 'nobody' ? 'nobody' : 'silence';
      } finally {
        asking--;
      }
    },
    on: (kind, handler, { anyTime } = { anyTime: false }) => void hearings.set(kind, { handler, anyTime }),
    close: () => wire.close(),
  };
}

interface HearingDeps extends Pick<BusOptions, 'clusterKey' | 'clock' | 'log'> {
  readonly run: string;
  readonly counters: BusCounters;
  readonly hearings: ReadonlyMap<string, Hearing>;
  readonly envelope: (kind: string, body: unknown) => Envelope;
  readonly sealed: (context: string, made: Envelope) => Buffer;
}

type Reply = (bytes: Uint8Array) => void;

/** Takes what came on `subject`: refused, ignored, or given to its handler, whose answer goes back. */
function createHearing(deps: HearingDeps): (subject: string, bytes: Uint8Array, reply: Reply | null) => void {
  const { clusterKey, run, clock, log, counters, hearings } = deps;
  const guard = createReplayGuard(MESSAGE_AGE_MS_MAX);
  let answering = 0;
  let toldOfClockAt = -Infinity;

  const isTimely = (message: Envelope): boolean => {
    const nowMs = clock.now();
    const verdict = guard.check(message.nonce, message.at, nowMs);
    if (verdict === 'fresh') return true;
    counters[verdict]++;
    if (verdict === 'stale' && nowMs - toldOfClockAt > CLOCK_WARNING_MS) {
      toldOfClockAt = nowMs;
      const differsMs = message.at - nowMs;
      log.warn({ node: message.from, differsMs }, 'a bus message is too old, or the clocks of the nodes differ');
    }
    return false;
  };
  return (subject, bytes, reply) => {
    const message = unseal(clusterKey, subject, bytes);
    if (message === null) {
      counters.forged++;
      return;
    }
    // What is told to all comes back to the one who told it.
    if (message.run === run) return;
    const hearing = hearings.get(message.kind);
    if (hearing === undefined || (!hearing.anyTime && !isTimely(message)) || answering >= REQUESTS_MAX) return;
    counters.received++;
    answering++;
    // What a handler throws before its promise exists is a rejection like any other.
    Promise.resolve()
      .then(() => hearing.handler(message.body, message.from))
      .then((body) => {
        if (reply !== null && body !== undefined) reply(deps.sealed(message.nonce, deps.envelope(message.kind, body)));
      })
      .catch((error: unknown) => {
        log.error({ err: error, kind: message.kind, from: message.from }, 'bus message');
      })
      .finally(() => answering--);
  };
}

/** The bus of a node that is alone. */
export const NO_BUS: Bus = {
  isUp: false,
  counters: { sent: 0, received: 0, forged: 0, stale: 0, replayed: 0, unanswered: 0 },
  tellAll: () => undefined,
  tell: () => undefined,
  ask: () => Promise.resolve('down'),
  on: () => undefined,
  close: () => Promise.resolve(),
};
