/** What signals do to a node, as docs/operations.md says: real processes. */
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import type { Address } from '../../src/base/model.ts';
import { readJournal } from '../../src/login/journal.ts';
import { answerOf, ensureBuilt, newPlace } from './support-cli.ts';
import type { Place, Running } from './support-cli.ts';
import { DIRECTORY_SERVERS } from './support-directories.ts';
import { http, openClient, PASSWORD } from './support-node.ts';

const PATIENCE = { timeout: 30_000 };

let place: Place;
/** What the test opened. */
const closers: (() => Promise<void>)[] = [];
beforeAll(ensureBuilt);
beforeEach(() => {
  place = newPlace();
});
afterEach(async () => {
  await place.clear();
  for (const close of closers.splice(0)) await close();
});

interface Started {
  readonly process: Running;
  readonly http: string;
  readonly udp: Address;
}

async function start(env: Record<string, string> = {}): Promise<Started> {
  const process = place.begin(['start', '--json'], env);
  const about = JSON.parse(await process.seen('stdout', /^\}$/m)) as { http: string; udp: string };
  const udp = parseAddress(about.udp);
  if (udp === null) throw new Error(`no address: ${about.udp}`);
  return { process, http: about.http, udp };
}

test('SIGHUP has the system variables read anew, and ends nothing', async () => {
  const node = await start();
  const authorization = `Basic ${Buffer.from(`10017676:${PASSWORD}`).toString('base64')}`;
  const config = async (): Promise<string> =>
    (await http(`${node.http}/config/10017676.xml`, { headers: { authorization } })).text;
  expect(await config()).toContain('VALUE="http://www.example.com"');
  const input =
    'dn: cn=MAIN_URL,ou=config,dc=netbbq,dc=com\nchangetype: modify\nreplace: vsValue\nvsValue: http://new.example/\n-\n';
  expect(answerOf(await place.run(['import', '-', '--json'], { input }))).toMatchObject({ counts: { changed: 1 } });
  expect(await config()).toContain('VALUE="http://www.example.com"');
  node.process.child.kill('SIGHUP');
  await expect.poll(config, PATIENCE).toContain('VALUE="http://new.example/"');
  expect(node.process.child.exitCode).toBeNull();
});

test('kill -9 loses no logout that waits for the directory: they are written after the restart', async () => {
  const server = await DIRECTORY_SERVERS.MariaDB();
  const client = await openClient();
  closers.push(
    () => server.stop(),
    () => client.close(),
  );
  const uids = Array.from({ length: 40 }, (_, i) => `2000${String(i).padStart(4, '0')}`);
  const users = uids.map((uid) => {
    const attributes = new Map([
      ['uid', [uid]],
      ['userpassword', [PASSWORD]],
    ]);
    return { line: 1, dn: `uid=${uid},ou=usa,ou=users,dc=netbbq,dc=com`, change: { type: 'add' as const, attributes } };
  });
  for (const { outcome } of await server.eye.apply(users)) expect(outcome).toBe('added');

  const env = { ...server.settings, VSERVER_NAME: 'here', VSERVER_RATE_LIMIT: '0' };
  const node = await start(env);
  const sessions = [];
  for (const uid of uids) sessions.push(await client.welcome(node.udp, uid));
  await server.kill();
  const sinceMs = Date.now();
  for (const session of sessions) expect(await session.ask('Logout')).toMatchObject({ verb: 'Ok' });
  const waiting = async (): Promise<number> =>
    (await readJournal(join(place.data, 'outbox.jsonl'), (value) => value)).waiting.size;
  await expect.poll(waiting, PATIENCE).toBe(uids.length);
  node.process.child.kill('SIGKILL');
  await node.process.finished;

  await server.back();
  const again = await start({ ...env, VSERVER_UDP_PORT: String(node.udp.port) });
  await expect
    .poll(async () => [...(await server.eye.peek(uids)).values()].filter((one) => one.server !== null), PATIENCE)
    .toEqual([]);
  for (const uid of uids) {
    const location = (await server.eye.find(uid))?.location;
    expect(location?.logoutAt).toBeGreaterThanOrEqual(Math.floor(sinceMs / 1000) * 1000);
  }
  await expect.poll(waiting, PATIENCE).toBe(0);
  again.process.child.kill('SIGTERM');
  expect((await again.process.finished).code).toBe(0);
});
