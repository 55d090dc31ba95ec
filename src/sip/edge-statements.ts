/**
 * What a node says of a REGISTER that it sends on to the owner of the user: that it gave out the nonce and saw it come
 * back in time and for the first time, and from where. It stands in a header under the cluster key; its MAC covers the
 * whole request. Each is good once, for one node, for half a minute.
 */
import { MESSAGE_AGE_MS_MAX } from '../bus/bus.ts';
import { seal, unseal } from '../bus/envelope.ts';
import { createReplayGuard } from '../bus/replay-guard.ts';
import type { Address } from '../base/model.ts';
import type { Clock, Random } from '../base/ports.ts';
import type { DigestAlgorithm } from '../login/digest.ts';
import { EDGE } from './header-names.ts';
import type { SipRequest } from './message.ts';

export const EDGE_HEADER = 'VS-Edge';

export type EdgeStatement = RegisterStatement | HandOverStatement;

interface RegisterStatement extends Way {
  /** `closed`: the connection behind the Path is no more. */
  readonly kind: 'register' | 'closed';
}

interface HandOverStatement extends Way {
  /** By a node that is drained: the phone was registered there. */
  readonly kind: 'handed-over';
  /** Of the Digest by which it was. */
  readonly algorithm: DigestAlgorithm;
}

interface Way {
  /** Where the phone is, as the edge sees it. */
  readonly source: Address;
  /** How often the request was sent on, this time included. */
  readonly hops: number;
}

/** A statement, and the name of the node that made it. */
export type Vouched = EdgeStatement & { readonly edge: string };

export interface EdgeStatements {
  /** The request with the statement; `to`: name of the node that it is for. */
  sign(request: Buffer, to: string, statement: EdgeStatement): Buffer;
  /** `forged`: made with another key, changed, or for another node; `late`: too old by the clock of this one, or heard before, be it by its last run. */
  read(request: SipRequest): Vouched | 'forged' | 'late';
}

export interface EdgeStatementsOptions {
  readonly clusterKey: string;
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
}

export function createEdgeStatements({ clusterKey, name, clock, random }: EdgeStatementsOptions): EdgeStatements {
  const guard = createReplayGuard(MESSAGE_AGE_MS_MAX);
  const sinceMs = clock.now();
  const contextOf = (to: string, rest: string): string => `sip register ${to}\n${rest}`;
  return {
    sign(request, to, body) {
      const text = request.toString('latin1');
      const nonce = random.bytes(16).toString('hex');
      const envelope = { from: name, run: '', at: clock.now(), nonce, kind: 'register', body };
      const value = seal(clusterKey, contextOf(to, text), envelope).toString('base64url');
      const at = text.indexOf('\n') + 1;
      return Buffer.from(`${text.slice(0, at)}${EDGE_HEADER}: ${value}\r\n${text.slice(at)}`, 'latin1');
    },
    read(request) {
      const { text, fields } = request;
      const field = request.find(EDGE);
      const lineAt = fields[field + 1] ?? 0;
      const lineEnd = text.indexOf('\n', fields[field + 3]) + 1;
      const rest = text.slice(0, lineAt) + text.slice(lineEnd);
      const bytes = Buffer.from(text.slice(fields[field + 2], fields[field + 3]), 'base64url');
      const envelope = unseal(clusterKey, contextOf(name, rest), bytes);
      if (envelope === null) return 'forged';
      const nowMs = clock.now();
      // What this node heard before it was started anew it does not know any more. (A clock that was set back since says nothing.)
      if (nowMs >= sinceMs && envelope.at < sinceMs) return 'late';
      if (guard.check(envelope.nonce, envelope.at, nowMs) !== 'fresh') return 'late';
      return { ...(envelope.body as EdgeStatement), edge: envelope.from };
    },
  };
}
