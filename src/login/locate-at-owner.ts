/** `locate.mode: full`: the node that has the user is asked, so that the client needs not. */
import { NO_FORWARDING } from '../base/model.ts';
import type { Located, Trace } from '../locator/locate.ts';
import type { OtherNodes } from './other-nodes.ts';

/**
 * What `located` sends the client for, where the owner answers; else `located` as it is. `again` asks the directory once
 * more where the owner has nothing: the user may have gone on to another node.
 */
export async function locateAtOwner(
  owner: Pick<OtherNodes, 'locate'>,
  located: Located,
  again: (uid: string) => Promise<Located>,
  asker: string,
  trace?: Trace,
): Promise<Located> {
  if (located.kind !== 'see-also') return located;
  const first = await askOwner(owner, located, asker, trace);
  if (first !== null) return first;
  const latest = await again(located.uid);
  if (latest.kind !== 'see-also') return latest;
  const second = latest.server.name === located.server.name ? null : await askOwner(owner, latest, asker, trace);
  return second ?? { kind: 'offline', uid: latest.uid, lastSeen: null, forwarding: NO_FORWARDING };
}

/** null where that node shows the asker nothing. */
async function askOwner(
  owner: Pick<OtherNodes, 'locate'>,
  located: Extract<Located, { kind: 'see-also' }>,
  asker: string,
  trace?: Trace,
): Promise<Located | null> {
  const { uid, server } = located;
  const there = await owner.locate(server, asker, uid);
  if (there === undefined) trace?.(`bus: ${server.name} does not answer, so the client is sent there`);
  else if (there === null) trace?.(`bus: ${server.name} shows no session of ${uid} to ${asker}`);
  else trace?.(`bus: ${server.name} answered with what it knows of ${uid}`);
  return there === undefined ? located : there;
}
