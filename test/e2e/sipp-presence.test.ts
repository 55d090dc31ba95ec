/** SIPp agents watch and publish (RFC 6665, RFC 3856, RFC 3903). */
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fastTime } from '../support/fast-time.ts';
import { endPrograms, freePort } from '../support/programs.ts';
import { sipp } from '../support/sipp.ts';
import type { Agent } from '../support/sipp.ts';
import { asks, asksWithin, expects, isChallenged, registers, responds, steps } from '../support/sipp-steps.ts';
import type { Checks, Step } from '../support/sipp-steps.ts';
import type { TestNode } from './support-node.ts';
import { removeFolders, startNode, stopNodes } from './support-node.ts';

const [ALICE, BOB, UNKNOWN] = ['10017676', '10043939', '10012345'] as const;

let node: TestNode;

beforeEach(async () => {
  // Watchers are told every five seconds at most: here, every 1.25 s. Those who say nothing are given up after 8 s.
  node = await startNode({}, fastTime(4));
});
afterEach(async () => {
  await endPrograms();
  await stopNodes();
});
afterAll(removeFolders);

async function succeeds(agent: Agent, ...does: Step[]): Promise<void> {
  expect(await sipp(node.sip, agent, ...does)).toBe('');
}

/** With credentials for what it asks of this user. */
const asking = (uid: string, of: string): Agent => ({ uid, credentialsFor: `${of}@${node.sip.host}:${node.sip.port}` });

/** The same, at the port where another agent has registered. */
async function registered(uid: string, of: string): Promise<Agent> {
  const port = await freePort();
  await succeeds({ uid, port }, registers());
  return { ...asking(uid, of), port };
}

const EVENT = 'Event: presence';
const OPEN = '<basic>open</basic>';
const CLOSED = '<basic>closed</basic>';
const BUSY = '<rpid:busy/>';

const asksToWatch = (uid: string, expiresS: number): Step => {
  const request = { to: uid, headers: [EVENT, `Expires: ${expiresS}`] };
  return steps(asks('SUBSCRIBE', request), isChallenged(), asks('SUBSCRIBE', { ...request, isAuthorized: true }));
};
const watches = (uid: string, expiresS = 600): Step =>
  steps(asksToWatch(uid, expiresS), expects(200, { Expires: `^ *${expiresS}$` }));
const goesOnWatching = (expiresS: number): Step =>
  steps(
    asksWithin('SUBSCRIBE', { headers: [EVENT, `Expires: ${expiresS}`] }),
    expects(200, { Expires: `^ *${expiresS}$` }),
  );
const isTold = (state: string, body: string, more: Checks = {}): Step =>
  steps(expects('NOTIFY', { 'Subscription-State': state, body, ...more }), responds(200));

describe('SUBSCRIBE', () => {
  it('makes a subscription that is told of at once, refreshed, and ended', async () => {
    await succeeds(
      await registered(ALICE, BOB),
      watches(BOB),
      isTold('active;expires=(600|59[0-9])', CLOSED, { Event: 'presence', 'Content-Type': 'application/pidf.xml' }),
      goesOnWatching(900),
      isTold('active;expires=(900|89[0-9])', CLOSED),
      goesOnWatching(0),
      isTold('terminated;reason=timeout', CLOSED),
      asksWithin('SUBSCRIBE', { headers: [EVENT, 'Expires: 600'] }),
      expects(481),
    );
  });

  it('tells that the other one comes', async () => {
    const watcher = succeeds(
      await registered(ALICE, BOB),
      watches(BOB),
      isTold('active', CLOSED),
      isTold('active', OPEN),
      goesOnWatching(0),
      isTold('terminated', OPEN),
    );
    await expect.poll(() => node.core.cases.presence.subscriptions.count).toBe(1);
    await succeeds({ uid: BOB }, registers());
    await watcher;
  });

  it('with an Expires of 0 asks once', async () => {
    await succeeds(await registered(ALICE, ALICE), watches(ALICE, 0), isTold('terminated;reason=timeout', OPEN));
  });

  it('of who is registered nowhere is told nothing else', async () => {
    await succeeds(asking(ALICE, BOB), watches(BOB), isTold('active', CLOSED));
  });

  it('of a password that is wrong, or of an unknown user, is refused', async () => {
    await succeeds({ ...asking(ALICE, BOB), password: 'wrong' }, asksToWatch(BOB, 600), expects(403));
    await succeeds(asking(ALICE, UNKNOWN), asksToWatch(UNKNOWN, 600), expects(404));
  });

  it.each([
    ['too short a time', BOB, [EVENT, 'Expires: 59'], 423, { 'Min-Expires': '60' }],
    ['another package', BOB, ['Event: dialog', 'Expires: 600'], 489, { 'Allow-Events': 'presence' }],
    ['another format', BOB, [EVENT, 'Accept: text/plain'], 406, { Accept: 'application/pidf.xml' }],
  ] as const)('with %s is refused', async (_what, to, headers, status, checks) => {
    await succeeds({ uid: ALICE }, registers(), asks('SUBSCRIBE', { to, headers }), expects(status, checks));
  });

  it('of a watcher who never answers ends with his first NOTIFY, and no other', async () => {
    await succeeds(await registered(BOB, ALICE), watches(ALICE), expects('NOTIFY'));
    const other = succeeds(
      await registered(ALICE, ALICE),
      watches(ALICE),
      isTold('active', OPEN),
      isTold('active', CLOSED),
    );
    await expect.poll(() => node.core.cases.presence.subscriptions.count).toBe(2);
    await succeeds(
      { uid: ALICE },
      registers(),
      asks('REGISTER', { headers: ['Contact: *', 'Expires: 0'], isAuthorized: true }),
      expects(200),
    );
    await other;
    await expect.poll(() => node.core.cases.presence.subscriptions.count).toBe(1);
  });
});

describe('PUBLISH', () => {
  const document = (activity: string): readonly string[] => [
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"',
    `xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="pres:${ALICE}@vserver"><tuple id="t"><status>${OPEN}</status>`,
    `</tuple><dm:person id="p"><r:activities>${activity}</r:activities></dm:person></presence>`,
  ];
  const PIDF = 'Content-Type: application/pidf+xml';

  const publishes = (expiresS: number, headers: readonly string[], body: readonly string[] = []): Step => {
    const request = { headers: [EVENT, `Expires: ${expiresS}`, ...headers], body };
    return steps(asks('PUBLISH', request), isChallenged(), asks('PUBLISH', { ...request, isAuthorized: true }));
  };
  /** The tag is kept by this name. */
  const isPublished = (expiresS: number, name: string): Step =>
    expects(200, { Expires: `^ *${expiresS}$`, 'SIP-ETag': '[A-Za-z0-9_-]{8}' }, { [name]: 'SIP-ETag' });
  const ifMatch = (name: string): string => `SIP-If-Match:[$${name}]`;

  beforeEach(() => succeeds({ uid: ALICE }, registers()));

  it('is published, refreshed, modified and removed by the tag of the answer before (4.1)', async () => {
    await succeeds(
      asking(ALICE, ALICE),
      publishes(600, [PIDF], document('<r:busy/>')),
      isPublished(600, 'first'),
      publishes(900, [ifMatch('first')]),
      isPublished(900, 'refreshed'),
      publishes(600, [ifMatch('first')]),
      expects(412),
      publishes(600, [PIDF, ifMatch('refreshed')], document('<r:away/>')),
      isPublished(600, 'modified'),
      publishes(0, [ifMatch('modified')]),
      expects(200, { Expires: '^ *0$' }),
      publishes(600, [ifMatch('modified')]),
      expects(412),
    );
  });

  it('is what watchers are told, until it is removed', async () => {
    const watchesHimself = { headers: [EVENT, 'Expires: 600'] };
    await succeeds(
      asking(ALICE, ALICE),
      asks('SUBSCRIBE', watchesHimself),
      isChallenged(),
      asks('SUBSCRIBE', { ...watchesHimself, isAuthorized: true }),
      expects(200),
      isTold('active', OPEN),
      publishes(600, [PIDF], document('<r:meeting/>')),
      isPublished(600, 'tag'),
      isTold('active', BUSY),
      publishes(0, [ifMatch('tag')]),
      expects(200),
      isTold('active', OPEN),
    );
  });

  it.each([
    ['a body that is no document', [PIDF], ['busy'], 400],
    ['a DOCTYPE', [PIDF], ['<!DOCTYPE presence SYSTEM "file:///etc/passwd">', ...document('')], 400],
    ['another type', ['Content-Type: text/plain'], ['busy'], 415],
    ['nothing', [], [], 400],
    ['a tag that was never given', ['SIP-If-Match: abcdefgh'], [], 412],
  ] as const)('of %s is refused', async (_what, headers, body, status) => {
    await succeeds(asking(ALICE, ALICE), publishes(600, headers, body), expects(status));
  });

  it('of somebody else is refused', async () => {
    const request = { to: ALICE, headers: [EVENT, 'Expires: 600', PIDF], body: document('<r:busy/>') };
    await succeeds(
      asking(BOB, ALICE),
      asks('PUBLISH', request),
      isChallenged(),
      asks('PUBLISH', { ...request, isAuthorized: true }),
      expects(403),
    );
  });
});
