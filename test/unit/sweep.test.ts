/** What changed in the directory takes effect for those who are online. */
import { describe, expect, it } from 'vitest';
import { NOWHERE, userDefaults } from '../../src/base/model.ts';
import { login } from '../../src/login/login.ts';
import { locateHere } from '../../src/locator/locate.ts';
import type { Flows } from '../support/flows.ts';
import { flows, loggedIn, loginRequest } from '../support/flows.ts';

const plain = userDefaults('x');

describe('the sweep over the online users', () => {
  const wholePass = async (f: Flows): Promise<void> => {
    for (let step = 0; step < 45; step++) await f.sweep.step();
  };

  it.each([
    ['disabled', { service: { ...plain.service, enabled: false } }],
    ['new-password', { secret: { password: 'other', ha1Md5: null, ha1Sha256: null } }],
  ])('ends the sessions of a user who was changed: %s', async (reason, change) => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    f.directory.put({ uid: 'b' });
    await loggedIn(f, 'a');
    await loggedIn(f, 'b');
    f.directory.put({ uid: 'a', ...change });
    await wholePass(f);
    expect(f.ended.map((one) => one.reason)).toEqual([reason]);
    expect(f.later).toMatchObject([{ uid: 'a', location: { server: null } }]);
    expect(f.table.users.find('b')).toBeGreaterThanOrEqual(0);
  });

  it('takes over privacy, lists and alias without ending anything', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    await loggedIn(f, 'a');
    f.directory.put({
      uid: 'a',
      lists: { ...plain.lists, blocked: ['pest'] },
      basic: { ...plain.basic, alias: 'New' },
    });
    await wholePass(f);
    expect(f.changed).toEqual(['a']);
    expect(locateHere(f.table, 'pal', 'a')).toMatchObject({ alias: 'New' });
    expect(locateHere(f.table, 'pest', 'a')).toBeUndefined();
  });

  it('ends the sessions of one who was removed or is on another server now, and writes nothing for them', async () => {
    const f = flows();
    for (const uid of ['a', 'b']) f.directory.put({ uid });
    await loggedIn(f, 'a');
    await loggedIn(f, 'b');
    await f.directory.remove('a');
    await f.directory.writeLocation(
      'b',
      { ...NOWHERE, server: { name: 'other', address: { host: '127.0.0.9', port: 1 } }, epoch: 2 },
      1,
    );
    await wholePass(f);
    expect(f.ended.map((one) => one.reason).sort()).toEqual(['moved', 'removed']);
    expect(f.later).toEqual([]);
  });

  it('takes over the epoch of a login here that was refused as too late and written all the same', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    const location = (await f.directory.find('a'))?.location ?? NOWHERE;
    await f.directory.writeLocation('a', { ...location, epoch: 2 }, 1);
    await wholePass(f);
    expect(f.ended).toEqual([]);
    f.ends.end(row, 'logout');
    expect(f.later).toMatchObject([{ uid: 'a', expectedEpoch: 2 }]);
  });

  it('puts a change through this node behind the login that is under way', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    f.directory.held = true;
    const outcome = login(f.deps, loginRequest('a'));
    await f.time.advance(0);
    f.directory.release();
    await f.time.advance(0);
    f.directory.put({ uid: 'a', service: { ...plain.service, enabled: false } });
    f.directory.held = false;
    const refreshed = f.sweep.refresh('a');
    f.directory.release();
    expect((await outcome).kind).toBe('welcome');
    await refreshed;
    expect(f.ended.map((one) => one.reason)).toEqual(['disabled']);
  });

  it('does not take over what it read before a login', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    await loggedIn(f, 'a');
    f.directory.put({ uid: 'a', secret: { password: 'interim', ha1Md5: null, ha1Sha256: null } });
    const stale = await f.directory.find('a');
    f.directory.put({ uid: 'a' });
    await loggedIn(f, 'a');
    const { ended } = f;
    ended.length = 0;
    f.directory.put({ uid: 'a', basic: { ...plain.basic, alias: 'New' } });
    f.directory.find = () => Promise.resolve(stale);
    await wholePass(f);
    expect(ended).toEqual([]);
  });

  it('ends an account when its time comes', async () => {
    const f = flows();
    f.directory.put({ uid: 'a', service: { ...plain.service, expiresAt: f.clock.now() + 20_000 } });
    await loggedIn(f, 'a');
    await wholePass(f);
    expect(f.table.count).toBe(1);
    await f.time.advance(20_000);
    await wholePass(f);
    expect(f.ended.map((one) => one.reason)).toEqual(['disabled']);
  });

  it('leaves everybody in peace while the directory is away', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    await loggedIn(f, 'a');
    f.directory.down = true;
    await wholePass(f);
    expect(f.table.count).toBe(1);
  });

  it('tells the directory of one who is here though it says otherwise, unless somebody logged in since', async () => {
    const f = flows();
    for (const uid of ['cleared', 'restored', 'taken']) f.directory.put({ uid });
    for (const uid of ['cleared', 'restored', 'taken']) await loggedIn(f, uid);
    const at = (uid: string) => f.directory.row(uid)?.location ?? NOWHERE;
    // Another node took this one for dead; a backup was played back; a login elsewhere.
    await f.directory.writeLocation('cleared', { ...at('cleared'), server: null }, 1);
    await f.directory.writeLocation('restored', NOWHERE, 1);
    const elsewhere = { name: 'other', address: { host: '127.0.0.9', port: 4321 } };
    await f.directory.writeLocation('taken', { ...at('taken'), server: elsewhere, epoch: 2 }, 1);
    for (let user = 0; user < 3; user++) await f.sweep.step();
    const written = f.later.map(({ uid, location, expectedEpoch }) => [uid, location.server?.name, expectedEpoch]);
    expect(written).toEqual([
      ['cleared', 'here', 1],
      ['restored', 'here', 0],
    ]);
    expect(f.later.map(({ location }) => location.epoch)).toEqual([1, 1]);
    expect(f.counters).toMatchObject({ driftRewritten: 2, driftDropped: 1 });
  });
});
