/** One LDIF record from its unfolded lines (latin1 text, see ldif.ts). */
import { isUtf8 } from 'node:buffer';
import type { LdifChange, LdifRecord, Modification } from './directory.ts';

/** What is wrong with a record, and in which of its lines. */
export class Fault extends Error {
  readonly index: number;
  constructor(index: number, message: string) {
    super(message);
    this.index = index;
  }
}

type Value = string | Buffer;

/** `lines[start]` is the dn. @throws Fault */
export function parseRecord(lines: readonly string[], numbers: readonly number[], start: number): LdifRecord {
  if (nameAt(lines, start) !== 'dn') throw new Fault(start, 'a record begins with "dn:"');
  const dn = textAt(lines, start);
  let at = start + 1;
  for (; at < lines.length && nameAt(lines, at) === 'control'; at++) {
    if (/^[0-9.]+ +true\b/i.test(textAt(lines, at))) throw new Fault(at, 'a critical control is not supported');
  }
  return { line: numbers[start] ?? 0, dn, change: parseChange(lines, at) };
}

function parseChange(lines: readonly string[], at: number): LdifChange {
  if (at >= lines.length) throw new Fault(at - 1, 'the record has neither attributes nor a change');
  if (nameAt(lines, at) !== 'changetype') return parseAttributes(lines, at);
  const type = textAt(lines, at).trimEnd().toLowerCase();
  switch (type) {
    case 'add':
      if (at + 1 >= lines.length) throw new Fault(at, 'the record has no attributes');
      return parseAttributes(lines, at + 1);
    case 'delete':
      if (at + 1 < lines.length) throw new Fault(at + 1, 'nothing may follow "changetype: delete"');
      return { type: 'delete' };
    case 'modify':
      return { type: 'modify', modifications: parseModifications(lines, at + 1) };
    case 'modrdn':
    case 'moddn':
      return parseRename(lines, at + 1);
    default:
      throw new Fault(at, 'changetype must be add, delete, modify, modrdn or moddn');
  }
}

function parseAttributes(lines: readonly string[], start: number): LdifChange {
  const attributes = new Map<string, Value[]>();
  for (let at = start; at < lines.length; at++) {
    const name = nameAt(lines, at);
    if (name === 'dn' || name === 'changetype') throw new Fault(at, `"${name}:" in the middle of a record`);
    const value = valueAt(lines, at);
    const values = attributes.get(name);
    if (values === undefined) attributes.set(name, [value]);
    else values.push(value);
  }
  return { type: 'add', attributes };
}

function parseModifications(lines: readonly string[], start: number): Modification[] {
  const modifications: Modification[] = [];
  for (let at = start; at < lines.length; at++) {
    const operation = nameAt(lines, at);
    if (operation !== 'add' && operation !== 'delete' && operation !== 'replace' && operation !== 'increment') {
      throw new Fault(at, 'a modification begins with "add:", "delete:", "replace:" or "increment:"');
    }
    const attribute = baseName(textAt(lines, at).trimEnd(), at);
    const values: Value[] = [];
    const head = at;
    for (at++; at < lines.length && lines[at] !== '-'; at++) {
      if (nameAt(lines, at) !== attribute) throw new Fault(at, `only values of "${attribute}" belong here`);
      values.push(valueAt(lines, at));
    }
    if (values.length === 0 && operation === 'add') throw new Fault(head, `"add: ${attribute}" has no values`);
    if (operation === 'increment' && values.length !== 1) throw new Fault(head, 'an increment has exactly one value');
    modifications.push({ operation, attribute, values });
  }
  return modifications;
}

function parseRename(lines: readonly string[], start: number): LdifChange {
  const field = (offset: number, name: string): string => {
    const at = start + offset;
    if (at >= lines.length || nameAt(lines, at) !== name)
      throw new Fault(Math.min(at, lines.length - 1), `"${name}:" is missing`);
    return textAt(lines, at);
  };
  const newRdn = field(0, 'newrdn');
  if (newRdn === '') throw new Fault(start, '"newrdn:" is empty');
  const deleteOld = field(1, 'deleteoldrdn').trimEnd();
  if (deleteOld !== '0' && deleteOld !== '1') throw new Fault(start + 1, '"deleteoldrdn:" must be 0 or 1');
  const newSuperior = lines.length > start + 2 ? field(2, 'newsuperior') : null;
  if (lines.length > start + 3) throw new Fault(start + 3, 'nothing may follow "newsuperior:"');
  return { type: 'modrdn', newRdn, deleteOldRdn: deleteOld === '1', newSuperior };
}

function nameAt(lines: readonly string[], at: number): string {
  const line = lines[at] ?? '';
  const colon = line.indexOf(':');
  if (colon < 0) throw new Fault(at, 'a line has no ":"');
  return baseName(line.slice(0, colon), at);
}

/** Lower case and without options. A file has few names, so they are remembered. */
function baseName(text: string, at: number): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  const match = NAME.exec(text);
  if (match === null) throw new Fault(at, 'a name before ":" is no attribute description');
  const name = (match[1] ?? '').toLowerCase();
  if (names.size >= NAMES_MAX) names.clear();
  names.set(text, name);
  return name;
}
const NAME = /^([A-Za-z][A-Za-z0-9-]{0,127}|[0-9]+(?:\.[0-9]+){0,63})(?:;[A-Za-z0-9-]{1,64}){0,8}$/;
const NAMES_MAX = 1_000;
const names = new Map<string, string>();

function textAt(lines: readonly string[], at: number): string {
  const value = valueAt(lines, at);
  if (typeof value !== 'string') throw new Fault(at, 'a name is not UTF-8');
  return value;
}

function valueAt(lines: readonly string[], at: number): Value {
  const line = lines[at] ?? '';
  let from = line.indexOf(':') + 1;
  const kind = line.charCodeAt(from);
  if (kind === LESS) throw new Fault(at, 'values from a URL (":<") are refused');
  if (kind === COLON) from++;
  while (line.charCodeAt(from) === SPACE) from++;
  const text = line.slice(from);
  if (kind === COLON) return base64(text.trimEnd(), at);
  if (PRINTABLE.test(text)) return text;
  // What SAFE-CHAR of RFC 2849 leaves out.
  if (/[\0\r]/.test(text)) throw new Fault(at, 'a value holds a NUL or CR: not UTF-8, or not base64');
  const bytes = Buffer.from(text, 'latin1');
  if (!isUtf8(bytes)) throw new Fault(at, 'a value is not UTF-8; other bytes are written as base64');
  return bytes.toString('utf8');
}
const PRINTABLE = /^[ -~]*$/;
const SPACE = 32;
const COLON = 58;
const LESS = 60;

function base64(text: string, at: number): Value {
  const bytes = Buffer.from(text, 'base64');
  // Node skips what is no base64; what comes back the same was some.
  if (bytes.toString('base64') !== text) throw new Fault(at, 'broken base64');
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes;
}
