/** `npm run bench`: installs and builds what is missing, then measures (see docs/performance.md). */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureServers } from './servers.mjs';
import { build, ensureDependencies, root } from './setup.mjs';

const HELP = `npm run bench -- [options]

  --only NAME,…   some of the subjects, by how their names begin: heartbeat, locate, latency-heartbeat, login-sqlite,
                  login-mariadb, login-openldap, storm-mariadb, config, sip-register, sip-challenge, sip-options, sip-invite,
                  latency-register, sip200k-…, sip-call, sip-message, sip-publish, memory-subscriptions, import-sqlite,
                  import-mariadb, import-openldap, memory, memory-plain, memory-sip, heartbeat-million
  --reps N        runs that count, beside one that warms up (5)
  --quick         little of everything, to see that it works; the figures mean nothing
  --json FILE     where all figures go (bench/results/DATE.json)`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  console.log(HELP);
  process.exit(0);
}

ensureDependencies();
build();
// Kamailio is the reference of the SIP rows, and nothing else.
ensureServers({ kamailio: 'kamailio' });

const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'bench', 'main.ts'), ...args], {
  cwd: root,
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
