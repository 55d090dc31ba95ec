/** What an entry of the tree is for us, by its place and its attributes (DIRECTORY.md section 1). */
import type { AttributeNames } from './attribute-names.ts';
import type { Attributes } from './directory.ts';
import { parseDn } from './dn.ts';
import type { Rdn } from './dn.ts';

/** `container`: an entry that only holds others; `other`: one that we have no use for. */
export type EntryKind = 'user' | 'region' | 'server' | 'variable' | 'container' | 'other';

/** An entry below `ou=users` that has a uid is a user, whatever its object classes. */
export function classifyEntry(dn: string, attributes: Attributes, names: AttributeNames): EntryKind {
  const rdns = parseDn(dn);
  if (rdns === null) return 'other';
  const [own, parent] = rdns;
  if (own === undefined) return 'other';
  const uid = names.uid.toLowerCase();
  const below = (branch: string): boolean => rdns.some((rdn, i) => i > 0 && is(rdn, 'ou', branch));
  if (below('users') && (attributes.has(uid) || own.some((part) => part.type === uid))) return 'user';
  if (own.some((part) => part.type === 'ou')) return is(parent, 'ou', 'users') ? 'region' : 'container';
  if (own.some((part) => part.type === 'dc' || part.type === 'o')) return 'container';
  if (own.some((part) => part.type === 'cn')) {
    if (is(parent, 'ou', 'servers')) return 'server';
    if (is(parent, 'ou', 'config')) return 'variable';
  }
  return 'other';
}

/** The region of a user's entry: the `ou` right below `ou=users`; '' where he stands in none. */
export function regionNameOf(dn: string): string {
  const rdns = parseDn(dn) ?? [];
  const at = rdns.findIndex((rdn, i) => i > 0 && is(rdn, 'ou', 'users'));
  // The entry itself (0) is no region.
  return (at < 2 ? undefined : rdns[at - 1]?.find((part) => part.type === 'ou')?.value) ?? '';
}

function is(rdn: Rdn | undefined, type: string, value: string): boolean {
  return rdn?.some((part) => part.type === type && part.value.toLowerCase() === value) ?? false;
}
