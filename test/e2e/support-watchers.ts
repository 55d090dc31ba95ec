/** Clients that watch each other, over SIP and the client protocol, for the tests of presence. */
import { randomBytes } from 'node:crypto';
import { Publisher } from 'sip.js/lib/api/publisher.js';
import { Registerer } from 'sip.js/lib/api/registerer.js';
import { Subscriber } from 'sip.js/lib/api/subscriber.js';
import { UserAgent } from 'sip.js/lib/api/user-agent.js';
import type { Address } from '../../src/base/model.ts';
import { systemDatagrams } from '../../src/base/system-dgram.ts';
import { systemTimers } from '../../src/base/system.ts';
import { softphone } from '../../src/cli/client/softphone.ts';
import { silentLog } from '../support/silent-log.ts';
import { PASSWORD } from './support-node.ts';

/** A node, in this process or another one. */
export interface Where {
  readonly udp: Address;
  readonly http: string;
}

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
  const uriOf = (uid: string) => {
    const uri = UserAgent.makeURI(`sip:${uid}@${node.udp.host}`);
    if (uri === undefined) throw new Error(`no URI for ${uid}`);
    return uri;
  };
  const seen = new Map<string, Seen>();
  const agent = new UserAgent({
    transportOptions: { server: `${node.http.replace('http', 'ws')}/sip` },
    ...{ uri: uriOf(user), authorizationUsername: user, authorizationPassword: PASSWORD, logBuiltinEnabled: false },
  });
  await agent.start();
  const registerer = new Registerer(agent, { expires: 60 });
  await registerer.register();
  const subscribers = peers.map(
    (peer) =>
      new Subscriber(agent, uriOf(peer), 'presence', {
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
  const publisher = new Publisher(agent, uriOf(user), 'presence', {
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
      await registerer.unregister();
      await agent.stop();
    },
  };
}

/** Our own softphone, which watches its peers. */
export async function native(node: Where, uid: string, peers: readonly string[]): Promise<Watcher> {
  const seen = new Map<string, string>();
  const phone = await softphone({
    ...{ uid, password: PASSWORD, instance: 'desk', server: node.udp, alternate: node.udp },
    ...{ ownHosts: ['127.0.0.1'], bind: { host: '127.0.0.1', port: 0 } },
    ...{ datagrams: systemDatagrams(silentLog), timers: systemTimers, random: { bytes: randomBytes } },
    onEvent: () => undefined,
  });
  await phone.watch(peers, (presence) => void seen.set(presence.uid, presence.status));
  return {
    sees: (peer) => (seen.get(peer) ?? '') as Seen,
    say: (status) => phone.status(status === 'offline' ? 'invisible' : status, ''),
    close: () => phone.logout(),
  };
}
