/** The dry run of an import: what apply would answer, as far as reading tells. */
import { DEFAULT_ATTRIBUTE_NAMES as NAMES } from './attribute-names.ts';
import { uidOf, userFromAttributes, userToAttributes } from './attributes.ts';
import type { Applied, Attributes, Directory, LdifChange, LdifRecord } from './directory.ts';
import { parentDn, parseDn } from './dn.ts';
import type { EntryKind } from './entry-kinds.ts';
import { classifyEntry, regionNameOf } from './entry-kinds.ts';
import { applyModifications } from './modifications.ts';
import { validateUser } from './validate.ts';

export type PlanDirectory = Pick<Directory, 'find' | 'regions' | 'servers' | 'variable'>;

/** What the directory would hold after the records so far: a few bytes an entry that they name, never the entry. */
interface Plan {
  readonly directory: PlanDirectory;
  /** By uid the region; null: there is no such user any more. */
  readonly users: Map<string, string | null>;
  /** By kind and name the country code of a region, '' for all else; null: there is no such entry any more. */
  readonly named: Map<string, string | null>;
}

/**
 * In place of Directory.apply: what earlier records of the import make, rename and remove counts. Not looked at are the
 * attributes of an entry that an earlier record made or changed, those of regions, servers and variables, and
 * whether a region that is removed still has users. `hasPlace`: whether the directory has one for an entry of this DN.
 */
export function planned(
  directory: PlanDirectory,
  hasPlace: (dn: string) => boolean,
): (records: readonly LdifRecord[], stopAtFailure: boolean) => Promise<Applied[]> {
  const plan: Plan = { directory, users: new Map(), named: new Map() };
  return async (records, stopAtFailure) => {
    const outcomes: Applied[] = [];
    for (const record of records) {
      const outcome = hasPlace(record.dn) ? await planOne(plan, record) : NO_PLACE;
      outcomes.push(outcome);
      if (stopAtFailure && outcome.outcome === 'failed') break;
    }
    return outcomes;
  };
}

const NO_PLACE: Applied = { outcome: 'ignored', reason: 'not below the base DN' };

async function planOne(plan: Plan, { dn, change }: LdifRecord): Promise<Applied> {
  if (parseDn(dn) === null) return failed('the dn is malformed');
  const kind = classifyEntry(dn, change.type === 'add' ? change.attributes : NO_ATTRIBUTES, NAMES);
  switch (kind) {
    case 'other':
      return { outcome: 'ignored', reason: 'no place for such an entry' };
    case 'container':
      if (change.type === 'add') return { outcome: 'unchanged' };
      return { outcome: 'ignored', reason: 'the containers of the tree are fixed' };
    case 'user':
      return change.type === 'add' ? addUser(plan, dn, change.attributes) : changeUser(plan, dn, change);
    default:
      return changeNamed(plan, kind, dn, change);
  }
}

async function addUser(plan: Plan, dn: string, attributes: Attributes): Promise<Applied> {
  const broken = problemsOf(dn, attributes);
  if (broken !== '') return failed(broken);
  const uid = uidOf(dn, attributes, NAMES);
  const region = regionNameOf(dn);
  const present = await regionOf(plan, uid);
  if (present !== null)
    return present === region ? { outcome: 'unchanged' } : failed('the uid is taken in another region');
  plan.users.set(uid, region);
  await makeRegion(plan, region);
  return { outcome: 'added' };
}

async function changeUser(plan: Plan, dn: string, change: Exclude<LdifChange, { type: 'add' }>): Promise<Applied> {
  const uid = uidOf(dn, NO_ATTRIBUTES, NAMES);
  const isTouched = plan.users.has(uid);
  if ((await regionOf(plan, uid)) !== regionNameOf(dn)) return failed('no such entry');
  switch (change.type) {
    case 'delete':
      plan.users.set(uid, null);
      return { outcome: 'removed' };
    case 'modify': {
      const entry = isTouched ? null : await plan.directory.find(uid);
      if (entry === null) return { outcome: 'changed' };
      const modified = applyModifications(userToAttributes(entry.user, NAMES), change.modifications);
      if (modified.outcome !== 'modified') return failed(`${modified.outcome}: ${modified.attribute}`);
      const broken = problemsOf(dn, modified.attributes);
      if (broken !== '') return failed(broken);
      plan.users.set(uid, regionNameOf(dn));
      return { outcome: 'changed' };
    }
    case 'modrdn': {
      const newDn = `${change.newRdn},${change.newSuperior ?? parentDn(dn)}`;
      if (classifyEntry(newDn, NO_ATTRIBUTES, NAMES) !== 'user') return failed('a user has to stay one, named by uid');
      const newUid = uidOf(newDn, NO_ATTRIBUTES, NAMES);
      const broken = problemsOf(newDn, NO_ATTRIBUTES);
      if (broken !== '') return failed(broken);
      if (newUid !== uid && (await regionOf(plan, newUid)) !== null) return failed('the new uid is taken');
      plan.users.set(uid, null).set(newUid, regionNameOf(newDn));
      await makeRegion(plan, regionNameOf(newDn));
      return { outcome: 'renamed' };
    }
  }
}

type NamedKind = Exclude<EntryKind, 'user' | 'container' | 'other'>;

async function changeNamed(plan: Plan, kind: NamedKind, dn: string, change: LdifChange): Promise<Applied> {
  const name = nameOf(dn);
  const present = await codeOf(plan, kind, name);
  const set = (to: string, code: string | null): void => void plan.named.set(`${kind} ${to}`, code);
  if (change.type === 'add') {
    const code = kind === 'region' ? String(change.attributes.get(NAMES.countryCode.toLowerCase())?.[0] ?? '') : '';
    // A region made as the missing parent of a user gets its country code when its own entry comes.
    if (present !== null && (present !== '' || code === '')) return { outcome: 'unchanged' };
    set(name, code);
    return { outcome: present === null ? 'added' : 'changed' };
  }
  if (present === null) return failed('no such entry');
  switch (change.type) {
    case 'delete':
      set(name, null);
      return { outcome: 'removed' };
    case 'modify':
      return { outcome: 'changed' };
    case 'modrdn': {
      const newName = nameOf(change.newRdn);
      if (newName !== name && (await codeOf(plan, kind, newName)) !== null) return failed('the new name is taken');
      set(name, null);
      set(newName, present);
      return { outcome: 'renamed' };
    }
  }
}

/** The region of the user as the records so far leave it; null where there is no such user. */
async function regionOf({ users, directory }: Plan, uid: string): Promise<string | null> {
  const expected = users.get(uid);
  return expected === undefined ? ((await directory.find(uid))?.user.region ?? null) : expected;
}

/** The country code of the region, '' for all else; null where there is no such entry. */
async function codeOf({ named, directory }: Plan, kind: NamedKind, name: string): Promise<string | null> {
  const expected = named.get(`${kind} ${name}`);
  if (expected !== undefined) return expected;
  switch (kind) {
    case 'region':
      return (await directory.regions()).find((region) => region.name === name)?.countryCode ?? null;
    case 'server':
      return (await directory.servers()).some((server) => server.name === name) ? '' : null;
    case 'variable':
      return (await directory.variable(name)) === null ? null : '';
  }
}

async function makeRegion(plan: Plan, region: string): Promise<void> {
  if (region !== '' && (await codeOf(plan, 'region', region)) === null) plan.named.set(`region ${region}`, '');
}

/** Why the entry can be no user; '' where it can. */
function problemsOf(dn: string, attributes: Attributes): string {
  const { user, problems } = userFromAttributes(dn, attributes, { name: regionNameOf(dn), countryCode: '' }, NAMES);
  return [...problems, ...validateUser(user)].join('; ');
}

function nameOf(dn: string): string {
  return parseDn(dn)?.[0]?.[0]?.value ?? '';
}

function failed(reason: string): Applied {
  return { outcome: 'failed', reason };
}

const NO_ATTRIBUTES: Attributes = new Map();
