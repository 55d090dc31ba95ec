/** LDAP's modify (RFC 4511 section 4.6) on the attributes of an entry, for backends that are no LDAP server. */
import type { Attributes, Modification } from './directory.ts';

export type Modified =
  | { readonly outcome: 'modified'; readonly attributes: Attributes }
  | {
      readonly outcome: 'noSuchAttribute' | 'attributeOrValueExists' | 'constraintViolation';
      /** The attribute that the failing modification names. */
      readonly attribute: string;
    };

/** All modifications in order, or none of them: the first one that fails is the answer. */
export function applyModifications(attributes: Attributes, modifications: readonly Modification[]): Modified {
  const result = new Map(attributes);
  for (const { operation, attribute, values } of modifications) {
    const name = attribute.toLowerCase();
    const changed = modify(name, result.get(name) ?? [], operation, values);
    if (typeof changed === 'string') return { outcome: changed, attribute };
    if (changed.length === 0) result.delete(name);
    else result.set(name, changed);
  }
  return { outcome: 'modified', attributes: result };
}

type Values = readonly (string | Buffer)[];

function modify(
  name: string,
  present: Values,
  operation: Modification['operation'],
  values: Values,
): Values | Exclude<Modified['outcome'], 'modified'> {
  const key = (value: string | Buffer): string => keyOf(name, value);
  const have = new Set(present.map(key));
  const given = new Set(values.map(key));
  switch (operation) {
    case 'replace':
      return given.size < values.length ? 'attributeOrValueExists' : values;
    case 'add':
      if (given.size < values.length || values.some((value) => have.has(key(value)))) return 'attributeOrValueExists';
      return [...present, ...values];
    case 'delete':
      if (present.length === 0 || [...given].some((value) => !have.has(value))) return 'noSuchAttribute';
      return values.length === 0 ? [] : present.filter((value) => !given.has(key(value)));
    case 'increment':
      return increment(present, values);
  }
}

/** RFC 4525. */
function increment(present: Values, [by]: Values): Values | 'noSuchAttribute' | 'constraintViolation' {
  if (present.length === 0) return 'noSuchAttribute';
  const numbers = [...present, by].map((value) => (value === undefined ? Number.NaN : Number(String(value))));
  if (!numbers.every(Number.isSafeInteger)) return 'constraintViolation';
  const step = numbers.at(-1) ?? 0;
  return numbers.slice(0, -1).map((number) => String(number + step));
}

/** Values are compared byte by byte; only names of object classes and mail addresses without regard to case. */
function keyOf(name: string, value: string | Buffer): string {
  if (typeof value !== 'string') return `bytes:${value.toString('base64')}`;
  return `text:${name === 'objectclass' || name === 'mail' ? value.toLowerCase() : value}`;
}
