/** Many watchers, and those who are gone (RFC 6665 4.2.2, 4.2.3). */
import { describe, expect, it } from 'vitest';
import { heard } from '../../src/login/presence.ts';
import { SUBSCRIPTION_LIMITS } from '../../src/presence/presence.ts';
import { settle } from '../support/clock.ts';
import type { SipNode } from '../support/sip-node.ts';
import { AT, Phone, phone } from '../support/sip-node.ts';
import { refresh, started, subscribe, told } from '../support/sip-watching.ts';
import { memoryStreams } from '../support/streams.ts';

const { ofPresentity: ofUserMax, ofWatcher: ofWatcherMax } = SUBSCRIPTION_LIMITS;

async function registered(node: SipNode, uid: string): Promise<Phone> {
  node.directory.put({ uid });
  const one = await phone(node.network, uid);
  one.register();
  await settle();
  expect(one.status).toBe(200);
  await node.time.advance(1);
  return one;
}

describe('10,000 subscriptions to one user', () => {
  it('are held, told of each change 200 a turn, and one more is refused with 503', async () => {
    const { node, bob } = await started();
    const watchers: Phone[] = [];
    for (let i = 0; i < ofUserMax / ofWatcherMax; i++) watchers.push(await registered(node, `w${i}`));
    for (const watcher of watchers) {
      for (let i = 0; i < ofWatcherMax; i++) subscribe(watcher, 'bob', {}, { callId: `${watcher.uid}-${i}` });
    }
    expect(node.presence.subscriptions.count).toBe(ofUserMax);
    expect(watchers.every(({ requests }) => requests.length === ofWatcherMax)).toBe(true);

    const late = await registered(node, 'late');
    subscribe(late, 'bob');
    expect([late.status, late.last.header('Retry-After')]).toEqual([503, '60']);

    for (const { requests } of watchers) requests.length = 0;
    await node.time.advance(5_000);
    heard(node, bob, { status: 'busy' });
    await node.time.advance(10);
    const count = (): number => watchers.reduce((sum, { requests }) => sum + requests.length, 0);
    expect(count()).toBe(200);
    await node.time.advance(1_000);
    expect(count()).toBe(ofUserMax);
    expect(watchers.map((one) => told(one).at(-1))).toEqual(watchers.map(() => 'active;n busy'));
  });
});

describe('a watcher who is gone', () => {
  it('while nothing changes: his subscription ends when it is not renewed', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'carol');
    await settle();
    alice.answersWith = 0;
    await node.time.advance(599_000);
    node.presence.turn(node.nowS());
    expect(node.presence.subscriptions.count).toBe(1);
    await node.time.advance(1_000);
    node.presence.turn(node.nowS());
    expect(node.presence.subscriptions.count).toBe(0);
    // What a document of `closed` reads as.
    expect(told(alice)).toEqual(['active;n invisible', 'terminated;reason=timeout invisible']);
    // The NOTIFY is repeated for 32 s; then nothing of him is left.
    await node.time.advance(33_000);
    expect([node.sip.context.subscriptions.has(0), node.sip.context.transactions.count()]).toEqual([false, 0]);
    refresh(alice, 'carol');
    expect(alice.status).toBe(481);
  });

  it('with his connection: his subscription ends with the next change', async () => {
    const streams = memoryStreams();
    const { node, bob } = await started({ streams });
    const at = { host: '10.0.0.5', port: 1024 };
    const stream = streams.connect(AT, at);
    if (stream === null) throw new Error('refused');
    const watcher = new Phone('carol', at, (text) => {
      stream.send(text);
    });
    watcher.transport = 'TCP';
    const ask = async (what: () => void): Promise<void> => {
      what();
      await settle();
      for (const bytes of stream.received.splice(0)) watcher.heard(bytes);
    };
    await ask(() => {
      watcher.ask('REGISTER', { headers: { Contact: watcher.contact() } });
    });
    await ask(() => {
      watcher.register();
    });
    await ask(() => {
      subscribe(watcher, 'bob');
    });
    expect(told(watcher)).toEqual(['active;n online']);
    stream.close();
    await node.time.advance(5_000);
    expect(node.presence.subscriptions.count).toBe(1);
    heard(node, bob, { status: 'busy' });
    await node.time.advance(1_000);
    expect(node.presence.subscriptions.count).toBe(0);
  });
});
