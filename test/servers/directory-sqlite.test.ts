import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Directory } from '../../src/directory/directory.ts';
import { openSqlite } from '../../src/directory/sqlite.ts';
import { directoryContract } from '../support/directory-contract.ts';
import { CONTRACT_BASE_DN, fullUser, make, online } from '../support/directory-samples.ts';
import { silentLog } from '../support/silent-log.ts';

const open = (path: string): Promise<Directory> =>
  openSqlite({ path, log: silentLog, baseDn: CONTRACT_BASE_DN, deadlineMs: 100 });

directoryContract('SQLite', async () => {
  const directory = await open(':memory:');
  await directory.migrate();
  return { directory, close: () => directory.close() };
});

describe('SQLite', () => {
  let folder: string;
  let path: string;
  let directory: Directory;
  /** Somebody else, with tools of his own. */
  let behind: InstanceType<typeof DatabaseSync>;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vserver-sqlite-'));
    path = join(folder, 'made', 'directory.db');
    directory = await open(path);
    await directory.migrate();
    behind = new DatabaseSync(path);
  });
  afterEach(async () => {
    await directory.close();
    if (behind.isOpen) behind.close();
    await rm(folder, { recursive: true });
  });

  it('keeps its file and folder to its owner', async () => {
    await make(directory, 'u1');
    expect((await stat(join(folder, 'made'))).mode & 0o777).toBe(0o700);
    for (const file of [path, `${path}-wal`]) expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('has its data after it was closed and opened again', async () => {
    await make(directory, 'u1', fullUser('u1'));
    await directory.writeLocation('u1', online(1), 0);
    const before = await directory.find('u1');
    await directory.close();
    directory = await open(path);
    expect(await directory.migrate()).toEqual([]);
    expect(await directory.find('u1')).toEqual(before);
  });

  it('refuses a schema that is newer than the program', async () => {
    behind.exec('INSERT INTO schema_version (version) VALUES (99)');
    await expect(directory.migrate()).rejects.toMatchObject({ code: 'SETTINGS' });
    expect((await directory.check()).map(({ level }) => level)).toEqual(['error']);
  });

  it.each([
    "INSERT INTO buddies (uid, list, position, buddy) VALUES ('u1', 'buddies', 99, 'u2')",
    "INSERT INTO voip_accounts (uid, position, type) VALUES ('u1', 7, 'SIP')",
    "UPDATE users SET enabled = 1 - enabled WHERE uid = 'u1'",
    "DELETE FROM buddies WHERE uid = 'u1'",
    "UPDATE voip_accounts SET password = 'x' WHERE uid = 'u1'",
    "INSERT INTO contacts (uid, kind, position, value) VALUES ('u1', 'telephone', 7, '+49')",
  ])('shows a change behind its back, in the version too: %s', async (statement) => {
    await make(directory, 'u1', fullUser('u1'));
    const before = await directory.find('u1');
    behind.exec(statement);
    const after = await directory.find('u1');
    expect(after?.version).not.toBe(before?.version);
    expect(after?.user).not.toEqual(before?.user);
  });

  it('keeps the version when only the location is written', async () => {
    await make(directory, 'u1');
    const before = (await directory.find('u1'))?.version;
    await directory.writeLocation('u1', online(1), 0);
    expect((await directory.find('u1'))?.version).toBe(before);
  });

  it('finds by search what was made behind its back', async () => {
    behind.exec("INSERT INTO users (uid, alias) VALUES ('bysql', 'By SQL')");
    behind.exec("INSERT INTO contacts (uid, kind, position, value) VALUES ('bysql', 'mail', 0, 'A@b.c')");
    expect((await directory.search({ field: 'alias', prefix: 'by s', limit: 5 })).users).toHaveLength(1);
    expect((await directory.search({ field: 'mail', prefix: 'a@B', limit: 5 })).users).toHaveLength(1);
  });

  it('reads the default where a value is nonsense, and uses the rest', async () => {
    const good = await make(directory, 'u1', fullUser('u1'));
    behind.exec("UPDATE users SET privacy = 'x', devices_max = 9223372036854775807, enabled = 7 WHERE uid = 'u1'");
    const user = (await directory.find('u1'))?.user;
    expect(user?.service).toEqual({ ...good.service, privacy: 'all', devicesMax: 5, enabled: true });
    expect(user?.basic).toEqual(good.basic);
  });

  it('gives up at its deadline while somebody else holds the file, and goes on afterwards', async () => {
    await make(directory, 'u1');
    behind.exec('BEGIN IMMEDIATE');
    await expect(directory.writeLocation('u1', online(1), 0)).rejects.toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
    await expect(directory.change('u1', { xmlext: '' })).rejects.toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
    expect(await directory.find('u1')).not.toBeNull();
    behind.exec('ROLLBACK');
    expect(await directory.writeLocation('u1', online(1), 0)).toBe('written');
    expect(await directory.change('u1', { xmlext: '<a/>' })).toBe('changed');
  });

  it('says what to do where there are no tables', async () => {
    const empty = await open(':memory:');
    await expect(empty.find('u1')).rejects.toThrow('vserver migrate');
    expect((await empty.check()).map(({ level }) => level)).toEqual(['warning']);
    await empty.close();
  });

  it('can not be opened where there is a folder in its place', async () => {
    await expect(open(folder)).rejects.toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
  });
});
