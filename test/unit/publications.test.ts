import { describe, expect, it } from 'vitest';
import { locateHere } from '../../src/locator/locate.ts';
import { Publications } from '../../src/presence/publications.ts';
import type { PublishRequest } from '../../src/presence/publications.ts';
import { flows, loggedIn } from '../support/flows.ts';
import type { Flows } from '../support/flows.ts';

const DESK = { host: '10.0.0.1', port: 5000 };
const CAR = { host: '10.0.0.2', port: 5000 };
const BUSY = { status: 'busy', note: 'meeting' } as const;

async function phones(...at: readonly (typeof DESK)[]): Promise<Flows> {
  const f = flows();
  f.directory.put({ uid: 'a' });
  for (const source of at) {
    const contact = `sip:a@${source.host}:${source.port}`;
    await loggedIn(f, 'a', { source, contact, instance: contact });
  }
  return f;
}

function publish(f: Flows, more: Partial<PublishRequest> = {}) {
  const request = { uid: 'a', from: DESK, ifMatch: '', published: BUSY, expiresS: 600, ...more };
  const outcome = f.publications.publish(request, f.nowS());
  return outcome.kind === 'published' ? outcome.etag : outcome.kind;
}

function located(f: Flows) {
  const found = locateHere(f.table, 'b', 'a');
  return found?.kind === 'user' ? found.devices.map(({ status, note }) => [status, note].join(' ').trim()) : found;
}

describe('a publication', () => {
  it('is what Locate and watchers are told of that phone, until it ends', async () => {
    const f = await phones(DESK);
    publish(f);
    expect(located(f)).toEqual(['busy meeting']);
    expect(f.presence.seen('b', 'a')).toEqual(BUSY);
    await f.time.advance(599_000);
    f.publications.turn(f.nowS());
    expect(located(f)).toEqual(['busy meeting']);
    await f.time.advance(1_000);
    f.publications.turn(f.nowS());
    expect(located(f)).toEqual(['online']);
    expect(f.publications.count).toBe(0);
  });

  it('is refreshed, changed and removed by its tag, which is another one each time', async () => {
    const f = await phones(DESK);
    const first = publish(f);
    await f.time.advance(500_000);
    const second = publish(f, { ifMatch: first, published: null });
    expect(second).not.toBe(first);
    await f.time.advance(500_000);
    f.publications.turn(f.nowS());
    expect(located(f)).toEqual(['busy meeting']);
    const third = publish(f, { ifMatch: second, published: { status: 'away', note: '' } });
    expect(located(f)).toEqual(['away']);
    publish(f, { ifMatch: third, published: null, expiresS: 0 });
    expect(located(f)).toEqual(['online']);
    expect(f.publications.count).toBe(0);
  });

  it('is not found by a tag that was used, has ended, or is another user’s', async () => {
    const f = await phones(DESK);
    const first = publish(f);
    const second = publish(f, { ifMatch: first });
    expect(publish(f, { ifMatch: first })).toBe('no-match');
    expect(publish(f, { uid: 'b', ifMatch: second })).toBe('no-match');
    await f.time.advance(600_000);
    expect(publish(f, { ifMatch: second })).toBe('no-match');
  });

  it('of one phone says nothing of another one', async () => {
    const f = await phones(DESK, CAR);
    publish(f, { from: CAR });
    expect(new Set(located(f) as string[])).toEqual(new Set(['online', 'busy meeting']));
    expect(f.presence.seen('b', 'a').status).toBe('busy');
  });

  it('from somewhere else holds for all phones that publish nothing themselves', async () => {
    const f = await phones(DESK, CAR);
    publish(f, { from: { host: '10.0.0.3', port: 1 }, published: { status: 'away', note: '' } });
    publish(f, { from: CAR });
    expect(new Set(located(f) as string[])).toEqual(new Set(['away', 'busy meeting']));
  });

  it('that was made before the registration holds from then on', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    publish(f);
    expect(f.presence.seen('b', 'a').status).toBe('offline');
    await loggedIn(f, 'a', { source: DESK, contact: 'sip:a@10.0.0.1' });
    expect(located(f)).toEqual(['busy meeting']);
  });

  it('of closed makes the phone invisible', async () => {
    const f = await phones(DESK);
    publish(f, { published: { status: 'invisible', note: '' } });
    expect(located(f)).toBeUndefined();
    expect(f.later.at(-1)).toMatchObject({ uid: 'a', location: { hidden: true } });
  });

  it('leaves a native client as it is', async () => {
    const f = flows();
    f.directory.put({ uid: 'a' });
    await loggedIn(f, 'a', { status: 'away' });
    publish(f);
    expect(located(f)).toEqual(['away']);
  });

  it('has its limits: the eighth of a user replaces his first, and more users are refused', async () => {
    const f = await phones(DESK);
    const tags = Array.from({ length: 9 }, () => publish(f));
    expect(publish(f, { ifMatch: tags[0] ?? '' })).toBe('no-match');
    expect(publish(f, { ifMatch: tags[1] ?? '' })).not.toBe('no-match');
    const few = new Publications({ table: f.table, random: f.deps.random, usersMax: 1, setDevice: () => undefined });
    const one = { uid: 'a', from: DESK, ifMatch: '', published: BUSY, expiresS: 600 };
    expect(few.publish(one, 0).kind).toBe('published');
    expect(few.publish({ ...one, uid: 'b' }, 0)).toEqual({ kind: 'no-room' });
  });
});
