/** Who asks by a ticket. */
import type { OnlineTable } from '../heartbeat/online.ts';
import { isAsker } from '../redirect/tickets.ts';
import type { Asker } from '../redirect/tickets.ts';

/**
 * The asker's uid. Of a long one the ticket holds a hash: only the lists of the one who is looked for can tell whose
 * it is; '' where they don't name him.
 */
export function namedAsker(table: OnlineTable, asker: Asker, target: string): string {
  if (asker.kind === 'uid') return asker.uid;
  const userRow = table.users.find(target);
  const lists = userRow < 0 ? undefined : table.users.profile(userRow);
  return [...(lists?.blocked ?? []), ...(lists?.buddies ?? [])].find((uid) => isAsker(asker, uid)) ?? '';
}
