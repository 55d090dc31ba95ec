/** The servers and the phones that the tests run against: found, or installed by apt-get where that can be done. */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fail } from './setup.mjs';

const PACKAGES = {
  slapd: 'slapd',
  ldapadd: 'ldap-utils',
  mariadbd: 'mariadb-server',
  'mariadb-install-db': 'mariadb-server',
  'libgalera_smm.so': 'galera-4',
  'nats-server': 'nats-server',
  baresip: 'baresip-core',
  linphonec: 'linphone-cli',
  sipsak: 'sipsak',
  sipp: 'sip-tester',
  svwar: 'sipvicious',
  turnserver: 'coturn',
};
const POLICY = '/usr/sbin/policy-rc.d';

/** Ends this program, naming the packages, where one is missing and can't be installed. `more`: as PACKAGES. */
export function ensureServers(more = {}) {
  const wanted = { ...PACKAGES, ...more };
  const missing = missingPackages(wanted);
  if (missing.length === 0) return;
  const names = missing.join(' ');
  const asRoot = process.getuid?.() === 0;
  if (!asRoot || !isFound('apt-get')) {
    fail(`These packages are needed: ${names}\nOn Debian or Ubuntu: sudo apt-get install ${names}`);
  }
  console.error(`Installing ${names} (apt-get; no service is started) …`);
  withoutServices(() => {
    if (!aptGet('install', '-y', '--no-install-recommends', ...missing)) {
      aptGet('update');
      aptGet('install', '-y', '--no-install-recommends', ...missing);
    }
  });
  if (missingPackages(wanted).length > 0) fail(`apt-get could not install ${names}, which are needed.`);
}

function missingPackages(wanted) {
  const missing = Object.keys(wanted).filter((command) => !isFound(command));
  return [...new Set(missing.map((command) => wanted[command]))];
}

function isFound(command) {
  // The servers stand in sbin, which is not in everybody's path; the library of a cluster beside other libraries.
  const more = ['/usr/sbin', '/usr/local/sbin', '/usr/lib/openldap', '/usr/lib/galera', '/usr/lib64/galera-4'];
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...more];
  return folders.some((folder) => folder !== '' && existsSync(join(folder, command)));
}

/** Debian's way to keep a freshly installed package from starting its service. */
function withoutServices(install) {
  const mine = !existsSync(POLICY);
  if (mine) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    if (mine) rmSync(POLICY);
  }
}

function aptGet(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', ['-qq', ...args], { env, stdio: ['ignore', 2, 2] }).status === 0;
}
