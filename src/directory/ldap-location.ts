/** The location record of a user's entry, written as a compare-and-set on its epoch. */
import { isUid } from '../base/model.ts';
import type { Location } from '../base/model.ts';
import { LOCATION_FIELDS, lowerCase } from './attribute-names.ts';
import type { AttributeNames } from './attribute-names.ts';
import * as mapping from './attributes.ts';
import type { LdapContext } from './ldap-context.ts';
import type { Change, Found } from './ldap-messages.ts';
import { isResult, RESULT, toChange } from './ldap-tree.ts';

/**
 * DIRECTORY.md section 3: one modify that deletes the old epoch and adds the new one. `known`: the entry as it was a
 * moment ago; what the server refuses on its account is judged again by the entry as it is.
 */
export async function writeLocation(
  context: LdapContext,
  uid: string,
  location: Location,
  expectedEpoch: number,
  known: Found | null = null,
  triesLeft = 2,
): Promise<'written' | 'lost' | 'unknown'> {
  const { names, tree, users } = context;
  if (!isUid(uid)) return 'unknown';
  const epochOf = ({ attributes }: Found): number => mapping.epochFromAttributes(attributes, names);
  const isKnown = known !== null && epochOf(known) === expectedEpoch;
  const found = isKnown ? known : await users.locate(uid, ['objectClass', names.locationEpoch]);
  if (found === null) return 'unknown';
  if (epochOf(found) !== expectedEpoch) return 'lost';
  try {
    await tree.modify(found.dn, locationChanges(found, location, names));
    return 'written';
  } catch (error) {
    const gone = isResult(error, RESULT.noSuchObject);
    const lost = isResult(error, RESULT.noSuchAttribute);
    if (gone && !isKnown) return 'unknown';
    if (lost && !isKnown) return 'lost';
    // 20: the epoch is there already, or only the object class is; 19: a second value of the epoch. Reading tells.
    const raced = isResult(error, RESULT.attributeOrValueExists) || isResult(error, 19);
    if ((raced || gone || lost) && triesLeft > 0) {
      return writeLocation(context, uid, location, expectedEpoch, null, triesLeft - 1);
    }
    throw error;
  }
}

function locationChanges({ attributes }: Found, location: Location, names: AttributeNames): Change[] {
  const values = mapping.locationToAttributes(location, names);
  const lower = lowerCase(names);
  const epoch = lower.locationEpoch;
  const old = attributes.get(epoch) ?? [];
  const added = values.get(epoch) ?? [];
  const others = LOCATION_FIELDS.map((field) => lower[field]).filter((name) => name !== epoch);
  return [
    ...missingClass(attributes),
    ...(old.length === 0 ? [] : [toChange('delete', epoch, old)]),
    ...(added.length === 0 ? [] : [toChange('add', epoch, added)]),
    ...others.map((name) => toChange('replace', name, values.get(name) ?? [])),
  ];
}

/** What makes a plain entry one that can hold our attributes. */
export function missingClass(attributes: ReadonlyMap<string, readonly (string | Buffer)[]>): Change[] {
  const classes = attributes.get('objectclass') ?? [];
  const present = classes.some((value) => String(value).toLowerCase() === 'vserveruser');
  return present ? [] : [toChange('add', 'objectClass', ['vserverUser'])];
}
