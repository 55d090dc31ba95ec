/** Calls of real phones through a node: each hears the tone that the other one plays. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { SAMPLE_USER } from '../../src/sample.ts';
import { startBaresip, startLinphone } from '../support/phones.ts';
import type { Phone, PhoneTransport } from '../support/phones.ts';
import { endPrograms } from '../support/programs.ts';
import { heardTone, writeTone } from '../support/tones.ts';
import type { TestNode } from './support-node.ts';
import { http, removeFolders, startNode, stopNodes } from './support-node.ts';

const { uid: ALICE, password } = SAMPLE_USER;
const BOB = '10043939';
const ADMIN_TOKEN = 'of-the-phones-0123456789';
const POLL = { timeout: 30_000, interval: 200 };
/** Hertz of what they say. */
const TONES = { baresip: 440, linphonec: 1_000 };

const folder = mkdtempSync(join(tmpdir(), 'vserver-calls-'));
const said = (name: keyof typeof TONES): string => join(folder, `${name}.wav`);

beforeAll(() => {
  for (const [name, hertz] of Object.entries(TONES)) writeTone(said(name as keyof typeof TONES), hertz, 60);
});
afterEach(async () => {
  await endPrograms();
  await stopNodes();
});
afterAll(() => {
  removeFolders();
  rmSync(folder, { recursive: true, force: true });
});

interface Speaker {
  readonly phone: Phone;
  readonly uid: string;
  readonly hertz: number;
  readonly record: string;
}

async function speaker(
  node: TestNode,
  name: keyof typeof TONES,
  uid: string,
  transport: PhoneTransport,
): Promise<Speaker> {
  const record = mkdtempSync(join(folder, 'heard-'));
  const audio = { play: said(name), record };
  const account = { server: node.sip, uid, password, transport, expiresS: 60, audio };
  const phone = await (name === 'baresip' ? startBaresip(account) : startLinphone(account));
  await vi.waitFor(async () => {
    const { json } = await http(`${node.http}/v1/admin/sessions/${uid}`, { token: ADMIN_TOKEN });
    expect(json['sessions']).toHaveLength(1);
  }, POLL);
  return { phone, uid, hertz: TONES[name], record };
}

/** Of linphonec: kbit/s of RTP that came in, each second. G.711 is 80. */
const INCOMING = /RTP : \[d=(\d+\.\d+),/g;
const SOME_SECONDS_KBIT = 300;

function incomingKbit(output: string): number {
  return [...output.matchAll(INCOMING)].reduce((sum, [, kbit]) => sum + Number(kbit), 0);
}

/** A second of it at least. */
function heard({ record }: Speaker, { hertz }: Speaker): Promise<void> {
  return vi.waitFor(() => {
    expect(heardTone(record, hertz)).toBeGreaterThanOrEqual(10);
  }, POLL);
}

const BOTH_WAYS = [
  ['baresip', 'linphonec'],
  ['linphonec', 'baresip'],
] as const;
// linphonec does not follow a redirect.
const CASES = [
  ...BOTH_WAYS.map(([caller, callee]) => ['proxy', caller, 'udp', callee, 'udp'] as const),
  ...BOTH_WAYS.map(([caller, callee]) => ['auto', caller, 'udp', callee, 'tcp'] as const),
  ['redirect', 'baresip', 'udp', 'linphonec', 'udp'] as const,
];

describe('a call between phones of two makers', () => {
  it.each(CASES)(
    '%s: %s over %s and %s over %s hear each other',
    async (calls, callerName, first, calleeName, second) => {
      const node = await startNode({ VSERVER_SIP_CALLS: calls, VSERVER_ADMIN_TOKEN: ADMIN_TOKEN });
      const caller = await speaker(node, callerName, ALICE, first);
      const callee = await speaker(node, calleeName, BOB, second);
      caller.phone.call(callee.uid);
      const linphone = callerName === 'linphonec' ? caller : callee;
      await vi.waitFor(() => {
        // It tells each second how much comes in; both write down what they heard when the call has ended.
        expect(incomingKbit(linphone.phone.output())).toBeGreaterThanOrEqual(SOME_SECONDS_KBIT);
      }, POLL);
      caller.phone.hangUp();
      await heard(caller, callee);
      await heard(callee, caller);
    },
  );
});
