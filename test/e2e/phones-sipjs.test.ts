/** SIP.js user agents, over WebSocket and over UDP. */
import { createSocket } from 'node:dgram';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { EmitterImpl } from 'sip.js/lib/api/emitter.js';
import { Inviter } from 'sip.js/lib/api/inviter.js';
import { Registerer } from 'sip.js/lib/api/registerer.js';
import { TransportState } from 'sip.js/lib/api/transport-state.js';
import type { Transport } from 'sip.js/lib/api/transport.js';
import type { UserAgentOptions } from 'sip.js/lib/api/user-agent-options.js';
import type { UserAgent } from 'sip.js/lib/api/user-agent.js';
import type { IncomingResponse } from 'sip.js/lib/core/messages/incoming-response.js';
import { SAMPLE_USER } from '../../src/sample.ts';
import { sipJsAgent, uriOf } from './support-clients.ts';
import type { TestNode } from './support-node.ts';
import { http, openClient, removeFolders, startNode, stopNodes } from './support-node.ts';

const { uid } = SAMPLE_USER;
const OTHER = '10043939';
const ADMIN_TOKEN = 'of-the-phones-0123456789';
const POLL = { timeout: 30_000, interval: 50 };

vi.stubGlobal('WebSocket', WebSocket);

let node: TestNode;

beforeEach(async () => {
  node = await startNode({
    VSERVER_SIP_EXPIRES_MIN: '1',
    VSERVER_SIP_EXPIRES_MAX: '12',
    VSERVER_ADMIN_TOKEN: ADMIN_TOKEN,
  });
});
afterEach(stopNodes);
afterAll(() => {
  vi.unstubAllGlobals();
  removeFolders();
});

function overUdp(): UserAgentOptions {
  // Without rport the answers would go to the port that its Via names.
  return { transportConstructor: UdpTransport, transportOptions: { port: node.sip.port }, forceRport: true };
}

/** As little as SIP.js needs of a transport. */
class UdpTransport implements Transport {
  readonly protocol = 'UDP';
  readonly stateChange = new EmitterImpl<TransportState>();
  state = TransportState.Disconnected;
  onConnect: (() => void) | undefined;
  onDisconnect: ((error?: Error) => void) | undefined;
  onMessage: ((message: string) => void) | undefined;
  readonly #socket = createSocket('udp4', (bytes) => this.onMessage?.(bytes.toString()));
  readonly #port: number;

  constructor(_logger: unknown, { port }: { port: number }) {
    this.#port = port;
  }

  async connect(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.connect(this.#port, '127.0.0.1', resolve));
    this.state = TransportState.Connected;
    this.stateChange.emit(this.state);
    this.onConnect?.();
  }

  disconnect(): Promise<void> {
    if (this.isConnected()) {
      this.state = TransportState.Disconnected;
      this.#socket.close();
      this.stateChange.emit(this.state);
    }
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    return this.disconnect();
  }

  isConnected(): boolean {
    return this.state === TransportState.Connected;
  }

  send(message: string): Promise<void> {
    this.#socket.send(message);
    return Promise.resolve();
  }
}

/** Half of what the server grants passes between refreshes. */
async function register(agent: UserAgent): Promise<Registerer> {
  const registerer = new Registerer(agent, { expires: 60, refreshFrequency: 50 });
  await registerer.register();
  return registerer;
}

/** Status of the final answer to an INVITE. */
function invite(agent: UserAgent, user: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const end = ({ message }: IncomingResponse): void => {
      resolve(message.statusCode ?? 0);
    };
    const inviter = new Inviter(agent, uriOf(node, user), { inviteWithoutSdp: true });
    inviter.invite({ requestDelegate: { onRedirect: end, onReject: end } }).catch(reject);
  });
}

async function sessions(): Promise<{ sip: string; loginAt: string; seenAt: string }[]> {
  const answer = await http(`${node.http}/v1/admin/sessions/${uid}`, { token: ADMIN_TOKEN });
  return answer.json['sessions'] as { sip: string; loginAt: string; seenAt: string }[];
}

describe.each([
  ['WebSocket', (): UserAgentOptions => ({})],
  ['UDP', overUdp],
])('SIP.js over %s', (_name, transport) => {
  it('registers, is located, refreshes and unregisters', async () => {
    const agent = await sipJsAgent(node, uid, transport());
    const registerer = await register(agent);
    const [first] = await vi.waitFor(async () => {
      const list = await sessions();
      expect(list).toHaveLength(1);
      return list;
    }, POLL);
    const client = await openClient();
    const asker = await client.welcome(node.udp, OTHER);
    const found = await asker.ask('Locate', uid);
    expect([found.verb, found.headers.get('sip')]).toEqual(['User', first?.sip]);

    await vi.waitFor(async () => {
      const [now] = await sessions();
      expect(now?.loginAt).toBe(first?.loginAt);
      expect(now?.seenAt).not.toBe(first?.seenAt);
    }, POLL);
    await registerer.unregister();
    await vi.waitFor(async () => {
      expect(await sessions()).toEqual([]);
    }, POLL);
    expect(await asker.ask('Locate', uid)).toMatchObject({ verb: 'Offline' });
    await client.close();
    await agent.stop();
  });

  it('calls a registered user through the node, and is told of offline and unknown ones', async () => {
    const callee = await sipJsAgent(node, uid, transport());
    const registerer = await register(callee);
    await vi.waitFor(async () => {
      expect(await sessions()).toHaveLength(1);
    }, POLL);
    const caller = await sipJsAgent(node, OTHER, transport());
    // Without a delegate that takes calls, SIP.js says that it is busy.
    expect(await invite(caller, uid)).toBe(486);
    expect(await invite(caller, '10066502')).toBe(480);
    expect(await invite(caller, '10012345')).toBe(404);
    await caller.stop();
    await registerer.unregister();
    await vi.waitFor(async () => {
      expect(await sessions()).toEqual([]);
    }, POLL);
    await callee.stop();
  });
});
