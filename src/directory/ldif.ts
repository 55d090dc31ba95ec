/**
 * LDIF (RFC 2849), content and change records: a parser that streams and goes on after a bad record, and a writer.
 *
 * Each chunk becomes one latin1 string, which the engine searches and cuts fast; only values with bytes outside ASCII
 * are decoded again. Attribute options (`;binary`, `;lang-de`) are dropped. `:<` values are refused: an import reads no
 * other files. Raw UTF-8 is accepted where the RFC asks for base64, other encodings are not.
 */
import { isUtf8 } from 'node:buffer';
import type { LdifRecord } from './directory.ts';
import { Fault, parseRecord } from './ldif-record.ts';

/** A record that can't be used: where, and why; the message holds no value. */
export interface LdifProblem {
  /** 1-based line of the file. */
  readonly line: number;
  readonly dn?: string;
  readonly message: string;
}

export function isProblem(item: LdifRecord | LdifProblem): item is LdifProblem {
  return 'message' in item;
}

/** Characters of a line after unfolding. */
export const LINE_BYTES_MAX = 1024 * 1024;
export const RECORD_BYTES_MAX = 4 * 1024 * 1024;
export const RECORD_LINES_MAX = 20_000;

/** The records of a file in order; in place of each bad one a problem, after which the next record is read. */
export async function* parseLdif(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<LdifRecord | LdifProblem, void> {
  const out: (LdifRecord | LdifProblem)[] = [];
  const records = recordReader((item) => out.push(item));
  const lines = lineReader(records);
  for await (const chunk of chunks) {
    // At most one slice's worth of text and of results is held, however large the chunks are.
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      lines.push(latin1(chunk.subarray(at, at + SLICE_BYTES)));
      yield* out;
      out.length = 0;
    }
  }
  lines.end();
  yield* out;
}
const SLICE_BYTES = 64 * 1024;

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

interface Lines {
  line(text: string): void;
  overlong(): void;
  end(): void;
}

/** Cuts text into physical lines; of an endless one nothing is kept. */
function lineReader(to: Lines): { push(text: string): void; end(): void } {
  let pending = '';
  let skipping = false;
  const complete = (tail: string): void => {
    if (skipping) {
      skipping = false;
      to.overlong();
      return;
    }
    const line = pending === '' ? tail : pending + tail;
    pending = '';
    to.line(line.endsWith('\r') ? line.slice(0, -1) : line);
  };
  return {
    push(text) {
      let from = 0;
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
        complete(text.slice(from, at));
        from = at + 1;
      }
      if (skipping) return;
      pending += text.slice(from);
      if (pending.length > LINE_BYTES_MAX) {
        pending = '';
        skipping = true;
      }
    },
    end() {
      if (pending !== '' || skipping) complete('');
      to.end();
    },
  };
}

/** Unfolds lines, drops comments, gathers records up to their empty line, and has them parsed. */
function recordReader(emit: (item: LdifRecord | LdifProblem) => void): Lines {
  let number = 0;
  let lines: string[] = [];
  let numbers: number[] = [];
  let bytes = 0;
  let inComment = false;
  let spoilt = false;
  let first = true;

  const clear = (): void => {
    lines = [];
    numbers = [];
    bytes = 0;
  };
  /** Names the fault, and leaves out what follows up to the next empty line. */
  const spoil = (message: string): void => {
    if (!spoilt) emit(problemOf(number, lines[0], message));
    spoilt = true;
    clear();
  };
  const finish = (): void => {
    if (lines.length > 0) {
      const start = first && /^version:/i.test(lines[0] ?? '') ? 1 : 0;
      first = false;
      if (start === 1 && !/^version: *1$/i.test(lines[0] ?? ''))
        emit(problemOf(numbers[0] ?? number, lines[1], 'only LDIF version 1 is known'));
      else if (lines.length > start) emitRecord(lines, numbers, start, emit);
      clear();
    }
    spoilt = false;
    inComment = false;
  };
  return {
    line(text) {
      number++;
      // A byte order mark, as some editors write it.
      const line = number === 1 && text.startsWith('\xef\xbb\xbf') ? text.slice(3) : text;
      if (line === '') finish();
      else if (!spoilt) take(line);
    },
    overlong() {
      number++;
      spoil(`a line is longer than ${LINE_BYTES_MAX} bytes`);
    },
    end: finish,
  };

  function take(line: string): void {
    const begin = line.charCodeAt(0);
    if (begin === SPACE) {
      if (inComment) return;
      const last = lines.length - 1;
      if (last < 0) {
        spoil('a folded line has no line before it');
        return;
      }
      const whole = (lines[last] ?? '') + line.slice(1);
      lines[last] = whole;
      if (whole.length > LINE_BYTES_MAX) spoil(`a line is longer than ${LINE_BYTES_MAX} bytes`);
    } else {
      inComment = begin === HASH;
      if (inComment) return;
      lines.push(line);
      numbers.push(number);
    }
    bytes += line.length;
    if (bytes > RECORD_BYTES_MAX) spoil(`a record is longer than ${RECORD_BYTES_MAX} bytes`);
    if (lines.length > RECORD_LINES_MAX) spoil(`a record has more than ${RECORD_LINES_MAX} lines`);
  }
}
const SPACE = 32;
const HASH = 35;

function emitRecord(
  lines: readonly string[],
  numbers: readonly number[],
  start: number,
  emit: (item: LdifRecord | LdifProblem) => void,
): void {
  try {
    emit(parseRecord(lines, numbers, start));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    emit(problemOf(numbers[error.index] ?? numbers[start] ?? 0, lines[start], error.message));
  }
}

function problemOf(line: number, dnLine: string | undefined, message: string): LdifProblem {
  const dn = /^dn: *([^ :<].{0,511})$/i.exec(dnLine ?? '')?.[1];
  if (dn === undefined) return { line, message };
  const bytes = Buffer.from(dn, 'latin1');
  return isUtf8(bytes) ? { line, dn: bytes.toString('utf8'), message } : { line, message };
}

/** The record as text with an empty line behind it: folded at 76 bytes, base64 where RFC 2849 asks for it. */
export function formatLdif(record: LdifRecord): string {
  const lines = [attributeLine('dn', record.dn)];
  const { change } = record;
  switch (change.type) {
    case 'add':
      for (const [name, values] of change.attributes) {
        for (const value of values) lines.push(attributeLine(name, value));
      }
      break;
    case 'delete':
      lines.push('changetype: delete');
      break;
    case 'modify':
      lines.push('changetype: modify');
      for (const { operation, attribute, values } of change.modifications) {
        lines.push(`${operation}: ${attribute}`, ...values.map((value) => attributeLine(attribute, value)), '-');
      }
      break;
    case 'modrdn':
      lines.push('changetype: modrdn', attributeLine('newrdn', change.newRdn));
      lines.push(`deleteoldrdn: ${change.deleteOldRdn ? 1 : 0}`);
      if (change.newSuperior !== null) lines.push(attributeLine('newsuperior', change.newSuperior));
      break;
  }
  return `${lines.join('\n')}\n\n`;
}

function attributeLine(name: string, value: string | Buffer): string {
  if (typeof value === 'string' && SAFE.test(value)) return fold(value === '' ? `${name}:` : `${name}: ${value}`);
  return fold(`${name}:: ${Buffer.from(value as string).toString('base64')}`);
}
/** SAFE-STRING of RFC 2849; also without a space at the end (note 8 there), and printable. */
const SAFE = /^(?:[!-9;=-~](?:[ -~]*[!-~])?)?$/;
const FOLD_AT = 76;

function fold(line: string): string {
  if (line.length <= FOLD_AT) return line;
  const parts = [line.slice(0, FOLD_AT)];
  for (let at = FOLD_AT; at < line.length; at += FOLD_AT - 1) parts.push(` ${line.slice(at, at + FOLD_AT - 1)}`);
  return parts.join('\n');
}
