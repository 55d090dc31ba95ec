/** A directory in a cluster of two MariaDBs (Galera), of which each node has another member. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import { systemTimers } from '../../src/base/system.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { openMysql } from '../../src/directory/mysql.ts';
import { CONTRACT_BASE_DN, online } from '../support/directory-samples.ts';
import { startGalera, wsrepStatus as status } from '../support/galera.ts';
import type { Galera } from '../support/galera.ts';
import { silentLog } from '../support/silent-log.ts';

const DATABASE = 'cluster';
const ROUNDS = 150;

let galera: Galera;
let one: Directory;
let two: Directory;

const open = (url: string): Promise<Directory> =>
  openMysql({ url, log: silentLog, timers: systemTimers, baseDn: CONTRACT_BASE_DN, deadlineMs: 5_000 });

beforeAll(async () => {
  galera = await startGalera();
  const [first, second] = galera.members;
  const url = await first.url(DATABASE);
  one = await open(url);
  two = await open(url.replace(String(first.port), String(second.port)));
  await one.migrate();
});
afterAll(async () => {
  await Promise.all([one.close(), two.close()]);
  await galera.stop();
});

describe('a cluster of two members', () => {
  it('is read on the one as it was just written on the other', async () => {
    await one.create(userDefaults('fresh'));
    for (let epoch = 1; epoch <= ROUNDS; epoch++) {
      const [writer, reader] = epoch % 2 === 0 ? [one, two] : [two, one];
      expect(await writer.writeLocation('fresh', online(epoch), epoch - 1)).toBe('written');
      expect((await reader.find('fresh'))?.location.epoch).toBe(epoch);
    }
  });

  it('lets one of two logins at the same time win, and tells the other that it lost', async () => {
    await one.create(userDefaults('contested'));
    const conflicts = async (): Promise<number> => {
      const counts = galera.members.flatMap((member) =>
        ['wsrep_local_cert_failures', 'wsrep_local_bf_aborts'].map((name) => status(member, name)),
      );
      return (await Promise.all(counts)).reduce((sum, count) => sum + Number(count), 0);
    };
    const before = await conflicts();
    // Nothing is shown before the two have met.
    for (let epoch = 1; epoch <= ROUNDS || (await conflicts()) === before; epoch++) {
      const written = await Promise.all(
        [one, two].map((node) => node.writeLocation('contested', online(epoch), epoch - 1)),
      );
      expect(written.sort()).toEqual(['lost', 'written']);
    }
  });

  it('keeps what was changed through the one when the other changes the rest', async () => {
    await one.create(userDefaults('edited'));
    for (let i = 0; i < ROUNDS / 3; i++) {
      expect(await one.change('edited', { lists: { buddies: [`a${i}`] } })).toBe('changed');
      expect(await two.change('edited', { lists: { blocked: [`b${i}`] } })).toBe('changed');
      expect((await one.find('edited'))?.user.lists).toMatchObject({ buddies: [`a${i}`], blocked: [`b${i}`] });
    }
  });

  it('with a member that is cut off from the others says so, and is used again when that is over', async () => {
    const [first, second] = galera.members;
    await first.kill();
    await expect.poll(() => status(second, 'wsrep_ready'), { timeout: 60_000 }).toBe('OFF');
    await expect(two.find('fresh')).rejects.toMatchObject({
      code: 'DIRECTORY_UNAVAILABLE',
      message: expect.stringContaining('cluster') as string,
    });
    await second.sql('mysql', "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'");
    await expect.poll(() => status(second, 'wsrep_ready'), { timeout: 60_000 }).toBe('ON');
    expect((await two.find('fresh'))?.location.epoch).toBe(ROUNDS);
  });
});
