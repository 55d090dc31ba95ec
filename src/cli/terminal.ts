/** Where commands speak: answers on stdout, talk on stderr, colours on a terminal only. */
import { styleText } from 'node:util';

export interface Terminal {
  readonly json: boolean;
  /** Whether stderr is a terminal, where a line may be written over. */
  readonly live: boolean;
  /** The answer: `value` as one JSON document with --json, else `text`. */
  answer(value: unknown, text: string): void;
  /** A line for people. */
  say(text: string): void;
  /** Writes over the line before on a terminal; '' clears it. */
  progress(text: string): void;
  /** Colour, where answers go to a terminal and NO_COLOR is not set. */
  readonly paint: (style: Style, text: string) => string;
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

export function createTerminal(json: boolean): Terminal {
  const { stdout, stderr, env } = process;
  const noColor = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  const coloured = stdout.isTTY && !json && !noColor;
  return {
    json,
    live: stderr.isTTY,
    answer(value, text) {
      if (json) stdout.write(`${JSON.stringify(value, null, 2)}\n`);
      else if (text !== '') stdout.write(text.endsWith('\n') ? text : `${text}\n`);
    },
    say(text) {
      stderr.write(`${text}\n`);
    },
    progress(text) {
      if (stderr.isTTY) stderr.write(`\r\u001b[K${text}`);
    },
    paint: (style, text) => (coloured ? styleText(style, text) : text),
  };
}

/** Columns of text, each as wide as its longest cell; `head` names them. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return [head, ...rows].map(line).join('\n');
}

/** `name: value` lines for people, nested groups indented; what is empty is left out. */
export function outline(value: object, indent = ''): string {
  return Object.entries(value)
    .flatMap(([name, entry]: [string, unknown]) => outlineOf(name, entry, indent))
    .join('\n');
}

function outlineOf(name: string, entry: unknown, indent: string): string[] {
  if (entry === null || entry === undefined || entry === '') return [];
  if (typeof entry === 'string' || typeof entry === 'number' || typeof entry === 'boolean') {
    return [`${indent}${name}: ${entry}`];
  }
  if (Array.isArray(entry) && entry.some((one) => typeof one === 'object')) {
    return entry.flatMap((one: unknown) => outlineOf(name, one, indent));
  }
  if (Array.isArray(entry)) return outlineOf(name, entry.join(', '), indent);
  const inner = outline(entry, `${indent}  `);
  return inner === '' ? [] : [`${indent}${name}:`, inner];
}
