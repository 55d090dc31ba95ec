/** More native clients at once than the directory can take in: they share the intake of the telephones. */
import { expect, it } from 'vitest';
import type { Intake } from '../../src/login/intake.ts';
import { settle } from '../support/clock.ts';
import { httpApp } from '../support/http-app.ts';
import { protocolClient } from '../support/protocol-client.ts';
import { udpNode } from '../support/udp-node.ts';

function nothing(): void {
  // Whose turn it is does nothing.
}

/** As many as may be under way are, and all others wait. */
function fill(intake: Intake): void {
  while (!intake.isFull) intake.enter(nothing, 0);
}

it('a Login for which there is no room is told when to come back, and the directory is not asked', async () => {
  const node = await udpNode();
  node.directory.put({ uid: 'alice' });
  const client = await protocolClient(node.network, { host: '192.0.2.7', port: 5000 }, node.at);
  const nonce = (await client.challenge('alice')).headers['nonce'] ?? '';
  const { intake } = node.cases;
  fill(intake);
  const refused = await client.one(client.proven('alice', nonce));
  expect(refused.first).toMatch(/^Error 503/);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  expect(node.directory.calls).toEqual([]);
  // There is room for one, and it waits for its turn.
  intake.leave(node.clock.now());
  const waiting = client.one(client.proven('alice', nonce));
  await settle();
  expect(node.directory.calls).toEqual([]);
  while (intake.hasLine) intake.leave(node.clock.now());
  expect((await waiting).first).toBe('Welcome alice');
});

it('a login over HTTP is refused alike', async () => {
  const { http, ask, deps, directory } = await httpApp();
  directory.put({ uid: 'alice' });
  fill(deps.uses.intake);
  const payload = { uid: 'alice', password: 'secret' };
  const reply = await ask({ method: 'POST', url: '/v1/login', payload });
  expect(reply.statusCode).toBe(503);
  expect(reply.json()).toMatchObject({ code: 'OVERLOADED' });
  expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  expect(directory.calls).toEqual([]);
  await http.close();
});
