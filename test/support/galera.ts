/** A cluster of two real MariaDBs that certify each other's commits (Galera). Package on Debian and Ubuntu: galera-4. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { installMariadb, runMariadb } from './mariadb.ts';
import type { Mariadb } from './mariadb.ts';
import { freePort } from './programs.ts';

const PROVIDER = ['/usr/lib/galera/libgalera_smm.so', '/usr/lib64/galera-4/libgalera_smm.so'];

/** The first member of the two goes on where the other one is gone. */
export interface Galera {
  readonly members: readonly [Mariadb, Mariadb];
  stop(): Promise<void>;
}

export async function startGalera(): Promise<Galera> {
  const provider = PROVIDER.find((path) => existsSync(path));
  if (provider === undefined) throw new Error('libgalera_smm.so is missing: apt-get install galera-4');
  const folder = await mkdtemp(join(tmpdir(), 'vserver-galera-'));
  const places = [join(folder, '1'), join(folder, '2')] as const;
  for (const place of places) {
    await mkdir(place);
    await writeFile(join(place, 'wsrep_sst_copied'), transfer(join(folder, 'position')), { mode: 0o755 });
  }
  const talk = [await freePort(), await freePort()] as const;
  const first = options(provider, talk[0], await freePort(), [
    '--wsrep-cluster-address=gcomm://',
    '--wsrep-new-cluster',
  ]);
  // Both begin with the same data, so that nothing is to be brought over but what came afterwards.
  await installMariadb(join(places[0], 'data'));
  const only = await runMariadb(places[0], await freePort(), first);
  await only.shutDown();
  await cp(join(places[0], 'data'), join(places[1], 'data'), { recursive: true });
  await rm(join(places[1], 'data', 'galera.cache'), { force: true });
  const joins = options(provider, talk[1], await freePort(), [`--wsrep-cluster-address=gcomm://127.0.0.1:${talk[0]}`]);
  const members = [
    await runMariadb(places[0], await freePort(), first),
    await runMariadb(places[1], await freePort(), joins),
  ] as const;
  for (let tries = 1; (await wsrepStatus(members[1], 'wsrep_ready')) !== 'ON'; tries++) {
    if (tries > 3_000) throw new Error('the second member of the cluster does not get ready');
    await wait(20);
  }
  return {
    members,
    async stop() {
      await Promise.all(members.map((member) => member.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function wsrepStatus(member: Mariadb, name: string): Promise<string> {
  const [row] = await member.sql('mysql', `SHOW GLOBAL STATUS LIKE '${name}'`);
  return String(row?.['Value']);
}

function options(provider: string, port: number, transferPort: number, more: readonly string[]): string[] {
  const talk = `gmcast.listen_addr=tcp://127.0.0.1:${port};base_port=${port};gcache.size=8M;pc.announce_timeout=PT0.1S`;
  // On a busy machine a member may be silent for seconds and not be dead.
  const patience =
    'evs.keepalive_period=PT0.2S;evs.suspect_timeout=PT5S;evs.inactive_timeout=PT10S;evs.inactive_check_period=PT0.2S';
  return [
    '--binlog-format=ROW',
    '--innodb-autoinc-lock-mode=2',
    '--log-bin-trust-function-creators=1',
    '--wsrep-on=ON',
    `--wsrep-provider=${provider}`,
    '--wsrep-cluster-name=vserver',
    '--wsrep-node-address=127.0.0.1',
    '--wsrep-sst-method=copied',
    `--wsrep-provider-options=${talk};ist.recv_addr=127.0.0.1:${transferPort};${patience}`,
    ...more,
  ];
}

/** What a member runs to hand all its data to one that joins: here only the position, since the data are there. */
function transfer(position: string): string {
  return `#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in --role) role=$2 ;; --gtid) gtid=$2 ;; --address) address=$2 ;; esac
  shift
done
if [ "$role" = joiner ]; then
  rm -f ${position}
  echo "ready $address"
  while [ ! -s ${position} ]; do sleep 0.05; done
  cat ${position}
else
  echo continue
  echo "$gtid" > ${position}.new
  mv ${position}.new ${position}
  echo "done $gtid"
fi
`;
}
