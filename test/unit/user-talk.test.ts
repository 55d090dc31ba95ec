/** What a node has another one do for its users: kicked, shown, read anew, published for. */
import { describe, expect, it } from 'vitest';
import { Admin } from '../../src/admin/admin.ts';
import { tellChanged } from '../../src/cluster/user-talk.ts';
import { cluster } from '../support/cluster-flows.ts';
import type { Node } from '../support/cluster-flows.ts';
import { loggedIn } from '../support/flows.ts';

const PHONE = { host: '10.0.0.7', port: 5060 };

function pair() {
  const all = cluster(['a', 'b']);
  const [a, b] = [all.node(0), all.node(1)];
  all.directory.put({ uid: 'u' });
  const adminOf = (node: Node): Admin =>
    new Admin({ ...node, ...node.deps, name: node.name, refreshVariables: () => Promise.resolve() });
  /** The answer comes as time goes on. */
  const soon = async <T>(answer: Promise<T>): Promise<T> => {
    const [answered] = await Promise.all([answer, all.time.advance(3_000)]);
    return answered;
  };
  return { ...all, a, b, adminOf, soon };
}

describe('an administrator', () => {
  it('ends the sessions of a user wherever he is, and is told how many and where', async () => {
    const { directory, a, b, adminOf, soon } = pair();
    await loggedIn(b, 'u', { instance: '1' });
    await loggedIn(b, 'u', { instance: '2' });
    expect(await soon(adminOf(a).kick('u'))).toEqual({ server: 'b', sessions: 2 });
    expect(b.table.count).toBe(0);
    directory.put({ uid: 'v' });
    await loggedIn(a, 'v');
    expect(await soon(adminOf(a).kick('v'))).toEqual({ server: 'a', sessions: 1 });
  });

  it('sees his devices wherever he is', async () => {
    const { a, b, adminOf, soon } = pair();
    await loggedIn(b, 'u', { instance: 'desk', status: 'busy' });
    const { server, devices } = await soon(adminOf(a).devices('u'));
    expect([server, devices.map(({ instance, status }) => [instance, status])]).toEqual(['b', [['desk', 'busy']]]);
    expect(await soon(adminOf(a).devices('nobody'))).toEqual({ server: null, devices: [] });
  });

  it('is told which node has the user where that does not answer', async () => {
    const { wires, a, b, adminOf, soon } = pair();
    await loggedIn(b, 'u');
    wires.down = true;
    expect(await soon(adminOf(a).kick('u'))).toEqual({ server: 'b', sessions: 0 });
    expect(await soon(adminOf(a).devices('u'))).toEqual({ server: 'b', devices: [] });
    expect(b.table.count).toBe(1);
  });
});

it('a changed record is read at once by the node that has the user, and by no other', async () => {
  const { directory, time, a, b } = pair();
  await loggedIn(b, 'u');
  await directory.change('u', { lists: { blocked: ['w'] } });
  await time.advance(100);
  directory.calls.length = 0;
  const { bus } = a;
  if (bus === undefined) throw new Error('no bus');
  tellChanged(bus, 'u');
  await time.advance(100);
  expect(b.table.users.profile(b.table.users.find('u')).blocked).toEqual(['w']);
  expect(directory.calls).toEqual(['peek', 'find']);
});

describe('what a phone publishes at a node that does not have its user', () => {
  const request = {
    uid: 'u',
    from: PHONE,
    ifMatch: '',
    published: { status: 'busy', note: 'x' },
    expiresS: 600,
  } as const;
  const registered = { source: PHONE, contact: '<sip:u@10.0.0.7>', registration: 'call' } as const;

  it('is his status at the node that has him, until it is removed by its tag', async () => {
    const { a, b, soon } = pair();
    await loggedIn(b, 'u', registered);
    const first = await soon(a.elsewhere.publish(request));
    if (first.kind !== 'published') throw new Error(first.kind);
    expect(b.presence.seen('w', 'u')).toEqual({ status: 'busy', note: 'x' });
    expect([a.publications.count, b.publications.count]).toEqual([0, 1]);
    const removal = { ...request, ifMatch: first.etag, published: null, expiresS: 0 };
    expect(await soon(a.elsewhere.publish(removal))).toMatchObject({ kind: 'published', expiresS: 0 });
    expect(b.presence.seen('w', 'u')).toEqual({ status: 'online', note: '' });
    expect(await soon(a.elsewhere.publish(removal))).toEqual({ kind: 'no-match' });
  });

  it('waits here where nobody has him, and is refused where his node does not answer', async () => {
    const { wires, a, b, soon } = pair();
    expect(await soon(a.elsewhere.publish(request))).toMatchObject({ kind: 'published' });
    expect(a.publications.count).toBe(1);
    await loggedIn(b, 'u', registered);
    wires.down = true;
    await expect(soon(a.elsewhere.publish(request))).rejects.toMatchObject({ code: 'OVERLOADED' });
  });
});
