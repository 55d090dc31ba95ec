/** Clients that watch each other, over SIP and the client protocol, for the tests of presence. */
import { Publisher } from 'sip.js/lib/api/publisher.js';
import { Subscriber } from 'sip.js/lib/api/subscriber.js';
import type { Where } from './support-clients.ts';
import { nativePhone, sipJsPhone, uriOf } from './support-clients.ts';

/** As the words of the client protocol; '' where it was told nothing. */
export type Seen = 'offline' | 'online' | 'busy' | '';

export interface Watcher {
  /** What its user is shown of this one, last. */
  sees(uid: string): Seen;
  /** Its user sets this. */
  say(status: 'online' | 'busy' | 'offline'): Promise<void>;
  close(): Promise<void>;
}

function pidf(uid: string, status: string): string {
  const activity = status === 'busy' ? '<rpid:busy/>' : '';
  return (
    '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" ' +
    `xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:${uid}@vserver"><tuple id="t"><status><basic>` +
    `${status === 'offline' ? 'closed' : 'open'}</basic></status></tuple><dm:person id="p"><rpid:activities>${activity}` +
    '</rpid:activities></dm:person></presence>'
  );
}

/** SIP.js over WebSocket, which registers, subscribes to its peers and publishes. */
export async function sipJs(node: Where, user: string, peers: readonly string[]): Promise<Watcher> {
  const seen = new Map<string, Seen>();
  const { agent, quit } = await sipJsPhone(node, user);
  const subscribers = peers.map(
    (peer) =>
      new Subscriber(agent, uriOf(node, peer), 'presence', {
        expires: 600,
        delegate: {
          onNotify(notification) {
            void notification.accept();
            const { body } = notification.request;
            const status = body.includes('<basic>closed') ? 'offline' : body.includes('rpid:busy') ? 'busy' : 'online';
            seen.set(peer, status);
          },
        },
      }),
  );
  for (const subscriber of subscribers) await subscriber.subscribe();
  const publisher = new Publisher(agent, uriOf(node, user), 'presence', {
    body: pidf(user, 'online'),
    contentType: 'application/pidf+xml',
    expires: 600,
  });
  return {
    sees: (peer) => seen.get(peer) ?? '',
    async say(status) {
      await publisher.publish(pidf(user, status));
    },
    async close() {
      for (const subscriber of subscribers) await subscriber.unsubscribe();
      await quit();
    },
  };
}

/** Our own softphone, which watches its peers. */
export async function native(node: Where, uid: string, peers: readonly string[]): Promise<Watcher> {
  const seen = new Map<string, string>();
  const phone = await nativePhone(node, uid);
  await phone.watch(peers, (presence) => void seen.set(presence.uid, presence.status));
  return {
    sees: (peer) => (seen.get(peer) ?? '') as Seen,
    say: (status) => phone.status(status === 'offline' ? 'invisible' : status, ''),
    close: () => phone.logout(),
  };
}
