/** The dry run of an import: what apply would answer, as far as reading tells. */
import { DEFAULT_ATTRIBUTE_NAMES } from './attribute-names.ts';
import { uidOf, userFromAttributes } from './attributes.ts';
import type { Applied, Attributes, Directory, LdifRecord } from './directory.ts';
import { parseDn } from './dn.ts';
import { classifyEntry, regionNameOf } from './entry-kinds.ts';
import { validateUser } from './validate.ts';

const NAMES = DEFAULT_ATTRIBUTE_NAMES;

/**
 * In place of Directory.apply: checks names and user records, and asks the directory whether a user is there. What
 * earlier records of the same file would make or remove is not taken into account, and of changes only the DN is checked.
 */
export function planned(directory: Pick<Directory, 'find'>): (records: readonly LdifRecord[]) => Promise<Applied[]> {
  return async (records) => {
    const outcomes: Applied[] = [];
    for (const record of records) outcomes.push(await plan(directory, record));
    return outcomes;
  };
}

async function plan(directory: Pick<Directory, 'find'>, { dn, change }: LdifRecord): Promise<Applied> {
  if (parseDn(dn) === null) return { outcome: 'failed', reason: 'the dn is malformed' };
  switch (change.type) {
    case 'add':
      return planAdd(directory, dn, change.attributes);
    case 'modify':
      return { outcome: 'changed' };
    case 'delete':
      return { outcome: 'removed' };
    case 'modrdn':
      return { outcome: 'renamed' };
  }
}

async function planAdd(directory: Pick<Directory, 'find'>, dn: string, attributes: Attributes): Promise<Applied> {
  const kind = classifyEntry(dn, attributes, NAMES);
  if (kind === 'other') return { outcome: 'ignored', reason: 'no place for such an entry' };
  if (kind !== 'user') return { outcome: 'added' };
  const region = { name: regionNameOf(dn), countryCode: '' };
  const { user, problems } = userFromAttributes(dn, attributes, region, NAMES);
  const broken = [...problems, ...validateUser(user)];
  if (broken.length > 0) return { outcome: 'failed', reason: broken.join('; ') };
  const present = await directory.find(uidOf(dn, attributes, NAMES));
  return { outcome: present === null ? 'added' : 'unchanged' };
}
