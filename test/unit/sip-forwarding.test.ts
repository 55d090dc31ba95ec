/** Call forwarding of the callee's record, and calls for users of other nodes. */
import { describe, expect, it } from 'vitest';
import type { Forwarding } from '../../src/base/model.ts';
import { NO_FORWARDING, userDefaults } from '../../src/base/model.ts';
import { FORWARDS_MAX } from '../../src/sip/callee.ts';
import type { TicketPurpose } from '../../src/redirect/tickets.ts';
import { issueTicket } from '../../src/redirect/tickets.ts';
import { settle } from '../support/clock.ts';
import { serverRecord } from '../support/flows.ts';
import type { SipNodeOptions } from '../support/sip-node.ts';
import { phone, sipNode } from '../support/sip-node.ts';

const KEY = 'the-cluster-key-of-tests';
const to = (uid: string) => ({ uri: `sip:${uid}@vserver`, headers: { To: `<sip:${uid}@vserver>` } });

async function started(forwarding: Readonly<Record<string, Partial<Forwarding>>>, options: SipNodeOptions = {}) {
  const node = await sipNode({ ...options, settings: { calls: 'proxy', ...options.settings } });
  for (const uid of ['alice', 'bob', 'carol', 'dave']) {
    node.directory.put({ uid, forwarding: { ...NO_FORWARDING, ...forwarding[uid] } });
  }
  const registered = async (uid: string) => {
    const one = await phone(node.network, uid);
    one.register();
    await settle();
    expect(one.status).toBe(200);
    one.answers.length = 0;
    one.answersWith = 0;
    await node.time.advance(1);
    return one;
  };
  const alice = await registered('alice');
  return { ...node, alice, registered };
}

describe('forwarding', () => {
  it('always: the call goes to the other one only', async () => {
    const { alice, registered } = await started({ bob: { always: 'carol' } });
    const [bob, carol] = [await registered('bob'), await registered('carol')];
    alice.ask('INVITE', to('bob'));
    expect([bob.heardMethods, carol.heardMethods]).toEqual([[], ['INVITE']]);
  });

  it.each([
    ['busy', 486],
    ['busy', 600],
    ['unreachable', 480],
  ] as const)('%s: after %i', async (kind, status) => {
    const { alice, registered } = await started({ bob: { [kind]: 'carol' } });
    const [bob, carol] = [await registered('bob'), await registered('carol')];
    alice.ask('INVITE', to('bob'));
    bob.reply(status);
    expect(carol.heardMethods).toEqual(['INVITE']);
    carol.reply(200);
    expect(alice.answers.map((one) => one.status)).toEqual([200]);
  });

  it('unreachable: where he is offline, too', async () => {
    const { alice, registered } = await started({ bob: { unreachable: 'carol' } });
    const carol = await registered('carol');
    alice.ask('INVITE', to('bob'));
    await settle();
    expect(carol.heardMethods).toEqual(['INVITE']);
  });

  it('no answer: after the seconds of his record; his phone is cancelled', async () => {
    const { alice, registered, time } = await started({ bob: { noAnswer: 'carol', noAnswerSeconds: 7 } });
    const [bob, carol] = [await registered('bob'), await registered('carol')];
    alice.ask('INVITE', to('bob'));
    bob.reply(180);
    await time.advance(6_999);
    expect(carol.heardMethods).toEqual([]);
    await time.advance(1);
    expect(bob.heardMethods).toEqual(['INVITE', 'CANCEL']);
    expect(carol.heardMethods).toEqual(['INVITE']);
    bob.reply(487, bob.request('INVITE'));
    carol.reply(200, carol.request('INVITE'));
    expect(alice.status).toBe(200);
  });

  it('goes on to where the one to whom it was forwarded forwards; who refuses, is not forwarded', async () => {
    const { alice, registered } = await started({ bob: { busy: 'carol' }, carol: { busy: 'dave' } });
    const [bob, carol, dave] = [await registered('bob'), await registered('carol'), await registered('dave')];
    alice.ask('INVITE', to('bob'));
    bob.reply(486);
    carol.reply(486);
    dave.reply(603);
    expect(alice.status).toBe(603);
    alice.ask('INVITE', to('bob'));
    bob.reply(403, bob.request());
    expect(alice.status).toBe(403);
  });

  it('in a circle ends: 482 where it always is, else what the last one said', async () => {
    const { alice, registered } = await started({ bob: { always: 'carol' }, carol: { always: 'bob' } });
    await registered('bob');
    await registered('carol');
    alice.ask('INVITE', to('bob'));
    expect(alice.status).toBe(482);
    const busy = await started({ bob: { busy: 'carol' }, carol: { busy: 'bob' } });
    const [bob, carol] = [await busy.registered('bob'), await busy.registered('carol')];
    busy.alice.ask('INVITE', to('bob'));
    bob.reply(486);
    carol.reply(486);
    expect(busy.alice.status).toBe(486);
    expect([bob, carol].map(({ requests }) => requests.filter(({ method }) => method === 'INVITE').length)).toEqual([
      1, 1,
    ]);
  });

  it('ends after five, however long the chain is', async () => {
    const node = await started({});
    for (let i = 0; i <= FORWARDS_MAX + 1; i++) {
      node.directory.put({ uid: `hop${i}`, forwarding: { ...NO_FORWARDING, always: `hop${i + 1}` } });
    }
    node.directory.put({ uid: `hop${FORWARDS_MAX}`, forwarding: NO_FORWARDING });
    const last = await node.registered(`hop${FORWARDS_MAX}`);
    node.alice.ask('INVITE', to('hop0'));
    await settle();
    expect(last.heardMethods).toEqual(['INVITE']);
    node.directory.put({ uid: `hop${FORWARDS_MAX + 1}`, forwarding: { ...NO_FORWARDING, always: 'hop0' } });
    node.alice.ask('INVITE', to(`hop${FORWARDS_MAX + 1}`));
    await settle();
    expect(node.alice.status).toBe(482);
  });

  it('to a URI: sent there where it is an address, else the caller is told of it', async () => {
    const { alice, registered, network } = await started({
      // What stands behind the ? has no place in a Request-URI (RFC 3261 19.1.1).
      bob: { always: 'sip:mailbox@10.0.0.99:5080?Subject=for%20bob' },
      carol: { always: 'sip:desk@example.org' },
    });
    await registered('bob');
    await registered('carol');
    const got: string[] = [];
    await network.bind(
      { host: '10.0.0.99', port: 5080 },
      (bytes) => void got.push(bytes.toString().split('\r\n')[0] ?? ''),
    );
    alice.ask('INVITE', to('bob'));
    expect(got).toEqual(['INVITE sip:mailbox@10.0.0.99:5080 SIP/2.0']);
    alice.ask('INVITE', to('carol'));
    expect([alice.status, alice.contacts()]).toEqual([302, ['<sip:desk@example.org>']]);
  });

  it('to a URI takes nobody there who may not call out', async () => {
    const { registered, directory } = await started({ bob: { unreachable: 'sip:x@elsewhere.example' } });
    directory.put({ uid: 'max', service: { ...userDefaults('max').service, mayCallOut: false } });
    const max = await registered('max');
    max.ask('INVITE', to('bob'));
    await settle();
    expect(max.status).toBe(403);
  });

  it('to a number of this server, by tel URI or digits', async () => {
    const { alice, registered, directory } = await started({ bob: { always: 'tel:+86-10017676' } });
    directory.put({ uid: '10017676', countryCode: '86', region: 'cn' });
    await registered('bob');
    const callee = await registered('10017676');
    alice.ask('INVITE', to('bob'));
    await settle();
    expect(callee.heardMethods).toEqual(['INVITE']);
  });

  it('gets nobody round a block', async () => {
    const { alice, registered, directory } = await started({});
    const carol = await registered('carol');
    const bob = directory.put({ uid: 'bob' });
    const forwarding = { ...NO_FORWARDING, unreachable: 'carol' };
    directory.put({ uid: 'bob', forwarding, lists: { ...bob.lists, blocked: ['alice'] } });
    alice.ask('INVITE', to('bob'));
    await settle();
    expect([alice.status, carol.heardMethods]).toEqual([480, []]);
  });

  it('while it waits for the directory, a CANCEL ends the call', async () => {
    const { alice, registered } = await started({ bob: { busy: 'nowhere' } });
    const bob = await registered('bob');
    alice.ask('INVITE', to('bob'));
    const invite = alice.sent;
    bob.reply(486);
    alice.raw(invite.replace(/^INVITE/, 'CANCEL').replace(/(CSeq: \d+) INVITE/, '$1 CANCEL'));
    await settle();
    expect(alice.answers.map(({ status, cseq }) => `${status} ${cseq.method}`)).toEqual(['200 CANCEL', '487 INVITE']);
  });
});

describe('a user of another node', () => {
  const THERE = { host: '10.0.0.2', port: 5070 };

  async function elsewhere(options: SipNodeOptions = {}) {
    const node = await started({}, options);
    await node.directory.writeServer(serverRecord({ name: 'there', sip: THERE }, node.clock.now()));
    await node.servers.look();
    const location = node.directory.row('carol')?.location;
    if (location === undefined) throw new Error('no carol');
    const server = { name: 'there', address: { host: THERE.host, port: 4321 } };
    await node.directory.writeLocation('carol', { ...location, server, epoch: 1 }, 0);
    const got: string[] = [];
    await node.network.bind(THERE, (bytes) => void got.push(bytes.toString()));
    return { ...node, got };
  }

  it('is called there through us, with a ticket that tells who calls', async () => {
    const { alice, got } = await elsewhere();
    alice.ask('INVITE', to('carol'));
    await settle();
    expect(got[0]).toMatch(/^INVITE sip:carol@10\.0\.0\.2:5070;vs-hops=1 SIP\/2\.0\r\n/);
    expect(got[0]).toMatch(/\r\nVS-Ticket: [\w-]{60,200}\r\n/);
  });

  it('is not called there by who may not call out: 403', async () => {
    const { registered, directory, got } = await elsewhere();
    directory.put({ uid: 'dave', service: { ...userDefaults('dave').service, mayCallOut: false } });
    const dave = await registered('dave');
    dave.ask('INVITE', to('carol'));
    await settle();
    expect([dave.status, got]).toEqual([403, []]);
  });

  it('in auto the caller is sent there, where he can go', async () => {
    const { alice, got } = await elsewhere({ settings: { calls: 'auto' } });
    alice.ask('INVITE', to('carol'));
    await settle();
    expect([alice.status, alice.contacts()]).toEqual([302, ['<sip:carol@10.0.0.2:5070;vs-hops=1>']]);
    expect(got).toEqual([]);
  });

  it('whom another node vouches for is no stranger; a ticket for another callee, server or caller is none', async () => {
    const { registered, network, clock, alice } = await started({});
    const bob = await registered('bob');
    const other = await phone(network, 'zoe', { host: '10.0.0.2', port: 5070 });
    const ticket = (asker: string, target: string, server: string, purpose: TicketPurpose = 'call'): string =>
      issueTicket(KEY, { purpose, asker, target, server, issuer: 'there', hops: 1 }, clock.now());
    const ask = (text: string): void => {
      other.ask('INVITE', { ...to('bob'), headers: { ...to('bob').headers, 'VS-Ticket': text } });
    };
    for (const text of [
      ticket('zoe', 'carol', 'here'),
      ticket('zoe', 'bob', 'there'),
      ticket('max', 'bob', 'here'),
      // The SeeAlso of a client.
      ticket('zoe', 'bob', 'here', 'locate'),
      `${ticket('zoe', 'bob', 'here').slice(0, -2)}AA`,
      'x',
    ]) {
      ask(text);
      expect(other.status).toBe(407);
    }
    ask(ticket('zoe', 'bob', 'here'));
    expect(bob.heardMethods).toEqual(['INVITE']);
    expect(bob.request().header('VS-Ticket')).toBeUndefined();
    expect(alice.requests).toEqual([]);
  });
});
