import { mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NO_FORWARDING, NOWHERE, userDefaults } from '../../src/base/model.ts';
import { heard } from '../../src/login/presence.ts';
import { restoreSnapshot, saveSnapshot } from '../../src/login/snapshot.ts';
import { locateElsewhere, locateHere } from '../../src/locator/locate.ts';
import type { Flows } from '../support/flows.ts';
import { flows, loggedIn, serverRecord } from '../support/flows.ts';
import { silentLog } from '../support/silent-log.ts';

const plain = userDefaults('x');

function turn(f: Flows): void {
  f.table.turn(f.nowS(), (row) => {
    f.ends.end(row, 'silence');
  });
}

describe('the end of a session', () => {
  it('writes the logout with the last device only', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const one = await loggedIn(f, 'a', { instance: '1' });
    const two = await loggedIn(f, 'a', { instance: '2' });
    f.ends.end(one, 'logout');
    expect(f.later).toEqual([]);
    await f.time.advance(3000);
    f.ends.end(two, 'logout');
    const { loginAt } = f.directory.row('a')?.location ?? NOWHERE;
    expect(f.later).toEqual([
      { uid: 'a', expectedEpoch: 2, location: { ...NOWHERE, loginAt, logoutAt: f.clock.now(), epoch: 2 } },
    ]);
    expect(f.table.users.count).toBe(0);
  });

  it('comes after 90 s of silence, never earlier, dated to the second of the last sign of life', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    await f.time.advance(60_999);
    heard(f, row, undefined);
    const heardAt = f.clock.now();
    await f.time.advance(89_001);
    turn(f);
    expect(f.table.count).toBe(1);
    await f.time.advance(heardAt + 90_000 - f.clock.now() - 1);
    turn(f);
    expect(f.table.count).toBe(1);
    await f.time.advance(2);
    turn(f);
    expect(f.table.count).toBe(0);
    expect(f.later).toMatchObject([{ uid: 'a', location: { logoutAt: heardAt - 999, server: null } }]);
  });

  it('keeps the row for repeats for 32 s, then frees it', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    const cookie = f.table.sessions.cookie(row);
    f.ends.end(row, 'logout');
    expect(f.table.findOpen(cookie)).toBe(-1);
    await f.time.advance(31_000);
    turn(f);
    expect(f.table.sessions.find(cookie)).toBe(row);
    await f.time.advance(1000);
    turn(f);
    expect(f.table.sessions.find(cookie)).toBe(-1);
  });
});

describe('invisible', () => {
  it('reads as a logout to the others, and the real logout afterwards is not public', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    await f.time.advance(10_000);
    heard(f, row, { status: 'invisible' });
    const hiddenAt = f.clock.now();
    expect(f.later).toMatchObject([{ location: { hidden: true, logoutAt: hiddenAt, server: { name: 'here' } } }]);
    await f.time.advance(10_000);
    f.ends.end(row, 'logout');
    expect(f.later[1]).toMatchObject({ location: { server: null, logoutAt: hiddenAt, hidden: false } });
  });

  it('holds for the user only when all of his devices are', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const one = await loggedIn(f, 'a', { instance: '1' });
    await loggedIn(f, 'a', { instance: '2', status: 'invisible' });
    expect(f.directory.row('a')?.location.hidden).toBe(false);
    expect(locateHere(f.table, 'b', 'a')).toMatchObject({ kind: 'user', devices: [{ instance: '1' }] });
    f.ends.end(one, 'logout');
    expect(f.later).toMatchObject([{ location: { hidden: true } }]);
    expect(locateHere(f.table, 'b', 'a')).toBeUndefined();
    expect(locateHere(f.table, 'a', 'a')).toMatchObject({ kind: 'user' });
  });
});

describe('locate', () => {
  const put = (f: Flows): void => {
    const contact = { ...plain.contact, telephones: ['+1'] };
    f.directory.put({ uid: 'open', contact, basic: { ...plain.basic, alias: 'Open' } });
    f.directory.put({
      uid: 'friends',
      contact,
      service: { ...plain.service, privacy: 'buddies' },
      lists: { ...plain.lists, buddies: ['pal'] },
    });
    f.directory.put({ uid: 'closed', contact, service: { ...plain.service, privacy: 'none' } });
    f.directory.put({ uid: 'blocker', lists: { ...plain.lists, blocked: ['pest'] } });
    f.directory.put({ uid: '10017676', region: 'china', countryCode: '86' });
  };

  it('shows addresses and telephone as far as the privacy of the user lets the asker see them', async () => {
    const f = flows();
    put(f);
    for (const uid of ['open', 'friends', 'closed']) await loggedIn(f, uid);
    const seen = (asker: string, target: string) => {
      const located = locateHere(f.table, asker, target);
      return located?.kind === 'user' ? [located.showAddresses, located.telephones] : located;
    };
    expect(seen('pest', 'open')).toEqual([true, ['+1']]);
    expect(seen('pest', 'friends')).toEqual([false, []]);
    expect(seen('pal', 'friends')).toEqual([true, ['+1']]);
    expect(seen('pal', 'closed')).toEqual([false, []]);
    expect(seen('closed', 'closed')).toEqual([true, ['+1']]);
  });

  it('answers Offline to those whom the user blocks, by the same way as for one who is offline', async () => {
    const f = flows();
    put(f);
    await loggedIn(f, 'blocker');
    expect(locateHere(f.table, 'pest', 'blocker')).toBeUndefined();
    expect(await locateElsewhere(f, 'pest', 'blocker')).toMatchObject({
      kind: 'offline',
      uid: 'blocker',
      lastSeen: null,
    });
    expect(locateHere(f.table, 'pal', 'blocker')).toMatchObject({ kind: 'user' });
  });

  it('tells where calls are forwarded to, of who is online and offline, but not to those who may not call', async () => {
    const f = flows();
    const forwarding = { ...NO_FORWARDING, busy: '10043939', noAnswerSeconds: 7, unreachable: 'sip:mailbox@10.0.0.9' };
    const lists = { ...plain.lists, blocked: ['pest'] };
    f.directory.put({ uid: 'away', forwarding, lists });
    await loggedIn(f, 'away');
    expect(locateHere(f.table, 'pal', 'away')).toMatchObject({ kind: 'user', forwarding });
    f.ends.end(f.table.rowsOf(f.table.users.find('away'))[0] ?? -1, 'logout');
    expect(await locateElsewhere(f, 'pal', 'away')).toMatchObject({ kind: 'offline', forwarding });
    expect(await locateElsewhere(f, 'pest', 'away')).toMatchObject({ kind: 'offline', forwarding: NO_FORWARDING });
    f.directory.put({ uid: 'plain' });
    await loggedIn(f, 'plain');
    expect(locateHere(f.table, 'pal', 'plain')).toMatchObject({ forwarding: NO_FORWARDING });
  });

  it('finds a user by his number, an exact uid first', async () => {
    const f = flows();
    put(f);
    f.directory.regions = () =>
      Promise.resolve([
        { name: 'usa', countryCode: '1' },
        { name: 'china', countryCode: '86' },
      ]);
    await loggedIn(f, '10017676');
    expect(await locateElsewhere(f, 'b', '08610017676')).toMatchObject({ kind: 'user', uid: '10017676' });
    expect(await locateElsewhere(f, 'b', '0110017676')).toEqual({ kind: 'unknown' });
    f.directory.put({ uid: '08610017676' });
    expect(await locateElsewhere(f, 'b', '08610017676')).toMatchObject({ kind: 'offline', uid: '08610017676' });
  });

  it('points to the server that has the user, unless he hides, blocks, or the server is silent', async () => {
    const f = flows();
    put(f);
    const there = {
      ...NOWHERE,
      server: { name: 'other', address: { host: '127.0.0.9', port: 4321 } },
      epoch: 1,
      logoutAt: 5,
    };
    for (const uid of ['open', 'blocker']) await f.directory.writeLocation(uid, there, 0);
    await f.directory.writeLocation('closed', { ...there, hidden: true }, 0);
    await f.directory.writeServer(serverRecord({ name: 'other' }, f.clock.now()));
    await f.servers.renew();
    const kind = async (asker: string, uid: string) => (await locateElsewhere(f, asker, uid)).kind;
    expect(await locateElsewhere(f, 'pal', 'open')).toMatchObject({ kind: 'see-also', server: { name: 'other' } });
    expect(await kind('pest', 'blocker')).toBe('offline');
    expect(await kind('pal', 'closed')).toBe('offline');
    expect(await kind('closed', 'closed')).toBe('see-also');
    await f.time.advance(15_001);
    expect(await locateElsewhere(f, 'pal', 'open')).toMatchObject({ kind: 'offline', uid: 'open', lastSeen: 5 });
  });

  it('knows the difference between offline and unknown, and says 503 where only the directory could', async () => {
    const f = flows();
    put(f);
    expect(await locateElsewhere(f, 'pal', 'open')).toMatchObject({ kind: 'offline', uid: 'open', lastSeen: null });
    expect(await locateElsewhere(f, 'pal', 'nobody')).toEqual({ kind: 'unknown' });
    f.directory.down = true;
    await expect(locateElsewhere(f, 'pal', 'open')).rejects.toMatchObject({ status: 503 });
  });
});

describe('a restart of the node', () => {
  const path = () => join(mkdtempSync(join(tmpdir(), 'vserver-')), 'sessions');
  const restoring = (f: Flows) => ({
    ...{ table: f.table, directory: f.directory, clock: f.clock, log: silentLog, server: 'here' },
    onSilent: (row: number) => {
      f.ends.end(row, 'silence');
    },
  });

  it('is unnoticed by those who are young enough and logged in nowhere else', async () => {
    const before = flows();
    for (const uid of ['a', 'b', 'gone']) before.directory.put({ uid });
    const gone = await loggedIn(before, 'gone');
    await before.time.advance(50_000);
    const row = await loggedIn(before, 'a', { instance: 'i', device: 'cpu=1', local: { host: '10.0.0.1', port: 1 } });
    await loggedIn(before, 'b');
    before.table.sessions.setWindow(row, 7, 1, 0);
    const device = before.table.device(row);
    const cookie = before.table.sessions.cookie(row);
    const key = Buffer.from(before.table.sessions.key(row));
    const file = path();
    expect(await saveSnapshot(file, before.table, 'here')).toBe(3);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await before.directory.writeLocation('b', { ...NOWHERE, epoch: 2 }, 1);

    const after = flows({ directory: before.directory });
    await after.time.advance(50_000 + 41_000);
    expect(before.table.sessions.seenS(gone)).toBeLessThan(after.nowS() - 90);
    const deps = restoring(after);
    expect(await restoreSnapshot(file, deps)).toEqual({ taken: 1, left: 2 });
    const again = after.table.findOpen(cookie);
    expect({ ...after.table.device(again), row }).toEqual(device);
    expect(Buffer.from(after.table.sessions.key(again))).toEqual(key);
    expect(after.table.sessions.window(again)).toEqual([7, 1, 0]);
    expect(() => statSync(file)).toThrow();
    // Nobody else will write the logout of the one who fell silent meanwhile.
    expect(after.table.count).toBe(1);
    const logoutAt = before.table.sessions.seenS(gone) * 1000;
    expect(after.later).toMatchObject([{ uid: 'gone', location: { server: null, logoutAt }, expectedEpoch: 1 }]);
  });

  it('takes back everybody where the directory is away: the sweep will see', async () => {
    const before = flows();
    before.directory.put({ uid: 'a' });
    await loggedIn(before, 'a');
    const file = path();
    await saveSnapshot(file, before.table, 'here');
    const after = flows({ directory: before.directory });
    after.directory.down = true;
    const deps = restoring(after);
    expect(await restoreSnapshot(file, deps)).toEqual({ taken: 1, left: 0 });
  });

  it('survives a snapshot that is cut, of another server, or missing', async () => {
    const f = flows();
    const deps = restoring(f);
    const file = path();
    expect(await restoreSnapshot(file, deps)).toEqual({ taken: 0, left: 0 });
    writeFileSync(file, '{"format":"vserver-sessions-2","server":"here"}\n{"profile":{"uid"');
    expect(await restoreSnapshot(file, deps)).toMatchObject({ taken: 0 });
    writeFileSync(file, '{"format":"vserver-sessions-2","server":"other"}\n{}\n');
    expect(await restoreSnapshot(file, deps)).toMatchObject({ taken: 0 });
  });
});
