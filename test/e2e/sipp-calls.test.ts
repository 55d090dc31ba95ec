/** Calls of SIPp agents through a node that sends them on, or redirects them (RFC 3261 16, 8.3). */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NodePorts } from '../../src/node.ts';
import { fastTime } from '../support/fast-time.ts';
import { endPrograms, freePort, temporaryHome } from '../support/programs.ts';
import { sipp } from '../support/sipp.ts';
import type { Agent } from '../support/sipp.ts';
import {
  asks,
  asksWithin,
  cancels,
  expects,
  inviteIsChallenged,
  isAnswered,
  isRedirected,
  isRefused,
  marks,
  mayHear,
  registers,
  responds,
  respondsToInvite,
  steps,
} from '../support/sipp-steps.ts';
import type { Step } from '../support/sipp-steps.ts';
import type { TestNode } from './support-node.ts';
import { http, removeFolders, startNode, stopNodes } from './support-node.ts';

const [ALICE, BOB, CAROL] = ['10017676', '10043939', '10099999'];
const TOKEN = 'of-the-calls-0123456789';
const SETTINGS = { VSERVER_SIP_CALLS: 'proxy', VSERVER_ADMIN_TOKEN: TOKEN };
const SDP = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'm=audio 6000 RTP/AVP 0'];
const WITH_SDP = { headers: ['Content-Type: application/sdp'], body: SDP };

let node: TestNode;

beforeEach(async () => {
  node = await startNode(SETTINGS);
});
afterEach(async () => {
  await endPrograms();
  await stopNodes();
});
afterAll(removeFolders);

/** Another node instead of the usual one. */
async function restart(settings: Record<string, string>, ports: Partial<NodePorts> = {}): Promise<void> {
  await stopNodes();
  node = await startNode({ ...SETTINGS, ...settings }, ports);
}

/** One whose patience of half a minute lasts 8 s. */
const hastenNode = (): Promise<void> => restart({}, fastTime(4));

interface Phone extends Agent {
  /** Parameters of its Contact. */
  readonly contact?: string;
}

type Part = readonly [phone: Phone, ...does: Step[]];

/**
 * The agents register one after the other, the caller last; all must come to the end of what they do. Over UDP the caller
 * is two agents at one port: one registers, the other has credentials for its call.
 */
async function call(callees: readonly Part[], [caller, ...does]: Part): Promise<void> {
  const agents: Promise<string>[] = [];
  for (const [phone, ...theirs] of callees) {
    agents.push(sipp(node.sip, phone, registers(phone.contact), ...theirs));
    await expect.poll(() => node.core.table.count).toBe(agents.length);
  }
  if ((caller.transport ?? 'udp') !== 'udp') agents.push(sipp(node.sip, caller, registers(), ...does));
  else {
    const phone = { ...caller, port: await freePort() };
    expect(await sipp(node.sip, phone, registers())).toBe('');
    agents.push(sipp(node.sip, { ...phone, credentialsFor: `${BOB}@${node.sip.host}:${node.sip.port}` }, ...does));
  }
  expect(await Promise.all(agents)).toEqual(agents.map(() => ''));
}

const rings = (): Step => steps(expects('INVITE'), responds(180));
const answers = (): Step => steps(responds(200, WITH_SDP), expects('ACK'));
const isCancelled = (): Step => steps(expects('CANCEL'), responds(200), respondsToInvite(487), expects('ACK'));
const refuses = (status: number): Step => steps(expects('INVITE'), responds(status), expects('ACK'));
/** What is not sent on needs no proof, and neither does what comes over the connection of a registration. */
const invites = (uid: string): Step => asks('INVITE', { to: uid, ...WITH_SDP });
const calls = (uid: string): Step =>
  steps(invites(uid), inviteIsChallenged(), asks('INVITE', { to: uid, ...WITH_SDP, isAuthorized: true }));
const hangsUp = (): Step => steps(asksWithin('BYE'), expects(200));
const isHungUp = (): Step => steps(expects('BYE'), responds(200));
const asksAgain = (): Step => steps(asksWithin('INVITE', WITH_SDP), isAnswered({ body: 'm=audio' }));
const isAskedAgain = (): Step => steps(expects('INVITE', { body: 'm=audio' }), answers());

/** Changes a record before its user comes. */
async function set(uid: string, record: object): Promise<void> {
  const { status } = await http(`${node.http}/v1/admin/users/${uid}`, { method: 'PATCH', token: TOKEN, body: record });
  expect(status).toBe(200);
}

describe('a call through the node (RFC 3261 16)', () => {
  it.each([
    ['udp', 'udp', 'caller'],
    ['udp', 'udp', 'callee'],
    ['udp', 'tcp', 'caller'],
    ['udp', 'tcp', 'callee'],
    ['tcp', 'udp', 'caller'],
    ['tcp', 'tcp', 'callee'],
  ] as const)(
    'from %s to %s rings, is answered, changed by both sides, and ended by the %s',
    async (from, to, ends) => {
      const callee: Part = [
        { uid: BOB, transport: to },
        // At his Contact, one hop further, with a Record-Route for each side (16.6).
        expects('INVITE', {
          message: '^INVITE sip:agent@127.0.0.1:.*Record-Route:.*Record-Route:',
          'Max-Forwards': '^ *69',
          'Record-Route': '<sip:[^@>]+@127.0.0.1:[0-9]+[^>]*;lr>',
          body: 'm=audio',
        }),
        responds(180),
        answers(),
        isAskedAgain(),
        asksAgain(),
        ends === 'callee' ? hangsUp() : isHungUp(),
      ];
      const caller: Part = [
        { uid: ALICE, transport: from },
        from === 'tcp' ? invites(BOB) : calls(BOB),
        expects(180),
        isAnswered({ body: 'm=audio' }),
        asksAgain(),
        isAskedAgain(),
        ends === 'caller' ? hangsUp() : isHungUp(),
      ];
      await call([callee], caller);
    },
  );

  it.each([486, 603])('is refused by the callee: %i', async (status) => {
    await call([[{ uid: BOB }, refuses(status)]], [{ uid: ALICE }, calls(BOB), isRefused(status)]);
  });

  it('to nobody: 404 who does not exist, 480 who is offline', async () => {
    await call([], [{ uid: ALICE }, invites('10012345'), isRefused(404), invites(BOB), isRefused(480)]);
  });

  it('to who never answers ends with 408 (16.7 step 6, 17.1.1.2)', async () => {
    await hastenNode();
    await call([[{ uid: BOB }, expects('INVITE')]], [{ uid: ALICE }, calls(BOB), isRefused(408)]);
  });
});

describe('a call to three phones of one user', () => {
  it('is given to the one that answers; the others are cancelled (16.7 step 10)', async () => {
    await call(
      [
        [{ uid: BOB }, rings(), isCancelled()],
        [{ uid: BOB }, rings(), answers(), isHungUp()],
        [{ uid: BOB }, rings(), isCancelled()],
      ],
      [{ uid: ALICE }, calls(BOB), expects(180), mayHear(180), isAnswered(), hangsUp()],
    );
  });

  it.each([
    ['the lowest class', [486, 500, 503], 486],
    ['6xx before all', [486, 603, 480], 603],
  ])('that all refuse is answered by the best response: %s (16.7 step 6)', async (_, statuses, best) => {
    const phones = statuses.map((status): Part => [{ uid: BOB }, refuses(status)]);
    await call(phones, [{ uid: ALICE }, calls(BOB), isRefused(best)]);
  });

  it('that one declines for all of them is over when the others have ended (16.7 step 5)', async () => {
    await call(
      [
        [{ uid: BOB }, rings(), isCancelled()],
        [{ uid: BOB }, rings(), isCancelled()],
        [{ uid: BOB }, rings(), responds(603), expects('ACK')],
      ],
      [{ uid: ALICE }, calls(BOB), expects(180), mayHear(180), isRefused(603)],
    );
  });

  it('goes to the next of lower q when the first has refused', async () => {
    await call(
      [
        [{ uid: BOB, contact: ';q=0.5' }, rings(), answers(), isHungUp()],
        [{ uid: BOB, contact: ';q=0.9' }, refuses(486)],
      ],
      [{ uid: ALICE }, calls(BOB), expects(180), isAnswered(), hangsUp()],
    );
  });
});

describe('CANCEL (9, 16.10)', () => {
  it('of a ringing call ends it: 487', async () => {
    await call(
      [[{ uid: BOB }, rings(), isCancelled()]],
      [{ uid: ALICE }, calls(BOB), expects(180), cancels(), isRefused(487)],
    );
  });

  it('before the callee has said anything waits until he does (9.1)', async () => {
    const bob = { uid: BOB, port: await freePort() };
    expect(await sipp(node.sip, bob, registers())).toBe('');
    const isCancelledHere = join(temporaryHome(), 'mark');
    const caller = call(
      [],
      [{ uid: ALICE }, calls(BOB), expects(100), cancels(), marks(isCancelledHere), expects(180), isRefused(487)],
    );
    await expect.poll(() => existsSync(isCancelledHere)).toBe(true);
    // From here on he listens: the INVITE comes again.
    expect(await sipp(node.sip, bob, rings(), isCancelled())).toBe('');
    await caller;
  });

  it('that crosses the 200 does not undo it: the caller acknowledges and hangs up', async () => {
    await call(
      [[{ uid: BOB }, rings(), expects('CANCEL'), responds(200), respondsToInvite(200), expects('ACK'), isHungUp()]],
      [{ uid: ALICE }, calls(BOB), expects(180), cancels(), isAnswered(), hangsUp()],
    );
  });
});

describe('forwarding', () => {
  const carolAnswers: Part = [{ uid: CAROL }, rings(), answers(), isHungUp()];
  const reachesCarol = steps(expects(180), mayHear(180), isAnswered(), hangsUp());

  it('always: the first one hears nothing of it', async () => {
    await set(BOB, { forwarding: { always: CAROL } });
    await call([carolAnswers], [{ uid: ALICE }, calls(BOB), reachesCarol]);
  });

  it.each([486, 600])('busy: after his %i', async (status) => {
    await set(BOB, { forwarding: { busy: CAROL } });
    await call([[{ uid: BOB }, refuses(status)], carolAnswers], [{ uid: ALICE }, calls(BOB), reachesCarol]);
  });

  it('no answer: after the seconds of his record, and his phone is cancelled', async () => {
    await set(BOB, { forwarding: { noAnswer: CAROL, noAnswerSeconds: 1 } });
    await call([[{ uid: BOB }, rings(), isCancelled()], carolAnswers], [{ uid: ALICE }, calls(BOB), reachesCarol]);
  });

  it('unreachable: where he is offline', async () => {
    await set(BOB, { forwarding: { unreachable: CAROL } });
    await call([carolAnswers], [{ uid: ALICE }, calls(BOB), reachesCarol]);
  });

  it('unreachable: where his phone is registered and says nothing', async () => {
    await hastenNode();
    await set(BOB, { forwarding: { unreachable: CAROL } });
    await call([[{ uid: BOB }, expects('INVITE')], carolAnswers], [{ uid: ALICE }, calls(BOB), reachesCarol]);
  });

  it('not where he declines', async () => {
    await set(BOB, { forwarding: { busy: CAROL, unreachable: CAROL } });
    await call([[{ uid: BOB }, refuses(603)]], [{ uid: ALICE }, calls(BOB), isRefused(603)]);
  });
});

describe('loops (16.3)', () => {
  it('of two who forward to each other end with 482', async () => {
    await set(BOB, { forwarding: { always: CAROL } });
    await set(CAROL, { forwarding: { always: BOB } });
    await call([], [{ uid: ALICE }, invites(BOB), isRefused(482)]);
  });

  it('of two who are busy and forward to each other: the caller is told so', async () => {
    await set(BOB, { forwarding: { busy: CAROL } });
    await set(CAROL, { forwarding: { busy: BOB } });
    await call(
      [
        [{ uid: BOB }, refuses(486)],
        [{ uid: CAROL }, refuses(486)],
      ],
      [{ uid: ALICE }, calls(BOB), isRefused(486)],
    );
  });

  it('a request with Max-Forwards: 0 ends here with 483', async () => {
    await call([], [{ uid: ALICE }, asks('INVITE', { to: BOB, maxForwards: 0 }), isRefused(483)]);
  });
});

describe('a redirected call (8.3)', () => {
  it('is told where the callee is, and the agents talk without the node', async () => {
    await restart({ VSERVER_SIP_CALLS: 'redirect' });
    const bob = { uid: BOB, port: await freePort() };
    expect(await sipp(node.sip, bob, registers())).toBe('');
    // From here on as a server, which answers whoever asks.
    const callee = sipp(
      node.sip,
      bob,
      expects('INVITE', { 'Max-Forwards': '^ *70' }),
      responds(180),
      answers(),
      isHungUp(),
    );
    await call(
      [],
      [
        { uid: ALICE, transport: 'udp-anywhere' },
        invites(BOB),
        isRedirected(),
        asks('INVITE', { to: BOB, uri: '[next_url]', ...WITH_SDP }),
        expects(180),
        isAnswered(),
        hangsUp(),
      ],
    );
    expect(await callee).toBe('');
  });
});
