/** Two REGISTERs of one user under way at once: his logins go one after the other, so no nonce-count is good twice. */
import { expect, it } from 'vitest';
import { settle } from '../support/clock.ts';
import { phone, sipNode } from '../support/sip-node.ts';

it.each([
  ['the same contact', ''],
  ['another contact', ';transport=udp'],
])('the second, of %s, does not overtake the first, and neither is taken again', async (_what, params) => {
  const { directory, network, table, time } = await sipNode();
  directory.put({ uid: 'alice' });
  const alice = await phone(network, 'alice');
  // Whoever writes first waits; a second one would not.
  const write = directory.writeLocation.bind(directory);
  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  directory.writeLocation = async (...asked) => {
    directory.writeLocation = write;
    await held;
    return write(...asked);
  };
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await settle();
  };
  const statuses = (): number[] => alice.answers.map(({ status }) => status);

  alice.register();
  const first = alice.sent;
  alice.register({ headers: { Contact: `<sip:alice@${alice.at.host}:${alice.at.port}${params}>` } });
  const second = alice.sent;
  await settled();
  expect(statuses()).toEqual([401]);
  letGo();
  await settled();
  expect(alice.answers.map((answer) => [answer.status, answer.header('CSeq')])).toEqual([
    [401, '1 REGISTER'],
    [200, '2 REGISTER'],
    [200, '3 REGISTER'],
  ]);

  const seen = (): number[] => table.openRows().map((row) => table.sessions.seenS(row));
  const before = seen();
  await time.advance(5_000);
  for (const text of [first, second]) {
    alice.raw(text);
    await settled();
  }
  // The very request that came last is answered as before; nothing is done again.
  expect(statuses().slice(3)).toEqual([401, 200]);
  expect(seen()).toEqual(before);
});
