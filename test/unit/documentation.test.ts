import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../src/base/errors.ts';
import { SETTINGS } from '../../src/settings.ts';

const page = (name: string): string => readFileSync(join(import.meta.dirname, '../..', name), 'utf8');

/** The rows of all tables of a page, cells trimmed. */
function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    );
}

describe('documentation', () => {
  it('lists every error with its status and reason', () => {
    const listed = rows(page('docs/errors.md')).filter(([code]) => code?.startsWith('`') === true);
    const expected = Object.entries(ERRORS).map(([code, { status, reason }]) => [
      `\`${code}\``,
      String(status),
      reason,
    ]);
    expect(listed.map((cells) => cells.slice(0, 3)).sort()).toEqual(expected.sort());
  });

  it('lists every setting with its default and meaning', () => {
    const listed = rows(page('README.md')).filter(([name]) => name?.startsWith('`VSERVER_') === true);
    const expected = Object.values(SETTINGS).map((one) => [
      `\`${one.env}\``,
      `\`${one.path}\``,
      one.defaultText,
      one.help,
    ]);
    expect(listed).toEqual(expected);
  });

  it('lists every decision, each with a number of its own', () => {
    const folder = 'docs/decisions';
    const files = readdirSync(join(import.meta.dirname, '../..', folder)).filter((name) => name !== 'README.md');
    const numbers = files.map((name) => /^(\d{4})-[a-z0-9-]+\.md$/.exec(name)?.[1] ?? `${name} has no number`);
    expect([...new Set(numbers)]).toEqual(numbers);
    const listed = rows(page(`${folder}/README.md`)).filter(([link]) => link?.startsWith('[') === true);
    expect(listed.map(([link]) => link)).toEqual(files.sort().map((name) => `[${name.slice(0, 4)}](${name})`));
  });
});
