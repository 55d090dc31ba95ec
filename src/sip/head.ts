/** The header part of a SIP message: one pass finds the lines, values become strings where they are asked for. */
import { headerNumber, isList, LAST_SINGLE } from './header-names.ts';
import { decodeUtf8, isClass, itemEnd, skip, SPACE, TOKEN, trimEnd, unfold } from './syntax.ts';

export const HEADERS_MAX = 256;

/** Header lines of a message. Names are given in their long form, in any case. */
export class SipHead {
  /** The whole message, a character a byte. */
  readonly text: string;
  /** Four entries a header: number (0 = unknown), start of the name, start and end of the value. */
  readonly fields: readonly number[];

  constructor(text: string, fields: readonly number[]) {
    this.text = text;
    this.fields = fields;
  }

  /** The first value of the header as it stands (a list is not split), on one line; undefined where there is none. */
  header(name: string): string | undefined {
    const number = headerNumber(name);
    for (let i = 0; i < this.fields.length; i += 4) {
      if (isHeader(this, i, number, name)) return valueAt(this, i);
    }
    return undefined;
  }

  /** All values of the header in their order, lists split at their commas where the header is known as one. */
  headers(name: string): string[] {
    const number = headerNumber(name);
    const values: string[] = [];
    for (let i = 0; i < this.fields.length; i += 4) {
      if (!isHeader(this, i, number, name)) continue;
      if (isList(number)) splitList(valueAt(this, i), values);
      else values.push(valueAt(this, i));
    }
    return values;
  }

  /** The offset in `fields` of the first header with this number, -1 where there is none. */
  find(number: number): number {
    const { fields } = this;
    for (let i = 0; i < fields.length; i += 4) if (fields[i] === number) return i;
    return -1;
  }
}

/** Whether the header at this offset in `fields` is the one with this number or, where that is 0, this name. */
function isHeader(head: SipHead, field: number, number: number, name: string): boolean {
  if (number !== 0 || head.fields[field] !== 0) return number === head.fields[field];
  const at = head.fields[field + 1] ?? 0;
  const end = at + name.length;
  return !isClass(head.text, end, TOKEN) && head.text.slice(at, end).toLowerCase() === name.toLowerCase();
}

function valueAt(head: SipHead, field: number): string {
  return decodeUtf8(unfold(head.text.slice(head.fields[field + 2], head.fields[field + 3])));
}

function splitList(value: string, into: string[]): void {
  let at = 0;
  for (;;) {
    const end = itemEnd(value, at, value.length);
    const item = value.slice(skip(value, at, end, SPACE), end).trimEnd();
    if (item !== '') into.push(item);
    if (end >= value.length) return;
    at = end + 1;
  }
}

/** Cuts the header lines out of the text from `headAt` on. Goes on after a fault, so that the rest can be answered. */
export function scanHead(text: string, headAt: number): Scan {
  let length = 0;
  let fault: string | null = null;
  let seen = 0;
  let at = headAt;
  for (;;) {
    const lf = text.indexOf('\n', at);
    const line = logicalLineEnd(text, at, lf);
    if (line < 0) return { fields: found.slice(0, length), bodyAt: text.length, fault: fault ?? 'Headers Not Ended' };
    const clean = text.charCodeAt(line - 1) === 0x0d;
    const end = clean ? line - 1 : line;
    const simple = clean && lf === line && text.indexOf('\r', at) === end;
    if (!simple && !(clean && onlyFolds(text, at, end))) fault ??= 'Bad Line End';
    if (end === at) return { fields: found.slice(0, length), bodyAt: line + 1, fault };
    const nameEnd = skip(text, at, end, TOKEN);
    const colon = text.charCodeAt(nameEnd) === 0x3a ? nameEnd : skip(text, nameEnd, end, SPACE);
    if (nameEnd === at || colon >= end || text.charCodeAt(colon) !== 0x3a) fault ??= 'Bad Header Line';
    else {
      const number = headerNumber(text, at, nameEnd);
      if (number !== 0 && number <= LAST_SINGLE) {
        const bit = 1 << number;
        if ((seen & bit) !== 0) fault ??= `Repeated ${text.slice(at, nameEnd)}`;
        seen |= bit;
      }
      if (length === HEADERS_MAX * 4) {
        return { fields: found.slice(0, length), bodyAt: text.length, fault: fault ?? 'Too Many Headers' };
      }
      const start = skip(text, colon + 1, end, SPACE);
      found[length] = number;
      found[length + 1] = at;
      found[length + 2] = start;
      found[length + 3] = trimEnd(text, start, end);
      length += 4;
    }
    at = line + 1;
  }
}

/** Used for all messages: an array that grows would be copied several times a message. */
const found: number[] = Array<number>(HEADERS_MAX * 4).fill(0);

interface Scan {
  /** As in SipHead. */
  readonly fields: readonly number[];
  readonly bodyAt: number;
  /** What is wrong first; null where all lines are well formed. */
  readonly fault: string | null;
}

/**
 * The offset of the LF that ends the line at `at` with the lines folded into it; -1 where none does. `lf` is that of
 * the first LF from `at` on.
 */
function logicalLineEnd(text: string, at: number, lf: number): number {
  // An empty line ends the headers, whatever the body begins with.
  if (lf === at || (lf === at + 1 && text.charCodeAt(at) === 0x0d)) return lf;
  let end = lf;
  while (end >= 0) {
    const next = text.charCodeAt(end + 1);
    if (next !== 0x20 && next !== 0x09) return end;
    end = text.indexOf('\n', end + 1);
  }
  return -1;
}

/** Whether each CR of a folded line is followed by LF and each LF preceded by CR. */
function onlyFolds(text: string, at: number, end: number): boolean {
  let i = at;
  for (;;) {
    const cr = text.indexOf('\r', i);
    const lf = text.indexOf('\n', i);
    if ((cr < 0 || cr >= end) && (lf < 0 || lf >= end)) return true;
    if (lf !== cr + 1) return false;
    i = lf + 1;
  }
}
