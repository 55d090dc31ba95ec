import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAM = `
const { createLog } = await import('./src/logger.ts');
createLog('info').warn({ uid: 'u', password: 'hush', nested: { token: 'hush', kept: 'shown' }, key: 'hush' }, 'said');
`;

test('the log is JSON lines on stderr, and what is called like a secret is never written', async () => {
  const program = ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, program, { cwd: ROOT });
  expect(stdout).toBe('');
  const line = stderr.split('\n').find((text) => text.includes('said')) ?? '';
  expect(JSON.parse(line)).toMatchObject({ uid: 'u', nested: { kept: 'shown' }, msg: 'said' });
  expect(line).not.toContain('hush');
});
