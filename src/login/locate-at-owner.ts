/** `locate.mode: full`: the node that has the user is asked, so that the client needs not. */
import { NO_FORWARDING } from '../base/model.ts';
import type { Located, Trace } from '../locator/locate.ts';
import type { OtherNodes } from './other-nodes.ts';

/** What `located` sends the client for, where the owner answers; else `located` as it is. */
export async function locateAtOwner(
  owner: Pick<OtherNodes, 'locate'>,
  located: Located,
  asker: string,
  trace?: Trace,
): Promise<Located> {
  if (located.kind !== 'see-also') return located;
  const { uid, server } = located;
  const there = await owner.locate(server, asker, uid);
  if (there === undefined) {
    trace?.(`bus: ${server.name} does not answer, so the client is sent there`);
    return located;
  }
  if (there !== null) {
    trace?.(`bus: ${server.name} answered with what it knows of ${uid}`);
    return there;
  }
  trace?.(`bus: ${server.name} shows no session of ${uid} to ${asker}`);
  return { kind: 'offline', uid, lastSeen: null, forwarding: NO_FORWARDING };
}
