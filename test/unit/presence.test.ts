import { describe, expect, it } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import { heard } from '../../src/login/presence.ts';
import { compose } from '../../src/presence/compose.ts';
import type { Seen } from '../../src/presence/compose.ts';
import { Presence, SUBSCRIPTION_LIMITS } from '../../src/presence/presence.ts';
import type { Ending } from '../../src/presence/presence.ts';
import type { Edge } from '../../src/presence/subscriptions.ts';
import { flows, loggedIn } from '../support/flows.ts';
import type { Flows } from '../support/flows.ts';

const plain = userDefaults('x');

interface Told extends Seen {
  readonly watcher: string;
  readonly wentS: number | null;
}

/** Both edges, which only note what they are told; `answers`: the watcher takes each notification at once. */
function watching(f: Flows, presence = f.presence) {
  const told: Told[] = [];
  const ended: { watcher: string; reason: Ending; seen: Seen }[] = [];
  const open: number[] = [];
  const state = { answers: true };
  const { subscriptions } = presence;
  for (const edge of ['native', 'sip'] as const) {
    presence.attach(edge, {
      notify(row, seen, wentS) {
        told.push({ watcher: subscriptions.watcherOf(row), ...seen, wentS });
        if (state.answers) presence.notified(row);
        else open.push(row);
      },
      ended: (row, reason, seen) => void ended.push({ watcher: subscriptions.watcherOf(row), reason, seen }),
    });
  }
  const watch = (watcher: string, presentity: string, edge: Edge = 'native', endsS = 0, ref = 0): number => {
    const row = presence.subscribe({ watcher, presentity, edge, ref, endsS });
    if (row >= 0) presence.introduce(row);
    return row;
  };
  return { told, ended, open, state, watch };
}

describe('the state of a user', () => {
  const say = (status: Parameters<typeof compose>[0][number]['status'], note = '') => ({ status, note });

  it('is what is said of the person, before what is said of a device', () => {
    expect(compose([say('online'), say('on-phone'), say('busy')])).toEqual(say('on-phone'));
    expect(compose([say('away'), say('busy', 'in a meeting'), say('online')])).toEqual(say('busy', 'in a meeting'));
    expect(compose([say('away'), say('online')])).toEqual(say('online'));
    expect(compose([say('away', 'lunch'), say('invisible', 'secret')])).toEqual(say('away', 'lunch'));
  });

  it('is offline without a device that may be seen', () => {
    expect(compose([])).toEqual({ status: 'offline', note: '' });
    expect(compose([say('invisible', 'secret')])).toEqual({ status: 'offline', note: '' });
  });
});

describe('a watcher', () => {
  it('is told of login, status, note and logout, and of nothing else', async () => {
    const f = flows();
    const { told, watch } = watching(f);
    f.directory.put({ uid: 'a' });
    watch('w', 'a');
    await f.time.advance(5_000);
    expect(told).toEqual([]);
    const row = await loggedIn(f, 'a');
    await f.time.advance(5_000);
    heard(f, row, { status: 'busy', note: 'x' });
    await f.time.advance(5_000);
    heard(f, row, { status: 'busy', note: 'x', device: 'cpu=1' });
    heard(f, row, undefined);
    await f.time.advance(5_000);
    f.ends.end(row, 'logout');
    await f.time.advance(5_000);
    expect(told).toEqual([
      { watcher: 'w', status: 'online', note: '', wentS: null },
      { watcher: 'w', status: 'busy', note: 'x', wentS: null },
      { watcher: 'w', status: 'offline', note: '', wentS: f.nowS() - 5 },
    ]);
  });

  it('sees an invisible user as offline, at once and until he shows himself', async () => {
    const f = flows();
    const { told, watch } = watching(f);
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    watch('w', 'a');
    await f.time.advance(2_000);
    heard(f, row, { status: 'invisible', note: 'hidden' });
    await f.time.advance(2_000);
    heard(f, row, { status: 'invisible', note: 'still hidden' });
    await f.time.advance(2_000);
    f.ends.end(row, 'logout');
    await f.time.advance(2_000);
    expect(told.map(({ status, note }) => [status, note])).toEqual([
      ['online', ''],
      ['offline', ''],
    ]);
  });

  it('who is blocked sees him offline for ever', async () => {
    const f = flows();
    const { told, watch } = watching(f);
    f.directory.put({ uid: 'a', lists: { ...plain.lists, blocked: ['w'] } });
    const row = await loggedIn(f, 'a');
    watch('w', 'a');
    heard(f, row, { status: 'busy' });
    f.ends.end(row, 'logout');
    await loggedIn(f, 'a');
    await f.time.advance(10_000);
    expect(told).toEqual([]);
    expect(f.presence.seen('w', 'a').status).toBe('offline');
    expect(f.presence.seen('other', 'a').status).toBe('online');
  });

  it('who gets blocked sees a logout, and a login when that is over', async () => {
    const f = flows();
    const { told, watch } = watching(f);
    for (const uid of ['a', 'w']) f.directory.put({ uid });
    await loggedIn(f, 'a');
    watch('w', 'a');
    await f.time.advance(2_000);
    await f.presenceCases.buddy('a', 'block', 'w');
    await f.time.advance(2_000);
    await f.presenceCases.buddy('a', 'unblock', 'w');
    await f.time.advance(2_000);
    expect(told.map(({ status }) => status)).toEqual(['online', 'offline', 'online']);
  });

  it('sees nothing of a user whose record asks for consent, before he has it', async () => {
    const f = flows();
    const { told, watch } = watching(f);
    f.directory.put({ uid: 'w' });
    f.directory.put({ uid: 'a', service: { ...plain.service, privacy: 'buddies' } });
    await loggedIn(f, 'a');
    watch('w', 'a');
    await f.time.advance(2_000);
    expect(told).toEqual([]);
    expect(await f.presenceCases.buddy('w', 'add', 'a')).toBe('asked');
    await f.time.advance(2_000);
    expect(told).toEqual([]);
    await f.presenceCases.buddy('a', 'accept', 'w');
    await f.time.advance(2_000);
    expect(told.map(({ status }) => status)).toEqual(['online']);
  });

  it('sees himself, whatever his record says', async () => {
    const f = flows();
    f.directory.put({ uid: 'a', service: { ...plain.service, privacy: 'none' } });
    await loggedIn(f, 'a', { status: 'away' });
    expect(f.presence.seen('a', 'a').status).toBe('away');
    expect(f.presence.seen('b', 'a').status).toBe('offline');
  });
});

describe('a storm of changes', () => {
  it('tells a client once a second, a SIP watcher once in five, and the last state wins', async () => {
    const f = flows();
    const { told, watch } = watching(f);
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    watch('w', 'a');
    watch('phone', 'a', 'sip', f.nowS() + 600);
    for (let i = 0; i < 1_000; i++) {
      heard(f, row, { status: i % 2 === 0 ? 'busy' : 'away', note: String(i) });
      await f.time.advance(10);
    }
    await f.time.advance(10_000);
    const of = (watcher: string) => told.filter((one) => one.watcher === watcher);
    expect(of('w').length).toBeLessThanOrEqual(12);
    expect(of('w').length).toBeGreaterThanOrEqual(10);
    expect(of('phone').length).toBeLessThanOrEqual(4);
    expect(of('phone').length).toBeGreaterThanOrEqual(2);
    for (const who of ['w', 'phone']) expect(of(who).at(-1)).toMatchObject({ status: 'away', note: '999' });
    expect(f.time.running()).toBe(0);
  });

  it('that comes back to where it was tells nobody', async () => {
    const f = flows();
    const { told, watch } = watching(f);
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    watch('w', 'a');
    await f.time.advance(100);
    heard(f, row, { status: 'busy' });
    heard(f, row, { status: 'online' });
    await f.time.advance(5_000);
    expect(told.map(({ status }) => status)).toEqual(['online']);
  });

  it('reaches 10,000 watchers of one user, 200 a turn, and the next one is refused', async () => {
    const f = flows();
    const { told, watch } = watching(f);
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    for (let i = 0; i < 10_000; i++) expect(watch(`w${i}`, 'a')).toBeGreaterThanOrEqual(0);
    expect(watch('one more', 'a')).toBe(-1);
    await f.time.advance(10);
    expect(told.length).toBe(200);
    await f.time.advance(490);
    expect(told.length).toBe(10_000);
    heard(f, row, { status: 'busy' });
    await f.time.advance(3_000);
    expect(told.length).toBe(20_000);
    expect(new Set(told.slice(10_000).map(({ watcher }) => watcher)).size).toBe(10_000);
  });
});

describe('a watcher who never answers', () => {
  it('is told nothing more until the notification has come to its end, and then the last state', async () => {
    const f = flows();
    const { told, open, state, watch } = watching(f);
    state.answers = false;
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    const silent = watch('w', 'a');
    await f.time.advance(100);
    for (const note of ['1', '2', '3']) {
      heard(f, row, { note });
      await f.time.advance(10_000);
    }
    expect(told.length).toBe(1);
    expect(open).toEqual([silent]);
    f.presence.notified(silent);
    await f.time.advance(1_000);
    expect(told.map(({ note }) => note)).toEqual(['', '3']);
  });

  it('whose subscription is taken away leaves the others theirs', async () => {
    const f = flows();
    const { told, state, watch } = watching(f);
    state.answers = false;
    f.directory.put({ uid: 'a' });
    const row = await loggedIn(f, 'a');
    const [silent] = [watch('silent', 'a'), watch('other', 'a')];
    await f.time.advance(100);
    state.answers = true;
    f.presence.unsubscribe(silent);
    for (const rows of [...f.presence.subscriptions.watchersOf('a')]) f.presence.notified(rows);
    heard(f, row, { status: 'busy' });
    await f.time.advance(2_000);
    expect(told.slice(2)).toMatchObject([{ watcher: 'other', status: 'busy' }]);
  });
});

describe('a subscription', () => {
  it('ends when it is not renewed, and says so with the state as it is', async () => {
    const f = flows();
    const { ended, watch } = watching(f);
    f.directory.put({ uid: 'a' });
    await loggedIn(f, 'a');
    const one = watch('one', 'a', 'sip', f.nowS() + 60);
    watch('two', 'a', 'sip', f.nowS() + 60);
    f.presence.subscriptions.renew(one, f.nowS() + 120);
    await f.time.advance(60_000);
    f.presence.turn(f.nowS());
    expect(ended).toEqual([{ watcher: 'two', reason: 'timeout', seen: { status: 'online', note: '' } }]);
    await f.time.advance(60_000);
    f.presence.turn(f.nowS());
    expect(ended.map(({ watcher }) => watcher)).toEqual(['two', 'one']);
    expect(f.presence.subscriptions.count).toBe(0);
  });

  it('of a client ends with its session, that of a phone does not', async () => {
    const f = flows();
    const { ended, watch } = watching(f);
    f.directory.put({ uid: 'w' });
    const session = await loggedIn(f, 'w', { instance: '1' });
    const other = await loggedIn(f, 'w', { instance: '2' });
    watch('w', 'a', 'native', 0, session);
    watch('w', 'a', 'native', 0, other);
    watch('w', 'a', 'sip', f.nowS() + 60);
    f.ends.end(session, 'logout');
    expect(f.presence.subscriptions.count).toBe(2);
    expect(ended).toEqual([]);
  });

  it.each([
    ['disabled', 'rejected', ['w']],
    ['new-password', 'rejected', ['w']],
    ['elsewhere', 'deactivated', ['of w']],
    ['removed', 'noresource', ['w', 'of w']],
  ] as const)('of SIP ends where the user is %s', async (reason, last, who) => {
    const f = flows();
    const { ended, watch } = watching(f);
    f.directory.put({ uid: 'w' });
    const session = await loggedIn(f, 'w');
    watch('w', 'a', 'sip', f.nowS() + 60);
    watch('of w', 'w', 'sip', f.nowS() + 60);
    f.ends.end(session, reason);
    expect(ended.map(({ watcher }) => watcher)).toEqual(who);
    expect(ended.at(-1)).toMatchObject({ reason: last, seen: { status: 'offline' } });
    expect(f.presence.subscriptions.count).toBe(2 - who.length);
  });

  it('has its limits: in total and of a watcher', () => {
    const f = flows();
    const limits = { ...SUBSCRIPTION_LIMITS, total: 3, ofWatcher: 2 };
    const presence = new Presence({ table: f.table, clock: f.clock, timers: f.time.timers, limits });
    const { watch } = watching(f, presence);
    expect([watch('w', 'a'), watch('w', 'b'), watch('w', 'c')]).toEqual([0, 1, -1]);
    expect([watch('v', 'a'), watch('v', 'b')]).toEqual([2, -1]);
    presence.unsubscribe(0);
    expect(watch('v', 'b')).toBe(0);
    expect([...presence.subscriptions.watchedBy('v')]).toEqual([0, 2]);
    expect([...presence.subscriptions.watchersOf('b')]).toEqual([0, 1]);
  });

  it('leaves nothing behind: lists and neighbours hold through any order of additions and removals', () => {
    const f = flows();
    const { subscriptions } = f.presence;
    const rows = new Map<number, string>();
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let i = 0; i < 5_000; i++) {
      const [first] = rows.keys();
      if (random(3) === 0 && first !== undefined) {
        const row = [...rows.keys()][random(rows.size)] ?? first;
        subscriptions.remove(row);
        rows.delete(row);
      } else if (rows.size < 300) {
        const [watcher, presentity] = [`w${random(9)}`, `p${random(9)}`];
        const row = subscriptions.add({ watcher, presentity, edge: 'sip', ref: 0, endsS: f.nowS() + 1 + random(99) });
        rows.set(row, `${watcher} ${presentity}`);
      }
    }
    expect(subscriptions.count).toBe(rows.size);
    for (let i = 0; i < 9; i++) {
      const those = (name: string, at: 0 | 1) =>
        [...rows].filter(([, pair]) => pair.split(' ')[at] === name).map(([row]) => row);
      expect([...subscriptions.watchedBy(`w${i}`)].sort()).toEqual(those(`w${i}`, 0).sort());
      expect([...subscriptions.watchersOf(`p${i}`)].sort()).toEqual(those(`p${i}`, 1).sort());
    }
    subscriptions.turn(f.nowS() + 200, (row) => {
      subscriptions.remove(row);
    });
    expect(subscriptions.count).toBe(0);
    expect(subscriptions.isWatched('p1')).toBe(false);
  });
});
