import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VserverError } from '../../src/base/errors.ts';
import { NOWHERE, userDefaults } from '../../src/base/model.ts';
import type { User } from '../../src/base/model.ts';
import type { Directory, LdifRecord } from '../../src/directory/directory.ts';
import { layered } from '../../src/directory/layered.ts';
import { mergedUser, stateChanges } from '../../src/directory/layered-users.ts';
import { openSqlite } from '../../src/directory/sqlite.ts';
import { CONTRACT_BASE_DN, fullUser, online, serverRecord, userOf } from '../support/directory-samples.ts';
import { silentLog } from '../support/silent-log.ts';

const READ_ONLY = { code: 'READ_ONLY' };
const HA1 = { ha1Md5: 'a'.repeat(32), ha1Sha256: 'b'.repeat(64) };

async function sqlite(): Promise<Directory> {
  const directory = await openSqlite({ path: ':memory:', log: silentLog, baseDn: CONTRACT_BASE_DN });
  await directory.migrate();
  return directory;
}

function readOnly(directory: Directory): Directory {
  const refuse = (): Promise<never> => Promise.reject(new VserverError('READ_ONLY'));
  const users = { create: refuse, change: refuse, remove: refuse, writeLocation: refuse, apply: refuse };
  const rest = { writeServer: refuse, removeServer: refuse, writeVariable: refuse, migrate: refuse };
  return { ...directory, ...users, ...rest };
}

describe('two directories, the first one read-only', () => {
  let first: Directory;
  let state: Directory;
  let both: Directory;
  beforeEach(async () => {
    first = await sqlite();
    state = await sqlite();
    both = layered(readOnly(first), state);
    await first.create({ ...userDefaults('plain'), region: 'china', countryCode: '86' });
    await first.create(fullUser('full'));
  });
  afterEach(() => both.close());

  it('show a user of the first as he is, wherever the state knows nothing of him', async () => {
    const user = (await first.find('full'))?.user;
    expect(await both.find('full')).toMatchObject({ user, location: NOWHERE });
    expect(await userOf(both, 'nobody')).toBeUndefined();
  });

  it('keep all that the first says through a login, which makes his row in the state', async () => {
    const before = await userOf(both, 'full');
    expect(await both.writeLocation('full', online(1), 0)).toBe('written');
    expect(await both.find('full')).toMatchObject({ user: before, location: online(1) });
    expect((await first.find('full'))?.location).toEqual(NOWHERE);
    expect(await both.writeLocation('full', online(1), 0)).toBe('lost');
  });

  it('let exactly one of two nodes win who log the same user in for the first time', async () => {
    const other = layered(readOnly(first), state);
    const answers = await Promise.all([both, other].map((node) => node.writeLocation('plain', online(1), 0)));
    expect(answers.sort()).toEqual(['lost', 'written']);
  });

  it('know nobody who is gone from the first, though the state has a row of him', async () => {
    await both.writeLocation('plain', online(1), 0);
    await first.remove('plain');
    expect(await both.find('plain')).toBeNull();
    expect((await both.peek(['plain'])).size).toBe(0);
    expect(await both.change('plain', { xmlext: '<a/>' })).toBe('unknown');
    expect((await both.search({ field: 'uid', prefix: 'plain', limit: 10 })).users).toEqual([]);
    expect(await both.writeLocation('nobody', online(1), 0)).toBe('unknown');
  });

  it('hold in the state what the first leaves open, and refuse what it says otherwise', async () => {
    const { voip, xmlext } = fullUser('x');
    const changes = {
      voip,
      xmlext,
      lists: { buddies: ['full'] },
      basic: { alias: 'Plain' },
      service: { privacy: 'none' as const },
    };
    expect(await both.change('plain', changes)).toBe('changed');
    expect(await userOf(both, 'plain')).toMatchObject({ ...changes, region: 'china' });
    await expect(both.change('full', { basic: { alias: 'Other' } })).rejects.toMatchObject(READ_ONLY);
    await expect(both.change('full', { service: { enabled: true } })).rejects.toMatchObject(READ_ONLY);
    expect(await both.change('full', { basic: { alias: fullUser('full').basic.alias } })).toBe('changed');
    expect((await state.peek(['full'])).size).toBe(0);
  });

  it('let a user expire at the earlier moment, and never later than the first says', async () => {
    const { expiresAt } = fullUser('full').service;
    if (expiresAt === null) throw new Error('the sample user must expire');
    await both.change('full', { service: { expiresAt: expiresAt - 1 } });
    expect((await userOf(both, 'full'))?.service.expiresAt).toBe(expiresAt - 1);
    await expect(both.change('full', { service: { expiresAt: null } })).rejects.toMatchObject(READ_ONLY);
    await first.change('full', { service: { expiresAt: expiresAt - 2 } });
    expect((await userOf(both, 'full'))?.service.expiresAt).toBe(expiresAt - 2);
  });

  it('refuse another password, and hold verifiers until the first has another password', async () => {
    const password = '{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=';
    await first.change('plain', { secret: { password, ha1Md5: null, ha1Sha256: null } });
    await expect(both.change('plain', { secret: { ...HA1, password: 'other' } })).rejects.toMatchObject(READ_ONLY);
    expect(await both.change('plain', { secret: { ...HA1, password } })).toBe('changed');
    expect((await userOf(both, 'plain'))?.secret).toEqual({ password, ...HA1 });
    const changed = { password: 'newer', ha1Md5: null, ha1Sha256: null };
    await first.change('plain', { secret: changed });
    expect((await userOf(both, 'plain'))?.secret).toEqual(changed);
  });

  it('change the version with either of them, and peek tells the same', async () => {
    const version = async (): Promise<string | undefined> => (await both.find('plain'))?.version;
    const seen = [await version()];
    await both.writeLocation('plain', online(1), 0);
    await both.change('plain', { xmlext: '<a/>' });
    seen.push(await version());
    await first.change('plain', { basic: { alias: 'New' } });
    seen.push(await version());
    expect(new Set(seen).size).toBe(3);
    expect((await both.peek(['plain'])).get('plain')).toEqual({ version: seen[2], epoch: 1, server: 'vserver1' });
  });

  it('take no users in and give none up', async () => {
    await expect(both.create(userDefaults('new'))).rejects.toMatchObject(READ_ONLY);
    await expect(both.remove('plain')).rejects.toMatchObject(READ_ONLY);
    const deletion: LdifRecord = { line: 1, dn: `uid=plain,ou=users,${CONTRACT_BASE_DN}`, change: { type: 'delete' } };
    await expect(both.apply([deletion])).rejects.toMatchObject(READ_ONLY);
  });

  it('keep servers and variables in the state, with the variables of the first behind them', async () => {
    await first.writeServer(serverRecord('old'));
    await first.writeVariable('MAIN_URL', 'first');
    await both.writeServer(serverRecord('new'));
    expect((await both.servers()).map(({ name }) => name)).toEqual(['new']);
    expect(await both.variable('MAIN_URL')).toBe('first');
    await both.writeVariable('MAIN_URL', 'state');
    expect(await both.variable('MAIN_URL')).toBe('state');
    await both.writeVariable('MAIN_URL', null);
    expect(await both.variable('MAIN_URL')).toBe('first');
  });

  it('find by what the first says, and give the whole user', async () => {
    await both.change('plain', { xmlext: '<a/>' });
    const { users } = await both.search({ field: 'uid', prefix: '', limit: 10 });
    expect(users.map(({ uid, xmlext }) => [uid, xmlext])).toEqual([
      ['full', fullUser('full').xmlext],
      ['plain', '<a/>'],
    ]);
    expect(await both.regions()).toEqual([{ name: 'china', countryCode: '86' }]);
  });

  it('are exported as they are seen', async () => {
    await both.change('plain', { voip: fullUser('x').voip, basic: { alias: 'Plain' } });
    await first.writeServer(serverRecord('old'));
    await both.writeServer(serverRecord('new'));
    await first.writeVariable('BUY_URL', 'first');
    await first.writeVariable('MAIN_URL', 'first');
    await both.writeVariable('MAIN_URL', 'state');
    const records: LdifRecord[] = [];
    for await (const record of both.entries()) records.push(record);
    const copy = await sqlite();
    expect(new Set((await copy.apply(records)).map(({ outcome }) => outcome))).toEqual(new Set(['added']));
    for (const uid of ['plain', 'full']) expect(await userOf(copy, uid)).toEqual(await userOf(both, uid));
    expect(await copy.servers()).toEqual(await both.servers());
    for (const name of ['MAIN_URL', 'BUY_URL']) expect(await copy.variable(name)).toBe(await both.variable(name));
    await copy.close();
  });

  it('are migrated and checked both, as far as they can be written', async () => {
    const fresh = layered(readOnly(await sqlite()), await openSqlite({ path: ':memory:', log: silentLog, baseDn: '' }));
    expect((await fresh.migrate()).length).toBeGreaterThan(0);
    expect((await fresh.check()).length).toBeGreaterThan(0);
    await fresh.close();
  });
});

describe('the rule for one user', () => {
  const full: User = { ...fullUser('u'), secret: { password: 'p', ...HA1 } };

  it('lets the first fill what it says and the state the rest, in every field', () => {
    const bare = { ...userDefaults('u'), region: 'china', countryCode: '86', secret: { ...full.secret, ha1Md5: null } };
    expect(mergedUser(full, userDefaults('u'))).toEqual(full);
    expect(mergedUser(bare, full)).toEqual(full);
  });

  it('asks for the least change of the state, and for none where nothing need be', () => {
    const plain = userDefaults('u');
    expect(stateChanges(plain, plain, plain)).toEqual({});
    expect(stateChanges(full, plain, full)).toEqual({});
    const wanted = { ...plain, basic: { ...plain.basic, age: 3 } };
    expect(stateChanges(plain, plain, wanted)).toEqual({ basic: { age: 3 } });
    expect(stateChanges(full, plain, { ...full, xmlext: '' })).toBeNull();
  });
});
