import { describe, expect, it } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import { locateHere } from '../../src/locator/locate.ts';
import { heard } from '../../src/login/presence.ts';
import { renderPidf } from '../../src/sip/pidf.ts';
import { settle } from '../support/clock.ts';
import { loggedIn, serverRecord } from '../support/flows.ts';
import type { Ask, Phone, SipNode } from '../support/sip-node.ts';
import { phone } from '../support/sip-node.ts';
import { refresh, started, subscribe, told } from '../support/sip-watching.ts';

const plain = userDefaults('x');

const BUSY = renderPidf('alice@vserver', { status: 'busy', note: 'meeting' }).toString();

function publish(from: Phone, headers: Ask['headers'] = {}, body = BUSY): void {
  from.ask('PUBLISH', {
    uri: `sip:${from.uid}@vserver`,
    callId: 'pub',
    headers: {
      Event: 'presence',
      Expires: '600',
      'Content-Type': 'application/pidf+xml',
      Authorization: from.digest('PUBLISH', { uri: `sip:${from.uid}@vserver` }),
      ...headers,
    },
    body,
  });
}

function located(node: SipNode, uid: string): string | undefined {
  const found = locateHere(node.table, 'bob', uid);
  return found?.kind === 'user' ? [found.devices[0].status, found.devices[0].note].join(' ').trim() : undefined;
}

describe('SUBSCRIBE', () => {
  it('makes a dialog, and a NOTIFY with the state follows at once', async () => {
    const { alice } = await started();
    subscribe(alice, 'bob', { Event: 'presence;id=7', 'Record-Route': '<sip:10.0.0.20;lr>' });
    expect(alice.status).toBe(200);
    expect(alice.last.header('Expires')).toBe('600');
    expect(alice.last.header('Contact')).toBe('<sip:10.0.0.1:5060>');
    const [notify] = alice.requests;
    expect(notify).toMatchObject({ method: 'NOTIFY', requestUri: `sip:alice@10.0.0.7:${alice.at.port}` });
    expect(notify?.header('Event')).toBe('presence;id=7');
    expect(notify?.header('Subscription-State')).toBe('active;expires=600');
    expect(notify?.header('Content-Type')).toBe('application/pidf+xml');
    expect(notify?.header('Route')).toBe('<sip:10.0.0.20;lr>');
    expect(notify?.callId).toBe('sub-bob');
    expect(notify?.toTag).toBe('a');
    expect(notify?.fromTag).toBe(alice.last.toTag);
    expect(notify?.body.toString()).toContain('entity="pres:bob@vserver"');
    expect(told(alice)).toEqual(['active;n online']);
  });

  it('from where no NOTIFY could be sent is refused', async () => {
    const { node, alice } = await started();
    for (const contact of ['<sip:alice@10.0.0.7?Subject=x>', '<tel:+4930>', '<mailto:alice@example.com>']) {
      subscribe(alice, 'bob', { Contact: contact });
      expect(alice.status).toBe(400);
    }
    subscribe(alice, 'bob');
    refresh(alice, 'bob', { Contact: '<sip:alice@10.0.0.7?Subject=x>' });
    expect(alice.status).toBe(400);
    await node.time.advance(40_000);
    expect(node.presence.subscriptions.count).toBe(1);
  });

  it('with more Record-Routes than a request of ours can hold ends, and the node goes on', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'bob', { 'Record-Route': Array<string>(250).fill('<sip:10.0.0.20;lr>').join(',') });
    expect(node.presence.subscriptions.count).toBe(0);
    expect(alice.requests).toEqual([]);
  });

  it('keeps no Contact longer than 4 KiB, in a refresh neither', async () => {
    const { alice } = await started();
    subscribe(alice, 'bob');
    refresh(alice, 'bob', { Contact: `<sip:${'x'.repeat(4_096)}@10.0.0.7>` });
    expect(alice.status).toBe(513);
  });

  it('keeps apart what stands in its headers, whatever that is', async () => {
    const { alice } = await started();
    const route = '<sip:10.0.0.20;lr>\x1f\x1f\x1fto 10.9.9.9:9';
    const from = '"a\x1fb\x1e" <sip:alice@vserver>;tag=a';
    subscribe(alice, 'bob', { From: from, 'Record-Route': route });
    const notify = alice.request('NOTIFY');
    expect(notify.header('Route')).toBe(route);
    expect(notify.header('To')).toBe(from);
  });

  it('is told each change, in order, with rising CSeq', async () => {
    const { node, alice, bob } = await started();
    subscribe(alice, 'bob');
    await node.time.advance(10_000);
    heard(node, bob, { status: 'busy', note: 'a <meeting>' });
    await node.time.advance(10_000);
    heard(node, bob, { status: 'invisible' });
    await node.time.advance(10_000);
    expect(told(alice)).toEqual(['active;n online', 'active;n busy a <meeting>', 'active;n invisible']);
    expect(alice.requests.map(({ cseq }) => cseq.number)).toEqual([1, 2, 3]);
  });

  it('sent again gets the same answer and no second subscription', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'bob');
    alice.repeat();
    expect(alice.answers.at(-1)?.toTag).toBe(alice.answers.at(-2)?.toTag);
    expect(alice.status).toBe(200);
    expect(node.presence.subscriptions.count).toBe(1);
    expect(alice.requests.length).toBe(1);
  });

  it('to somebody who is offline, invisible, or blocks the watcher is answered alike', async () => {
    const { node, alice, bob } = await started();
    heard(node, bob, { status: 'invisible' });
    node.directory.put({ uid: 'dave', lists: { ...plain.lists, blocked: ['alice'] } });
    await loggedIn(node, 'dave');
    const seen: string[] = [];
    for (const uid of ['bob', 'carol', 'dave']) {
      subscribe(alice, uid);
      await settle();
      const { headers, ...rest } = { headers: alice.last.headers('Expires'), status: alice.status };
      seen.push(JSON.stringify([headers, rest, told(alice).at(-1)]));
    }
    expect(new Set(seen).size).toBe(1);
    expect(told(alice).at(-1)).toBe('active;n invisible');
    expect(alice.requests.length).toBe(3);
  });

  it('with an Expires of 0 asks once', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'bob', { Expires: '0' });
    expect(alice.status).toBe(200);
    expect(told(alice)).toEqual(['terminated;reason=timeout online']);
    expect(node.presence.subscriptions.count).toBe(0);
  });

  it('lasts an hour at most, also where it does not say', async () => {
    const { alice } = await started();
    for (const [uid, expires] of [
      ['bob', null],
      ['carol', '86400'],
    ] as const) {
      subscribe(alice, uid, { Expires: expires });
      await settle();
      expect(alice.last.header('Expires')).toBe('3600');
    }
  });

  it.each<[string, Ask['headers'], Ask, number, string, string]>([
    ['another package', { Event: 'dialog' }, {}, 489, 'Allow-Events', 'presence'],
    ['no package', { Event: null }, {}, 489, 'Allow-Events', 'presence'],
    ['a brief interval', { Expires: '59' }, {}, 423, 'Min-Expires', '60'],
    ['documents of other kinds', { Accept: 'application/xpidf+xml' }, {}, 406, 'Accept', 'application/pidf+xml'],
    ['an extension', { Require: 'eventlist' }, {}, 420, 'Unsupported', 'eventlist'],
    ['no Contact', { Contact: null }, {}, 400, '', ''],
    ['two Contacts', { Contact: ['<sip:a@1.2.3.4>', '<sip:b@1.2.3.4>'] }, {}, 400, '', ''],
    ['a user who is unknown', {}, { uri: 'sip:nobody@vserver' }, 404, '', ''],
    ['a domain that is not ours', {}, { uri: 'sip:bob@elsewhere.com' }, 404, '', ''],
    ['another scheme', {}, { uri: 'http:bob' }, 416, '', ''],
    ['no more hops', { 'Max-Forwards': '0' }, {}, 483, '', ''],
  ])('with %s is refused', async (_, headers, more, status, header, value) => {
    const { node, alice } = await started();
    subscribe(alice, 'bob', headers, more);
    await settle();
    expect(alice.status).toBe(status);
    if (header !== '') expect(alice.last.header(header)).toBe(value);
    expect(node.presence.subscriptions.count).toBe(0);
    expect(alice.requests).toEqual([]);
  });

  it('of a stranger is challenged, and good with his password', async () => {
    const { node } = await started();
    const stranger = await phone(node.network, 'carol');
    subscribe(stranger, 'bob');
    expect(stranger.status).toBe(401);
    expect(node.presence.subscriptions.count).toBe(0);
    subscribe(stranger, 'bob', { Authorization: stranger.digest('SUBSCRIBE', { uri: 'sip:bob@vserver' }) });
    await settle();
    expect(stranger.status).toBe(200);
    expect(told(stranger)).toEqual(['active;n online']);
  });

  it('for a user of another server is sent there', async () => {
    const { node, alice } = await started();
    const sip = { host: '10.0.0.2', port: 5060 };
    await node.directory.writeServer(serverRecord({ name: 'there', sip }, node.clock.now()));
    await node.servers.look();
    const carol = node.directory.row('carol')?.location;
    if (carol === undefined) throw new Error('no carol');
    const server = { name: 'there', address: { host: '10.0.0.2', port: 4321 } };
    await node.directory.writeLocation('carol', { ...carol, server, epoch: 1 }, 0);
    subscribe(alice, 'carol');
    await settle();
    expect(alice.status).toBe(302);
    expect(alice.contacts()).toEqual(['<sip:carol@10.0.0.2:5060;vs-hops=1>']);
  });

  it('is refused with 503 where the directory is away and memory does not know', async () => {
    const { node, alice } = await started();
    node.directory.down = true;
    subscribe(alice, 'carol');
    await settle();
    expect(alice.status).toBe(503);
    subscribe(alice, 'bob');
    expect(alice.status).toBe(200);
  });
});

describe('in the dialog', () => {
  it('a SUBSCRIBE refreshes it, and the state is told again', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'bob');
    await node.time.advance(500_000);
    refresh(alice, 'bob', { Contact: '<sip:alice@10.0.0.7:7777>' });
    expect(alice.status).toBe(200);
    expect(told(alice)).toEqual(['active;n online', 'active;n online']);
    expect(alice.requests[1]?.requestUri).toBe('sip:alice@10.0.0.7:7777');
    await node.time.advance(500_000);
    node.presence.turn(node.nowS());
    expect(node.presence.subscriptions.count).toBe(1);
    await node.time.advance(100_000);
    node.presence.turn(node.nowS());
    expect(told(alice).at(-1)).toBe('terminated;reason=timeout online');
    expect(node.presence.subscriptions.count).toBe(0);
  });

  it('an Expires of 0 ends it', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'bob');
    refresh(alice, 'bob', { Expires: '0' });
    expect(alice.status).toBe(200);
    expect(alice.last.header('Expires')).toBe('0');
    expect(told(alice).at(-1)).toBe('terminated;reason=timeout online');
    expect(node.presence.subscriptions.count).toBe(0);
    refresh(alice, 'bob');
    expect(alice.status).toBe(481);
  });

  it('an older CSeq changes nothing', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'bob', {}, { cseq: 100 });
    refresh(alice, 'bob', { Expires: '0' }, { cseq: 99 });
    expect(alice.status).toBe(500);
    expect(node.presence.subscriptions.count).toBe(1);
  });

  it('what is forged finds nothing: another tag, Call-ID, From tag, or a tag that we never made', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'bob');
    const tag = alice.last.toTag ?? '';
    const to = (value: string) => ({ To: `<sip:bob@vserver>;tag=${value}`, Expires: '0' });
    const forged: [Ask['headers'], Ask][] = [
      [to(`${tag}x`), {}],
      [to(tag.replace(/^0/, '1')), {}],
      [to('zzzzzz.guess'), {}],
      [to('guess'), {}],
      [to(tag), { callId: 'another' }],
      [{ ...to(tag), From: '<sip:alice@vserver>;tag=b' }, {}],
    ];
    for (const [headers, more] of forged) {
      subscribe(alice, 'bob', headers, { uri: 'sip:10.0.0.1:5060', ...more });
      expect(alice.status).toBe(481);
    }
    expect(node.presence.subscriptions.count).toBe(1);
  });

  it('another user who knows its tags is refused', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'bob');
    const thief = await phone(node.network, 'carol');
    thief.register();
    await settle();
    const tag = alice.last.toTag ?? '';
    subscribe(thief, 'bob', { To: `<sip:bob@vserver>;tag=${tag}`, Expires: '0' }, { uri: 'sip:10.0.0.1:5060' });
    expect(thief.status).toBe(403);
    expect(node.presence.subscriptions.count).toBe(1);
  });

  it('another package is refused, a brief interval too, and the subscription goes on', async () => {
    const { node, alice } = await started();
    subscribe(alice, 'bob');
    const tag = alice.last.toTag ?? '';
    for (const [headers, status] of [
      [{ Event: 'dialog' }, 489],
      [{ Expires: '1' }, 423],
      [{ Contact: '*' }, 400],
    ] as const) {
      refresh(alice, 'bob', { ...headers, To: `<sip:bob@vserver>;tag=${tag}` });
      expect(alice.status).toBe(status);
    }
    expect(node.presence.subscriptions.count).toBe(1);
  });
});

describe('NOTIFY', () => {
  it.each([
    [481, 0],
    [404, 0],
    [489, 0],
    [500, 1],
    [503, 1],
  ])('answered %i leaves %i subscription', async (status, left) => {
    const { node, alice } = await started();
    alice.answersWith = status;
    subscribe(alice, 'bob');
    expect(node.presence.subscriptions.count).toBe(left);
    alice.answersWith = 200;
    await node.time.advance(60_000);
    expect(told(alice)).toHaveLength(1 + left);
  });

  it('that is never answered ends that subscription after 32 s, and no other', async () => {
    const { node, alice, bob } = await started();
    const deaf = await phone(node.network, 'carol');
    deaf.register();
    await settle();
    subscribe(alice, 'bob');
    deaf.answersWith = 0;
    subscribe(deaf, 'bob');
    heard(node, bob, { status: 'busy' });
    await node.time.advance(31_000);
    expect(node.presence.subscriptions.count).toBe(2);
    expect(told(deaf).every((one) => one === 'active;n online')).toBe(true);
    expect(deaf.requests.length).toBeGreaterThan(5);
    expect(told(alice)).toEqual(['active;n online', 'active;n busy']);
    await node.time.advance(2_000);
    expect(
      [...node.presence.subscriptions.watchersOf('bob')].map((row) => node.presence.subscriptions.watcherOf(row)),
    ).toEqual(['alice']);
    heard(node, bob, { status: 'away' });
    await node.time.advance(10_000);
    expect(told(alice).at(-1)).toBe('active;n away');
  });

  it('leaves at most every five seconds, and the last state wins', async () => {
    const { node, alice, bob } = await started();
    subscribe(alice, 'bob');
    for (let i = 0; i < 200; i++) {
      heard(node, bob, { status: 'busy', note: String(i) });
      await node.time.advance(100);
    }
    await node.time.advance(10_000);
    expect(alice.requests.length).toBeLessThanOrEqual(6);
    expect(told(alice).at(-1)).toBe('active;n busy 199');
  });
});

describe('PUBLISH', () => {
  it('is what Locate and watchers are told from then on', async () => {
    const { node, alice } = await started();
    const bob = await phone(node.network, 'bob');
    subscribe(bob, 'alice');
    subscribe(bob, 'alice', { Authorization: bob.digest('SUBSCRIBE', { uri: 'sip:alice@vserver' }) });
    await settle();
    await node.time.advance(5_000);
    publish(alice);
    expect(alice.status).toBe(200);
    expect(alice.last.header('SIP-ETag')).toMatch(/^[\w-]+$/);
    expect(alice.last.header('Expires')).toBe('600');
    expect(located(node, 'alice')).toBe('busy meeting');
    await node.time.advance(5_000);
    expect(told(bob)).toEqual(['active;n online', 'active;n busy meeting']);
  });

  it('is refreshed, changed and removed by its tag; an old tag is 412', async () => {
    const { node, alice } = await started();
    publish(alice);
    const [first = ''] = alice.last.headers('SIP-ETag');
    publish(alice, { 'SIP-If-Match': first, 'Content-Type': null }, '');
    const [second = ''] = alice.last.headers('SIP-ETag');
    expect(located(node, 'alice')).toBe('busy meeting');
    publish(alice, { 'SIP-If-Match': first });
    expect(alice.status).toBe(412);
    publish(alice, { 'SIP-If-Match': second }, BUSY.replace('busy/', 'away/'));
    expect(located(node, 'alice')).toBe('away meeting');
    publish(alice, { 'SIP-If-Match': alice.last.header('SIP-ETag') ?? '', Expires: '0', 'Content-Type': null }, '');
    expect(alice.status).toBe(200);
    expect(located(node, 'alice')).toBe('online');
  });

  it('sent again gets the same tag', async () => {
    const { alice } = await started();
    publish(alice);
    const tag = alice.last.header('SIP-ETag');
    alice.repeat();
    expect(alice.last.header('SIP-ETag')).toBe(tag);
  });

  it.each<[string, Ask['headers'], string, number]>([
    ['hostile XML', {}, '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><presence>&x;</presence>', 400],
    ['no XML', {}, 'busy', 400],
    ['more than 16 KiB', {}, BUSY.replace('meeting', 'x'.repeat(17_000)), 413],
    ['another type', { 'Content-Type': 'text/plain' }, 'busy', 415],
    ['no type', { 'Content-Type': null }, BUSY, 415],
    ['neither document nor tag', { 'Content-Type': null }, '', 400],
    ['two tags', { 'SIP-If-Match': ['a', 'b'] }, BUSY, 400],
    ['a tag of nobody', { 'SIP-If-Match': 'a' }, BUSY, 412],
    ['another package', { Event: 'dialog' }, BUSY, 489],
    ['a brief interval', { Expires: '1' }, BUSY, 423],
    ['somebody else’s name', { From: '<sip:bob@vserver>;tag=a' }, BUSY, 403],
  ])('with %s is refused, and nothing changes', async (_, headers, body, status) => {
    const { node, alice } = await started();
    publish(alice, headers, body);
    await settle();
    expect(alice.status).toBe(status);
    expect(located(node, 'alice')).toBe('online');
    expect(node.publications.count).toBe(0);
  });

  it('is proved, also from the address where he is registered: a datagram can feign that', async () => {
    const { node, alice } = await started();
    publish(alice, { Authorization: null });
    expect(alice.status).toBe(401);
    expect(node.publications.count).toBe(0);
  });

  it('for somebody else is refused', async () => {
    const { node, alice } = await started();
    alice.ask('PUBLISH', {
      uri: 'sip:bob@vserver',
      headers: {
        Event: 'presence',
        'Content-Type': 'application/pidf+xml',
        Authorization: alice.digest('PUBLISH', { uri: 'sip:bob@vserver' }),
      },
      body: BUSY,
    });
    expect(alice.status).toBe(403);
    expect(node.publications.count).toBe(0);
  });
});
