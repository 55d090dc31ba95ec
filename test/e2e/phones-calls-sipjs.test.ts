/** SIP.js over WebSocket calls baresip over UDP through a node: signalling by SIP.js, the media a socket of the test. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Inviter } from 'sip.js/lib/api/inviter.js';
import type { SessionDescriptionHandler } from 'sip.js/lib/api/session-description-handler.js';
import { SessionState } from 'sip.js/lib/api/session-state.js';
import { UserAgent } from 'sip.js/lib/api/user-agent.js';
import { SAMPLE_USER } from '../../src/sample.ts';
import { startBaresip } from '../support/phones.ts';
import { endPrograms } from '../support/programs.ts';
import { writeTone } from '../support/tones.ts';
import { http, removeFolders, startNode, stopNodes } from './support-node.ts';

const { uid: ALICE, password } = SAMPLE_USER;
const BOB = '10043939';
const ADMIN_TOKEN = 'of-the-phones-0123456789';
const POLL = { timeout: 20_000, interval: 100 };
const folder = mkdtempSync(join(tmpdir(), 'vserver-calls-'));

vi.stubGlobal('WebSocket', WebSocket);
afterEach(async () => {
  await endPrograms();
  await stopNodes();
});
afterAll(() => {
  vi.unstubAllGlobals();
  removeFolders();
  rmSync(folder, { recursive: true, force: true });
});

/** Offers PCMU at this port. */
function media(port: number): SessionDescriptionHandler {
  const body = `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n`;
  return {
    close: () => undefined,
    getDescription: () => Promise.resolve({ body, contentType: 'application/sdp' }),
    hasDescription: (contentType) => contentType === 'application/sdp',
    rollbackDescription: () => Promise.resolve(),
    setDescription: () => Promise.resolve(),
    sendDtmf: () => false,
  };
}

it('SIP.js over WebSocket calls baresip, hears it, and hangs up', async () => {
  const node = await startNode({ VSERVER_ADMIN_TOKEN: ADMIN_TOKEN });
  const tone = join(folder, 'tone.wav');
  writeTone(tone, 440, 30);
  const audio = { play: tone, record: folder };
  const phone = await startBaresip({ server: node.sip, uid: BOB, password, transport: 'udp', expiresS: 60, audio });
  await vi.waitFor(async () => {
    const { json } = await http(`${node.http}/v1/admin/sessions/${BOB}`, { token: ADMIN_TOKEN });
    expect(json['sessions']).toHaveLength(1);
  }, POLL);

  let packets = 0;
  const rtp = createSocket('udp4', () => packets++);
  rtp.bind(0, '127.0.0.1');
  await once(rtp, 'listening');
  const uri = UserAgent.makeURI(`sip:${ALICE}@${node.sip.host}`);
  const target = UserAgent.makeURI(`sip:${BOB}@${node.sip.host}`);
  if (uri === undefined || target === undefined) throw new Error('no URI');
  const agent = new UserAgent({
    ...{ uri, authorizationUsername: ALICE, authorizationPassword: password, logBuiltinEnabled: false },
    transportOptions: { server: `${node.http.replace('http', 'ws')}/sip` },
    sessionDescriptionHandlerFactory: () => media(rtp.address().port),
  });
  await agent.start();
  const call = new Inviter(agent, target);
  await call.invite();
  await vi.waitFor(() => {
    expect([call.state, packets > 25]).toEqual([SessionState.Established, true]);
  }, POLL);
  await call.bye();
  await vi.waitFor(() => {
    expect(phone.output()).toMatch(/session closed|terminated/);
  }, POLL);
  await agent.stop();
  rtp.close();
});
