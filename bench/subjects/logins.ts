/** Full logins over datagrams, 64 in flight, against their location write alone. */
import { join } from 'node:path';
import { startChild } from '../child.ts';
import { inFlight, openClient } from '../client.ts';
import type { Client } from '../client.ts';
import { openLogins } from '../logins-client.ts';
import type { ManyLogins } from '../logins-client.ts';
import { alternate } from '../report.ts';
import type { Row } from '../report.ts';
import type { Run, Subject } from '../subject.ts';
import { BACKENDS, importUsers, uidOf, writeUsers } from '../users.ts';
import type { Place } from '../users.ts';

const IN_FLIGHT = 64;
const CORES = '0-1';

export const logins: readonly Subject[] = BACKENDS.map(({ name, open }) => ({
  name: `login-${name.toLowerCase()}`,
  async measure(run) {
    const backend = await open(run.folder);
    const place = await backend.fresh();
    try {
      return [await measure(run, name, place)];
    } finally {
      await place.remove();
      await backend.close();
    }
  },
}));

async function measure(run: Run, name: string, place: Place): Promise<Row> {
  const users = run.quick ? 500 : 5_000;
  const file = join(run.folder, `logins-${name}.ldif`);
  await writeUsers(file, 2 * users);
  await importUsers(place, file);
  const node = await startChild('vserver', { cores: CORES, env: place.env });
  const { udp } = await node.ask<{ udp: number }>('ports');
  const client = await openClient(udp);
  const logins = openLogins(run.folder, udp, client, IN_FLIGHT);
  // One half logs in, of the other half only the locations are written. All have one already.
  const all = Array.from({ length: 2 * users }, (_, i) => uidOf(i));
  await loginAndOut(logins, client, all, () => node.ask('settled'));
  const [ours, others] = [all.slice(0, users), all.slice(users)];
  const writes = await startChild('writes', { cores: CORES, env: place.env });
  let epoch = 1;
  try {
    const measured = await alternate(
      run.reps,
      async () => users / (await loginAndOut(logins, client, ours, () => node.ask('settled'))),
      async () => users / (await writes.ask<number>('write', { uids: others, epoch: epoch++, limit: IN_FLIGHT })),
    );
    return {
      subject: `full login on ${name}, ${IN_FLIGHT} in flight`,
      unit: 'logins/s',
      ours: measured.ours,
      reference: { name: 'location writes alone', values: measured.reference },
      goal: { ratioMin: 0.5 },
      notes: [logins.name],
    };
  } finally {
    await writes.stop();
    await client.close();
    await node.stop();
  }
}

/** Seconds of the logins; the logouts, without which the next ones would be takeovers, don't count. */
async function loginAndOut(
  logins: ManyLogins,
  client: Client,
  uids: readonly string[],
  settled: () => Promise<unknown>,
): Promise<number> {
  const { seconds, sessions } = await logins.run(uids);
  await inFlight(sessions, IN_FLIGHT, (session) => client.logout(session));
  await settled();
  return seconds;
}
