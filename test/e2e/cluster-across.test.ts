/** What users of two nodes do with each other, and what administrators do to both: a real nats-server, one MariaDB. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Invitation } from 'sip.js/lib/api/invitation.js';
import { Inviter } from 'sip.js/lib/api/inviter.js';
import type { SessionDescriptionHandler } from 'sip.js/lib/api/session-description-handler.js';
import { SessionState } from 'sip.js/lib/api/session-state.js';
import { formatAddress } from '../../src/base/address.ts';
import type { NatsServer } from '../support/nats.ts';
import { startNats } from '../support/nats.ts';
import { sipJsPhone, uriOf } from './support-clients.ts';
import type { DirectoryServer } from './support-directories.ts';
import { DIRECTORY_SERVERS } from './support-directories.ts';
import type { TestClient, TestNode } from './support-node.ts';
import { http, httpLogin, openClient, removeFolders, startNode, stopNodes } from './support-node.ts';
import { native, sipJs } from './support-watchers.ts';

const [ONE, TWO, THREE] = ['10017676', '10043939', '10066502'] as const;
const POLL = { timeout: 20_000, interval: 50 };

let server: DirectoryServer;
let nats: NatsServer;
let client: TestClient;
const open: { close(): Promise<void> }[] = [];

vi.stubGlobal('WebSocket', WebSocket);
beforeAll(async () => {
  [server, nats] = await Promise.all([DIRECTORY_SERVERS.MariaDB(), startNats()]);
  for (const uid of [ONE, TWO, THREE]) await server.eye.change(uid, { service: { privacy: 'all', devicesMax: 5 } });
});
afterAll(async () => {
  await nats.stop();
  await server.stop();
  removeFolders();
  vi.unstubAllGlobals();
});
beforeEach(async () => {
  client = await openClient();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
  // Nobody is left online for the next test.
  for (const node of nodes.splice(0)) await node.stop(true);
  await stopNodes();
  await client.close();
});

const nodes: TestNode[] = [];

/** Registered over WebSocket: the calls that rang there, and the texts of the messages that came, each time. */
async function sipAgent(node: TestNode, uid: string) {
  const calls: Invitation[] = [];
  const heard: string[] = [];
  const { agent, quit } = await sipJsPhone(node, uid, {
    sessionDescriptionHandlerFactory: silentMedia,
    delegate: {
      onInvite: (call) => void calls.push(call),
      onMessage(message) {
        heard.push(message.request.body);
        void message.accept();
      },
    },
  });
  return { agent, calls, heard, close: quit };
}

/** Offers what nobody listens to. */
function silentMedia(): SessionDescriptionHandler {
  const head = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n';
  const body = `${head}m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n`;
  return {
    close: () => undefined,
    getDescription: () => Promise.resolve({ body, contentType: 'application/sdp' }),
    hasDescription: (contentType) => contentType === 'application/sdp',
    rollbackDescription: () => Promise.resolve(),
    setDescription: () => Promise.resolve(),
    sendDtmf: () => false,
  };
}

/** Nodes that know of each other. */
async function cluster(more: Record<string, string>, ...names: string[]): Promise<[TestNode, TestNode, TestNode]> {
  for (const name of names) {
    const settings = { VSERVER_NATS: nats.url, VSERVER_NAME: name, VSERVER_CLUSTER_KEY: 'one key for all of them' };
    nodes.push(await startNode({ ...server.settings, ...settings, VSERVER_RATE_LIMIT: '0', ...more }));
  }
  for (const node of nodes) {
    await expect.poll(() => node.core.bus.isUp).toBe(true);
    await node.core.servers.renew();
  }
  for (const node of nodes) await expect.poll(() => node.core.servers.others().length).toBe(names.length - 1);
  return nodes as [TestNode, TestNode, TestNode];
}

const admin = (node: TestNode, path: string, method = 'GET', body?: object) =>
  http(`${node.http}/v1/admin/${path}`, { token: node.adminToken, method, ...(body && { body }) });

async function opened<T extends { close(): Promise<void> }>(one: Promise<T>): Promise<T> {
  const it = await one;
  open.push(it);
  return it;
}

describe('an administrator of one node', () => {
  it('sees, changes and ends the sessions of a user of another one', async () => {
    const [a, b] = await cluster({}, 'a', 'b');
    const session = await client.welcome(b.udp, TWO, { headers: { instance: 'desk' } });
    expect((await admin(a, `sessions/${TWO}`)).json).toMatchObject({ server: 'b', sessions: [{ instance: 'desk' }] });
    await admin(a, `users/${TWO}`, 'PATCH', { lists: { blocked: [ONE] } });
    const { users } = b.core.table;
    await expect.poll(() => users.profile(users.find(TWO)).blocked).toEqual([ONE]);
    expect((await admin(a, `users/${TWO}/kick`, 'POST')).json).toEqual({ server: 'b', sessions: 1 });
    expect(await session.ask('Heartbeat')).toMatchObject({ verb: 'Error' });
    await admin(a, `users/${TWO}`, 'PATCH', { lists: { blocked: [] } });
  });

  it('sees the servers, of which CONFIG tells the clients: those that run, the least loaded first', async () => {
    const [a, b] = await cluster({}, 'a', 'b');
    for (const name of ['VFON_SERVER', 'SIP_SERVER']) await server.eye.writeVariable(name, null);
    for (const node of [a, b]) await node.reload();
    const names = async (): Promise<unknown> =>
      ((await admin(a, 'servers')).json['servers'] as { name: string; state: string }[]).map((one) => one.state);
    expect(await names()).toEqual(['on', 'on']);
    const { token } = await httpLogin(a, ONE);
    const listed = async (name: string): Promise<string | undefined> => {
      const { text } = await http(`${a.http}/v1/config`, { token });
      return new RegExp(`NAME="${name}" VALUE="([^"]*)"`).exec(text)?.[1];
    };
    expect(await listed('VFON_SERVER')).toBe(`${formatAddress(a.udp)};${formatAddress(b.udp)}`);
    expect(await listed('SIP_SERVER')).toBe(`${formatAddress(a.sip)};${formatAddress(b.sip)}`);
    await b.stop(true);
    await expect.poll(() => listed('VFON_SERVER'), POLL).toBe(formatAddress(a.udp));
  });
});

describe('a message', () => {
  /** By a browser, under an id of its own; what came of it. */
  const sender = async (node: TestNode, uid: string) => {
    const { token } = await httpLogin(node, uid);
    return {
      async send(to: string, body: string, id: string): Promise<unknown> {
        return (await http(`${node.http}/v1/messages`, { token, body: { to, body, id } })).json['outcome'];
      },
      logout: () => http(`${node.http}/v1/logout`, { token, method: 'POST' }),
    };
  };

  it('reaches a user of another node, once, whatever node its sender sends it again by', async () => {
    const [a, b, c] = await cluster({}, 'a', 'b', 'c');
    const { heard } = await opened(sipAgent(b, TWO));
    const first = await sender(a, ONE);
    for (let i = 0; i < 2; i++) expect(await first.send(TWO, 'hello', 'm-1')).toBe('stored');
    await vi.waitFor(() => {
      expect(heard).toEqual(['hello']);
    }, POLL);
    await first.logout();
    await a.core.outbox.flush();
    const again = await sender(c, ONE);
    await again.send(TWO, 'hello', 'm-1');
    await again.send(TWO, 'last', 'm-2');
    await vi.waitFor(() => {
      expect(heard).toEqual(['hello', 'last']);
    }, POLL);
  });

  it('waits for who is offline, and is brought once, at whatever node he logs in', async () => {
    const [a, b, c] = await cluster({}, 'a', 'b', 'c');
    const one = await sender(a, ONE);
    for (const i of [1, 2, 3]) expect(await one.send(THREE, `text ${i}`, `w-${i}`)).toBe('stored');
    expect(await one.send(THREE, 'text 1', 'w-1')).toBe('stored');
    const there = await sipAgent(c, THREE);
    await vi.waitFor(() => {
      expect(there.heard).toEqual(['text 1', 'text 2', 'text 3']);
    }, POLL);
    await there.close();
    await c.core.outbox.flush();
    const elsewhere = await opened(sipAgent(b, THREE));
    expect(await one.send(THREE, 'text 4', 'w-4')).toBe('stored');
    await vi.waitFor(() => {
      expect(elsewhere.heard).toContain('text 4');
    }, POLL);
    expect(elsewhere.heard).toEqual(['text 4']);
  });
});

it('what a phone publishes at a node by way of which it is registered is his status at the node that has him', async () => {
  const [a, b, c] = await cluster({}, 'a', 'b', 'c');
  const watcher = await opened(native(c, ONE, [TWO]));
  await client.welcome(b.udp, TWO, { headers: { instance: 'desk', status: 'away' } });
  const phone = await opened(sipJs(a, TWO, []));
  await expect.poll(() => b.core.table.count).toBe(2);
  expect(a.core.table.users.find(TWO)).toBe(-1);
  await phone.say('busy');
  await vi.waitFor(() => {
    expect(watcher.sees(TWO)).toBe('busy');
  }, POLL);
  await phone.say('online');
  await vi.waitFor(() => {
    expect(watcher.sees(TWO)).toBe('online');
  }, POLL);
});

it.each(['proxy', 'auto'])('a call from a phone of one node rings at one of another (%s)', async (calls) => {
  const [a, b] = await cluster({ VSERVER_SIP_CALLS: calls }, 'a', 'b');
  const from = await opened(sipAgent(a, ONE));
  const to = await opened(sipAgent(b, TWO));
  const call = new Inviter(from.agent, uriOf(a, TWO), {});
  const refused: number[] = [];
  await call.invite({ requestDelegate: { onReject: ({ message }) => void refused.push(message.statusCode ?? 0) } });
  await vi.waitFor(() => {
    expect([to.calls.length, refused]).toEqual([1, []]);
  }, POLL);
  expect(to.calls[0]?.remoteIdentity.uri.user).toBe(ONE);
  await to.calls[0]?.accept();
  await vi.waitFor(() => {
    expect(call.state).toBe(SessionState.Established);
  }, POLL);
  await call.bye();
  await vi.waitFor(() => {
    expect(to.calls[0]?.state).toBe(SessionState.Terminated);
  }, POLL);
});
