/** What a client that watches others is told, and how much of it may wait. */
import { expect, it } from 'vitest';
import { createWatcherOutlet, unwatchReply, watchReply } from '../../src/udp/watching.ts';

import { settle } from '../support/clock.ts';
import { flows, loggedIn } from '../support/flows.ts';

it('who watches and stops again and again has no more waiting than he watches', async () => {
  const node = flows();
  const uids = Array.from({ length: 20 }, (_, i) => `u${i}`);
  for (const uid of ['alice', ...uids]) node.directory.put({ uid });
  const alice = await loggedIn(node, 'alice', {});
  for (const [i, uid] of uids.entries()) {
    await loggedIn(node, uid, { source: { host: '10.0.1.1', port: 4000 + i } });
  }
  const cases = { ...node.presenceCases, table: node.table };
  const sent: ((isAcknowledged: boolean) => void)[] = [];
  const send = () => new Promise<boolean>((done) => sent.push(done));
  cases.presence.attach('native', createWatcherOutlet(cases, send));
  for (let round = 0; round < 10; round++) {
    watchReply(cases, alice, uids.join(' '));
    await node.time.advance(20);
    if (round < 9) unwatchReply(cases, alice, '');
  }
  // Nobody has said Ok: these are under way, and what waits for them is the last word on each.
  expect(sent.length).toBe(8);
  for (let i = 0; i < sent.length; i++) {
    sent[i]?.(true);
    await settle();
  }
  expect(sent.length).toBeLessThanOrEqual(8 + uids.length);
});
