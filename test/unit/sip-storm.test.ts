/** More phones at once than the directory can take in, as after a crash. */
import { describe, expect, it, vi } from 'vitest';
import { createIntake } from '../../src/login/intake.ts';
import { settle } from '../support/clock.ts';
import { SIP_NONCE_VALID_MS } from '../../src/sip/spent-nonces.ts';
import type { Phone, SipNode, SipNodeOptions } from '../support/sip-node.ts';
import { phone, sipNode } from '../support/sip-node.ts';

const UNDER_WAY_MAX = 16;
const WAITING_MAX = 32;

/** As many as are taken in have sent their credentials, and the directory has not answered yet. */
async function storm(): Promise<SipNode & { readonly taken: Phone[]; readonly late: Phone }> {
  const node = await sipNode({ intake: createIntake(UNDER_WAY_MAX, WAITING_MAX) });
  const uids = Array.from({ length: UNDER_WAY_MAX + WAITING_MAX + 1 }, (_, i) => `u${i}`);
  for (const uid of uids) node.directory.put({ uid });
  const phones = await Promise.all(uids.map((uid) => phone(node.network, uid)));
  node.directory.held = true;
  for (const one of phones.slice(0, -1)) one.register();
  await settle();
  return { ...node, taken: phones.slice(0, -1), late: phones.at(-1) as Phone };
}

describe('a storm of registrations', () => {
  it('one phone too many is told when to come back, and the directory is not asked for him', async () => {
    const { late, directory } = await storm();
    directory.calls.length = 0;
    late.register();
    expect([late.status, late.last.header('Retry-After')]).toEqual([503, '1']);
    await settle();
    expect(directory.calls).toEqual([]);
  });

  it('he is refused alike where his request is out of the ordinary', async () => {
    const { late } = await storm();
    late.register({ headers: { Supported: 'path, outbound', Contact: late.contact(';reg-id=1') } });
    expect([late.status, late.last.header('Retry-After')]).toEqual([503, '1']);
  });

  it('he waits in the line, by the nonce he has, when one of those before him is taken in', async () => {
    const { late, taken, directory } = await storm();
    late.register();
    directory.held = false;
    directory.release(1);
    await settle();
    late.register();
    late.repeat();
    await settle();
    const statuses = (): number[] => late.answers.map(({ status }) => status);
    // He took the place of the first one, as all before him in the line.
    expect([taken[0]?.status, taken[1]?.status, statuses()]).toEqual([200, 401, [401, 503, 200]]);
    directory.release();
    await settle();
    expect(new Set(taken.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('a repeated request of one who is under way is neither refused nor a second login', async () => {
    const { taken, directory } = await storm();
    const [first] = taken as [Phone];
    directory.calls.length = 0;
    const before = first.answers.length;
    first.repeat();
    await settle();
    expect(first.answers).toHaveLength(before);
    expect(directory.calls).toEqual([]);
  });

  it('is nothing to those who are registered', async () => {
    const node = await storm();
    node.directory.held = false;
    node.directory.release();
    await settle();
    await settle();
    const [first] = node.taken as [Phone];
    node.directory.held = true;
    for (const one of node.taken.slice(1)) one.register({ headers: { Contact: `<sip:second@${one.at.host}:1>` } });
    node.late.register();
    await settle();
    expect(node.sip.context.intake.isFull).toBe(true);
    first.register();
    expect(first.status).toBe(200);
  });
});

/** A node that takes in one login at a time, and at whose directory one is under way; others wait. */
async function busyNode(options: SipNodeOptions = {}): Promise<SipNode> {
  const node = await sipNode({ ...options, intake: createIntake(1, 100) });
  node.directory.put({ uid: 'first' });
  node.directory.held = true;
  (await phone(node.network, 'first', { host: '10.0.0.9', port: 5060 })).register();
  await settle();
  return node;
}

function goOn({ directory }: SipNode): Promise<void> {
  directory.held = false;
  directory.release();
  return settle();
}

describe('a request that has waited', () => {
  it('is dealt with as any other where the user has come another way meanwhile', async () => {
    const node = await busyNode();
    node.directory.put({ uid: 'alice' });
    const [desk, mobile] = [await phone(node.network, 'alice'), await phone(node.network, 'alice')];
    desk.register();
    await node.time.advance(1);
    mobile.register();
    await settle();
    expect([desk.status, mobile.status]).toEqual([401, 401]);
    await goOn(node);
    expect([desk.status, mobile.status]).toEqual([200, 200]);
    expect(mobile.contacts()).toHaveLength(2);
    expect(node.sip.context.intake.hasLine).toBe(false);
    expect(node.sip.context.waiting.size).toBe(0);
  });

  it('is refused where others before it have guessed too many passwords from its address', async () => {
    const node = await busyNode({ failuresAMinute: 3 });
    node.directory.put({ uid: 'alice' });
    const phones = await Promise.all(Array.from({ length: 6 }, () => phone(node.network, 'alice')));
    for (const [i, one] of phones.entries()) one.register({}, { password: `guess ${i}` });
    await goOn(node);
    await node.time.advance(2_000);
    // The place is free before the third one is counted.
    expect(phones.map(({ status }) => status)).toEqual([403, 403, 403, 403, 503, 503]);
  });

  it('is answered alike when the clock of the node has gone on past the life of its nonce', async () => {
    const node = await busyNode();
    node.directory.put({ uid: 'alice' });
    const alice = await phone(node.network, 'alice');
    alice.ask('REGISTER', { headers: { Contact: alice.contact() } });
    await node.time.advance(SIP_NONCE_VALID_MS - 10_000);
    alice.register();
    await node.time.advance(20_000);
    await goOn(node);
    expect(alice.status).toBe(200);
  });

  it.each([{}, { Supported: 'path, outbound' }])(
    'for longer than its phone waits for an answer is refused, and the directory is not asked: %o',
    async (headers) => {
      const node = await busyNode();
      for (const uid of ['alice', 'bob']) node.directory.put({ uid });
      const [alice, bob] = [await phone(node.network, 'alice'), await phone(node.network, 'bob')];
      const contact = (one: Phone): string => one.contact('Supported' in headers ? ';reg-id=1' : '');
      alice.register({ headers: { ...headers, Contact: contact(alice) } });
      await node.time.advance(32_001);
      bob.register({ headers: { ...headers, Contact: contact(bob) } });
      node.directory.calls.length = 0;
      await goOn(node);
      await settle();
      expect([alice.status, alice.last.header('Retry-After'), bob.status]).toEqual([503, '1', 200]);
      expect(node.table.users.find('alice')).toBe(-1);
      expect(node.sip.context.intake.hasLine).toBe(false);
    },
  );

  it("and can't be dealt with takes nobody with it: neither who leaves, nor who comes next", async () => {
    const node = await busyNode();
    for (const uid of ['alice', 'carl']) node.directory.put({ uid });
    const [alice, carl] = [await phone(node.network, 'alice'), await phone(node.network, 'carl')];
    for (const one of [alice, carl]) one.register();
    const find = vi.spyOn(node.sip.context.relays, 'find').mockImplementationOnce(() => {
      throw new Error('broken');
    });
    await goOn(node);
    expect(find).toHaveBeenCalled();
    expect(carl.status).toBe(200);
    expect(node.table.users.find('first')).toBeGreaterThanOrEqual(0);
    expect(node.sip.context.intake.hasLine).toBe(false);
    expect(node.logged).toHaveLength(1);
    alice.repeat();
    await settle();
    expect(alice.status).toBe(200);
  });

  it('leaves its place to the next one, also where all that wait are dealt with as others', async () => {
    const node = await busyNode();
    node.directory.put({ uid: 'alice' });
    const phones = await Promise.all(Array.from({ length: 50 }, () => phone(node.network, 'alice')));
    for (const one of phones) {
      one.register();
      await node.time.advance(1);
    }
    await goOn(node);
    expect(new Set(phones.map(({ status }) => status))).toEqual(new Set([200]));
    expect(node.sip.context.intake.hasLine).toBe(false);
  });
});
