/** Which nonces are spent, against a map of them that forgets nothing. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSpentNonces, isBeyond, isFresh, nonceUse, SIP_NONCE_VALID_MS } from '../../src/sip/spent-nonces.ts';
import type { UsedNonce } from '../../src/sip/spent-nonces.ts';
import { settle } from '../support/clock.ts';
import { phone, sipNode } from '../support/sip-node.ts';

const UIDS = ['alice', 'bob', 'carol'];
const T = 1_790_000_000_000;

/** These users, each with one telephone. */
async function registered() {
  const { directory, network, table } = await sipNode();
  for (const uid of UIDS) {
    directory.put({ uid });
    (await phone(network, uid)).register();
  }
  await settle();
  const rows = UIDS.map((uid) => table.users.firstSession(table.users.find(uid)) - 1);
  return { table, users: UIDS.map((uid, i) => ({ uid, row: rows[i] ?? -1 })) };
}

const step = fc.record({
  what: fc.constantFrom('used', 'spent', 'registered', 'nothing'),
  who: fc.nat(UIDS.length - 1),
  stepMs: fc.oneof(fc.nat(10), fc.nat(SIP_NONCE_VALID_MS), fc.nat(3 * SIP_NONCE_VALID_MS)),
  ageMs: fc.oneof(fc.nat(10), fc.nat(SIP_NONCE_VALID_MS)),
  count: fc.integer({ min: 1, max: 3 }),
});

test('a nonce is known for as long as it is good, by uid and by session', async () => {
  const { table, users } = await registered();
  const property = fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
    const spent = createSpentNonces();
    const all = new Map<string, UsedNonce>();
    let nowMs = T;
    for (const { row } of users) table.sessions.registered(row, 1, 0, 0);
    for (const { what, who, stepMs, ageMs, count } of steps) {
      nowMs += stepMs;
      const issuedMs = nowMs - ageMs;
      const { uid, row } = users[who] ?? { uid: '', row: -1 };
      const newest = spent.newest(uid, nowMs);
      expect(spent.newestOf(table, row, nowMs)).toEqual(newest);
      expect(isBeyond(newest, issuedMs, count)).toBe(isBeyond(all.get(uid), issuedMs, count));
      const isNext = nonceUse(table, [row], newest, issuedMs, count) === 'fresh';
      expect(isFresh(spent, table, row, issuedMs, count, nowMs)).toBe(isNext);
      const used = { issuedMs, count: what === 'spent' ? Infinity : count };
      if (what === 'registered') table.sessions.registered(row, 1, issuedMs, count);
      else if (what === 'used') spent.use(uid, issuedMs, count, nowMs);
      else if (what === 'spent') spent.spend(uid, issuedMs, nowMs);
      if ((what === 'used' || what === 'spent') && isBeyond(all.get(uid), issuedMs, used.count)) all.set(uid, used);
    }
  });
  fc.assert(property, { numRuns: 500 });
});
