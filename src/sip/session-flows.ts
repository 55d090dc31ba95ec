/** Which session came over which flow, and lives no longer than its connection. */
import type { OnlineTable } from '../heartbeat/online.ts';
import type { Flows } from './context.ts';
import type { Flow } from './flow.ts';
import { parseUri } from './uri.ts';

export interface SessionFlows {
  /** The session lives no longer than this flow, where that is a connection. */
  bind(row: number, flow: Flow): void;
  /** The session has ended. */
  forget(row: number): void;
  /** The cookies of the sessions on a connection that has ended. */
  take(flow: Flow): string[];
  /** The flow over which the session was registered; undefined where it is closed. */
  flowOf(row: number, flows: Flows): Flow | undefined;
}

/** `startedS`: since when this node runs, epoch seconds. */
export function createSessionFlows({ sessions }: OnlineTable, startedS: number): SessionFlows {
  const flowIds = new Map<string, string>();
  const cookiesOf = new Map<string, Set<string>>();
  const forget = (cookie: string): void => {
    const id = flowIds.get(cookie);
    if (id === undefined) return;
    flowIds.delete(cookie);
    const cookies = cookiesOf.get(id);
    cookies?.delete(cookie);
    if (cookies?.size === 0) cookiesOf.delete(id);
  };
  return {
    bind(row, flow) {
      // The usual case costs nothing: no connection has any session.
      if (!flow.isReliable && flowIds.size === 0) return;
      const cookie = sessions.cookie(row);
      if (!flow.isReliable) {
        forget(cookie);
        return;
      }
      const { id } = flow;
      if (flowIds.get(cookie) === id) return;
      forget(cookie);
      flowIds.set(cookie, id);
      const cookies = cookiesOf.get(id);
      if (cookies === undefined) cookiesOf.set(id, new Set([cookie]));
      else cookies.add(cookie);
    },
    forget(row) {
      if (flowIds.size > 0) forget(sessions.cookie(row));
    },
    take({ id }) {
      const cookies = [...(cookiesOf.get(id) ?? [])];
      for (const cookie of cookies) forget(cookie);
      return cookies;
    },
    flowOf(row, flows) {
      const id = flowIds.size === 0 ? undefined : flowIds.get(sessions.cookie(row));
      if (id !== undefined) return flows.findConnection(id);
      // A connection does not outlive the node, but its registration does.
      const isOlder = sessions.loginS(row) < startedS;
      return isOlder && isOfConnection(sessions.text(row).contact) ? undefined : flows.flowTo(sessions.wan(row));
    },
  };
}

/** Whether the contact can't be reached by a datagram, as it says itself. */
function isOfConnection(contact: string): boolean {
  const uri = parseUri(contact);
  if (uri === null || uri.scheme === 'other' || uri.scheme === 'tel') return true;
  return uri.scheme === 'sips' || (uri.params.get('transport') ?? 'udp') !== 'udp';
}
