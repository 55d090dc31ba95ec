/** What MySQL's failures do to the directory: nothing hangs, nothing is left behind, and it comes back by itself. */
import { createConnection } from 'mysql2/promise';
import type { Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import { systemTimers } from '../../src/base/system.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { openMysql } from '../../src/directory/mysql.ts';
import { CONTRACT_BASE_DN, fullUser, online } from '../support/directory-samples.ts';
import { startMariadb } from '../support/mariadb.ts';
import type { Mariadb } from '../support/mariadb.ts';
import { silentLog } from '../support/silent-log.ts';

const DEADLINE_MS = 1_000;
/** Far more than the deadline, and less than whoever waits for a server that is gone or hangs. */
const REFUSED_MS_MAX = 8_000;
/** It is 5 s where the machine has nothing else to do. */
const BACK_WITHIN_MS = 15_000;

let mariadb: Mariadb;
let url: string;
let directory: Directory;
const warnings: object[] = [];

const open = (more: { url?: string; connectionsMax?: number; deadlineMs?: number } = {}): Promise<Directory> =>
  openMysql({
    url,
    log: { ...silentLog, warn: (fields) => void warnings.push(fields) },
    timers: systemTimers,
    baseDn: CONTRACT_BASE_DN,
    deadlineMs: DEADLINE_MS,
    ...more,
  });

beforeAll(async () => {
  mariadb = await startMariadb();
  url = await mariadb.url('faults');
  directory = await open();
  await directory.migrate();
  await directory.create(userDefaults('u1'));
});
afterAll(async () => {
  await directory.close();
  await mariadb.stop();
});

/** Asks until it answers; how long that took. */
async function backAfterMs(): Promise<number> {
  const before = performance.now();
  for (;;) {
    try {
      await directory.find('u1');
      return performance.now() - before;
    } catch (error) {
      if (performance.now() - before > 4 * BACK_WITHIN_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function unavailable(work: Promise<unknown>): Promise<number> {
  const before = performance.now();
  await expect(work).rejects.toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
  return performance.now() - before;
}

describe('a server that was killed', () => {
  it('makes operations fail at once, and is used again soon after its return', async () => {
    await mariadb.kill();
    expect(await unavailable(directory.find('u1'))).toBeLessThan(REFUSED_MS_MAX);
    expect(await unavailable(directory.writeLocation('u1', online(1), 0))).toBeLessThan(REFUSED_MS_MAX);
    await mariadb.start();
    expect(await backAfterMs()).toBeLessThan(BACK_WITHIN_MS);
    expect(await directory.writeLocation('u1', online(1), 0)).toBe('written');
  });

  it('may be down when the directory is opened', async () => {
    await mariadb.kill();
    const late = await open();
    await unavailable(late.ping());
    await mariadb.start();
    expect(await backAfterMs()).toBeLessThan(BACK_WITHIN_MS);
    await late.ping();
    await late.close();
  });
});

describe('a server that hangs', () => {
  afterEach(() => mariadb.resume());

  it('holds no operation longer than the deadline, and is used again soon after its return', async () => {
    await directory.ping();
    await mariadb.pause();
    const waits = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        unavailable(i % 2 === 0 ? directory.find('u1') : directory.change('u1', { xmlext: '<late/>' })),
      ),
    );
    expect(Math.max(...waits)).toBeLessThan(REFUSED_MS_MAX);
    // With all connections cut off, the next one fails where it connects.
    expect(await unavailable(directory.find('u1'))).toBeLessThan(REFUSED_MS_MAX);
    mariadb.resume();
    expect(await backAfterMs()).toBeLessThan(BACK_WITHIN_MS);
  });

  it('makes more than a thousand waiting operations be refused at once', async () => {
    await mariadb.pause();
    const answers = await Promise.allSettled(Array.from({ length: 1_200 }, () => directory.find('u1')));
    const codes = answers.map((answer) =>
      answer.status === 'rejected' ? (answer.reason as { code: string }).code : 'answered',
    );
    expect(codes.filter((code) => code === 'OVERLOADED').length).toBeGreaterThan(100);
    expect(new Set(codes)).toEqual(new Set(['OVERLOADED', 'DIRECTORY_UNAVAILABLE']));
    mariadb.resume();
    expect(await backAfterMs()).toBeLessThan(BACK_WITHIN_MS);
  });
});

describe('a slow transaction of somebody else', () => {
  it('costs a write its deadline and no more, and leaves no lock and no connection behind', async () => {
    const small = await open({ connectionsMax: 2 });
    const blocker = await createConnection({ uri: url });
    await blocker.beginTransaction();
    await blocker.query("UPDATE users SET city = 'elsewhere' WHERE uid = 'u1'");
    await unavailable(small.change('u1', { xmlext: '<a/>' }));
    await blocker.rollback();
    await blocker.end();
    expect(await small.change('u1', { xmlext: '<b/>' })).toBe('changed');
    expect((await small.find('u1'))?.user.xmlext).toBe('<b/>');
    await small.close();
  });
});

describe('a deadlock', () => {
  /** Transactions of somebody else, which the server spares, since they have written more. */
  const rivals: Connection[] = [];
  const rival = async (): Promise<Connection> => {
    const connection = await createConnection({ uri: url });
    rivals.push(connection);
    await connection.beginTransaction();
    const rows = Array.from({ length: 200 }, (_, i) => `('rival${rivals.length}-${i}', 'x')`).join();
    await connection.query(`INSERT INTO system_variables (name, value) VALUES ${rows}`);
    return connection;
  };
  const status = async (name: string): Promise<number> => {
    const [row] = await mariadb.sql('faults', `SHOW GLOBAL STATUS LIKE '${name}'`);
    return Number(row?.['Value']);
  };
  const deadlocks = (): Promise<number> => status('Innodb_deadlocks');
  const waiting = (count: number): Promise<void> =>
    expect.poll(() => status('Innodb_row_lock_current_waits'), { interval: 5 }).toBe(count);

  afterEach(async () => {
    for (const connection of rivals.splice(0)) await connection.end();
  });

  it('in which the server gave up our transaction, twice in a row, is nothing to the caller', async () => {
    const patient = await open({ deadlineMs: 20_000 });
    await patient.create(fullUser('locked'));
    const before = await deadlocks();
    const [first, second] = [await rival(), await rival()];
    const buddies = "SELECT buddy FROM buddies WHERE uid = 'locked' FOR UPDATE";
    const user = "SELECT uid FROM users WHERE uid = 'locked' FOR UPDATE";
    await first.query(buddies);
    const change = patient.change('locked', { lists: { buddies: ['other'] } });
    // It has the user and wants the buddies, in a row with the second one.
    await waiting(1);
    const queued = second.query(buddies);
    await waiting(2);
    await first.query(user);
    // Taken back, it wants the user again, whom it gets when the first one ends; the buddies go to the second one.
    await waiting(2);
    await first.rollback();
    await queued;
    await waiting(1);
    await second.query(user);
    await second.rollback();
    expect(await change).toBe('changed');
    expect((await patient.find('locked'))?.user.lists.buddies).toEqual(['other']);
    expect(await deadlocks()).toBe(before + 2);
    await patient.close();
  });

  it('over locations that are written together loses none of them', async () => {
    const patient = await open({ deadlineMs: 20_000 });
    const uids = ['dead1', 'dead2', 'dead3'];
    for (const uid of uids) await patient.create(userDefaults(uid));
    for (const uid of uids) await patient.writeLocation(uid, online(1), 0);
    const before = await deadlocks();
    const other = await rival();
    await other.query("SELECT uid FROM locations WHERE uid = 'dead3' FOR UPDATE");
    const writes = Promise.all(uids.map((uid) => patient.writeLocation(uid, online(2), 1)));
    await waiting(1);
    await other.query("SELECT uid FROM locations WHERE uid = 'dead1' FOR UPDATE");
    await other.rollback();
    expect(await writes).toEqual(['written', 'written', 'written']);
    for (const uid of uids) expect((await patient.find(uid))?.location.epoch).toBe(2);
    expect(await deadlocks()).toBe(before + 1);
    await patient.close();
  });
});

describe('what was written behind the back of the program', () => {
  it.each([
    ['UPDATE users SET enabled = 0 WHERE uid = ?'],
    ['DELETE FROM buddies WHERE uid = ?'],
    ["UPDATE voip_accounts SET password = 'x' WHERE uid = ?"],
    ["INSERT INTO contacts (uid, kind, position, value) VALUES (?, 'telephone', 7, '+49 30 BEHIND')"],
  ])('is seen in the version: %s', async (statement) => {
    await directory.remove('behind');
    await directory.create(fullUser('behind'));
    const before = (await directory.find('behind'))?.version;
    await mariadb.sql('faults', statement, ['behind']);
    expect((await directory.find('behind'))?.version).not.toBe(before);
  });

  it('is found by the search: a user, an alias and a telephone made by SQL', async () => {
    await mariadb.sql('faults', "INSERT INTO users (uid, alias) VALUES ('bysql', 'Ärger')");
    await mariadb.sql(
      'faults',
      "INSERT INTO contacts (uid, kind, position, value) VALUES ('bysql', 'mail', 0, 'A@b.c')",
    );
    const found = async (field: 'alias' | 'mail', prefix: string): Promise<string[]> =>
      (await directory.search({ field, prefix, limit: 10 })).users.map((user) => user.uid);
    expect(await found('alias', 'äR')).toEqual(['bysql']);
    expect(await found('mail', 'a@B')).toEqual(['bysql']);
    await mariadb.sql('faults', "UPDATE users SET alias = 'Other' WHERE uid = 'bysql'");
    expect(await found('alias', 'oth')).toEqual(['bysql']);
  });

  it('and is malformed reads as the default, with a warning, and the rest is used', async () => {
    const good = fullUser('malformed');
    await directory.create(good);
    await directory.writeLocation('malformed', online(3), 0);
    await mariadb.sql(
      'faults',
      "UPDATE users SET privacy = 'whoever', devices_max = -4, age = 4000, enabled = 7 WHERE uid = 'malformed'",
    );
    await mariadb.sql('faults', "UPDATE voip_accounts SET type = 'ISDN' WHERE uid = 'malformed' AND position = 0");
    await mariadb.sql('faults', "UPDATE locations SET wan = 'nowhere', network = 'x' WHERE uid = 'malformed'");
    warnings.length = 0;
    const entry = await directory.find('malformed');
    expect(entry?.user.service).toEqual({ ...good.service, enabled: true, privacy: 'all', devicesMax: 5 });
    expect(entry?.user.basic).toEqual({ ...good.basic, age: null });
    expect(entry?.user.voip).toEqual(good.voip.slice(1));
    expect(entry?.location).toEqual({ ...online(3), wan: null, network: null });
    expect(warnings).toContainEqual({ uid: 'malformed', columns: ['l_network', 'l_wan'] });
    expect(warnings).toContainEqual(
      expect.objectContaining({ columns: ['age', 'enabled', 'devices_max', 'privacy', 'voip_accounts.type'] }),
    );
  });

  it('as a server without an address is left out', async () => {
    await mariadb.sql('faults', "INSERT INTO servers (name, udp, state) VALUES ('broken', 'x', 'on')");
    expect((await directory.servers()).map((server) => server.name)).not.toContain('broken');
  });
});

describe('the schema', () => {
  it('is made once, however many nodes migrate at the same time', async () => {
    const fresh = await mariadb.url('fresh');
    const nodes = await Promise.all([open({ url: fresh }), open({ url: fresh }), open({ url: fresh })]);
    const steps = await Promise.all(nodes.map((node) => node.migrate()));
    const titles = steps.flat();
    expect(titles.length).toBeGreaterThan(0);
    expect(new Set(titles).size).toBe(titles.length);
    expect(await nodes[0].migrate()).toEqual([]);
    expect((await nodes[0].check()).map(({ level }) => level)).toEqual(['ok']);
    for (const node of nodes) await node.close();
  });

  it('that is newer than the program is refused', async () => {
    const newer = await open({ url: await mariadb.url('newer') });
    await newer.migrate();
    await mariadb.sql('newer', 'INSERT INTO schema_version (version) VALUES (99)');
    await expect(newer.migrate()).rejects.toMatchObject({ code: 'SETTINGS' });
    expect((await newer.check()).map(({ level }) => level)).toEqual(['error']);
    await newer.close();
  });

  it('that is missing is named, with the command that makes it', async () => {
    const empty = await open({ url: await mariadb.url('nothing') });
    await expect(empty.find('u1')).rejects.toThrow('vserver migrate');
    expect((await empty.check()).map(({ level }) => level)).toEqual(['warning']);
    await empty.close();
  });
});

describe('the password in the URL', () => {
  it('stands in no description and no error', async () => {
    const wrong = await open({ url: url.replace('p%40ss', 'hush-hush') });
    const error: unknown = await wrong.ping().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
    const { message, cause } = error as Error;
    const shown = JSON.stringify([
      message,
      String(cause),
      { ...(cause as object) },
      wrong.description,
      directory.description,
    ]);
    expect(shown).not.toContain('hush');
    expect(shown).not.toContain('ss/word');
    await wrong.close();
    const noDatabase = String(await open({ url: 'mysql://u:hush@host' }).catch((reason: unknown) => reason));
    expect(noDatabase).toContain('mysql://user:password@host:port/database');
    expect(noDatabase).not.toContain('hush');
  });
});
