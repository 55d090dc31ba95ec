/** A NOTIFY is written from the bytes of its dialog; here it stands in plain, and both must be the same. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SEEN_STATUSES } from '../../src/presence/compose.ts';
import type { Seen } from '../../src/presence/compose.ts';
import type { Flow, Transport } from '../../src/sip/flow.ts';
import type { Notify, NotifyState } from '../../src/sip/notify-writer.ts';
import { createNotifyWriter } from '../../src/sip/notify-writer.ts';
import { renderPidf } from '../../src/sip/pidf.ts';
import type { Dialog } from '../../src/sip/subscription-dialogs.ts';
import { DialogPlace, SubscriptionDialogs } from '../../src/sip/subscription-dialogs.ts';
import { sipNode } from '../support/sip-node.ts';

const VIAS: Readonly<Record<string, readonly [via: string, viaEnd: string, contact: string]>> = {
  udp: ['SIP/2.0/UDP 10.0.0.1:5060', ';rport', 'sip:10.0.0.1:5060'],
  tcp: ['SIP/2.0/TCP 10.0.0.1:5060', '', 'sip:10.0.0.1:5060;transport=tcp'],
  wss: ['SIP/2.0/WSS 10.0.0.1:5060', '', 'sip:10.0.0.1:5060;transport=wss'],
};

/** What a watcher is to get (RFC 6665 4.2.2, RFC 3261 12.2.1.1). */
function plain(dialog: Dialog, { flow, branch, cseq, seen, state }: Notify): string {
  const [via = '', viaEnd = '', contact = ''] = VIAS[flow.transport] ?? [];
  const body = renderPidf(dialog.entity, seen).toString();
  return [
    `NOTIFY ${dialog.target} SIP/2.0`,
    `Via: ${via};branch=${branch}${viaEnd}`,
    ...dialog.route.map((value) => `Route: ${value}`),
    'Max-Forwards: 70',
    `From: ${dialog.from}`,
    `To: ${dialog.to}`,
    `Call-ID: ${dialog.callId}`,
    `CSeq: ${cseq} NOTIFY`,
    `Contact: <${contact}>`,
    `Event: presence${dialog.eventId === '' ? '' : `;id=${dialog.eventId}`}`,
    `Subscription-State: ${typeof state === 'number' ? `active;expires=${state}` : `terminated;reason=${state}`}`,
    'Content-Type: application/pidf+xml',
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

const text = (maxLength = 60): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('a', 'b', '0', ' ', '<', '>', '"', ';', '=', '@', 'é', '🙂'), maxLength });
const dialog: fc.Arbitrary<Dialog> = fc.record({
  ...{ callId: text(), localTag: text(), remoteTag: text(), to: text(), from: text(), target: text() },
  ...{ route: fc.array(text(), { maxLength: 3 }), eventId: text(8), entity: text(), flowId: text() },
});
const seen: fc.Arbitrary<Seen> = fc.record({ status: fc.constantFrom(...SEEN_STATUSES), note: text(96) });
const state = fc.oneof(fc.nat(3_600), fc.constantFrom<NotifyState>('timeout', 'deactivated', 'rejected', 'noresource'));
const notify: fc.Arbitrary<Notify> = fc.record({
  flow: fc.constantFrom<Transport>('udp', 'tcp', 'wss').map((transport) => ({ transport }) as Flow),
  branch: fc.constant('z9hG4bKabc-_123'),
  cseq: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  seen,
  state,
});

describe('a NOTIFY', () => {
  it('is made of its dialog, byte by byte', async () => {
    const write = createNotifyWriter((await sipNode()).sip.context);
    const dialogs = new SubscriptionDialogs();
    const place = new DialogPlace();
    const written: { readonly bytes: Buffer | null; readonly expected: string }[] = [];
    fc.assert(
      fc.property(fc.nat(5), dialog, notify, (row, one, what) => {
        dialogs.put(row, one, 1);
        expect(dialogs.get(row)).toEqual(one);
        expect(dialogs.find(row, place)).toBe(true);
        written.push({ bytes: write(place, what), expected: plain(one, what) });
      }),
      { numRuns: 300 },
    );
    // Each keeps its bytes when others are written behind it.
    for (const { bytes, expected } of written) expect(bytes?.toString()).toBe(expected);
  });

  it('is none where it would have more headers than a message may have', async () => {
    const write = createNotifyWriter((await sipNode()).sip.context);
    const dialogs = new SubscriptionDialogs();
    const place = new DialogPlace();
    const of = (routes: number): Buffer | null => {
      const texts = { callId: 'c', localTag: 'l', remoteTag: 'r', to: 't', from: 'f', target: 'sip:a', eventId: '' };
      const route = Array.from({ length: routes }, () => '<sip:a>');
      dialogs.put(0, { ...texts, route, entity: 'a@b', flowId: '' }, 1);
      dialogs.find(0, place);
      const flow = { transport: 'udp' } as Flow;
      return write(place, { flow, branch: 'b', cseq: 1, seen: { status: 'online', note: '' }, state: 60 });
    };
    expect(
      of(245)
        ?.toString()
        .match(/Route: /g),
    ).toHaveLength(245);
    expect(of(246)).toBeNull();
  });
});
