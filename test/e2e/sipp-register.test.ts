/** Registrations of SIPp agents, and calls of those who have none (RFC 3261 10, 22). */
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endPrograms } from '../support/programs.ts';
import { sipp } from '../support/sipp.ts';
import type { Agent } from '../support/sipp.ts';
import {
  asks,
  expects,
  inviteIsChallenged,
  isChallenged,
  isRefused,
  OWN_URI,
  registers,
  steps,
} from '../support/sipp-steps.ts';
import type { Step } from '../support/sipp-steps.ts';
import type { TestNode } from './support-node.ts';
import { removeFolders, startNode, stopNodes } from './support-node.ts';

const [ALICE, BOB, OFFLINE, UNKNOWN] = ['10017676', '10043939', '10066502', '10012345'] as const;
const CONTACT = `Contact: <${OWN_URI}>`;

let node: TestNode;

beforeEach(async () => {
  node = await startNode();
});
afterEach(async () => {
  await endPrograms();
  await stopNodes();
});
afterAll(removeFolders);

async function succeeds(agent: Agent, ...does: Step[]): Promise<void> {
  expect(await sipp(node.sip, agent, ...does)).toBe('');
}

/** With the nonce of the challenge that came last. */
const asksToRegister = (expires: number): Step =>
  asks('REGISTER', { headers: [CONTACT, `Expires: ${expires}`], isAuthorized: true });

describe('REGISTER', () => {
  it('is challenged, and good with the answer; with the same nonce it refreshes and removes', async () => {
    await succeeds(
      { uid: ALICE },
      asks('REGISTER', { headers: [CONTACT] }),
      isChallenged(),
      asksToRegister(60),
      expects(200, { Contact: '<sip:agent@127.0.0.1:.*>;expires=(60|5[0-9])' }),
      asksToRegister(90),
      expects(200, { Contact: '<sip:agent@127.0.0.1:.*>;expires=(90|8[0-9])' }),
      asksToRegister(0),
      expects(200),
    );
    expect(node.core.table.count).toBe(0);
  });

  it.each([
    ['the wrong password', ALICE],
    ['an unknown user', UNKNOWN],
  ])('with %s is refused: 403', async (_what, uid) => {
    const refused = steps(asks('REGISTER', { headers: [CONTACT] }), isChallenged(), asksToRegister(60), expects(403));
    await succeeds({ uid, password: 'wrong' }, refused);
  });
});

describe('INVITE from somewhere else than the registration', () => {
  it.each([
    ['registered', BOB, 302],
    ['offline', OFFLINE, 480],
    ['unknown', UNKNOWN, 404],
  ] as const)('is challenged before it is told where the callee is: %s', async (_what, callee, status) => {
    await succeeds({ uid: BOB }, registers());
    const credentialsFor = `${callee}@${node.sip.host}:${node.sip.port}`;
    await succeeds(
      { uid: ALICE, credentialsFor },
      asks('INVITE', { to: callee }),
      inviteIsChallenged(),
      asks('INVITE', { to: callee, isAuthorized: true }),
      isRefused(status),
    );
  });
});
