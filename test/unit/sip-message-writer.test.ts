/** A MESSAGE is written to an ordinary telephone as to any other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/directory/message-store.ts';
import { createDelivery, sendMessage } from '../../src/sip/messages.ts';
import { loggedIn } from '../support/flows.ts';
import { AT, sipNode } from '../support/sip-node.ts';

const BOB_AT = { host: '10.0.0.8', port: 5062 };

const uid = fc.oneof(
  fc.constantFrom('alice', '10017676', 'a/b', "o'n;e", 'Grüße', 'x y', '🙂'),
  fc.string({ minLength: 1 }),
);
const message: fc.Arbitrary<Message> = fc.record({
  from: uid,
  to: uid,
  id: fc.string({ minLength: 1, maxLength: 64 }),
  contentType: fc.constantFrom('text/plain', 'text/html;charset=UTF-8', 'application/im-iscomposing+xml'),
  body: fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('', 'x'.repeat(1_500), 'ü'.repeat(1_500), 'x'.repeat(2_000)),
  ),
  sentAt: fc.integer({ min: 0, max: 4_000_000_000_000 }),
});
const contact = fc.constantFrom('sip:bob@10.0.0.8:5062', 'sip:b%6fb@10.0.0.8:5062;ob', 'sip:10.0.0.8');

async function node(realm: string) {
  const one = await sipNode({ settings: { realm } });
  const sent: string[] = [];
  await one.network.bind(BOB_AT, (bytes) => {
    // What is random.
    sent.push(
      Buffer.from(bytes)
        .toString('latin1')
        .replace(/branch=[^;\r]+/, 'branch=')
        .replace(/;tag=[^\r]+/, ';tag='),
    );
  });
  one.directory.put({ uid: 'bob' });
  return { ...one, sent };
}

describe('a MESSAGE to an ordinary telephone', () => {
  it.each(['vserver', 'example.com'])('is what it is to any other one (realm %s)', async (realm) => {
    const { sip, sent, ...flows } = await node(realm);
    const deliver = createDelivery(sip.context);
    await fc.assert(
      fc.asyncProperty(message, contact, async (one, uri) => {
        const login = { source: BOB_AT, contact: uri, instance: 'i', registration: 'c\x1e\x1e\x1e\x1e' };
        const row = await loggedIn(flows, 'bob', login);
        sent.length = 0;
        deliver(row, one, () => undefined);
        sendMessage(sip.context, row, one, () => undefined);
        expect(sent).toHaveLength(2);
        expect(sent[0]).toBe(sent[1]);
        expect(sent[0]).toContain(`Via: SIP/2.0/UDP ${AT.host}:${AT.port};branch=`);
      }),
      { numRuns: 100 },
    );
  });
});
