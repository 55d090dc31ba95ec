import { describe, expect, it } from 'vitest';
import { settle } from '../support/clock.ts';
import type { Phone, SipNodeOptions } from '../support/sip-node.ts';
import { phone, sipNode } from '../support/sip-node.ts';

async function started(options: SipNodeOptions = {}) {
  const node = await sipNode(options);
  node.directory.put({ uid: 'alice' });
  const alice = await phone(node.network, 'alice');
  return { ...node, alice };
}

describe('the challenge', () => {
  it('offers SHA-256 and MD5 with the same nonce, and nothing is looked up for it', async () => {
    const { alice, directory } = await started();
    alice.ask('REGISTER');
    const offers = alice.last.headers('WWW-Authenticate');
    expect(offers).toHaveLength(2);
    expect(offers[0]).toContain('algorithm=SHA-256');
    expect(offers[1]).toContain('algorithm=MD5');
    expect(offers.every((one) => one.includes(`nonce="${alice.nonce}"`) && one.includes('qop="auth"'))).toBe(true);
    expect(directory.calls).toEqual([]);
  });

  it('is the same for known and unknown users but for the nonce', async () => {
    const { alice, network } = await started();
    const nobody = await phone(network, 'nobody', { host: '10.0.0.8', port: alice.at.port });
    alice.ask('REGISTER');
    nobody.ask('REGISTER');
    const headers = (one: typeof alice): string[] =>
      one.last.headers('WWW-Authenticate').map((text) => text.replace(one.nonce, ''));
    expect(headers(nobody)).toEqual(headers(alice));
    expect(nobody.nonce).toHaveLength(alice.nonce.length);
  });

  it('comes again, with stale=true, for a nonce that is not good', async () => {
    const { alice, time } = await started();
    alice.ask('REGISTER');
    expect(alice.last.header('WWW-Authenticate')).not.toContain('stale');
    alice.nonce = 'x'.repeat(32);
    alice.register();
    expect(alice.last.header('WWW-Authenticate')).toContain('stale=true');
    await time.advance(300_001);
    alice.register();
    expect(alice.last.header('WWW-Authenticate')).toContain('stale=true');
  });

  it('is not good from another host', async () => {
    const { alice, network } = await started();
    alice.ask('REGISTER');
    const thief = await phone(network, 'alice', { host: '10.0.0.66', port: 5060 });
    thief.nonce = alice.nonce;
    thief.register();
    expect(thief.status).toBe(401);
  });

  it('for another realm is not answered by what was meant for that', async () => {
    const { alice } = await started();
    alice.ask('REGISTER');
    alice.register({}, { realm: 'elsewhere' });
    expect(alice.status).toBe(401);
  });
});

describe('credentials', () => {
  it.each(['MD5', 'SHA-256'] as const)(
    'by %s are taken, and the refresh by the same from memory',
    async (algorithm) => {
      const { alice, directory } = await started();
      alice.register({}, { algorithm });
      await settle();
      expect(alice.status).toBe(200);
      directory.down = true;
      alice.register({}, { algorithm });
      expect(alice.status).toBe(200);
    },
  );

  it('may change their algorithm: the directory is asked again', async () => {
    const { alice, table } = await started();
    alice.register({}, { algorithm: 'MD5' });
    await settle();
    alice.register({}, { algorithm: 'SHA-256' });
    await settle();
    expect(alice.status).toBe(200);
    expect(table.count).toBe(1);
  });

  it.each([
    ['a wrong password', 'alice', 'guessed'],
    ['an unknown user', 'nobody', 'secret'],
    ['a disabled user', 'closed', 'secret'],
  ])('of %s are refused alike, at the same time', async (_, uid, password) => {
    const { network, directory, time, logged } = await started();
    directory.put({ uid: 'closed', service: { ...directory.put({ uid: 'closed' }).service, enabled: false } });
    const one = await phone(network, uid);
    one.register({}, { password });
    await time.advance(199);
    expect(one.status).toBe(401);
    await time.advance(1);
    expect(one.status).toBe(403);
    expect(logged).toMatchObject([{ uid, edge: 'sip', message: 'login failed' }]);
    expect(JSON.stringify(logged)).not.toContain(password);
  });

  it.each([
    ['in the ordinary way', ''],
    ['by a request out of the ordinary', ';reg-id=1'],
  ])('%s are looked at, whatever a stranger with a nonce of the same millisecond is trying', async (_, more) => {
    const { alice, network, directory, time } = await started();
    const stranger = await phone(network, 'alice', { host: '10.0.0.66', port: 666 });
    const headersOf = (one: Phone) => ({ Supported: 'outbound', Contact: one.contact(more) });
    directory.held = true;
    stranger.register({ headers: headersOf(stranger) }, { password: 'guessed' });
    alice.register({ headers: headersOf(alice) });
    await settle();
    directory.held = false;
    directory.release();
    await time.advance(200);
    expect([alice.status, stranger.status]).toEqual([200, 403]);
  });

  it('that are wrong for a registered device are refused too, and it stays', async () => {
    const { alice, table, time } = await started();
    alice.register();
    await settle();
    alice.register({}, { password: 'wrong' });
    await time.advance(200);
    expect(alice.status).toBe(403);
    expect(table.count).toBe(1);
  });

  it('for another request are refused', async () => {
    const { alice } = await started();
    alice.ask('REGISTER');
    alice.register({}, { uri: 'sip:elsewhere' });
    expect(alice.status).toBe(400);
  });

  it('are good once: a count that came before needs a new nonce', async () => {
    const { alice, table } = await started();
    alice.register();
    await settle();
    alice.register();
    expect(alice.status).toBe(200);
    alice.register({ headers: { Contact: '<sip:thief@10.0.0.66>' } }, { nc: 1 });
    expect(alice.status).toBe(401);
    expect(table.count).toBe(1);
  });

  it('of a nonce that another one replaced are not good any more', async () => {
    const { alice, time } = await started();
    alice.register();
    await settle();
    const old = alice.nonce;
    await time.advance(1_000);
    alice.ask('REGISTER');
    alice.register();
    expect(alice.status).toBe(200);
    alice.nonce = old;
    alice.register({}, { nc: 9 });
    expect(alice.status).toBe(401);
  });

  it('are not good again after the registration has ended', async () => {
    const { alice, table } = await started();
    alice.register();
    await settle();
    const first = alice.sent;
    alice.register({ headers: { Contact: alice.contact(';expires=0') } });
    expect(alice.status).toBe(200);
    alice.raw(first);
    await settle();
    expect(alice.status).toBe(401);
    expect(table.count).toBe(0);
  });

  it('of a session that ended by a login elsewhere are not good again either', async () => {
    const { alice, ends, table } = await started();
    alice.register();
    await settle();
    ends.endAll('alice', 'elsewhere');
    alice.repeat();
    await settle();
    expect(alice.status).toBe(401);
    expect(table.count).toBe(0);
  });
});

describe('credentials without qop, of phones that know RFC 2069 only', () => {
  const old = { withoutQop: true };

  it('are taken (RFC 3261 22.4), for one request a nonce: the next one is told stale=true', async () => {
    const { alice, table, time } = await started();
    alice.register({}, old);
    await settle();
    expect(alice.status).toBe(200);
    await time.advance(60_000);
    alice.register({}, old);
    expect(alice.status).toBe(401);
    expect(alice.last.header('WWW-Authenticate')).toContain('stale=true');
    alice.register({}, old);
    expect(alice.status).toBe(200);
    expect(table.count).toBe(1);
  });

  it('copied by somebody behind the same address change nothing', async () => {
    const { alice, network, table } = await started();
    alice.register({}, old);
    await settle();
    const thief = await phone(network, 'alice', { host: alice.at.host, port: 666 });
    const copy = alice.sent.replace(/^Contact: .*$/m, `Contact: ${thief.contact()}`).replace(/^CSeq: \d+/m, 'CSeq: 99');
    thief.raw(copy.replace(`:${alice.at.port};rport`, ':666;rport'));
    await settle();
    expect(thief.status).toBe(401);
    expect(table.devices(table.users.find('alice')).map(({ wan }) => wan)).toEqual([alice.at]);
  });

  it('whose request comes again get the same answer', async () => {
    const { alice } = await started();
    alice.register({}, old);
    await settle();
    const first = alice.last.text;
    alice.repeat();
    expect(alice.last.text).toBe(first);
  });

  it.each([
    ['by SHA-256, which is younger than qop', ', algorithm=SHA-256'],
    ['with another qop than was offered', ', qop=auth-int, nc=00000001, cnonce="c"'],
    ['with a qop and no count', ', qop=auth'],
  ])('%s are no answer to the challenge', async (_, more) => {
    const { alice, table } = await started();
    alice.ask('REGISTER');
    alice.ask('REGISTER', {
      headers: { Contact: alice.contact(), Authorization: alice.digest('REGISTER', old) + more },
    });
    await settle();
    expect(alice.status).toBe(401);
    expect(table.count).toBe(0);
  });

  it('that are wrong are refused like others', async () => {
    const { alice, time, logged } = await started();
    alice.register({}, { ...old, password: 'guessed' });
    await time.advance(200);
    expect(alice.status).toBe(403);
    expect(logged).toMatchObject([{ uid: 'alice', reason: 'wrong-secret' }]);
  });
});

describe('limits', () => {
  it('those who are not authenticated get an answer so often and no more', async () => {
    const { alice } = await started({ requestsASecond: 5 });
    for (let i = 0; i < 50; i++) alice.ask('REGISTER');
    expect(alice.answers).toHaveLength(5);
  });

  it('refreshes do not count', async () => {
    const { alice } = await started({ requestsASecond: 5 });
    alice.register();
    await settle();
    for (let i = 0; i < 50; i++) alice.register();
    expect(alice.answers.filter(({ status }) => status === 200)).toHaveLength(51);
  });

  it('who guesses passwords has to wait before the directory is asked again', async () => {
    const { alice, directory, time } = await started({ failuresAMinute: 3 });
    for (let i = 0; i < 3; i++) {
      alice.register({}, { password: `guess ${i}` });
      await time.advance(200);
      expect(alice.status).toBe(403);
    }
    directory.calls.length = 0;
    alice.register({}, { password: 'guess' });
    await settle();
    expect(alice.status).toBe(503);
    expect(Number(alice.last.header('Retry-After'))).toBeGreaterThan(0);
    expect(directory.calls).toEqual([]);
  });
});
