/** Watchers on one node, the watched on another: what they see, what it costs, and what becomes of it when things fail. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/base/model.ts';
import { userDefaults } from '../../src/base/model.ts';
import { createBus } from '../../src/bus/bus.ts';
import { heard } from '../../src/login/presence.ts';
import { cluster, KEY } from '../support/cluster-flows.ts';
import type { Flows } from '../support/flows.ts';
import { loggedIn } from '../support/flows.ts';
import { silentLog } from '../support/silent-log.ts';

const plain = userDefaults('x');
const INTEREST_MS = 150_000;

/** Logs in there, and the node that had him before is told, as cluster.ts does. */
async function moved(from: Flows, to: Flows, uid: string, status: Status): Promise<void> {
  await loggedIn(to, uid, { status });
  from.ends.taken(uid, null);
}

describe('a watcher of a user of another node', () => {
  it('sees his login, status, note and logout', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'u' });
    a.watch('w', 'u');
    await time.advance(3_000);
    expect(a.told).toEqual([]);
    const row = await loggedIn(b, 'u');
    await time.advance(1_000);
    expect(a.told).toEqual(['w sees u online']);
    heard(b, row, { status: 'busy', note: 'x' });
    await time.advance(10_000);
    b.ends.end(row, 'logout');
    await time.advance(10_000);
    expect(a.told.slice(1)).toEqual(['w sees u busy x', 'w sees u offline']);
  });

  it('sees at once who was there already', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    directory.put({ uid: 'u' });
    await loggedIn(node(1), 'u', { status: 'away', note: 'lunch' });
    node(0).watch('w', 'u');
    await time.advance(200);
    expect(node(0).told).toEqual(['w sees u away lunch']);
    node(1).ends.endAll('u', 'logout');
    await time.advance(5_000);
    expect(node(0).told.slice(1)).toEqual(['w sees u offline']);
  });

  it('sees the same of a user who comes to this node and goes to a third', async () => {
    const { time, directory, node } = cluster(['a', 'b', 'c']);
    const [a, b, c] = [node(0), node(1), node(2)];
    directory.put({ uid: 'u', service: { ...plain.service, devicesMax: 1 } });
    a.watch('w', 'u');
    await loggedIn(b, 'u', { status: 'busy' });
    await time.advance(10_000);
    await moved(b, a, 'u', 'away');
    await time.advance(10_000);
    await moved(a, c, 'u', 'on-phone');
    await time.advance(10_000);
    expect(a.told).toEqual(['w sees u busy', 'w sees u away', 'w sees u on-phone']);
    expect(a.ended).toEqual([]);
  });

  it('does not see him while he is invisible', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'u' });
    const row = await loggedIn(b, 'u', { status: 'invisible', note: 'secret' });
    a.watch('w', 'u');
    await time.advance(100_000);
    expect(a.told).toEqual([]);
    heard(b, row, { status: 'online', note: '' });
    await time.advance(10_000);
    heard(b, row, { status: 'invisible', note: 'secret' });
    await time.advance(10_000);
    expect(a.told).toEqual(['w sees u online', 'w sees u offline']);
  });

  it('who is blocked sees him offline for ever, and others see him', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'u', lists: { ...plain.lists, blocked: ['w'] } });
    a.watch('w', 'u');
    a.watch('other', 'u');
    const row = await loggedIn(b, 'u');
    await time.advance(10_000);
    heard(b, row, { status: 'busy' });
    await time.advance(100_000);
    expect(a.told).toEqual(['other sees u online', 'other sees u busy']);
    expect(a.presence.seen('w', 'u').status).toBe('offline');
    expect(a.presence.seen('other', 'u').status).toBe('busy');
    expect(a.presence.seen('stranger', 'u').status).toBe('offline');
  });

  it('who gets blocked sees a logout, and a login when that is over', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    for (const uid of ['u', 'w']) directory.put({ uid });
    await loggedIn(b, 'u');
    a.watch('w', 'u');
    await time.advance(10_000);
    await b.presenceCases.buddy('u', 'block', 'w');
    await time.advance(10_000);
    await b.presenceCases.buddy('u', 'unblock', 'w');
    await time.advance(10_000);
    expect(a.told).toEqual(['w sees u online', 'w sees u offline', 'w sees u online']);
  });

  it('who gets blocked while the other is away is told nothing when that one comes back', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    for (const uid of ['u', 'w']) directory.put({ uid });
    const row = await loggedIn(b, 'u');
    for (const watcher of ['w', 'other']) a.watch(watcher, 'u');
    await time.advance(10_000);
    b.ends.end(row, 'logout');
    await time.advance(10_000);
    await b.presenceCases.buddy('u', 'block', 'w');
    await time.advance(60_000);
    a.told.length = 0;
    await loggedIn(b, 'u');
    // His record can't be read yet.
    directory.held = true;
    await time.advance(500);
    expect(a.told).toEqual([]);
    directory.held = false;
    directory.release();
    await time.advance(10_000);
    expect(a.told).toEqual(['other sees u online']);
  });

  it('without consent sees nothing, and him with it; himself he sees always', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'w' });
    directory.put({ uid: 'u', service: { ...plain.service, privacy: 'buddies' } });
    await loggedIn(b, 'u');
    a.watch('w', 'u');
    a.watch('u', 'u');
    await time.advance(10_000);
    expect(a.told).toEqual(['u sees u online']);
    await a.presenceCases.buddy('w', 'add', 'u');
    await b.presenceCases.buddy('u', 'accept', 'w');
    await time.advance(10_000);
    expect(a.told.slice(1)).toEqual(['w sees u online']);
  });

  it('by a phone is told that he was removed', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    directory.put({ uid: 'u' });
    node(0).watch('w', 'u');
    await directory.remove('u');
    await time.advance(60_000);
    expect(node(0).ended).toEqual([{ watcher: 'w', reason: 'noresource' }]);
  });
});

describe('when something fails', () => {
  it('a node that dies takes its users offline, and the next login anywhere brings them back', async () => {
    const { time, directory, node } = cluster(['a', 'b', 'c']);
    const [a, b, c] = [node(0), node(1), node(2)];
    directory.put({ uid: 'u' });
    a.watch('w', 'u');
    await loggedIn(b, 'u');
    await time.advance(10_000);
    b.isRunning = false;
    await time.advance(20_000);
    expect(a.told).toEqual(['w sees u online', 'w sees u offline']);
    await loggedIn(c, 'u', { status: 'busy' });
    await time.advance(5_000);
    expect(a.told.slice(2)).toEqual(['w sees u busy']);
  });

  it('a node that was only silent for a while is believed again', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'u' });
    a.watch('w', 'u');
    const row = await loggedIn(b, 'u');
    await time.advance(10_000);
    b.isRunning = false;
    await time.advance(20_000);
    heard(b, row, { status: 'away' });
    b.isRunning = true;
    await time.advance(10_000);
    expect(a.told).toEqual(['w sees u online', 'w sees u offline', 'w sees u away']);
  });

  it.each([
    [
      'every other message',
      () => {
        let sent = 0;
        return () => (sent++ % 2 === 0 ? [] : [0]);
      },
    ],
    [
      'all twice and out of order',
      () => {
        let sent = 0;
        return () => (sent++ % 2 === 0 ? [900, 950] : [0, 2_000]);
      },
    ],
  ])('%s lost or doubled: the last state comes through within a minute', async (_, fate) => {
    const { time, directory, node } = cluster(['a', 'b'], fate());
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'u' });
    a.watch('w', 'u');
    const row = await loggedIn(b, 'u');
    for (let i = 0; i < 20; i++) {
      heard(b, row, { status: i % 2 === 0 ? 'busy' : 'away', note: String(i) });
      await time.advance(1_700);
    }
    await time.advance(60_000);
    expect(a.told.at(-1)).toBe('w sees u away 19');
  });

  it('while the bus is away the last state holds, but not for ever', async () => {
    const { time, directory, wires, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'u' });
    a.watch('w', 'u');
    const row = await loggedIn(b, 'u');
    await time.advance(10_000);
    wires.down = true;
    heard(b, row, { status: 'busy' });
    await time.advance(30_000);
    expect(a.told).toEqual(['w sees u online']);
    wires.down = false;
    await time.advance(2_000);
    expect(a.told.slice(1)).toEqual(['w sees u busy']);
    wires.down = true;
    await time.advance(140_000);
    expect(a.told.slice(2)).toEqual(['w sees u offline']);
    wires.down = false;
    await time.advance(2_000);
    expect(a.told.slice(3)).toEqual(['w sees u busy']);
  });

  it('while the directory is away who is watched already is seen as before, and no new one is shown', async () => {
    const { time, directory, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    for (const uid of ['u', 'v']) directory.put({ uid });
    a.watch('w', 'u');
    const row = await loggedIn(b, 'u');
    await loggedIn(b, 'v');
    await time.advance(10_000);
    directory.down = true;
    heard(b, row, { status: 'busy' });
    a.watch('w', 'v');
    await time.advance(100_000);
    expect(a.told).toEqual(['w sees u online', 'w sees u busy']);
    directory.down = false;
    await time.advance(10_000);
    expect(a.told.slice(2)).toEqual(['w sees v online']);
  });

  it('messages of strangers, of another release and without sense change nothing', async () => {
    const { time, directory, wires, node } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'u' });
    a.watch('w', 'u');
    await loggedIn(b, 'u');
    await time.advance(10_000);
    const random = { bytes: (length: number) => randomBytes(length) };
    const bus = createBus({
      wire: wires.plug('c'),
      clusterKey: KEY,
      name: 'c',
      clock: time.clock,
      random,
      log: silentLog,
    });
    bus.tell('a', 'presence', { order: 9e15, states: [['u', 'busy', '', 'v'], ['u'], 7, null, [{}]] });
    bus.tell('a', 'presence', { order: 'x', states: {} });
    bus.tell('a', 'arrived', { users: [['u', 'x'], 'u', null] });
    bus.tell('a', 'arrived', {});
    bus.tell('a', 'presence of tomorrow', { states: [['u']] });
    const nonsense = bus.ask('a', 'watch', { uids: 'u' }, 500);
    await time.advance(10_000);
    expect(await nonsense).toBe('silence');
    expect(a.told).toEqual(['w sees u online']);
    expect(a.presence.subscriptions.nodes).toBe(0);
  });
});

describe('the cost', () => {
  it('does not grow with the watchers: one question and one message a user and node', async () => {
    const { time, directory, wires, node, asked } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'u' });
    const row = await loggedIn(b, 'u');
    for (let i = 0; i < 1_000; i++) a.watch(`w${i}`, 'u');
    await time.advance(1_000);
    expect(a.told.length).toBe(1_000);
    expect([asked('watch'), b.presence.subscriptions.nodes]).toEqual([1, 1]);
    wires.sent.length = 0;
    heard(b, row, { status: 'busy' });
    await time.advance(10_000);
    expect(a.told.length).toBe(2_000);
    expect(asked('presence')).toBe(1);
  });

  it('of a storm of changes is bounded, and so is that of many changes at once', async () => {
    const { time, directory, node, asked } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    const rows: number[] = [];
    for (let i = 0; i < 10; i++) {
      directory.put({ uid: `u${i}` });
      a.watch('w', `u${i}`);
      rows.push(await loggedIn(b, `u${i}`));
    }
    await time.advance(10_000);
    const before = asked('presence');
    for (let i = 0; i < 1_000; i++) {
      for (const row of rows) heard(b, row, { status: i % 2 === 0 ? 'busy' : 'away', note: String(i) });
      await time.advance(10);
    }
    await time.advance(10_000);
    // All ten together, twice a second.
    expect(asked('presence') - before).toBeLessThanOrEqual(22);
    expect(a.presence.seen('w', 'u7')).toEqual({ status: 'away', note: '999' });
  });

  it('ends when nobody watches any more: here at once, there when the time is over', async () => {
    const { time, directory, node, asked } = cluster(['a', 'b']);
    const [a, b] = [node(0), node(1)];
    directory.put({ uid: 'u' });
    const row = a.watch('w', 'u');
    const session = await loggedIn(b, 'u');
    await time.advance(200_000);
    expect([a.told.length, b.presence.subscriptions.nodes]).toEqual([1, 1]);
    a.presence.unsubscribe(row);
    const before = asked('watch');
    await time.advance(INTEREST_MS + 2_000);
    expect(asked('watch')).toBe(before);
    expect([b.presence.subscriptions.nodes, b.presence.subscriptions.isWatched('u')]).toEqual([0, false]);
    heard(b, session, { status: 'busy' });
    await time.advance(10_000);
    expect(a.told.length).toBe(1);
  });

  it('of a login is one message, of many at once together, wherever anybody watches', async () => {
    const { time, directory, node, asked } = cluster(['a', 'b']);
    for (let i = 0; i < 12; i++) directory.put({ uid: `u${i}` });
    await Promise.all(Array.from({ length: 12 }, (_, i) => loggedIn(node(1), `u${i}`)));
    await time.advance(1_000);
    expect([asked('arrived'), asked('watch')]).toEqual([1, 0]);
  });
});
