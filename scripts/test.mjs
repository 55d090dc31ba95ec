/**
 * `npm test`: everything, against real servers. `npm run test:unit`: the quick part, without servers.
 * Further arguments go to vitest.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureServers } from './servers.mjs';
import { build, ensureDependencies, root } from './setup.mjs';

const args = process.argv.slice(2);
const unitOnly = args[0] === 'unit';
if (unitOnly) args.shift();

ensureDependencies();
build();
if (!unitOnly) ensureServers();

const folder = mkdtempSync(join(tmpdir(), 'vserver-test-'));
const report = join(folder, 'report.json');
const vitest = [
  join(root, 'node_modules', 'vitest', 'vitest.mjs'),
  'run',
  ...(unitOnly ? ['--project', 'unit'] : []),
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...args,
];
const child = spawn(process.execPath, vitest, { cwd: root, stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => {
  console.log(summary());
  rmSync(folder, { recursive: true, force: true });
  process.exit(code ?? 1);
});

/** One plain line, for people and for programs. */
function summary() {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
    // A file that could not be loaded has no tests that could have failed.
    const broken = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
    const skipped = numPendingTests > 0 ? `, ${numPendingTests} skipped` : '';
    return `${numPassedTests} passed, ${numFailedTests + broken} failed${skipped}`;
  } catch {
    return '0 passed, 1 failed';
  }
}
