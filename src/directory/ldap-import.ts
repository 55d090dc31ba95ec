/** Applying LDIF records to an LDAP tree: many at once, in order where the order matters. */
import { ResultCodeError } from 'ldapts';
import { VserverError } from '../base/errors.ts';
import { NO_REGION, uidOf, userFromAttributes, variableFromAttributes } from './attributes.ts';
import type { AttributeNames } from './attribute-names.ts';
import type { Applied, Attributes, LdifRecord, Modification } from './directory.ts';
import { normalDn, parentDn, relativeTo } from './dn.ts';
import { classifyEntry } from './entry-kinds.ts';
import type { LdapContext } from './ldap-context.ts';
import type { Change } from './ldap-messages.ts';
import { isResult, RESULT, toChange } from './ldap-tree.ts';
import { applyModifications } from './modifications.ts';
import { validateUser, validateVariable } from './validate.ts';

const IN_FLIGHT_MAX = 32;

/** See Directory.apply. */
export async function ldapImport(
  context: LdapContext,
  records: readonly LdifRecord[],
  stopAtFailure: boolean,
): Promise<readonly Applied[]> {
  const taken = await takenUids(context, records);
  const answers = await (stopAtFailure ? oneByOne : manyAtOnce)(context, records, taken);
  context.users.forgetRegions();
  return answers;
}

/** Only the server knows whether it refuses a record: what stands behind it must wait for that. */
async function oneByOne(
  context: LdapContext,
  records: readonly LdifRecord[],
  taken: Map<string, string>,
): Promise<readonly Applied[]> {
  const answers: Applied[] = [];
  for (const record of records) {
    const answer = await applyOne(context, record, taken);
    answers.push(answer);
    if (answer.outcome === 'failed') break;
  }
  return answers;
}

/** Records of one entry keep their order, a parent comes before what is below it; removing waits for all before. */
async function manyAtOnce(
  context: LdapContext,
  records: readonly LdifRecord[],
  taken: Map<string, string>,
): Promise<readonly Applied[]> {
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
        await context.tree.remove(dn);
        taken.clear();
        return { outcome: 'removed' };
      case 'modrdn': {
        if (!change.deleteOldRdn)
          return failed('an LDAP directory renames with deleteoldrdn: 1 only; keep the old name by a modify after it');
        await context.tree.rename(dn, change.newRdn, change.newSuperior);
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
  const uid = classifyEntry(dn, attributes, names) === 'user' ? uidOf(dn, attributes, names) : null;
  const owner = uid === null ? undefined : taken.get(uid);
  if (owner !== undefined) {
    if (normalDn(owner) === normalDn(dn)) return { outcome: 'unchanged' };
    return failed(`the uid is taken by ${owner}`);
  }
  const broken = brokenRules(dn, attributes, names);
  if (broken.length > 0) return failed(broken.join('; '));
  if (uid !== null) taken.set(uid, dn);
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
  const modified = applyModifications(found.attributes, modifications);
  // The server compares values by its own rules and has the last word on those; the record's rules are ours.
  const broken = modified.outcome === 'modified' ? brokenRules(dn, modified.attributes, names) : [];
  if (broken.length > 0) return failed(broken.join('; '));
  const changes = changesOf(found.attributes, modifications);
  if (typeof changes === 'string') return failed(changes);
  await tree.modify(found.dn, changes);
  return { outcome: 'changed' };
}

/** The rules of DIRECTORY.md that an entry would break, in plain words. */
function brokenRules(dn: string, attributes: Attributes, names: AttributeNames): readonly string[] {
  const kind = classifyEntry(dn, attributes, names);
  if (kind === 'user') {
    const { user, problems } = userFromAttributes(dn, attributes, NO_REGION, names);
    return [...problems, ...validateUser(user)];
  }
  if (kind !== 'variable') return [];
  const variable = variableFromAttributes(attributes, names);
  return variable === null ? ['a variable needs its cn'] : validateVariable(variable.name, variable.value);
}

/**
 * The same for the server; why not, where that can't be done. ldapts knows no increment (RFC 4525), so it is made of
 * the values as they were read: it fails where somebody else changed them meanwhile.
 */
function changesOf(present: Attributes, modifications: readonly Modification[]): Change[] | string {
  const changes: Change[] = [];
  let attributes = present;
  for (const modification of modifications) {
    const { operation, attribute, values } = modification;
    const modified = applyModifications(attributes, [modification]);
    if (operation === 'increment') {
      if (modified.outcome !== 'modified') return `${attribute} can not be incremented: ${modified.outcome}`;
      const [before, after] = [attributes, modified.attributes].map((all) => all.get(attribute.toLowerCase()) ?? []);
      changes.push(toChange('delete', attribute, before ?? []), toChange('add', attribute, after ?? []));
    } else changes.push(toChange(operation, attribute, values));
    if (modified.outcome === 'modified') attributes = modified.attributes;
  }
  return changes;
}

function failed(reason: string): Applied {
  return { outcome: 'failed', reason };
}
