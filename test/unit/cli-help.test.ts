/** The help of every command, as a manual page: what it does, its options, examples, exit codes. */
import { afterEach, expect, test, vi } from 'vitest';
import { run } from '../../src/cli/program.ts';

afterEach(() => vi.restoreAllMocks());

const COMMANDS = [
  ...[
    '',
    'start',
    'stop',
    'check',
    'settings',
    'migrate',
    'import',
    'export',
    'locate',
    'config',
    'sessions',
    'servers',
  ],
  ...['user', 'user add', 'user show', 'user set', 'user passwd', 'user del', 'user list', 'client', 'client login'],
];

test.each(COMMANDS)('vserver %s --help has options, examples and exit codes', async (name) => {
  let text = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((piece) => {
    text += String(piece);
    return true;
  });
  const args = name === '' ? [] : name.split(' ');
  expect(await run([...args, '--help'])).toBe(0);
  expect(text).toMatch(/^Usage: vserver/);
  for (const part of ['--json', '--config', 'Examples:', 'Exit codes:']) expect(text).toContain(part);
});
