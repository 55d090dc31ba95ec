/** Messages between users with clients of four makers: baresip, linphonec, SIP.js over WebSocket, and our own. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Messager } from 'sip.js/lib/api/messager.js';
import { startBaresip, startLinphone } from '../support/phones.ts';
import type { Phone } from '../support/phones.ts';
import { endPrograms } from '../support/programs.ts';
import { nativePhone, sipJsPhone, uriOf } from './support-clients.ts';
import type { TestNode } from './support-node.ts';
import { http, httpLogin, removeFolders, startNode, stopNodes } from './support-node.ts';

const PASSWORD = 'secret';
const POLL = { timeout: 20_000, interval: 50 };
const SETTINGS = { VSERVER_SIP_EXPIRES_MIN: '1', VSERVER_RATE_LIMIT: '0' };

vi.stubGlobal('WebSocket', WebSocket);
afterAll(() => {
  vi.unstubAllGlobals();
  removeFolders();
});

interface Client {
  send(to: string, text: string): Promise<void>;
  /** How often this text was shown to its user. */
  shown(text: string): number;
  close(): Promise<void>;
}

type Start = (node: TestNode, uid: string, peers: readonly string[]) => Promise<Client>;

function count(all: string, text: string): number {
  return all.split(text).length - 1;
}

function fromPhone(phone: Phone, line: (text: string) => RegExp): Client {
  return {
    send: (to, text) => phone.message(to, text),
    shown: (text) =>
      phone
        .output()
        .split('\n')
        .filter((one) => line(text).test(one)).length,
    close: () => phone.quit(),
  };
}

const baresip: Start = async (node, uid, peers) => {
  const account = { server: node.sip, uid, password: PASSWORD, transport: 'udp', expiresS: 60, peers } as const;
  return fromPhone(await startBaresip(account), (text) => new RegExp(`^\\s*sip:[^/]*: "${text}"`));
};

const linphonec: Start = async (node, uid, peers) => {
  const account = { server: node.sip, uid, password: PASSWORD, transport: 'udp', expiresS: 60, peers } as const;
  return fromPhone(await startLinphone(account), (text) => new RegExp(`Message received from .*: ${text}`));
};

const sipJs: Start = async (node, uid) => {
  let all = '';
  const { agent, quit } = await sipJsPhone(node, uid, {
    delegate: {
      onMessage(message) {
        all += `${message.request.body}\n`;
        void message.accept();
      },
    },
  });
  return {
    send: (to, text) => new Messager(agent, uriOf(node, to), text).message(),
    shown: (text) => count(all, text),
    close: quit,
  };
};

const native: Start = async (node, uid) => {
  let all = '';
  const phone = await nativePhone(node, uid, (event) => {
    if (event.kind === 'message') all += `${event.body}\n`;
  });
  return {
    async send(to, text) {
      await phone.message(to, text);
    },
    shown: (text) => count(all, text),
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
const PAIRS = MAKERS.flatMap(([from]) => MAKERS.filter(([to]) => to !== from).map(([to]) => [from, to] as const));

describe('with everybody online', () => {
  let node: TestNode;
  const clients = new Map<string, Client>();
  beforeAll(async () => {
    node = await startNode({ ...SETTINGS, VSERVER_ADMIN_TOKEN: 'of-the-messages-0123456789' });
    for (const [name, uid, start] of MAKERS) clients.set(name, await start(node, uid, UIDS));
    await vi.waitFor(() => {
      expect(node.core.table.count).toBe(MAKERS.length);
    }, POLL);
  });
  afterAll(async () => {
    await Promise.all([...clients.values()].map((client) => client.close()));
    await endPrograms();
    await stopNodes();
  });

  it.each(PAIRS)('%s to %s', async (from, to) => {
    const uid = MAKERS.find(([name]) => name === to)?.[1] ?? '';
    const text = `from ${from} to ${to}`;
    await clients.get(from)?.send(uid, text);
    await vi.waitFor(() => {
      expect(clients.get(to)?.shown(text)).toBe(1);
    }, POLL);
  });
});

describe('to somebody who is offline', () => {
  afterEach(async () => {
    await endPrograms();
    await stopNodes();
  });

  it.each(MAKERS)('%s shows it once, after a restart of the node', async (_name, uid, start) => {
    const sender = uid === '10017676' ? '10043939' : '10017676';
    const first = await startNode(SETTINGS);
    const client = await native(first, sender, []);
    await client.send(uid, 'the first');
    await client.send(uid, 'the second');
    await client.close();
    await first.stop(false);

    const second = await startNode({ ...SETTINGS, VSERVER_DATA: first.config.data });
    const recipient = await start(second, uid, UIDS);
    await vi.waitFor(() => {
      expect([recipient.shown('the first'), recipient.shown('the second')]).toEqual([1, 1]);
    }, POLL);
    const left = (): Promise<readonly unknown[]> => second.core.messages.waiting(uid, 0);
    await vi.waitFor(async () => {
      expect(await left()).toEqual([]);
    }, POLL);
    // Again, by the same phone and by another one: there is nothing left to show.
    await recipient.close();
    const again = await native(second, uid, []);
    await again.send(sender, 'thank you');
    expect([again.shown('the first'), recipient.shown('the first'), recipient.shown('the second')]).toEqual([0, 1, 1]);
    await again.close();
  });

  it('is read over HTTP by a browser, and gone when it says so', async () => {
    const node = await startNode(SETTINGS);
    const client = await native(node, '10017676', []);
    await client.send('10043939', 'for the browser');
    const { token } = await httpLogin(node, '10043939');
    const waiting = async () => (await http(`${node.http}/v1/messages`, { token })).json['messages'] as object[];
    const [message, ...others] = await waiting();
    expect(message).toMatchObject({ from: '10017676', type: 'text/plain', body: 'for the browser' });
    expect(others).toEqual([]);
    const number = String((message as { number: number }).number);
    const removal = await http(`${node.http}/v1/messages/${number}`, { token, method: 'DELETE' });
    expect(removal.status).toBe(200);
    expect(await waiting()).toEqual([]);
    const reply = { to: '10017676', body: 'from the browser' };
    expect((await http(`${node.http}/v1/messages`, { token, body: reply })).status).toBe(200);
    await vi.waitFor(() => {
      expect(client.shown('from the browser')).toBe(1);
    }, POLL);
    await client.close();
  });
});
