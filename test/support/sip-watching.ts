/** Phones that watch users of a SIP node in memory. */
import { readPidf } from '../../src/sip/pidf.ts';
import { settle } from './clock.ts';
import { loggedIn } from './flows.ts';
import type { Ask, Phone, SipNodeOptions } from './sip-node.ts';
import { phone, sipNode } from './sip-node.ts';

/** Alice has registered by SIP, Bob is logged in by the client protocol, Carol is offline. */
export async function started(options: SipNodeOptions = {}) {
  const node = await sipNode(options);
  for (const uid of ['alice', 'bob', 'carol']) node.directory.put({ uid });
  const bob = await loggedIn(node, 'bob', { source: { host: '10.0.0.9', port: 4000 } });
  const alice = await phone(node.network, 'alice');
  alice.register();
  await settle();
  if (alice.status !== 200) throw new Error(`alice was answered ${alice.status}`);
  return { node, alice, bob };
}

/** For ten minutes; the same Call-ID for the same user. */
export function subscribe(from: Phone, uid: string, headers: Ask['headers'] = {}, more: Ask = {}): void {
  from.ask('SUBSCRIBE', {
    uri: `sip:${uid}@vserver`,
    callId: `sub-${uid}`,
    ...more,
    headers: { To: `<sip:${uid}@vserver>`, Contact: from.contact(), Event: 'presence', Expires: '600', ...headers },
  });
}

/** Within the dialog that the last answer made. */
export function refresh(from: Phone, uid: string, headers: Ask['headers'] = {}, more: Ask = {}): void {
  subscribe(
    from,
    uid,
    { To: `<sip:${uid}@vserver>;tag=${from.last.toTag ?? ''}`, ...headers },
    { uri: 'sip:10.0.0.1:5060', ...more },
  );
}

/** What the phone was told, in its order. */
export function told(watcher: Phone): string[] {
  return watcher.requests.map((one) => {
    const { status = '?', note = '' } = readPidf(one.body) ?? {};
    return [one.header('Subscription-State')?.replace(/expires=\d+/, 'n'), status, note].join(' ').trim();
  });
}
