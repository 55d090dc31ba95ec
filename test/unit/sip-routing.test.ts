/** Routes of ours as they were written, and tokens made before, are known at once: the same as by the slow, obvious way. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFlowTokens } from '../../src/sip/flow-tokens.ts';
import type { Flow } from '../../src/sip/flow.ts';
import { parseMessage, SipRequest } from '../../src/sip/message.ts';
import { ownTokens, takeAnyRoutes, takeRoutes } from '../../src/sip/routing.ts';
import { manualTime } from '../support/clock.ts';
import { heapUsed } from '../support/heap.ts';
import { sipNode } from '../support/sip-node.ts';

const route = fc.constantFrom(
  ...[
    '<sip:AAb-_9@10.0.0.1:5060;lr>',
    '<sip:x@10.0.0.1:5060;lr>',
    '<sip:10.0.0.1:5060;lr>',
    '<sip:a%62@10.0.0.1:5060;lr>',
  ],
  ...['<sip:a:b@10.0.0.1:5060;lr>', '<sip:a@10.0.0.1;lr>', '<sip:a@10.0.0.1:5062;lr>', '<sip:a@10.0.0.1:5060;lr>;x=y'],
  ...['<sip:a@10.0.0.1:5060;lr>, <sip:b@10.0.0.1:5060;lr>', '"a" <sip:a@10.0.0.1:5060;lr>', 'sip:a@10.0.0.1:5060;lr'],
  ...['<sip:a@10.0.0.1:5060;lr;transport=tcp>', '<sip:a@192.0.2.1:5060;lr>', '<sip:@10.0.0.1:5060;lr>', 'nonsense'],
  ...[
    '<sips:a@10.0.0.1:5060;lr>',
    '<sip:a@x@10.0.0.1:5060;lr>',
    '<sip:a>@10.0.0.1:5060;lr>',
    '<sip:a\r\n @10.0.0.1:5060;lr>',
  ],
);
const uri = fc.constantFrom('sip:bob@192.0.2.7:5062', 'sip:tok@10.0.0.1:5060;lr', 'sip:bob@10.0.0.1;lr', 'tel:+1;x=y');

test('Routes as we wrote them are taken as all others are', async () => {
  const { context } = (await sipNode()).sip;
  let atOnce = 0;
  fc.assert(
    fc.property(uri, fc.array(route, { maxLength: 4 }), (requestUri, routes) => {
      const lines = ['Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1', 'From: <sip:a@b>;tag=1', 'To: <sip:b@b>;tag=2'];
      const more = ['Call-ID: c', 'CSeq: 1 BYE', ...routes.map((value) => `Route: ${value}`)];
      const request = parseMessage(Buffer.from([`BYE ${requestUri} SIP/2.0`, ...lines, ...more, '', ''].join('\r\n')));
      if (!(request instanceof SipRequest)) throw new Error('no request');
      if (ownTokens(context, request) !== null) atOnce++;
      expect(takeRoutes(context, request)).toEqual(takeAnyRoutes(context, request));
    }),
  );
  expect(atOnce).toBeGreaterThan(0);
});

test('a token is the same to who made it and to who has to verify it, whatever the Call-ID', () => {
  const { clock } = manualTime();
  const connection = { transport: 'tcp', isReliable: true, id: 'tcp 7' } as Flow;
  const flowTo = (remote: Flow['remote']): Flow => ({ transport: 'udp', isReliable: false, remote }) as Flow;
  const made = () => createFlowTokens('key', 'start', clock, () => ({ flowTo, findConnection: () => connection }));
  const callId = fc.oneof(
    fc.string({ unit: 'grapheme-ascii', minLength: 1 }),
    fc.constantFrom('c'.repeat(600), 'd'.repeat(60_000)),
  );
  const remote = fc.constantFrom({ host: '192.0.2.9', port: 4000 }, { host: '2001:db8::1', port: 65_535 });
  fc.assert(
    fc.property(callId, callId, fc.option(remote), fc.nat(200), (id, other, at, change) => {
      const flow = at === null ? connection : flowTo(at);
      const [maker, verifier] = [made(), made()];
      const token = maker.make(flow, id);
      expect(verifier.read(token, id)).toEqual(maker.read(token, id));
      expect(verifier.read(token, id)).toEqual(flow);
      for (const one of [maker, verifier]) if (other !== id) expect(one.read(token, other)).toBe('forged');
      // A digit of the MAC.
      const place = token.length - 1 - (change % 20);
      const forged = token.slice(0, place) + (token[place] === '0' ? '1' : '0') + token.slice(place + 1);
      for (const one of [maker, verifier]) expect(one.read(forged, id)).toBe('forged');
    }),
  );
});

test('tokens of calls whose Call-ID is as long as a message take no memory', () => {
  const { clock } = manualTime();
  const flowTo = (remote: Flow['remote']): Flow => ({ transport: 'udp', isReliable: false, remote }) as Flow;
  const remote = { host: '192.0.2.9', port: 4000 };
  const tokens = createFlowTokens('key', 'start', clock, () => ({ flowTo, findConnection: () => undefined }));
  const callIdOf = (i: number): string => `${i}${'d'.repeat(60_000)}`;
  const make = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, i) => tokens.make(flowTo(remote), callIdOf(from + i)));
  make(0, 10);
  const before = heapUsed();
  const made = make(10, 310);
  expect(heapUsed() - before).toBeLessThan(4 * 2 ** 20);
  expect(tokens.read(made[0] ?? '', callIdOf(10))).toEqual(flowTo(remote));
});
