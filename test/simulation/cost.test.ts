/** What a login costs the others: as much among thirty nodes as among three. */
import { expect, test } from 'vitest';
import type { LoginRequest } from '../../src/login/login.ts';
import { fakeDirectory } from '../support/fake-directory.ts';
import { memoryWires } from '../support/wire.ts';
import { History } from './history.ts';
import { SimNode } from './sim-node.ts';
import { CONFIG } from './simulation.ts';
import { chanceOf, SimTime } from './world.ts';

const USERS = 60;

function request(uid: string): LoginRequest {
  return {
    ...{ uid, source: { host: '10.0.0.1', port: 5_000 }, local: null, firewall: 'none', status: 'online' },
    ...{ note: '', device: '', instance: '', contact: '', registration: '' },
    credential: { kind: 'digest', algorithm: 'SHA-256', isGood: () => true },
    ...{ hops: 0, sentBy: () => false },
  };
}

/** Everybody logs in at one node and then at the next; messages and directory operations for it all. */
async function costs(count: number): Promise<Record<string, number>> {
  const time = new SimTime();
  const directory = fakeDirectory();
  const wires = memoryWires(time.timers);
  const directoryCalls = new Map<string, number>();
  const shared = {
    ...{ time, chance: chanceOf(1), directory, wires, history: new History(), config: CONFIG },
    ...{ directoryLoss: 0, directoryCalls, watched: [], onEnd: () => undefined },
  };
  const nodes = Array.from({ length: count }, (_, i) => new SimNode(shared, i + 1));
  for (const node of nodes) await node.start(1_000);
  await time.advance(11_000);
  const node = (i: number): SimNode => nodes[i % count] ?? (undefined as never);
  for (let i = 0; i < USERS; i++) {
    const user = directory.put({ uid: `u${i}` });
    directory.put({ ...user, service: { ...user.service, devicesMax: 1 } });
  }
  directoryCalls.clear();
  wires.sent.length = 0;
  let welcomed = 0;
  for (const turn of [0, 1]) {
    for (let i = 0; i < USERS; i++) {
      node(i + turn).receive((core) => {
        void core.cases.login(request(`u${i}`)).then(({ kind }) => (welcomed += kind === 'welcome' ? 1 : 0));
      });
    }
    // Less than the time between two rounds, so that nothing but the logins is counted.
    await time.advance(450);
  }
  expect(welcomed).toBe(2 * USERS);
  const messages = wires.sent.map(
    ({ bytes }) => JSON.parse(Buffer.from(bytes).toString().slice(44)) as { kind: string; body: { users?: object[] } },
  );
  const of = (kind: string) => messages.filter((message) => message.kind === kind);
  const arrivals = of('arrived').reduce((sum, { body }) => sum + (body.users?.length ?? 0), 0);
  return {
    find: directoryCalls.get('find') ?? 0,
    writeLocation: directoryCalls.get('writeLocation') ?? 0,
    taken: of('taken').length,
    // Of those who log in at one node within 50 ms one message tells.
    arrivals,
    others: messages.length - ['taken', 'server', 'arrived'].reduce((sum, kind) => sum + of(kind).length, 0),
  };
}

test('a login reads the user once, writes him once, and a takeover is one message', async () => {
  const three = await costs(3);
  expect(three).toEqual({ find: 2 * USERS, writeLocation: 2 * USERS, taken: USERS, arrivals: 2 * USERS, others: 0 });
  expect(await costs(30)).toEqual(three);
});
