/** Applying LDIF records to an LDAP tree: many at once, in order where the order matters. */
import { ResultCodeError } from 'ldapts';
import { VserverError } from '../base/errors.ts';
import { NO_REGION, uidOf, userFromAttributes } from './attributes.ts';
import type { Applied, Attributes, LdifRecord, Modification } from './directory.ts';
import { firstRdn, normalDn, parentDn, relativeTo } from './dn.ts';
import { classifyEntry } from './entry-kinds.ts';
import type { LdapContext } from './ldap.ts';
import { isResult, RESULT, toChange } from './ldap-tree.ts';
import { applyModifications } from './modifications.ts';
import { validateUser } from './validate.ts';

const IN_FLIGHT_MAX = 32;

/** Records of one entry keep their order, a parent comes before what is below it; removing waits for all before. */
export async function ldapImport(context: LdapContext, records: readonly LdifRecord[]): Promise<readonly Applied[]> {
  const taken = await takenUids(context, records);
  const answers: Promise<Applied>[] = [];
  const inFlight = new Set<Promise<unknown>>();
  const last = new Map<string, Promise<unknown>>();
  for (const record of records) {
    const barrier = record.change.type === 'delete' || record.change.type === 'modrdn';
    if (barrier) await Promise.all(inFlight);
    while (inFlight.size >= IN_FLIGHT_MAX) await Promise.race(inFlight);
    const dn = normalDn(record.dn);
    const before = Promise.all([last.get(dn), last.get(normalDn(parentDn(record.dn)))]);
    const answer = before.then(() => applyOne(context, record, taken));
    answers.push(answer);
    const done: Promise<unknown> = answer.catch(() => undefined).finally(() => inFlight.delete(done));
    inFlight.add(done);
    last.set(dn, done);
    if (barrier) await done;
  }
  context.users.forgetRegions();
  return Promise.all(answers);
}

/** DNs of the users to be added that are there already, by uid: one read for all of them. */
async function takenUids({ users, names }: LdapContext, records: readonly LdifRecord[]): Promise<Map<string, string>> {
  const uids: string[] = [];
  for (const { dn, change } of records) {
    if (change.type === 'add' && classifyEntry(dn, change.attributes, names) === 'user') {
      uids.push(uidOf(dn, change.attributes, names));
    }
  }
  return new Map([...(await users.locateAll(uids, []))].map(([uid, found]) => [uid, found.dn]));
}

async function applyOne(context: LdapContext, record: LdifRecord, taken: Map<string, string>): Promise<Applied> {
  const { dn, change } = record;
  if (relativeTo(dn, context.base) === null) return { outcome: 'ignored', reason: 'not below the base DN' };
  try {
    switch (change.type) {
      case 'add':
        return await addEntry(context, dn, change.attributes, taken);
      case 'modify':
        return await modifyEntry(context, dn, change.modifications);
      case 'delete':
        await context.pool.use((client) => client.del(dn));
        taken.clear();
        return { outcome: 'removed' };
      case 'modrdn': {
        if (!change.deleteOldRdn) return failed('an LDAP directory renames with deleteoldrdn: 1 only');
        // ldapts parts the new DN at its first comma, so the parent is always named.
        const target = `${change.newRdn},${change.newSuperior ?? parentDn(dn)}`;
        await context.pool.use((client) =>
          client.modifyDN(dn, change.newSuperior === null ? firstRdn(target) : target),
        );
        taken.clear();
        return { outcome: 'renamed' };
      }
    }
  } catch (error) {
    if (error instanceof ResultCodeError) return failed(error.message);
    if (error instanceof VserverError && error.code === 'INVALID_RECORD') return failed(error.message);
    throw error;
  }
}

async function addEntry(
  { names, tree }: LdapContext,
  dn: string,
  attributes: Attributes,
  taken: Map<string, string>,
): Promise<Applied> {
  if (classifyEntry(dn, attributes, names) === 'user') {
    const uid = uidOf(dn, attributes, names);
    const owner = taken.get(uid);
    if (owner !== undefined) {
      if (normalDn(owner) === normalDn(dn)) return { outcome: 'unchanged' };
      return failed(`the uid is taken by ${owner}`);
    }
    const { user, problems } = userFromAttributes(dn, attributes, NO_REGION, names);
    const broken = [...problems, ...validateUser(user)];
    if (broken.length > 0) return failed(broken.join('; '));
    taken.set(uid, dn);
  }
  try {
    await tree.addWithParents(dn, attributes);
    return { outcome: 'added' };
  } catch (error) {
    if (isResult(error, RESULT.entryAlreadyExists)) return { outcome: 'unchanged' };
    throw error;
  }
}

async function modifyEntry(
  { names, tree }: LdapContext,
  dn: string,
  modifications: readonly Modification[],
): Promise<Applied> {
  const [found] = await tree.search(dn, 'base', '(objectClass=*)', ['*']);
  if (found === undefined) return failed('no such entry');
  if (classifyEntry(dn, found.attributes, names) === 'user') {
    const modified = applyModifications(found.attributes, modifications);
    // The server compares values by its own rules and has the last word on those; the record's rules are ours.
    if (modified.outcome === 'modified') {
      const { user, problems } = userFromAttributes(dn, modified.attributes, NO_REGION, names);
      const broken = [...problems, ...validateUser(user)];
      if (broken.length > 0) return failed(broken.join('; '));
    }
  }
  const changes = [];
  for (const { operation, attribute, values } of modifications) {
    if (operation === 'increment') return failed('increment is not supported on an LDAP directory');
    changes.push(toChange(operation, attribute, values));
  }
  await tree.modify(found.dn, changes);
  return { outcome: 'changed' };
}

function failed(reason: string): Applied {
  return { outcome: 'failed', reason };
}
