/** More phones at once than the directory can take in, as after a crash. */
import { describe, expect, it } from 'vitest';
import { UNDER_WAY_MAX, WAITING_MAX } from '../../src/login/intake.ts';
import { settle } from '../support/clock.ts';
import type { Phone, SipNode } from '../support/sip-node.ts';
import { phone, sipNode } from '../support/sip-node.ts';

/** As many as are taken in have sent their credentials, and the directory has not answered yet. */
async function storm(): Promise<SipNode & { readonly taken: Phone[]; readonly late: Phone }> {
  const node = await sipNode({ usersMax: 2 * (UNDER_WAY_MAX + WAITING_MAX) });
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
