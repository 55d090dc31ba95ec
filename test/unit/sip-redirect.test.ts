import { describe, expect, it } from 'vitest';
import { settle } from '../support/clock.ts';
import { loginRequest, serverRecord } from '../support/flows.ts';
import { login } from '../../src/login/login.ts';
import type { SipNodeOptions } from '../support/sip-node.ts';
import { phone, sipNode } from '../support/sip-node.ts';

async function started(options: SipNodeOptions = {}) {
  const node = await sipNode({ ...options, settings: { calls: 'redirect', ...options.settings } });
  for (const uid of ['alice', 'bob', 'carol']) node.directory.put({ uid });
  const alice = await phone(node.network, 'alice');
  const bob = await phone(node.network, 'bob');
  for (const one of [alice, bob]) {
    one.register();
    await settle();
    expect(one.status).toBe(200);
  }
  return { ...node, alice, bob };
}

const to = (uid: string) => ({ uri: `sip:${uid}@vserver`, headers: { To: `<sip:${uid}@vserver>` } });

describe('an INVITE of a registered caller', () => {
  it.each(['INVITE', 'OPTIONS'])('for a registered user: %s is redirected to his contact', async (method) => {
    const { alice, bob, directory } = await started();
    directory.calls.length = 0;
    alice.ask(method, to('bob'));
    expect(alice.status).toBe(302);
    expect(alice.contacts()).toEqual([bob.contact()]);
    expect(directory.calls).toEqual([]);
  });

  it('gets several contacts in the order of their q', async () => {
    const { alice, bob } = await started();
    bob.register({
      headers: { Contact: [bob.contact(';q=0.3'), '<sip:bob@10.0.0.9:1>;q=0.9', '<sip:bob@10.0.0.9:2>;q=0.1'] },
    });
    await settle();
    alice.ask('INVITE', to('bob'));
    expect(alice.contacts()).toEqual([
      '<sip:bob@10.0.0.9:1>;q=0.9',
      `${bob.contact()};q=0.3`,
      '<sip:bob@10.0.0.9:2>;q=0.1',
    ]);
  });

  it('is not sent to a contact behind a Path (RFC 3327), where nobody but this server gets through', async () => {
    const { alice, bob } = await started();
    bob.register({ headers: { Path: '<sip:edge.example.com;lr>' } });
    expect(bob.status).toBe(200);
    alice.ask('INVITE', to('bob'));
    expect(alice.status).toBe(480);
    expect(alice.contacts()).toEqual([]);
    bob.register({ headers: { Contact: '<sip:bob@10.0.0.9:1>' } });
    await settle();
    alice.ask('INVITE', to('bob'));
    expect(alice.status).toBe(302);
    expect(alice.contacts()).toEqual(['<sip:bob@10.0.0.9:1>']);
  });

  it('for a user of the client protocol goes to his outer address', async () => {
    const { alice, deps } = await started();
    await login(deps, loginRequest('carol'));
    alice.ask('INVITE', to('carol'));
    expect(alice.contacts()).toEqual(['<sip:carol@10.0.0.1:5000>']);
  });

  it('is answered 480 alike for who is offline, invisible, blocking, or not to be reached', async () => {
    const { alice, directory, deps } = await started();
    directory.put({ uid: 'hidden' });
    await login(deps, loginRequest('hidden', { status: 'invisible' }));
    const blocking = directory.put({ uid: 'blocking' });
    directory.put({ uid: 'blocking', lists: { ...blocking.lists, blocked: ['alice'] } });
    await login(deps, loginRequest('blocking'));
    directory.put({ uid: 'http' });
    await login(deps, loginRequest('http', { source: { host: '10.0.0.1', port: 0 } }));
    for (const uid of ['carol', 'hidden', 'blocking', 'http']) {
      alice.ask('INVITE', to(uid));
      await settle();
      expect(alice.status, uid).toBe(480);
      expect(alice.contacts()).toEqual([]);
    }
  });

  it('is answered 404 for who is unknown and for other domains', async () => {
    const { alice } = await started();
    alice.ask('INVITE', to('nobody'));
    await settle();
    expect(alice.status).toBe(404);
    alice.ask('INVITE', { uri: 'sip:bob@other.net' });
    expect(alice.status).toBe(404);
  });

  it('is answered 403 where the callee takes no calls of his', async () => {
    const { alice, directory, deps } = await started();
    const shy = directory.put({ uid: 'shy' });
    directory.put({ uid: 'shy', service: { ...shy.service, mayBeCalledBy: 'buddies' } });
    await login(deps, loginRequest('shy'));
    alice.ask('INVITE', to('shy'));
    expect(alice.status).toBe(403);
  });

  it('is answered 403 where the caller may not call', async () => {
    const { bob, directory, network } = await started();
    const mute = directory.put({ uid: 'mute' });
    directory.put({ uid: 'mute', service: { ...mute.service, mayCallOut: false } });
    const one = await phone(network, 'mute');
    one.register();
    await settle();
    one.ask('INVITE', to('bob'));
    expect(one.status).toBe(403);
    expect(bob.status).toBe(200);
  });

  it('for a user of another server is sent there, three times at most', async () => {
    const { alice, directory, servers, clock } = await started();
    await directory.writeServer(serverRecord({ name: 'there', sip: { host: '10.0.0.2', port: 5070 } }, clock.now()));
    await servers.look();
    const location = directory.row('carol')?.location;
    if (location === undefined) throw new Error('no carol');
    const server = { name: 'there', address: { host: '10.0.0.2', port: 4321 } };
    await directory.writeLocation('carol', { ...location, server, epoch: 1 }, 0);
    alice.ask('INVITE', to('carol'));
    await settle();
    expect(alice.status).toBe(302);
    expect(alice.contacts()).toEqual(['<sip:carol@10.0.0.2:5070;vs-hops=1>']);
    alice.ask('INVITE', { uri: 'sip:carol@vserver;vs-hops=3' });
    await settle();
    expect(alice.status).toBe(482);
  });

  it('finds a user by his number, of a tel URI too', async () => {
    const { alice, bob, directory } = await started();
    directory.put({ uid: 'bob', countryCode: '86', region: 'cn' });
    for (const uri of ['sip:086bob@vserver']) {
      alice.ask('INVITE', { uri });
      await settle();
      expect(alice.contacts(), uri).toEqual([bob.contact()]);
    }
    directory.put({ uid: '10017676', countryCode: '86', region: 'cn' });
    alice.ask('INVITE', { uri: 'tel:+86-10017676' });
    await settle();
    expect(alice.status).toBe(480);
  });

  it('while the directory is down is told to come back', async () => {
    const { alice, directory } = await started();
    directory.down = true;
    alice.ask('INVITE', to('carol'));
    await settle();
    expect(alice.status).toBe(503);
  });

  it('can be cancelled while the directory is asked, and not afterwards', async () => {
    const { alice, directory } = await started();
    directory.held = true;
    alice.ask('INVITE', to('carol'));
    const invite = alice.sent;
    alice.repeat();
    alice.raw(invite.replace(/^INVITE/, 'CANCEL').replace(/INVITE\r\n/, 'CANCEL\r\n'));
    expect(alice.status).toBe(200);
    directory.held = false;
    directory.release();
    await settle();
    expect(alice.status).toBe(487);
    expect(alice.answers.slice(2).map(({ status }) => status)).toEqual([200, 487]);
    alice.raw(invite.replace(/^INVITE/, 'CANCEL').replace(/INVITE\r\n/, 'CANCEL\r\n'));
    expect(alice.status).toBe(481);
  });

  it('gets the same answer with the same tag for each retransmission', async () => {
    const { alice } = await started();
    alice.ask('INVITE', to('bob'));
    const first = alice.last;
    alice.repeat();
    expect(alice.last.toTag).toBe(first.toTag);
    expect(alice.last.text).toBe(first.text);
  });
});

describe('a caller who is not registered here', () => {
  it.each(['bob', 'nobody'])('is challenged before %s is looked up', async (uid) => {
    const { network, directory } = await started();
    const one = await phone(network, 'carol');
    directory.calls.length = 0;
    one.ask('INVITE', to(uid));
    await settle();
    expect(one.status).toBe(407);
    expect(directory.calls).toEqual([]);
  });

  it('with the From of somebody registered elsewhere is challenged too', async () => {
    const { network } = await started();
    const thief = await phone(network, 'alice');
    thief.ask('INVITE', to('bob'));
    expect(thief.status).toBe(407);
  });

  it('proves who he is by Digest', async () => {
    const { network, bob } = await started();
    const one = await phone(network, 'carol');
    one.ask('INVITE', to('bob'));
    const uri = 'sip:bob@vserver';
    one.ask('INVITE', { uri, headers: { Authorization: one.digest('INVITE', { uri }) } });
    await settle();
    expect(one.status).toBe(302);
    expect(one.contacts()).toEqual([bob.contact()]);
  });

  it('is refused where his password is wrong, or where he says to be somebody else', async () => {
    const { network, time } = await started();
    const one = await phone(network, 'carol');
    const uri = 'sip:bob@vserver';
    one.ask('INVITE', to('bob'));
    one.ask('INVITE', { uri, headers: { Authorization: one.digest('INVITE', { uri, password: 'wrong' }) } });
    await time.advance(200);
    expect(one.status).toBe(403);
    one.ask('INVITE', {
      uri,
      headers: { From: '<sip:alice@vserver>;tag=1', Authorization: one.digest('INVITE', { uri }) },
    });
    expect(one.status).toBe(403);
  });

  it('is redirected without a challenge where the operator opened it', async () => {
    const { network, bob } = await started({ settings: { anonymous: true } });
    const one = await phone(network, 'stranger');
    one.ask('OPTIONS', to('bob'));
    expect(one.status).toBe(302);
    expect(one.contacts()).toEqual([bob.contact()]);
  });
});

describe('other requests', () => {
  it('OPTIONS to the server itself tells what it can', async () => {
    const { alice } = await started();
    alice.ask('OPTIONS');
    expect(alice.status).toBe(200);
    expect(alice.last.header('Allow')).toContain('REGISTER');
    expect(alice.last.header('Accept')).toBe('application/sdp');
    expect(alice.last.header('Supported')).toBe('path, outbound');
  });

  it.each([
    ['INVITE', { uri: 'unknown:scheme' }, 416],
    ['INVITE', { ...to('bob'), headers: { 'Max-Forwards': '0' } }, 483],
    ['INVITE', { ...to('bob'), headers: { Require: '100rel' } }, 302],
    ['INVITE', { ...to('bob'), headers: { 'Proxy-Require': 'privacy' } }, 420],
    ['INVITE', { ...to('bob'), headers: { To: '<sip:bob@vserver>;tag=1' } }, 481],
    ['INVITE', { uri: 'sip:vserver' }, 404],
    ['BYE', to('bob'), 481],
    ['CANCEL', to('bob'), 481],
    ['PUBLISH', to('bob'), 489],
    ['DANCE', to('bob'), 501],
  ])('%s %o is answered %i', async (method, ask, status) => {
    const { alice } = await started();
    alice.ask(method, ask);
    await settle();
    expect(alice.status).toBe(status);
    if (status === 405 || status === 501) expect(alice.last.header('Allow')).toContain('INVITE');
  });

  it('an ACK and a response out of the blue are absorbed', async () => {
    const { alice } = await started();
    const before = alice.answers.length;
    alice.ask('ACK', to('bob'));
    alice.raw(
      'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n',
    );
    expect(alice.answers).toHaveLength(before);
  });

  it('what is malformed is told so, as far as it can be answered', async () => {
    const { alice } = await started();
    alice.ask('INVITE', { ...to('bob'), headers: { 'Max-Forwards': 'many' } });
    expect(alice.status).toBe(400);
  });
});
