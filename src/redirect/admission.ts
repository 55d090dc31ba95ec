/** Who is admitted here, and who is redirected where. */
import type { ServerRecord } from '../base/model.ts';
import type { ServerImage } from './servers.ts';

/** A client that was sent on so often is not sent on again. */
export const HOPS_MAX = 3;

export interface Candidate {
  /** The running server that has the user now, where it is another one. */
  readonly owner: ServerRecord | undefined;
  readonly devicesMax: number;
  /** He has a session here already, so another one takes no room. */
  readonly isHere: boolean;
  /** How often servers sent this client on before. */
  readonly hops: number;
  /** Whether the server of this name sent him; a login is never sent back there. */
  readonly sentBy: (server: string) => boolean;
}

export type Admission = { kind: 'here' } | { kind: 'redirect'; to: ServerRecord } | { kind: 'no-room' };

/** What of the server image decides: this one's state, and the others that run. */
type Servers = Pick<ServerImage, 'state' | 'isFull' | 'withRoom'>;

/** Decides from the image of the server list (PROTOCOL.md, Several devices; DIRECTORY.md section 4). */
export function admit(candidate: Candidate, servers: Servers): Admission {
  const { owner, hops, sentBy } = candidate;
  const mayBeSentOn = hops < HOPS_MAX;
  // All devices of a uid live on one node. With one device the newest login wins, wherever it is made.
  if (owner?.state === 'on' && candidate.devicesMax > 1 && mayBeSentOn && !sentBy(owner.name)) {
    return { kind: 'redirect', to: owner };
  }
  if (servers.state === 'on' && (candidate.isHere || !servers.isFull)) return { kind: 'here' };
  const best = servers.withRoom().find((other) => !sentBy(other.name));
  if (best === undefined || !mayBeSentOn) return { kind: 'no-room' };
  return { kind: 'redirect', to: best };
}
