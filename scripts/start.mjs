/** `npm start`: installs what is missing, builds, and runs `vserver start` with the arguments given here. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build, ensureDependencies, fail, root } from './setup.mjs';

ensureDependencies();
build();

const child = spawn(process.execPath, [join(root, 'dist', 'main.js'), 'start', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// At a terminal Ctrl-C reaches both processes: the node ends by itself, and this one waits for it.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
child.on('error', (error) => fail(`The node can't be started: ${error.message}`));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
