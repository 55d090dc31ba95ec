/** Phones of two makers (baresip, linphonec), of whom each knows only a server, a uid and a password. */
import { afterAll, describe, expect, it, vi } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import { SAMPLE_USER } from '../../src/sample.ts';
import { startBaresip, startLinphone } from '../support/phones.ts';
import type { Phone, PhoneAccount } from '../support/phones.ts';
import { endPrograms } from '../support/programs.ts';
import { openRelay } from '../support/relay.ts';
import type { TestNode } from './support-node.ts';
import { http, openClient, removeFolders, startNode, stopNodes } from './support-node.ts';

const { uid, password } = SAMPLE_USER;
const OTHER = '10043939';
const ADMIN_TOKEN = 'of-the-phones-0123456789';
/** Seconds. Refreshes come after nine tenths of it; the node counts whole seconds, so it must not be much shorter. */
const LIFETIME = { VSERVER_SIP_EXPIRES_MIN: '1', VSERVER_SIP_EXPIRES_MAX: '20', VSERVER_ADMIN_TOKEN: ADMIN_TOKEN };
const POLL = { timeout: 30_000, interval: 100 };

const MAKERS: readonly [string, (account: PhoneAccount) => Phone | Promise<Phone>][] = [
  ['baresip', startBaresip],
  ['linphonec', startLinphone],
];
const PHONES = MAKERS.flatMap(([name, start]) =>
  (['udp', 'tcp'] as const).map((transport) => ({ name, transport, start })),
);

const CONTACT = {
  udp: new RegExp(`^sip:${uid}[^@]*@127\\.0\\.0\\.1:\\d+(?:;transport=udp)?$`),
  tcp: new RegExp(`^sip:${uid}[^@]*@127\\.0\\.0\\.1:\\d+;transport=tcp$`),
};

interface Session {
  readonly sip: string;
  readonly wan: string;
  readonly loginAt: string;
  readonly seenAt: string;
}

afterAll(async () => {
  await endPrograms();
  await stopNodes();
  removeFolders();
});

async function sessions(node: TestNode): Promise<Session[]> {
  const answer = await http(`${node.http}/v1/admin/sessions/${uid}`, { token: ADMIN_TOKEN });
  expect(answer.status).toBe(200);
  return answer.json['sessions'] as Session[];
}

/** The only one, as soon as it fits. */
function session(node: TestNode, isFit: (one: Session) => boolean = () => true): Promise<Session> {
  return vi.waitFor(async () => {
    const [first, ...others] = await sessions(node);
    if (first === undefined || others.length > 0 || !isFit(first)) throw new Error('no such session');
    return first;
  }, POLL);
}

function ended(node: TestNode): Promise<void> {
  return vi.waitFor(async () => {
    expect(await sessions(node)).toEqual([]);
  }, POLL);
}

function seenAfter({ seenAt }: Session): (one: Session) => boolean {
  return (one) => one.seenAt > seenAt;
}

async function locate(node: TestNode) {
  const client = await openClient();
  const asker = await client.welcome(node.udp, OTHER);
  const { verb, headers } = await asker.ask('Locate', uid);
  await client.close();
  return { verb, sip: headers.get('sip') };
}

/** The same folder, ports and settings again; its sessions are kept. */
async function restart(node: TestNode): Promise<TestNode> {
  await node.stop(false);
  return startNode({
    ...LIFETIME,
    VSERVER_DATA: node.config.data,
    VSERVER_UDP_PORT: String(node.udp.port),
    VSERVER_UDP_ALT_PORT: String(node.udpAlt.port),
    VSERVER_HTTP_PORT: new URL(node.http).port,
    VSERVER_SIP_PORT: String(node.sip.port),
  });
}

describe.concurrent.each(PHONES)('$name over $transport', ({ transport, start }) => {
  it('registers, is located, stays registered through two refreshes, a NAT rebinding and a restart, and unregisters', async () => {
    const first = await startNode(LIFETIME);
    // Over TCP there is no rebinding that a connection would survive.
    const relay = transport === 'udp' ? await openRelay(first.sip) : null;
    const phone = await start({ server: relay?.address ?? first.sip, uid, password, transport, expiresS: 60 });
    const registered = await session(first);
    const { loginAt } = registered;
    expect(await locate(first)).toEqual({ verb: 'User', sip: registered.sip });
    expect(registered.sip).toMatch(CONTACT[transport]);

    const once = await session(first, seenAfter(registered));
    const twice = await session(first, seenAfter(once));
    for (const refresh of [once, twice]) {
      expect(refresh).toMatchObject({ sip: registered.sip, wan: registered.wan, loginAt });
    }

    await relay?.rebind();
    const refreshed = await session(first, seenAfter(twice));
    expect(refreshed).toMatchObject({ sip: registered.sip, loginAt });
    if (relay !== null) expect(refreshed.wan).toBe(formatAddress(relay.outer()));
    expect(await locate(first)).toEqual({ verb: 'User', sip: registered.sip });

    // Right after a refresh, so that none comes while the node is away.
    const second = await restart(first);
    const returned = await session(second, seenAfter(refreshed));
    expect(returned.loginAt).toBe(loginAt);
    expect(await locate(second)).toEqual({ verb: 'User', sip: returned.sip });

    await phone.quit();
    await ended(second);
    expect(await locate(second)).toMatchObject({ verb: 'Offline' });
    await relay?.close();
  });
});
