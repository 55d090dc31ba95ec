/** Reading and writing entries of an LDAP tree, and what its refusals mean to us. */
import { DeleteRequest, EqualityFilter, FilterParser, ModifyDNRequest, PagedResultsControl } from 'ldapts';
import { ResultCodeError, SearchRequest } from 'ldapts';
import type { Filter } from 'ldapts';
import { VserverError } from '../base/errors.ts';
import { regionToAttributes } from './attributes.ts';
import type { AttributeNames } from './attribute-names.ts';
import type { Attributes } from './directory.ts';
import { parentDn, parseDn, relativeTo } from './dn.ts';
import type { Answer, LdapConnection, Request } from './ldap-connection.ts';
import { addRequest, modifyRequest } from './ldap-messages.ts';
import type { Change, Found, Values } from './ldap-messages.ts';
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

export interface LdapTree {
  /**
   * [] where the base does not exist. Rejects with OVERLOADED where the server would not give all of it, and with
   * DIRECTORY_UNAVAILABLE where it may not be read.
   */
  search(
    base: string,
    scope: 'base' | 'one' | 'sub',
    filter: Filter | string,
    wanted: string[],
  ): Promise<readonly Found[]>;
  add(dn: string, attributes: Attributes): Promise<void>;
  modify(dn: string, changes: readonly Change[]): Promise<void>;
  remove(dn: string): Promise<void>;
  /** `newParent`: null where it stays. The old name goes. */
  rename(dn: string, newRdn: string, newParent: string | null): Promise<void>;
  /** Adds the entry, and the entries above it where they are missing. */
  addWithParents(dn: string, attributes: Attributes): Promise<void>;
}

/** Writes reject with ldapts' ResultCodeError; `asFailure` makes a VserverError of it. */
export function ldapTree(pool: LdapPool, base: string, names: AttributeNames): LdapTree {
  const send = (request: Request): Promise<Answer> => pool.use((connection) => connection.send(request));
  const write = async (request: Request): Promise<void> => {
    await send(request);
  };
  const add = (dn: string, attributes: Attributes): Promise<void> => write((id) => addRequest(id, dn, attributes));

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
        // The deadline bounds the answer.
        const parsed = typeof filter === 'string' ? FilterParser.parseString(filter) : filter;
        const { entries } = await send((messageId) =>
          new SearchRequest({ messageId, baseDN: from, scope, filter: parsed, attributes }).write(),
        );
        return entries;
      } catch (error) {
        if (isResult(error, RESULT.noSuchObject)) return [];
        throw asReadFailure(error);
      }
    },
    modify: (dn, changes) => write((id) => modifyRequest(id, dn, changes)),
    remove: (dn) => write((messageId) => new DeleteRequest({ messageId, dn }).write()),
    rename: (dn, newRdn, newParent) =>
      write((messageId) =>
        new ModifyDNRequest({ messageId, dn, newRdn, ...(newParent !== null && { newSuperior: newParent }) }).write(),
      ),
  };
}

/** All that is below `base`, page by page (RFC 2696); over one connection, since that is what the server knows them by. */
export async function* pages(
  connection: LdapConnection,
  base: string,
  filter: Filter | string,
  pageSize: number,
  attributes: string[] = [],
): AsyncGenerator<readonly Found[]> {
  const parsed = typeof filter === 'string' ? FilterParser.parseString(filter) : filter;
  let cookie: Buffer | undefined;
  do {
    const control = new PagedResultsControl({ value: { size: pageSize, ...(cookie && { cookie }) } });
    const { entries, controls } = await connection.send((messageId) =>
      new SearchRequest({ messageId, baseDN: base, filter: parsed, attributes, controls: [control] }).write(),
    );
    yield entries;
    cookie = controls.find((answered) => answered instanceof PagedResultsControl)?.value?.cookie;
  } while (cookie !== undefined && cookie.length > 0);
}

export function toChange(operation: Change['operation'], type: string, values: Values): Change {
  return { operation, type, values };
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
