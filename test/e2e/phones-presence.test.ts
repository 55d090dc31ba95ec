/** Presence between clients of four makers: baresip, linphonec, SIP.js over WebSocket, and our own. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Publisher } from 'sip.js/lib/api/publisher.js';
import { Registerer } from 'sip.js/lib/api/registerer.js';
import { Subscriber } from 'sip.js/lib/api/subscriber.js';
import { UserAgent } from 'sip.js/lib/api/user-agent.js';
import { systemDatagrams, systemTimers } from '../../src/base/system.ts';
import { softphone } from '../../src/cli/client/softphone.ts';
import { startBaresip, startLinphone } from '../support/phones.ts';
import { endPrograms } from '../support/programs.ts';
import { silentLog } from '../support/silent-log.ts';
import type { TestNode } from './support-node.ts';
import { removeFolders, startNode, stopNodes } from './support-node.ts';

const PASSWORD = 'secret';
const POLL = { timeout: 25_000, interval: 50 };
const SETTINGS = { VSERVER_SIP_EXPIRES_MIN: '1', VSERVER_RATE_LIMIT: '0' };

vi.stubGlobal('WebSocket', WebSocket);
afterAll(() => {
  vi.unstubAllGlobals();
  removeFolders();
});

/** As the words of the client protocol; '' where it was told nothing. */
type Seen = 'offline' | 'online' | 'busy' | '';

interface Client {
  /** What its user is shown of this one, last. */
  sees(uid: string): Seen;
  /** Its user sets this. */
  say(status: 'online' | 'busy' | 'offline'): Promise<void>;
  close(): Promise<void>;
}

type Start = (node: TestNode, uid: string, peers: readonly string[]) => Promise<Client>;

function seenAs(word: string | undefined): Seen {
  return (['offline', 'online', 'busy'] as const).find((one) => one === word?.toLowerCase()) ?? '';
}

const baresip: Start = async (node, uid, peers) => {
  const phone = await startBaresip({
    ...{ server: node.sip, uid, password: PASSWORD, transport: 'udp', expiresS: 60, peers, presence: true },
  });
  // Its user asks for the list of his contacts.
  const pattern = /(Online|Offline|Busy|Unknown)\W{1,3}m (\w+) <sip:/g;
  return {
    sees(peer) {
      phone.command('/contacts');
      return seenAs([...phone.output().matchAll(pattern)].findLast(([, , who]) => who === peer)?.[1]);
    },
    say(status) {
      phone.command(status === 'offline' ? '/presence_offline' : '/presence_online');
      return Promise.resolve();
    },
    close: () => phone.quit(),
  };
};

const linphonec: Start = async (node, uid, peers) => {
  const phone = await startLinphone({
    ...{ server: node.sip, uid, password: PASSWORD, transport: 'udp', expiresS: 60, peers, presence: true },
  });
  const pattern = /Friend .*<sip:(\w+)@[^>]*> is ([\w ]+)/g;
  return {
    sees: (peer) => seenAs([...phone.output().matchAll(pattern)].findLast(([, who]) => who === peer)?.[2]),
    say: () => Promise.reject(new Error('linphonec can not')),
    close: () => phone.quit(),
  };
};

function pidf(uid: string, status: string): string {
  const activity = status === 'busy' ? '<rpid:busy/>' : '';
  return (
    '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" ' +
    `xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:${uid}@vserver"><tuple id="t"><status><basic>` +
    `${status === 'offline' ? 'closed' : 'open'}</basic></status></tuple><dm:person id="p"><rpid:activities>${activity}` +
    '</rpid:activities></dm:person></presence>'
  );
}

const sipJs: Start = async (node, user, peers) => {
  const uriOf = (uid: string) => {
    const uri = UserAgent.makeURI(`sip:${uid}@${node.sip.host}`);
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
};

const native: Start = async (node, uid, peers) => {
  const seen = new Map<string, string>();
  const phone = await softphone({
    ...{ uid, password: PASSWORD, instance: 'desk', server: node.udp, alternate: node.udpAlt },
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
};

const MAKERS: readonly (readonly [name: string, uid: string, start: Start])[] = [
  ['baresip', '10017676', baresip],
  ['linphonec', '10043939', linphonec],
  ['SIP.js', '10099999', sipJs],
  ['native', '10055501', native],
];
const UIDS = MAKERS.map(([, uid]) => uid);

describe('four clients that watch each other', () => {
  let node: TestNode;
  const clients = new Map<string, Client>();
  const client = (name: string): Client => {
    const one = clients.get(name);
    if (one === undefined) throw new Error(`no ${name}`);
    return one;
  };
  const everybodySees = async (whom: string, status: Seen): Promise<void> => {
    const uid = MAKERS.find(([name]) => name === whom)?.[1] ?? '';
    for (const [name, one] of clients) {
      if (name === whom) continue;
      await vi.waitFor(() => {
        expect([name, whom, one.sees(uid)]).toEqual([name, whom, status]);
      }, POLL);
    }
  };

  beforeEach(async () => {
    node = await startNode(SETTINGS);
    // Some of the sample users ask for consent.
    for (const uid of UIDS) await node.directory.change(uid, { service: { privacy: 'all' } });
    for (const [name, uid, start] of MAKERS) {
      clients.set(
        name,
        await start(
          node,
          uid,
          UIDS.filter((one) => one !== uid),
        ),
      );
    }
  });
  afterEach(async () => {
    clients.clear();
    await endPrograms();
    await stopNodes();
  });

  it('see who is online, busy and gone, whoever says it and however', async () => {
    for (const [name] of MAKERS) await everybodySees(name, 'online');

    await client('native').say('busy');
    await everybodySees('native', 'busy');
    await client('SIP.js').say('busy');
    await everybodySees('SIP.js', 'busy');
    await client('baresip').say('offline');
    await everybodySees('baresip', 'offline');

    await client('native').say('online');
    await everybodySees('native', 'online');
    await client('SIP.js').say('online');
    await everybodySees('SIP.js', 'online');
    await client('baresip').say('online');
    await everybodySees('baresip', 'online');

    for (const [name] of MAKERS) {
      await client(name).close();
      clients.delete(name);
      await everybodySees(name, 'offline');
    }
  });
});
