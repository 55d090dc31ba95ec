/**
 * SIP.js over WebSocket and phones over UDP and TCP call each other through a node, and hear each other: signalling by
 * SIP.js, its media a socket of the test.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Inviter } from 'sip.js/lib/api/inviter.js';
import type { Session } from 'sip.js/lib/api/session.js';
import type { SessionDescriptionHandler } from 'sip.js/lib/api/session-description-handler.js';
import { SessionState } from 'sip.js/lib/api/session-state.js';
import { startBaresip, startLinphone } from '../support/phones.ts';
import type { Phone } from '../support/phones.ts';
import { endPrograms } from '../support/programs.ts';
import { openRtp } from '../support/rtp.ts';
import type { RtpEnd } from '../support/rtp.ts';
import { heardTone, writeTone } from '../support/tones.ts';
import { nativePhone, sipJsPhone, uriOf } from './support-clients.ts';
import type { TestNode } from './support-node.ts';
import { PASSWORD, removeFolders, startNode, stopNodes } from './support-node.ts';

const [ALICE, BOB] = ['10017676', '10043939'] as const;
const POLL = { timeout: 30_000, interval: 100 };
/** Hertz of what they say. */
const OF_PHONE = 440;
const OF_SIP_JS = 1_000;
/** Windows of 100 ms. */
const A_SECOND = 10;
const folder = mkdtempSync(join(tmpdir(), 'vserver-calls-'));
const tone = join(folder, 'tone.wav');
writeTone(tone, OF_PHONE, 60);

vi.stubGlobal('WebSocket', WebSocket);

let node: TestNode;
const ends: RtpEnd[] = [];

beforeEach(async () => {
  node = await startNode();
});
afterEach(async () => {
  for (const end of ends.splice(0)) end.close();
  await endPrograms();
  await stopNodes();
});
afterAll(() => {
  vi.unstubAllGlobals();
  removeFolders();
  rmSync(folder, { recursive: true, force: true });
});

function media(end: RtpEnd): SessionDescriptionHandler {
  return {
    close: () => undefined,
    getDescription: () => Promise.resolve({ body: end.sdp, contentType: 'application/sdp' }),
    hasDescription: (contentType) => contentType === 'application/sdp',
    rollbackDescription: () => Promise.resolve(),
    setDescription(sdp) {
      end.start(sdp);
      return Promise.resolve();
    },
    sendDtmf: () => false,
  };
}

interface Talker {
  readonly rtp: RtpEnd;
  /** The call that came last. */
  session: Session | null;
  /** Resolves when the other side has answered, or refused. */
  call(uid: string): Promise<void>;
  readonly quit: () => Promise<void>;
}

/** SIP.js that answers whoever calls. */
async function talker(uid: string, hertz: number): Promise<Talker> {
  const rtp = await openRtp(hertz);
  ends.push(rtp);
  const { agent, quit } = await sipJsPhone(node, uid, {
    sessionDescriptionHandlerFactory: () => media(rtp),
    delegate: {
      onInvite(invitation) {
        one.session = invitation;
        void invitation.accept();
      },
    },
  });
  const one: Talker = {
    rtp,
    session: null,
    async call(other) {
      const inviter = new Inviter(agent, uriOf(node, other));
      one.session = inviter;
      await inviter.invite();
    },
    quit,
  };
  return one;
}

const stateOf = ({ session }: Talker): SessionState | undefined => session?.state;

const PHONES = [
  ['baresip', startBaresip, 'udp'],
  ['baresip', startBaresip, 'tcp'],
  ['linphonec', startLinphone, 'udp'],
] as const;

describe.each(PHONES)('SIP.js and %s', (_name, start, transport) => {
  async function phoneWithSound(): Promise<{ phone: Phone; record: string }> {
    const record = mkdtempSync(join(folder, 'heard-'));
    const account = { server: node.sip, uid: BOB, password: PASSWORD, transport, expiresS: 60 };
    const phone = await start({ ...account, audio: { play: tone, record } });
    await expect.poll(() => node.core.table.count, POLL).toBe(2);
    return { phone, record };
  }

  /** As long as it takes; a second of each at least. */
  async function hearEachOther(alice: Talker, record: string, end: () => unknown): Promise<void> {
    await expect.poll(() => stateOf(alice), POLL).toBe(SessionState.Established);
    await expect.poll(() => alice.rtp.heard(OF_PHONE), POLL).toBeGreaterThanOrEqual(A_SECOND);
    await expect.poll(() => alice.rtp.sent, POLL).toBeGreaterThanOrEqual(150);
    await end();
    await expect.poll(() => stateOf(alice), POLL).toBe(SessionState.Terminated);
    // It writes down what it has heard when the call has ended.
    await expect.poll(() => heardTone(record, OF_SIP_JS), POLL).toBeGreaterThanOrEqual(A_SECOND);
    await alice.quit();
  }

  it('SIP.js calls and hangs up', async () => {
    const alice = await talker(ALICE, OF_SIP_JS);
    const { record } = await phoneWithSound();
    await alice.call(BOB);
    await hearEachOther(alice, record, () => alice.session?.bye());
  });

  it('the phone calls and hangs up', async () => {
    const alice = await talker(ALICE, OF_SIP_JS);
    const { phone, record } = await phoneWithSound();
    phone.call(ALICE);
    await hearEachOther(alice, record, () => {
      phone.hangUp();
    });
  });
});

it('two of SIP.js call and hear each other', async () => {
  const [alice, bob] = [await talker(ALICE, OF_SIP_JS), await talker(BOB, OF_PHONE)];
  await alice.call(BOB);
  await expect.poll(() => alice.rtp.heard(OF_PHONE), POLL).toBeGreaterThanOrEqual(A_SECOND);
  await expect.poll(() => bob.rtp.heard(OF_SIP_JS), POLL).toBeGreaterThanOrEqual(A_SECOND);
  await bob.session?.bye();
  await expect.poll(() => [alice, bob].map(stateOf)).toEqual([SessionState.Terminated, SessionState.Terminated]);
  await Promise.all([alice.quit(), bob.quit()]);
});

describe('a native client', () => {
  it('is told of to SIP.js by his outer address: 302', async () => {
    const phone = await nativePhone(node, BOB);
    const { agent, quit } = await sipJsPhone(node, ALICE);
    const contact = await new Promise((resolve, reject) => {
      const inviter = new Inviter(agent, uriOf(node, BOB), { inviteWithoutSdp: true });
      const onRedirect = ({ message }: { message: { getHeader(name: string): string | undefined } }): void => {
        resolve(message.getHeader('contact'));
      };
      inviter.invite({ requestDelegate: { onRedirect } }).catch(reject);
    });
    const [row = -1] = node.core.table.rowsOf(node.core.table.users.find(BOB));
    const { host, port } = node.core.table.sessions.wan(row);
    expect(contact).toBe(`<sip:${BOB}@${host}:${port}>`);
    await quit();
    await phone.logout();
  });
});
