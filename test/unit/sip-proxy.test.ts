/** Calls sent on by the node (RFC 3261 16), over a network in memory; time moves when the test says so. */
import { describe, expect, it } from 'vitest';
import type { Flow } from '../../src/sip/flow.ts';
import type { SipRequest } from '../../src/sip/message.ts';
import { BRANCHES_MAX } from '../../src/sip/fork.ts';
import { TIMER_C_MS } from '../../src/sip/branch.ts';
import { settle } from '../support/clock.ts';
import type { Ask, Phone, SipNodeOptions } from '../support/sip-node.ts';
import { phone, sipNode } from '../support/sip-node.ts';

const T1 = 500;
const to = (uid: string) => ({ uri: `sip:${uid}@vserver`, headers: { To: `<sip:${uid}@vserver>` } });

/** Behind a NAT: its Contact is not where its datagrams come from. */
const PRIVATE = '<sip:bob@192.168.1.2:5060>';

async function started(options: SipNodeOptions = {}) {
  const node = await sipNode(options);
  for (const uid of ['alice', 'bob', 'carol', 'dave']) node.directory.put({ uid });
  const registered = async (uid: string, contact: string | null = null): Promise<Phone> => {
    const one = await phone(node.network, uid);
    one.register(contact === null ? {} : { headers: { Contact: contact } });
    await settle();
    expect(one.status).toBe(200);
    one.answers.length = 0;
    one.answersWith = 0;
    // Of two nonces of one millisecond the second counts as spent.
    await node.time.advance(1);
    return one;
  };
  const alice = await registered('alice');
  return { ...node, alice, registered };
}

async function withBob(options: SipNodeOptions = {}) {
  const node = await started(options);
  return { ...node, bob: await node.registered('bob', PRIVATE) };
}

/** Three phones of bob with these q. */
async function withPhones(qs: readonly string[], options: SipNodeOptions = {}) {
  const node = await started({ settings: { calls: 'proxy' }, ...options });
  const phones: Phone[] = [];
  for (const [index, q] of qs.entries()) {
    phones.push(await node.registered('bob', `<sip:bob@192.168.1.2:${5060 + index}>${q === '' ? '' : `;q=${q}`}`));
  }
  return { ...node, phones };
}

function statuses({ answers }: Phone): number[] {
  return answers.map(({ status }) => status);
}

/** A request in the dialog that the 2xx or 18x to the caller's INVITE has made. */
function inDialog(caller: Phone, method: string, ask: Ask = {}): void {
  const { last } = caller;
  const headers = { To: last.header('To') ?? '', Route: last.headers('Record-Route').reverse(), ...ask.headers };
  caller.ask(method, { uri: /<([^>]+)>/.exec(last.header('Contact') ?? '')?.[1] ?? '', ...ask, headers });
}

/** The same from the callee, by the INVITE that he got. */
function inDialogOfCallee(callee: Phone, invite: SipRequest, method: string): void {
  const headers = {
    From: `${invite.header('To') ?? ''};tag=tag-${callee.uid}-${callee.at.port}`,
    To: invite.header('From') ?? '',
    'Call-ID': invite.callId,
    Route: invite.headers('Record-Route'),
  };
  callee.ask(method, { uri: 'sip:alice@172.16.0.9', callId: invite.callId, headers });
}

/** The caller's ACK to a final response other than 2xx: with the branch of his INVITE. */
function acknowledge(caller: Phone): void {
  caller.raw(caller.sent.replace(/^INVITE/, 'ACK').replace(/(CSeq: \d+) INVITE/, '$1 ACK'));
}

describe('in auto', () => {
  it('a callee behind a NAT is called through us, at the address of his registration', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', to('bob'));
    const invite = bob.request();
    expect(invite.requestUri).toBe('sip:bob@192.168.1.2:5060');
    const [ours, theirs] = invite.headers('Via');
    expect(ours).toMatch(/^SIP\/2\.0\/UDP 10\.0\.0\.1:5060;branch=z9hG4bK[\w-]{16}\.\w+;rport$/);
    expect(theirs).toContain(`received=${alice.at.host}`);
    expect(invite.maxForwards).toBe(69);
    expect(invite.headers('Record-Route')).toHaveLength(2);
    expect(alice.answers).toEqual([]);
  });

  it('a callee whom everybody reaches is told of, unless the caller himself is behind a NAT', async () => {
    const { alice, registered } = await started();
    const carol = await registered('carol');
    alice.ask('INVITE', to('carol'));
    expect([alice.status, alice.contacts()]).toEqual([302, [carol.contact()]]);
    const behindNat = { ...to('carol').headers, Via: 'SIP/2.0/UDP 192.168.1.9:5060;rport;branch=z9hG4bK-nat' };
    alice.ask('INVITE', { ...to('carol'), headers: behindNat });
    expect(carol.heardMethods).toEqual(['INVITE']);
  });

  it('what came through another proxy is sent on: nobody knows what is behind that', async () => {
    const { alice, registered } = await started();
    const carol = await registered('carol');
    const via = [
      `SIP/2.0/UDP ${alice.at.host}:${alice.at.port};branch=z9hG4bK-p`,
      'SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK-q',
    ];
    alice.ask('INVITE', { ...to('carol'), headers: { ...to('carol').headers, Via: via } });
    expect(carol.heardMethods).toEqual(['INVITE']);
  });

  it('a client without SIP is told of by his outer address, a stranger is never sent on', async () => {
    const { network, bob, sip } = await withBob({ settings: { anonymous: true } });
    const stranger = await phone(network, 'stranger');
    stranger.ask('INVITE', to('bob'));
    expect(stranger.status).toBe(302);
    expect(bob.heardMethods).toEqual([]);
    expect(sip.context.transactions.count()).toBe(0);
  });
});

describe('a call through us', () => {
  it('that would be too long with what we add is refused', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', { ...to('bob'), body: 'x'.repeat(65_200) });
    expect(alice.status).toBe(513);
    acknowledge(alice);
    alice.ask('INVITE', {
      ...to('bob'),
      headers: { ...to('bob').headers, 'X-Many': Array<string>(247).fill('x') },
    });
    expect(alice.status).toBe(513);
    acknowledge(alice);
    const { host, port } = alice.at;
    const own = `SIP/2.0/UDP ${host}:${port};rport;branch=z9hG4bK-many-vias`;
    const others = Array<string>(80).fill(`SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-${'x'.repeat(80)}`);
    alice.ask('INVITE', { ...to('bob'), headers: { ...to('bob').headers, Via: [own, ...others] } });
    expect(alice.status).toBe(513);
    expect(bob.heardMethods).toEqual([]);
  });

  it('rings, is answered, acknowledged and ended, from one side to the other and back', async () => {
    const { alice, bob, sip, time } = await withBob();
    alice.ask('INVITE', to('bob'));
    const invite = bob.request();
    bob.reply(180, invite);
    bob.reply(200, invite);
    expect(statuses(alice)).toEqual([180, 200]);
    expect(alice.last.headers('Via')).toEqual([expect.stringContaining('branch=z9hG4bK-alice-')]);
    expect(alice.last.header('Contact')).toBe(bob.contact());
    inDialog(alice, 'ACK');
    inDialog(alice, 'INFO');
    expect(bob.heardMethods).toEqual(['INVITE', 'ACK', 'INFO']);
    expect(bob.request().headers('Route')).toEqual([]);
    expect(bob.request().requestUri).toBe(/<(.+)>/.exec(bob.contact())?.[1]);
    bob.reply(200);
    inDialogOfCallee(bob, invite, 'BYE');
    expect(alice.request().requestUri).toBe('sip:alice@172.16.0.9');
    alice.reply(200);
    expect(bob.last.cseq.method).toBe('BYE');
    await time.advance(64 * T1);
    expect([sip.context.transactions.count(), time.running()]).toEqual([0, 0]);
  });

  it('100 Trying comes after 200 ms where the other end is silent (17.2.1), and no 100 is sent on (16.7 step 5)', async () => {
    const { alice, bob, time } = await withBob();
    alice.ask('INVITE', to('bob'));
    bob.reply(100);
    await time.advance(199);
    expect(statuses(alice)).toEqual([]);
    await time.advance(1);
    expect(statuses(alice)).toEqual([100]);
  });

  it('a retransmission goes no further, and gets the last response again', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', to('bob'));
    bob.reply(180);
    alice.repeat();
    expect(bob.heardMethods).toEqual(['INVITE']);
    expect(statuses(alice)).toEqual([180, 180]);
  });

  it('the 2xx whose ACK was lost comes through again, and so does each ACK', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', to('bob'));
    const invite = bob.request();
    bob.reply(200, invite);
    bob.reply(200, invite);
    expect(statuses(alice)).toEqual([200, 200]);
    inDialog(alice, 'ACK');
    inDialog(alice, 'ACK');
    expect(bob.heardMethods).toEqual(['INVITE', 'ACK', 'ACK']);
  });

  it('the ACK to another final response goes hop by hop (17.1.1.3)', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', to('bob'));
    bob.reply(486);
    expect(bob.heardMethods).toEqual(['INVITE', 'ACK']);
    acknowledge(alice);
    expect(bob.heardMethods).toEqual(['INVITE', 'ACK']);
    expect(bob.request('ACK').topVia.branch).toBe(bob.request('INVITE').topVia.branch);
  });

  it('what it has no part in stays byte for byte; credentials for this realm go no further', async () => {
    const { alice, bob } = await withBob();
    const headers = {
      ...to('bob').headers,
      'X-Odd': 'a,  b;c="\\"" ',
      s: 'Grüße',
      Authorization: [alice.digest('INVITE', { uri: 'sip:bob@vserver' }), 'Digest realm="elsewhere", username="x"'],
    };
    alice.ask('INVITE', { ...to('bob'), headers });
    const { text } = bob.request();
    expect(text).toContain('X-Odd: a,  b;c="\\"');
    expect(bob.request().header('Subject')).toBe('Grüße');
    expect(bob.request().headers('Authorization')).toEqual([headers.Authorization[1]]);
  });

  it.each(['Realm="vserver"', 'realm = "vserver"', 'realm="v\\server"', 'realm=vserver', 'REALM\r\n =\r\n "vserver"'])(
    'nor do they where the realm is written %j, in the INVITE and in what follows it',
    async (realm) => {
      const { alice, bob } = await withBob();
      const others = 'Digest username="x", realm="elsewhere", nonce="n"';
      const proof = (): string => alice.digest('INVITE', { uri: 'sip:bob@vserver' }).replace('realm="vserver"', realm);
      const headers = { ...to('bob').headers, Authorization: proof(), 'Proxy-Authorization': others };
      alice.ask('INVITE', { ...to('bob'), headers });
      expect(bob.request('INVITE').headers('Authorization')).toEqual([]);
      expect(bob.request('INVITE').headers('Proxy-Authorization')).toEqual([others]);
      bob.reply(200);
      inDialog(alice, 'ACK', { headers: { 'Proxy-Authorization': proof() } });
      inDialog(alice, 'BYE', { headers: { Authorization: proof() } });
      for (const method of ['ACK', 'BYE']) expect(bob.request(method).text).not.toMatch(/authorization/i);
    },
  );

  it('an identity that a phone asserts goes no further, in whichever request or response (RFC 3325 5)', async () => {
    const { alice, bob } = await withBob();
    const claims = {
      'p-asserted-identity': ['"The Boss" <sip:boss@vserver>', '<tel:+8610017676>'],
      'P-Preferred-Identity': '<sip:boss@vserver>',
    };
    const none = (message: { headers(name: string): readonly string[] }): void => {
      for (const name of Object.keys(claims)) expect(message.headers(name)).toEqual([]);
    };
    alice.ask('INVITE', { ...to('bob'), headers: { ...to('bob').headers, ...claims } });
    none(bob.request('INVITE'));
    bob.reply(200, bob.request(), [
      ['P-Asserted-Identity', '<sip:boss@vserver>'],
      ['P-Preferred-Identity', '<sip:boss@vserver>'],
    ]);
    expect(statuses(alice)).toEqual([200]);
    none(alice.last);
    inDialog(alice, 'ACK', { headers: claims });
    none(bob.request('ACK'));
    inDialog(alice, 'INFO', { headers: claims });
    none(bob.request('INFO'));
  });

  it('is answered 480 at once where the connection of the callee is closed', async () => {
    const { alice, bob, sip, table } = await withBob();
    const [row = -1] = table.rowsOf(table.users.find('bob'));
    const { local, remote } = sip.context.flows.flowTo(bob.at);
    const nothing = (): void => undefined;
    const closed: Flow = {
      local,
      remote,
      send: nothing,
      close: nothing,
      transport: 'tcp',
      isReliable: true,
      id: 'tcp 1',
    };
    sip.context.bind(row, closed);
    alice.ask('INVITE', to('bob'));
    expect(statuses(alice)).toEqual([480]);
  });
});

describe('forking (16.6)', () => {
  it('all phones of one q ring together; the first 2xx ends the others (16.7 step 10)', async () => {
    const { alice, phones } = await withPhones(['', '', '']);
    const [a, b, c] = phones as [Phone, Phone, Phone];
    alice.ask('INVITE', to('bob'));
    for (const one of phones) one.reply(180);
    b.reply(200);
    expect(statuses(alice)).toEqual([180, 180, 180, 200]);
    expect([a, b, c].map((one) => one.heardMethods)).toEqual([['INVITE', 'CANCEL'], ['INVITE'], ['INVITE', 'CANCEL']]);
    for (const one of [a, c]) {
      const cancel = one.request('CANCEL');
      expect(cancel.topVia.branch).toBe(one.request('INVITE').topVia.branch);
      one.reply(200, cancel);
      one.reply(487, one.request('INVITE'));
      expect(one.heardMethods).toEqual(['INVITE', 'CANCEL', 'ACK']);
    }
    expect(statuses(alice)).toEqual([180, 180, 180, 200]);
  });

  it('two phones that are answered at once are both told of (16.7 step 5)', async () => {
    const { alice, phones } = await withPhones(['', '']);
    alice.ask('INVITE', to('bob'));
    for (const one of phones) one.reply(200);
    expect(statuses(alice)).toEqual([200, 200]);
    expect(new Set(alice.answers.map(({ toTag }) => toTag)).size).toBe(2);
  });

  it('the higher q first; the next when all of it have refused, or rang for the seconds of his record', async () => {
    const { alice, phones, time } = await withPhones(['0.2', '0.9', '0.5']);
    const [low, high, middle] = phones as [Phone, Phone, Phone];
    alice.ask('INVITE', to('bob'));
    expect([low, high, middle].map(({ heardMethods }) => heardMethods)).toEqual([[], ['INVITE'], []]);
    high.reply(486);
    middle.reply(180);
    await time.advance(20_000);
    expect(middle.heardMethods).toEqual(['INVITE', 'CANCEL']);
    expect(low.heardMethods).toEqual(['INVITE']);
    low.reply(200);
    expect(alice.status).toBe(200);
  });

  it('whoever is answered after all, when it was given up already, is connected', async () => {
    const { alice, phones, time } = await withPhones(['0.9', '0.5']);
    const [high, low] = phones as [Phone, Phone];
    alice.ask('INVITE', to('bob'));
    high.reply(180);
    await time.advance(20_000);
    low.reply(180);
    high.reply(200, high.request('INVITE'));
    expect(alice.status).toBe(200);
    expect(low.heardMethods).toEqual(['INVITE', 'CANCEL']);
  });

  it('goes to a bounded number of a hundred contacts', async () => {
    const node = await started({ settings: { calls: 'proxy' } });
    const bob = node.directory.put({ uid: 'bob' });
    node.directory.put({ uid: 'bob', service: { ...bob.service, devicesMax: 100 } });
    const phones: Phone[] = [];
    for (let i = 0; i < 100; i++) phones.push(await node.registered('bob', `<sip:bob@192.168.1.3:${6000 + i}>`));
    node.alice.ask('INVITE', to('bob'));
    const called = phones.filter(({ requests }) => requests.length > 0);
    expect(called).toHaveLength(BRANCHES_MAX);
    for (const one of called) one.reply(486);
    expect(node.alice.status).toBe(486);
  });
});

describe('the best response (16.7 step 6)', () => {
  it.each<[number[], number]>([
    [[486, 404], 486],
    [[480, 302], 302],
    [[486, 401], 401],
    [[500, 486], 486],
    [[603, 486], 603],
    [[503, 503], 500],
    [[487, 486], 486],
  ])('of %o is %i', async (finals, best) => {
    const { alice, phones } = await withPhones(finals.map(() => ''));
    alice.ask('INVITE', to('bob'));
    for (const [index, one] of phones.entries()) one.reply(finals[index] ?? 0, one.request('INVITE'));
    expect(statuses(alice)).toEqual([best]);
  });

  it('6xx cancels the others, and goes upstream when they have ended', async () => {
    const { alice, phones } = await withPhones(['', '', '0.5']);
    const [a, b, later] = phones as [Phone, Phone, Phone];
    alice.ask('INVITE', to('bob'));
    b.reply(180);
    a.reply(603);
    expect(b.heardMethods).toEqual(['INVITE', 'CANCEL']);
    expect(statuses(alice)).toEqual([180]);
    b.reply(487, b.request('INVITE'));
    expect(statuses(alice)).toEqual([180, 603]);
    expect(later.requests).toEqual([]);
  });

  it('a challenge has those of the other phones with it (16.7 step 7)', async () => {
    const { alice, phones } = await withPhones(['', '']);
    alice.ask('INVITE', to('bob'));
    for (const [index, one] of phones.entries()) {
      one.reply(index === 0 ? 407 : 401, one.request(), [
        [index === 0 ? 'Proxy-Authenticate' : 'WWW-Authenticate', `Digest realm="phone ${index}"`],
      ]);
    }
    expect(alice.status).toBe(407);
    expect(alice.last.headers('Proxy-Authenticate')).toEqual(['Digest realm="phone 0"']);
    expect(alice.last.headers('WWW-Authenticate')).toEqual(['Digest realm="phone 1"']);
  });

  it('where nobody answers at all an INVITE gets 408, another method nothing (RFC 4320 4.2)', async () => {
    const { alice, sip, time } = await withBob();
    alice.ask('OPTIONS', to('bob'));
    await time.advance(64 * T1);
    expect(statuses(alice)).toEqual([]);
    alice.ask('INVITE', to('bob'));
    await time.advance(64 * T1);
    expect(statuses(alice)).toEqual([100, 408]);
    acknowledge(alice);
    await time.advance(64 * T1);
    expect([sip.context.transactions.count(), time.running()]).toEqual([0, 0]);
  });
});

describe('CANCEL (16.10, 9)', () => {
  const cancel = (alice: Phone): void => {
    const invite = alice.sent;
    alice.raw(invite.replace(/^INVITE/, 'CANCEL').replace(/(CSeq: \d+) INVITE/, '$1 CANCEL'));
    alice.sent = invite;
  };

  it('of a ringing call goes to all phones; 487 comes back', async () => {
    const { alice, phones } = await withPhones(['', '']);
    alice.ask('INVITE', to('bob'));
    for (const one of phones) one.reply(180);
    cancel(alice);
    expect(statuses(alice)).toEqual([180, 180, 200]);
    for (const one of phones) {
      one.reply(200, one.request('CANCEL'));
      one.reply(487, one.request('INVITE'));
    }
    expect(statuses(alice)).toEqual([180, 180, 200, 487]);
  });

  it('before any response waits for one (9.1)', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', to('bob'));
    cancel(alice);
    expect(bob.heardMethods).toEqual(['INVITE']);
    bob.reply(100, bob.request('INVITE'));
    expect(bob.heardMethods).toEqual(['INVITE', 'CANCEL']);
    bob.reply(487, bob.request('INVITE'));
    expect(alice.status).toBe(487);
  });

  it('that crosses a 2xx does not undo it', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', to('bob'));
    bob.reply(180);
    cancel(alice);
    bob.reply(200, bob.request('INVITE'));
    bob.reply(481, bob.request('CANCEL'));
    expect(statuses(alice)).toEqual([180, 200, 200]);
    expect(alice.last.cseq.method).toBe('INVITE');
  });

  it('after the 2xx changes nothing', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', to('bob'));
    bob.reply(200);
    cancel(alice);
    expect(alice.last.cseq.method).toBe('CANCEL');
    expect(bob.heardMethods).toEqual(['INVITE']);
  });

  it('that a phone never answers ends the call after 64*T1 (9.1)', async () => {
    const { alice, bob, time } = await withBob();
    alice.ask('INVITE', to('bob'));
    bob.reply(180);
    cancel(alice);
    await time.advance(64 * T1);
    expect(alice.status).toBe(487);
  });

  it('of a call that nobody knows is answered 481', async () => {
    const { alice } = await withBob();
    alice.ask('CANCEL', to('bob'));
    expect(alice.status).toBe(481);
  });
});

describe('timer C (16.8)', () => {
  it('ends a call that rings for ever, and begins anew with each 18x', async () => {
    const { alice, bob, time } = await withBob();
    alice.ask('INVITE', to('bob'));
    bob.reply(180);
    await time.advance(TIMER_C_MS - 1);
    bob.reply(183, bob.request('INVITE'));
    await time.advance(TIMER_C_MS - 1);
    expect(bob.heardMethods).toEqual(['INVITE']);
    await time.advance(1);
    expect(bob.heardMethods).toEqual(['INVITE', 'CANCEL']);
    bob.reply(487, bob.request('INVITE'));
    expect(alice.status).toBe(487);
  });
});

describe('loops (16.3)', () => {
  /** The INVITE that he got comes back to us, as from a phone that forwards by itself. */
  const back = (bob: Phone, uri: string): void => {
    bob.raw(bob.request('INVITE').text.replace(/^INVITE \S+/, `INVITE ${uri}`));
  };

  it('a request that comes back as it was is answered 482; with another URI it is judged like a new one', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', to('bob'));
    back(bob, 'sip:bob@vserver');
    expect(bob.status).toBe(482);
    back(bob, 'sip:carol@vserver');
    expect(bob.status).toBe(407);
  });

  it('Max-Forwards ends what no hash finds (8.1.1.6)', async () => {
    const { alice, bob } = await withBob();
    alice.ask('INVITE', { ...to('bob'), headers: { ...to('bob').headers, 'Max-Forwards': '0' } });
    expect(alice.status).toBe(483);
    alice.ask('INVITE', { ...to('bob'), headers: { ...to('bob').headers, 'Max-Forwards': null } });
    expect(bob.request().maxForwards).toBe(70);
  });
});

describe('the way of requests in a dialog (16.4, RFC 5626 5.3)', () => {
  async function answered() {
    const node = await withBob();
    node.alice.ask('INVITE', to('bob'));
    node.bob.reply(200);
    return node;
  }

  it('takes a token only for the call that it was made for', async () => {
    const { alice, bob } = await answered();
    inDialog(alice, 'BYE', { callId: 'another' });
    expect(alice.status).toBe(403);
    expect(bob.heardMethods).toEqual(['INVITE']);
  });

  it.each([
    ['made up', 'AAAAAAAAAAAAAAD__woAAAdO0000000000000'],
    ['changed', null],
    ['of no length', 'A'],
    ['endless', 'A'.repeat(4_000)],
  ])('refuses a token that is %s', async (_what, token) => {
    const { alice, bob } = await answered();
    const [route = ''] = alice.last.headers('Record-Route');
    const changed = (text: string): string => `${text[0] === 'A' ? 'B' : 'A'}${text.slice(1)}`;
    const other = route.replace(/sip:([^@]+)@/, (_all, own: string) => `sip:${token ?? changed(own)}@`);
    inDialog(alice, 'BYE', { headers: { Route: [other] } });
    expect(alice.status).toBe(403);
    expect(bob.heardMethods).toEqual(['INVITE']);
  });

  it('a new call with a token in its Route is as any other: nobody gets round the rules of the callee', async () => {
    const { alice, bob } = await answered();
    const routes = alice.last.headers('Record-Route').reverse();
    const uri = /<([^>]+)>/.exec(bob.contact())?.[1] ?? '';
    alice.ask('INVITE', { uri, headers: { To: '<sip:bob@vserver>', Route: routes } });
    await settle();
    expect(bob.heardMethods).toEqual(['INVITE']);
    expect(alice.status).toBe(404);
  });

  it('our address as an outbound proxy is no way to anywhere else', async () => {
    const { alice, bob } = await withBob();
    const preloaded = (rest: readonly string[]): Ask => ({
      ...to('bob'),
      headers: { ...to('bob').headers, Route: ['<sip:10.0.0.1;lr>', ...rest] },
    });
    alice.ask('INVITE', preloaded([]));
    expect(bob.heardMethods).toEqual(['INVITE']);
    alice.ask('INVITE', preloaded(['<sip:10.9.9.9;lr>']));
    expect(alice.status).toBe(403);
  });

  it('a strict router’s Request-URI is put right (16.4)', async () => {
    const { alice, bob } = await answered();
    const [callee = '', own = ''] = alice.last.headers('Record-Route');
    const target = /<([^>]+)>/.exec(bob.contact())?.[1] ?? '';
    inDialog(alice, 'BYE', {
      uri: /<([^>]+)>/.exec(own)?.[1] ?? '',
      headers: { Route: [callee, `<${target}>`] },
    });
    expect(bob.request('BYE').requestUri).toBe(target);
  });

  it.each([486, 180])(
    'what stands behind the ? of that URI goes no further (19.1.1), and %i is borne',
    async (status) => {
      const { alice, bob } = await answered();
      const [callee = '', own = ''] = alice.last.headers('Record-Route');
      const target = /<([^>]+)>/.exec(bob.contact())?.[1] ?? '';
      inDialog(alice, 'INVITE', {
        uri: /<([^>]+)>/.exec(own)?.[1] ?? '',
        headers: { Route: [callee, `<${target}?Subject=x>`] },
      });
      expect(bob.request().requestUri).toBe(target);
      bob.reply(status);
      expect(alice.status).toBe(status);
      alice.raw(alice.sent.replace(/^INVITE/, 'CANCEL').replace(/(CSeq: \d+) INVITE/, '$1 CANCEL'));
      expect(bob.request().method).toBe(status === 180 ? 'CANCEL' : 'ACK');
    },
  );

  it('without a Route, a request in a dialog is for nobody here', async () => {
    const { alice, bob } = await answered();
    inDialog(alice, 'BYE', { headers: { Route: null } });
    expect(alice.status).toBe(481);
    expect(bob.heardMethods).toEqual(['INVITE']);
  });
});
