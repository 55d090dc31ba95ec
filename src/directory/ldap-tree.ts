/** Reading and writing entries of an LDAP tree, and what its refusals mean to us. */
import { Attribute, Change, EqualityFilter, ResultCodeError } from 'ldapts';
import type { Entry as LdapEntry, Filter } from 'ldapts';
import { VserverError } from '../base/errors.ts';
import { regionToAttributes } from './attributes.ts';
import type { AttributeNames } from './attribute-names.ts';
import type { Attributes } from './directory.ts';
import { parentDn, parseDn, relativeTo } from './dn.ts';
import type { LdapPool } from './ldap-pool.ts';
import { unavailable } from './ldap-pool.ts';

/** RFC 4511 appendix A. */
export const RESULT = {
  sizeLimitExceeded: 4,
  referral: 10,
  noSuchAttribute: 16,
  undefinedAttributeType: 17,
  attributeOrValueExists: 20,
  noSuchObject: 32,
  entryAlreadyExists: 68,
} as const;
const READ_ONLY_CODES = [8, 50, 53];
const REFUSAL_CODES = [16, 18, 19, 20, 21, 34, 64, 66, 67, 69, 71];
/** undefinedAttributeType and objectClassViolation: the server has no schema for it. */
const NO_PLACE_CODES = [17, 65];

export interface Found {
  readonly dn: string;
  readonly attributes: Attributes;
}

export type Values = readonly (string | Buffer)[];

export interface LdapTree {
  /**
   * [] where the base does not exist. Rejects with OVERLOADED where the server would not give all of it, and with
   * DIRECTORY_UNAVAILABLE where it may not be read.
   */
  search(base: string, scope: 'base' | 'one' | 'sub', filter: Filter | string, wanted: string[]): Promise<Found[]>;
  add(dn: string, attributes: Attributes): Promise<void>;
  modify(dn: string, changes: Change[]): Promise<void>;
  /** Adds the entry, and the entries above it where they are missing. */
  addWithParents(dn: string, attributes: Attributes): Promise<void>;
}

/** Writes reject with ldapts' ResultCodeError; `asFailure` makes a VserverError of it. */
export function ldapTree(pool: LdapPool, base: string, names: AttributeNames): LdapTree {
  const add = (dn: string, attributes: Attributes): Promise<void> =>
    pool.use((client) =>
      client.add(
        dn,
        [...attributes].map(([type, values]) => toAttribute(type, values)),
      ),
    );

  const addWithParents = async (dn: string, attributes: Attributes): Promise<void> => {
    try {
      await add(dn, attributes);
    } catch (error) {
      const parent = parentDn(dn);
      if (!isResult(error, RESULT.noSuchObject) || relativeTo(parent, base) === null) throw error;
      await addWithParents(parent, containerAttributes(parent, names)).catch((failure: unknown) => {
        if (!isResult(failure, RESULT.entryAlreadyExists)) throw failure;
      });
      await add(dn, attributes);
    }
  };

  return {
    add,
    addWithParents,
    async search(from, scope, filter, attributes) {
      try {
        // With a size limit of its own ldapts would not tell that entries are missing; the deadline bounds the answer.
        const { searchEntries } = await pool.use((client) =>
          client.search(from, { scope, filter: typeof filter === 'string' ? filter : unlogged(filter), attributes }),
        );
        return searchEntries.map(toFound);
      } catch (error) {
        if (isResult(error, RESULT.noSuchObject)) return [];
        throw asReadFailure(error);
      }
    },
    modify: (dn, changes) => pool.use((client) => client.modify(dn, unlogged(changes))),
  };
}

/** ldapts makes JSON of each request for its debug log, which nobody reads and which must not hold secrets. */
function unlogged<T extends object>(part: T): T {
  return Object.assign(part, { toJSON: () => undefined });
}

export function toFound(entry: LdapEntry): Found {
  const attributes = new Map<string, Values>();
  for (const name in entry) {
    if (name === 'dn') continue;
    const value = entry[name] ?? [];
    const values = Array.isArray(value) ? value.map(asText) : [asText(value)];
    const options = name.indexOf(';');
    const key = (options < 0 ? name : name.slice(0, options)).toLowerCase();
    const known = attributes.get(key);
    if (values.length > 0) attributes.set(key, known === undefined ? values : [...known, ...values]);
  }
  return { dn: entry.dn, attributes };
}

/** ldapts gives all values as bytes where one of them is no UTF-8. */
function asText(value: string | Buffer): string | Buffer {
  if (typeof value === 'string') return value;
  try {
    return UTF8.decode(value);
  } catch {
    return value;
  }
}
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function toAttribute(type: string, values: Values): Attribute {
  const texts = values.filter((value) => typeof value === 'string');
  return new Attribute({
    type,
    values: texts.length === values.length ? texts : values.map((value) => Buffer.from(value as string)),
  });
}

export function toChange(operation: 'add' | 'delete' | 'replace', type: string, values: Values): Change {
  return new Change({ operation, modification: toAttribute(type, values) });
}

export function equals(attribute: string, value: string): EqualityFilter {
  return new EqualityFilter({ attribute, value });
}

export function isResult(error: unknown, code: number): boolean {
  return error instanceof ResultCodeError && error.code === code;
}

const REFERRED = 'this LDAP server is a replica, which refers writes to its provider';

/** What an error of the server or of the connection is to the callers of the directory. */
export function asFailure(error: unknown): unknown {
  if (error instanceof VserverError) return error;
  if (!(error instanceof ResultCodeError)) return unavailable(error);
  if (error.code === RESULT.referral) return new VserverError('READ_ONLY', REFERRED, { cause: error });
  if (READ_ONLY_CODES.includes(error.code)) return new VserverError('READ_ONLY', undefined, { cause: error });
  // OpenLDAP's word for an object class that it does not know is invalidAttributeSyntax.
  if (NO_PLACE_CODES.includes(error.code) || (error.code === 21 && error.message.startsWith('objectClass:'))) {
    return new VserverError('READ_ONLY', 'the schema of the LDAP server has no place for it', { cause: error });
  }
  if (REFUSAL_CODES.includes(error.code)) {
    return new VserverError('INVALID_RECORD', `the LDAP server refuses the record: ${error.message}`, { cause: error });
  }
  return unavailable(error);
}

/** The same for a read: a server that refuses it is of no more use than one that is down. */
export function asReadFailure(error: unknown): unknown {
  if (isResult(error, RESULT.sizeLimitExceeded)) {
    const detail = 'the LDAP server cuts the answer at its size limit: search for more letters, or raise the limit';
    return new VserverError('OVERLOADED', detail, { cause: error });
  }
  if (error instanceof VserverError) return error;
  return unavailable(error);
}

/** An entry that only holds others, for a DN that is missing one. */
export function containerAttributes(dn: string, names: AttributeNames): Attributes {
  const part = parseDn(dn)?.[0]?.[0];
  if (part?.type === 'ou') return regionToAttributes({ name: part.value, countryCode: '' }, names);
  const classes: Record<string, string> = { dc: 'domain', o: 'organization' };
  return new Map([
    ['objectclass', [classes[part?.type ?? ''] ?? 'organizationalUnit']],
    [part?.type ?? 'ou', [part?.value ?? '']],
  ]);
}
