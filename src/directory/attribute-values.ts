/** Reading and writing single values of LDAP attributes; what can't be read is the default and is named. */
import { formatAddress, parseAddress } from '../base/address.ts';
import type { Address } from '../base/model.ts';
import { lowerCase } from './attribute-names.ts';
import type { AttributeName, AttributeNames } from './attribute-names.ts';
import type { Attributes } from './directory.ts';

/** Reads one entry field by field. Messages in `problems` name the attribute, never the value: it may be a secret. */
export interface Reader {
  readonly problems: string[];
  texts(field: AttributeName): readonly string[];
  /** The first value; '' where there is none. */
  text(field: AttributeName): string;
  integer<D extends number | null>(field: AttributeName, min: number, max: number, fallback: D): number | D;
  flag(field: AttributeName, fallback: boolean): boolean;
  choice<C extends string, D extends C | null>(field: AttributeName, choices: readonly C[], fallback: D): C | D;
  /** Epoch milliseconds. */
  time(field: AttributeName): number | null;
  address(field: AttributeName): Address | null;
}

export function readerOf(attributes: Attributes, names: AttributeNames): Reader {
  const problems: string[] = [];
  const lower = lowerCase(names);

  const texts = (field: AttributeName): readonly string[] => {
    const values = attributes.get(lower[field]);
    if (values === undefined) return NONE;
    if (values.every(isText)) return values;
    problems.push(`${names[field]} is no UTF-8 text`);
    return values.filter(isText);
  };
  const text = (field: AttributeName): string => texts(field)[0] ?? '';

  /** The value parsed, or the default where there is none; one that can't be parsed is a problem, which tells what can. */
  const parsed = <V, D>(
    field: AttributeName,
    parse: (value: string) => V | undefined,
    fallback: D,
    expected: string | readonly string[],
  ): V | D => {
    const value = text(field);
    if (value === '') return fallback;
    const result = parse(value);
    if (result !== undefined) return result;
    const what = typeof expected === 'string' ? expected : `one of: ${expected.join(', ')}`;
    problems.push(`${names[field]} must be ${what}`);
    return fallback;
  };

  return {
    problems,
    texts,
    text,
    integer: (field, min, max, fallback) =>
      parsed(field, (value) => parseInteger(value, min, max), fallback, 'a number within its limits'),
    flag: (field, fallback) => parsed(field, (value) => FLAGS[value.toUpperCase()], fallback, 'TRUE or FALSE'),
    choice: (field, choices, fallback) =>
      parsed(field, (value) => choices.find((choice) => choice === value.toLowerCase()), fallback, choices),
    time: (field) => parsed(field, parseTime, null, 'a generalized time like 20261121034200Z'),
    address: (field) => parsed(field, (value) => parseAddress(value) ?? undefined, null, 'ip:port'),
  };
}
const NONE: readonly string[] = [];

function isText(value: string | Buffer): value is string {
  return typeof value === 'string';
}

const FLAGS: Readonly<Record<string, boolean | undefined>> = { __proto__: null as never, TRUE: true, FALSE: false };

/** Collects the attributes of an entry, with names in lower case; nothing is written for '', null and []. */
export interface Writer {
  readonly attributes: Map<string, string[]>;
  readonly put: (field: AttributeName, value: string | readonly string[] | null) => void;
  /** Only where it differs from the default. */
  readonly integer: (field: AttributeName, value: number | null, fallback: number | null) => void;
  readonly flag: (field: AttributeName, value: boolean, fallback: boolean) => void;
  readonly choice: (field: AttributeName, value: string, fallback: string) => void;
  readonly time: (field: AttributeName, value: number | null) => void;
  readonly address: (field: AttributeName, value: Address | null) => void;
}

export function writerOf(names: AttributeNames): Writer {
  const attributes = new Map<string, string[]>();
  const lower = lowerCase(names);
  const put = (field: AttributeName, value: string | readonly string[] | null): void => {
    if (value === null || value.length === 0) return;
    attributes.set(lower[field], typeof value === 'string' ? [value] : [...value]);
  };
  return {
    attributes,
    put,
    integer: (field, value, fallback) => put(field, value === fallback || value === null ? null : String(value)),
    flag: (field, value, fallback) => put(field, value === fallback ? null : value ? 'TRUE' : 'FALSE'),
    choice: (field, value, fallback) => put(field, value === fallback ? null : value),
    time: (field, value) => put(field, value === null ? null : formatTime(value)),
    address: (field, value) => put(field, value === null ? null : formatAddress(value)),
  };
}

function parseInteger(text: string, min: number, max: number): number | undefined {
  if (!/^-?\d{1,15}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

/** Generalized time (RFC 4517 section 3.3.13) of epoch milliseconds, in UTC: `20261121034200.123Z`. */
export function formatTime(atMs: number): string {
  const day = Math.floor(atMs / DAY_MS);
  if (day !== lastDay.day) lastDay = { day, text: new Date(atMs).toISOString().slice(0, 10).replaceAll('-', '') };
  const ms = atMs - day * DAY_MS;
  const seconds = Math.floor(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  const time = `${lastDay.text}${digits(Math.floor(minutes / 60), 2)}${digits(minutes % 60, 2)}${digits(seconds % 60, 2)}`;
  return ms % 1_000 === 0 ? `${time}Z` : `${time}.${digits(ms % 1_000, 3)}Z`;
}
const DAY_MS = 86_400_000;
/** Most times that are written are of one day. */
let lastDay = { day: NaN, text: '' };

function digits(number: number, count: number): string {
  return String(number).padStart(count, '0');
}

/** Epoch milliseconds of a generalized time; undefined where it is none. */
export function parseTime(text: string): number | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute = '00', second = '00', fraction = '', zone = 'Z'] = match;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'));
  const atMs = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second), ms);
  // Date.UTC moves the 30th of February into March, and the year 50 to 1950.
  const date = new Date(atMs);
  const isSound = date.getUTCDate() === Number(day) && date.getUTCFullYear() === Number(year);
  const offset = offsetMinutes(zone);
  return isSound && offset !== undefined ? atMs - offset * 60_000 : undefined;
}
const TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(?:(\d{2})(\d{2})?)?(?:[.,](\d{1,9}))?(Z|[+-]\d{2}(?:\d{2})?)$/;

/** East of Greenwich, of `Z`, `+01` or `-0330`. */
function offsetMinutes(zone: string): number | undefined {
  if (zone === 'Z') return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(3))];
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (60 * hours + minutes);
}
