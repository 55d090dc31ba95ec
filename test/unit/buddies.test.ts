import { describe, expect, it } from 'vitest';
import { LIST_ENTRIES_MAX, userDefaults } from '../../src/base/model.ts';
import type { Lists, User } from '../../src/base/model.ts';
import { flows, loggedIn } from '../support/flows.ts';
import type { Flows } from '../support/flows.ts';

const plain = userDefaults('x');
const ASKS = { ...plain.service, privacy: 'buddies' } as const;

function node(...users: readonly (Partial<User> & { uid: string })[]): Flows {
  const f = flows();
  for (const user of users) f.directory.put(user);
  return f;
}

/** Those of his lists that are not empty. */
function lists(f: Flows, uid: string): Partial<Lists> {
  const all = f.directory.row(uid)?.user.lists ?? plain.lists;
  return Object.fromEntries(Object.entries(all).filter(([, uids]) => (uids as readonly string[]).length > 0));
}

describe('a buddy', () => {
  it('is added at once where his record asks for nothing, however often', async () => {
    const f = node({ uid: 'a' }, { uid: 'b' });
    for (let i = 0; i < 2; i++) expect(await f.presenceCases.buddy('a', 'add', 'b')).toBe('done');
    expect(lists(f, 'a')).toEqual({ buddies: ['b'] });
    expect(lists(f, 'b')).toEqual({});
    await f.presenceCases.buddy('a', 'remove', 'b');
    expect(lists(f, 'a')).toEqual({});
  });

  it('whose record asks for it consents first, and then both are buddies', async () => {
    const f = node({ uid: 'a' }, { uid: 'b', service: ASKS });
    expect(await f.presenceCases.buddy('a', 'add', 'b')).toBe('asked');
    expect([lists(f, 'a'), lists(f, 'b')]).toEqual([{ asked: ['b'] }, { asking: ['a'] }]);
    expect(await f.presenceCases.buddy('b', 'accept', 'a')).toBe('done');
    expect([lists(f, 'a'), lists(f, 'b')]).toEqual([{ buddies: ['b'] }, { buddies: ['a'] }]);
  });

  it('is accepted by adding him too', async () => {
    const f = node({ uid: 'a' }, { uid: 'b', service: ASKS });
    await f.presenceCases.buddy('a', 'add', 'b');
    expect(await f.presenceCases.buddy('b', 'add', 'a')).toBe('done');
    expect([lists(f, 'a'), lists(f, 'b')]).toEqual([{ buddies: ['b'] }, { buddies: ['a'] }]);
  });

  it('who has him as a buddy already has consented', async () => {
    const f = node({ uid: 'a' }, { uid: 'b', service: ASKS, lists: { ...plain.lists, buddies: ['a'] } });
    expect(await f.presenceCases.buddy('a', 'add', 'b')).toBe('done');
  });

  it('declines by removing the one who asks, who may take it back as well', async () => {
    const f = node({ uid: 'a' }, { uid: 'b', service: ASKS });
    for (const [who, whom] of [
      ['b', 'a'],
      ['a', 'b'],
    ] as const) {
      await f.presenceCases.buddy('a', 'add', 'b');
      await f.presenceCases.buddy(who, 'remove', whom);
      expect([lists(f, 'a'), lists(f, 'b')]).toEqual([{}, {}]);
    }
  });

  it('who blocks is asked in vain, and it looks the same', async () => {
    const f = node({ uid: 'a' }, { uid: 'b', service: ASKS, lists: { ...plain.lists, blocked: ['a'] } });
    expect(await f.presenceCases.buddy('a', 'add', 'b')).toBe('asked');
    expect([lists(f, 'a'), lists(f, 'b')]).toEqual([{ asked: ['b'] }, { blocked: ['a'] }]);
  });

  it('who is blocked while he asks learns nothing of it', async () => {
    const f = node({ uid: 'a' }, { uid: 'b', service: ASKS });
    await f.presenceCases.buddy('a', 'add', 'b');
    await f.presenceCases.buddy('b', 'block', 'a');
    expect([lists(f, 'a'), lists(f, 'b')]).toEqual([{ asked: ['b'] }, { blocked: ['a'] }]);
    await f.presenceCases.buddy('b', 'unblock', 'a');
    expect(lists(f, 'b')).toEqual({});
  });

  it.each([
    ['add', 'nobody', 'NO_SUCH_USER'],
    ['block', 'nobody', 'NO_SUCH_USER'],
    ['accept', 'b', 'NOT_FOUND'],
    ['add', 'a', 'CONFLICT'],
    ['add', 'c', 'TOO_LONG'],
  ] as const)('%s %s is refused', async (action, other, code) => {
    const buddies = Array.from({ length: LIST_ENTRIES_MAX }, (_, i) => `u${i}`);
    const f = node({ uid: 'a', lists: { ...plain.lists, buddies } }, { uid: 'b' }, { uid: 'c' });
    await expect(f.presenceCases.buddy('a', action, other)).rejects.toMatchObject({ code });
    expect(lists(f, 'a')).toEqual({ buddies });
  });

  it('who no longer exists can be removed', async () => {
    const f = node({ uid: 'a', lists: { ...plain.lists, buddies: ['gone'] } });
    expect(await f.presenceCases.buddy('a', 'remove', 'gone')).toBe('done');
    expect(lists(f, 'a')).toEqual({});
  });

  it('none is lost where many are added at once', async () => {
    const uids = Array.from({ length: 8 }, (_, i) => `u${i}`);
    const f = node({ uid: 'a' }, ...uids.map((uid) => ({ uid })));
    await Promise.all(uids.map((uid) => f.presenceCases.buddy('a', 'add', uid)));
    expect([...(lists(f, 'a').buddies ?? [])].sort()).toEqual(uids);
  });

  it('takes effect at once for who is online', async () => {
    const f = node({ uid: 'a' }, { uid: 'b' });
    await loggedIn(f, 'a');
    await f.presenceCases.buddy('a', 'add', 'b');
    expect(f.table.users.profile(f.table.users.find('a')).buddies).toEqual(['b']);
  });
});
