/**
 * The messages of LDAP that there are many of, written and read without detours; all others are those of ldapts
 * (decision 0018).
 */
import * as ber from './ldap-ber.ts';
import { TAG } from './ldap-ber.ts';
import type { Attributes } from './directory.ts';

export interface Found {
  readonly dn: string;
  readonly attributes: Attributes;
}

export type Values = readonly (string | Buffer)[];

export interface Change {
  readonly operation: 'add' | 'delete' | 'replace';
  readonly type: string;
  readonly values: Values;
}

/** RFC 4511 section 4. */
export const OP = {
  modify: 0x66,
  add: 0x68,
  searchEntry: 0x64,
  searchReference: 0x73,
} as const;
const OPERATIONS = { add: 0, delete: 1, replace: 2 } as const;

/** RFC 4511 section 4.6. */
export function modifyRequest(id: number, dn: string, changes: readonly Change[]): Buffer {
  return request(id, OP.modify, () => {
    ber.wrap(TAG.sequence, () => {
      for (let i = changes.length - 1; i >= 0; i--) {
        const change = changes[i];
        if (change !== undefined) ber.wrap(TAG.sequence, () => writeChange(change));
      }
    });
    ber.text(dn);
  });
}

/** RFC 4511 section 4.7. */
export function addRequest(id: number, dn: string, attributes: Attributes): Buffer {
  const backwards = [...attributes].reverse();
  return request(id, OP.add, () => {
    ber.wrap(TAG.sequence, () => {
      for (const [type, values] of backwards) writeAttribute(type, values);
    });
    ber.text(dn);
  });
}

function request(id: number, op: number, content: () => void): Buffer {
  return ber.encoded(() => {
    ber.wrap(TAG.sequence, () => {
      ber.wrap(op, content);
      ber.integer(id);
    });
  });
}

function writeChange({ operation, type, values }: Change): void {
  writeAttribute(type, values);
  ber.integer(OPERATIONS[operation], TAG.enumerated);
}

function writeAttribute(type: string, values: Values): void {
  ber.wrap(TAG.sequence, () => {
    ber.wrap(TAG.set, () => {
      for (let i = values.length - 1; i >= 0; i--) {
        const value = values[i] ?? '';
        if (typeof value === 'string') ber.text(value);
        else ber.octets(value);
      }
    });
    ber.text(type);
  });
}

/**
 * The content of a SearchResultEntry (RFC 4511 section 4.5.2), from `cursor` to `end`. Names without their options and
 * in lower case; attributes without a value are left out; values that are no UTF-8 are bytes.
 * @throws where it is none.
 */
export function readEntry(cursor: ber.Cursor, end: number): Found {
  const dnEnd = ber.enter(cursor, TAG.octets, end);
  const dn = cursor.bytes.toString('utf8', cursor.at, dnEnd);
  cursor.at = dnEnd;
  const attributes = new Map<string, Values>();
  const listEnd = ber.enter(cursor, TAG.sequence, end);
  while (cursor.at < listEnd) {
    const attributeEnd = ber.enter(cursor, TAG.sequence, listEnd);
    const nameEnd = ber.enter(cursor, TAG.octets, attributeEnd);
    const key = keyOf(cursor.bytes, cursor.at, nameEnd);
    cursor.at = nameEnd;
    const values: (string | Buffer)[] = [];
    const valuesEnd = ber.enter(cursor, TAG.set, attributeEnd);
    while (cursor.at < valuesEnd) {
      const valueEnd = ber.enter(cursor, TAG.octets, valuesEnd);
      values.push(valueOf(cursor.bytes, cursor.at, valueEnd));
      cursor.at = valueEnd;
    }
    const known = attributes.get(key);
    if (values.length > 0) attributes.set(key, known === undefined ? values : [...known, ...values]);
    cursor.at = attributeEnd;
  }
  return { dn, attributes };
}

function valueOf(bytes: Buffer, from: number, to: number): string | Buffer {
  for (let i = from; i < to; i++) {
    if ((bytes[i] ?? 0) > 127) return notAscii(bytes.subarray(from, to));
  }
  return bytes.toString('latin1', from, to);
}

function notAscii(value: Buffer): string | Buffer {
  try {
    return UTF8.decode(value);
  } catch {
    return Buffer.from(value);
  }
}
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** `telephoneNumber;lang-de` is `telephonenumber`. A directory has few names, so each is made once. */
function keyOf(bytes: Buffer, from: number, to: number): string {
  let hash = 0;
  for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + (bytes[i] ?? 0)) | 0;
  const slot = hash & (NAMES_MAX - 1);
  const known = names[slot];
  if (known !== undefined && isSame(known.bytes, bytes, from, to)) return known.key;
  const [name = ''] = bytes.toString('utf8', from, to).split(';', 1);
  const key = name.toLowerCase();
  names[slot] = { bytes: Buffer.from(bytes.subarray(from, to)), key };
  return key;
}
const NAMES_MAX = 1_024;
const names: ({ readonly bytes: Buffer; readonly key: string } | undefined)[] = [];

function isSame(name: Buffer, bytes: Buffer, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) return false;
  return true;
}
