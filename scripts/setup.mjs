/** What a fresh clone needs before anything else can run: a Node that is new enough, the packages, the build. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs `npm ci` where node_modules is missing or older than the lock file. */
export function ensureDependencies() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`vserver needs Node 20.19 or newer; this is ${process.versions.node}. See https://nodejs.org/`);
  }
  const installed = changedAt(join(root, 'node_modules', '.package-lock.json'));
  if (installed >= changedAt(join(root, 'package-lock.json'))) return;
  console.error('Installing packages (npm ci) …');
  // shell: on Windows npm is a command file.
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { shell: process.platform === 'win32' });
}

/** Compiles src to dist where dist is missing or older than a source. */
export function build() {
  const built = changedAt(join(root, 'dist', '.tsbuildinfo'));
  const sources = [join(root, 'tsconfig.json'), join(root, 'tsconfig.build.json'), ...filesBelow(join(root, 'src'))];
  if (existsSync(join(root, 'dist', 'main.js')) && sources.every((file) => changedAt(file) <= built)) return;
  console.error('Building (tsc) …');
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json']);
}

export function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Ends this program with the exit code of the command where that one fails. */
function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  if (error) fail(`${command} can't be run: ${error.message}`);
  if (status !== 0) fail(`${command} ${args.join(' ')} failed with exit code ${status}.`);
}

/** Milliseconds; 0 where the file is missing. */
function changedAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
