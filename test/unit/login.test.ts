import { describe, expect, it } from 'vitest';
import { NOWHERE, userDefaults } from '../../src/base/model.ts';
import type { Location } from '../../src/base/model.ts';
import type { LoginOutcome } from '../../src/login/login.ts';
import { login } from '../../src/login/login.ts';
import { heard } from '../../src/login/presence.ts';
import { proofOf, sessionKey, verifierOf } from '../../src/login/proof.ts';
import type { Flows } from '../support/flows.ts';
import { flows, loginRequest, serverRecord } from '../support/flows.ts';

const service = userDefaults('x').service;

function welcomed(outcome: LoginOutcome): Extract<LoginOutcome, { kind: 'welcome' }> {
  if (outcome.kind !== 'welcome') throw new Error(`no welcome but ${JSON.stringify(outcome)}`);
  return outcome;
}

const on = (name: string, epoch: number): Location => ({
  ...NOWHERE,
  server: { name, address: { host: '127.0.0.9', port: 4321 } },
  epoch,
});

async function ownedBy(f: Flows, uid: string, name: string): Promise<void> {
  await f.directory.writeLocation(uid, on(name, 1), 0);
  await f.directory.writeServer(serverRecord({ name }, f.clock.now()));
  await f.servers.renew();
}

describe('login', () => {
  it('writes where the user is, then opens the session', async () => {
    const f = flows();
    f.directory.put({ uid: '10017676' });
    const local = { host: '10.0.0.1', port: 5000 };
    const outcome = welcomed(await login(f.deps, loginRequest('10017676', { local, firewall: 'weak' })));
    expect(outcome.cookie).toMatch(/^[0-9a-f]{32}$/);
    expect(outcome.key).toMatch(/^[0-9a-f]{64}$/);
    expect(f.directory.row('10017676')?.location).toEqual({
      server: { name: 'here', address: { host: '127.0.0.1', port: 4321 } },
      network: 'wan',
      wan: { host: '10.0.0.1', port: 5000 },
      local,
      loginAt: f.clock.now(),
      logoutAt: null,
      hidden: false,
      epoch: 1,
    });
    expect(f.table.device(f.table.findOpen(outcome.cookie))).toMatchObject({ network: 'wan', firewall: 'weak' });
  });

  it('makes the session key of the proof', async () => {
    const f = flows();
    f.directory.put({ uid: '10017676' });
    const h = verifierOf('10017676', 'vserver', 'secret');
    const proof = proofOf(h, 'n0nce', 'c0ffee', '10017676');
    const credential = { kind: 'proof' as const, nonce: 'n0nce', cnonce: 'c0ffee', proof };
    const outcome = welcomed(await login(f.deps, loginRequest('10017676', { credential })));
    expect(outcome.key).toBe(sessionKey(h, 'n0nce', 'c0ffee'));
  });

  it('denies the unknown, the wrong, the one-way, the disabled and the expired, and opens nothing', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    f.directory.put({ uid: 'hashed', secret: { password: '{SSHA}x', ha1Md5: null, ha1Sha256: null } });
    f.directory.put({ uid: 'off', service: { ...service, enabled: false } });
    f.directory.put({ uid: 'old', service: { ...service, expiresAt: f.clock.now() } });
    const proof = { kind: 'proof' as const, nonce: 'n', cnonce: 'c', proof: '0'.repeat(64) };
    const reason = async (uid: string, credential: typeof proof | { kind: 'password'; password: string }) => {
      const outcome = await login(f.deps, loginRequest(uid, { credential }));
      return outcome.kind === 'denied' ? outcome.reason : outcome.kind;
    };
    expect(await reason('nobody', proof)).toBe('unknown-user');
    expect(await reason('not a uid', proof)).toBe('unknown-user');
    expect(await reason('a', proof)).toBe('wrong-secret');
    expect(await reason('a', { kind: 'password', password: 'Secret' })).toBe('wrong-secret');
    expect(await reason('hashed', proof)).toBe('one-way-password');
    expect(await reason('off', { kind: 'password', password: 'secret' })).toBe('disabled');
    expect(await reason('old', { kind: 'password', password: 'secret' })).toBe('expired');
    expect(f.table.count).toBe(0);
    expect(f.directory.row('off')?.location).toEqual(NOWHERE);
  });

  it('is refused where the location cannot be written, and opens nothing', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    f.directory.held = true;
    const outcome = login(f.deps, loginRequest('a'));
    await f.time.advance(0);
    f.directory.release();
    await f.time.advance(0);
    f.directory.down = true;
    f.directory.release();
    await expect(outcome).rejects.toMatchObject({ code: 'DIRECTORY_UNAVAILABLE', status: 503 });
    expect(f.table.count).toBe(0);
  });

  it('reads again when another login came first', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    f.directory.held = true;
    const outcome = login(f.deps, loginRequest('a'));
    await f.time.advance(0);
    f.directory.release();
    await f.time.advance(0);
    f.directory.held = false;
    await f.directory.writeLocation('a', on('elsewhere', 1), 0);
    f.directory.release();
    welcomed(await outcome);
    expect(f.directory.row('a')?.location).toMatchObject({ epoch: 2, server: { name: 'here' } });
  });

  it('gives up after four tries with 503, which no client takes for a login elsewhere', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    f.directory.writeLocation = () => Promise.resolve('lost');
    await expect(login(f.deps, loginRequest('a'))).rejects.toMatchObject({ status: 503, retryAfter: 1 });
    expect(f.table.count).toBe(0);
  });

  it('writes the visibility again where another device changed it meanwhile', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const first = welcomed(await login(f.deps, loginRequest('a', { instance: '1' })));
    f.directory.held = true;
    const outcome = login(f.deps, loginRequest('a', { instance: '2', status: 'invisible' }));
    await f.time.advance(0);
    f.directory.release();
    await f.time.advance(0);
    f.directory.release();
    await f.time.advance(0);
    expect(f.directory.waiting()).toBe(1);
    heard(f, f.table.findOpen(first.cookie), { status: 'invisible' });
    f.directory.release();
    welcomed(await outcome);
    expect(f.directory.row('a')?.location.hidden).toBe(false);
    expect(f.later.at(-1)).toMatchObject({ uid: 'a', location: { hidden: true, epoch: 2 }, expectedEpoch: 2 });
  });

  it('lets logins of one user follow one another, so that the last one stays', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => login(f.deps, loginRequest('a'))));
    expect(f.table.count).toBe(1);
    expect(
      f.table.findOpen(welcomed(outcomes[3] ?? { kind: 'denied', reason: 'expired' }).cookie),
    ).toBeGreaterThanOrEqual(0);
    expect(f.directory.row('a')?.location.epoch).toBe(4);
  });

  it('refuses the 17th login of one user at once', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => login(f.deps, loginRequest('a'))));
    const refused = all.filter((one) => one.status === 'rejected');
    expect(refused).toHaveLength(4);
    expect(refused[0]?.reason).toMatchObject({ code: 'SLOW_DOWN' });
  });
});

describe('several devices', () => {
  it('replaces the device of the same instance', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    const first = welcomed(await login(f.deps, loginRequest('a', { instance: 'phone' })));
    welcomed(await login(f.deps, loginRequest('a', { instance: 'phone' })));
    expect(f.table.count).toBe(1);
    expect(f.table.findOpen(first.cookie)).toBe(-1);
    expect(f.ended).toEqual([{ uid: first.cookie, reason: 'renewed' }]);
    expect(f.later).toEqual([]);
  });

  it('tells a takeover from the same client that logs in again from where it was', async () => {
    const f = flows();
    f.directory.put({ uid: 'a', service: { ...service, devicesMax: 1 } });
    const there = { host: '10.0.0.2', port: 5000 };
    for (const more of [
      {},
      {},
      { source: there },
      { source: there, instance: 'phone' },
      { instance: 'phone' },
      { instance: 'tablet', source: there },
    ]) {
      welcomed(await login(f.deps, loginRequest('a', more)));
    }
    expect(f.ended.map((one) => one.reason)).toEqual(['renewed', 'replaced', 'renewed', 'replaced', 'replaced']);
  });

  it('replaces the unnamed device by the next unnamed one, and leaves the named ones', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    for (const instance of ['phone', '', '']) welcomed(await login(f.deps, loginRequest('a', { instance })));
    expect(
      f.table
        .devices(f.table.users.find('a'))
        .map((one) => one.instance)
        .sort(),
    ).toEqual(['', 'phone']);
  });

  it('lets one more device join up to the maximum, then replaces the one longest silent', async () => {
    const f = flows();
    f.directory.put({ uid: 'a', service: { ...service, devicesMax: 2 } });
    const one = welcomed(await login(f.deps, loginRequest('a', { instance: '1' })));
    await f.time.advance(5000);
    welcomed(await login(f.deps, loginRequest('a', { instance: '2' })));
    await f.time.advance(5000);
    f.table.touch(f.table.findOpen(one.cookie), f.nowS());
    welcomed(await login(f.deps, loginRequest('a', { instance: '3' })));
    expect(
      f.table
        .devices(f.table.users.find('a'))
        .map((device) => device.instance)
        .sort(),
    ).toEqual(['1', '3']);
  });

  it('sends a user with several devices to the server that has him', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    await ownedBy(f, 'a', 'other');
    expect(await login(f.deps, loginRequest('a'))).toMatchObject({ kind: 'redirect', to: { name: 'other' } });
  });

  it('takes him over where that server is silent for 15 s', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    await ownedBy(f, 'a', 'other');
    await f.time.advance(15_001);
    welcomed(await login(f.deps, loginRequest('a')));
  });

  it('takes over a user with one device from wherever he is', async () => {
    const f = flows();
    f.directory.put({ uid: 'a', service: { ...service, devicesMax: 1 } });
    await ownedBy(f, 'a', 'other');
    welcomed(await login(f.deps, loginRequest('a')));
    expect(f.directory.row('a')?.location).toMatchObject({ epoch: 2, server: { name: 'here' } });
  });
});

describe('admission', () => {
  it('redirects from a full server to the least loaded other one, and answers 503 where all are full', async () => {
    const f = flows({ usersMax: 1 });
    for (const uid of ['a', 'b', 'c']) f.directory.put({ uid });
    welcomed(await login(f.deps, loginRequest('a')));
    await expect(login(f.deps, loginRequest('b'))).rejects.toMatchObject({ code: 'NO_ROOM', status: 503 });
    await f.directory.writeServer(serverRecord({ name: 'half', users: 50 }, f.clock.now()));
    await f.directory.writeServer(serverRecord({ name: 'empty', users: 1 }, f.clock.now()));
    await f.directory.writeServer(serverRecord({ name: 'leaving', users: 0, state: 'draining' }, f.clock.now()));
    await f.servers.renew();
    expect(await login(f.deps, loginRequest('b'))).toMatchObject({ kind: 'redirect', to: { name: 'empty' } });
    expect(await login(f.deps, loginRequest('b', { sentBy: (server) => server === 'empty', hops: 1 }))).toMatchObject({
      to: { name: 'half' },
    });
    await expect(login(f.deps, loginRequest('b', { hops: 3 }))).rejects.toMatchObject({ code: 'NO_ROOM' });
    welcomed(await login(f.deps, loginRequest('a')));
  });

  it('redirects from a draining server', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    await f.directory.writeServer(serverRecord({ name: 'other' }, f.clock.now()));
    await f.servers.renew();
    f.servers.setState('draining');
    expect(await login(f.deps, loginRequest('a'))).toMatchObject({ kind: 'redirect', to: { name: 'other' } });
  });
});
