/** Presence between clients of four makers: baresip, linphonec, SIP.js over WebSocket, and our own. */
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { startBaresip, startLinphone } from '../support/phones.ts';
import { endPrograms } from '../support/programs.ts';
import type { TestNode } from './support-node.ts';
import { PASSWORD, removeFolders, startNode, stopNodes } from './support-node.ts';
import type { Seen, Watcher } from './support-watchers.ts';
import { native, sipJs } from './support-watchers.ts';

const POLL = { timeout: 25_000, interval: 50 };
const SETTINGS = { VSERVER_SIP_EXPIRES_MIN: '1', VSERVER_RATE_LIMIT: '0' };

vi.stubGlobal('WebSocket', WebSocket);
afterAll(() => {
  vi.unstubAllGlobals();
  removeFolders();
});

type Start = (node: TestNode, uid: string, peers: readonly string[]) => Promise<Watcher>;

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

const MAKERS: readonly (readonly [name: string, uid: string, start: Start])[] = [
  ['baresip', '10017676', baresip],
  ['linphonec', '10043939', linphonec],
  ['SIP.js', '10099999', sipJs],
  ['native', '10055501', native],
];
const UIDS = MAKERS.map(([, uid]) => uid);

describe('four clients that watch each other', () => {
  let node: TestNode;
  const clients = new Map<string, Watcher>();
  const client = (name: string): Watcher => {
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
