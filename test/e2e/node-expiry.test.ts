/** The end of silent sessions, on a node whose time moves by hand. */
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { manualTime } from '../support/clock.ts';
import type { ManualTime } from '../support/clock.ts';
import type { TestClient, TestNode } from './support-node.ts';
import { openClient, removeFolders, startNode, stopNodes } from './support-node.ts';

const [ONE, TWO] = ['10017676', '10043939'] as const;
const SETTINGS = { VSERVER_HEARTBEAT: '2', VSERVER_EXPIRES: '5' };

let client: TestClient;
let time: ManualTime;
let node: TestNode;

beforeEach(async () => {
  client = await openClient();
  time = manualTime();
  node = await startNode(SETTINGS, time);
});
afterEach(async () => {
  await stopNodes();
  await client.close();
});
afterAll(removeFolders);

it('silence of VSERVER_EXPIRES seconds ends the session and writes the logout, as of the last sign of life', async () => {
  const one = await client.welcome(node.udp, ONE);
  expect([one.welcome?.headers.get('heartbeat'), one.welcome?.headers.get('expires')]).toEqual(['2', '5']);
  const two = await client.welcome(node.udp, TWO);
  await time.advance(2_000);
  expect(await one.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
  const lastMs = time.clock.now();
  await time.advance(2_500);
  expect(await two.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
  expect(node.core.table.count).toBe(2);
  await time.advance(3_500);
  expect(node.core.table.count).toBe(1);
  expect(node.core.counters.silences).toBe(1);

  await node.core.outbox.flush();
  const logoutAt = Math.floor(lastMs / 1000) * 1000;
  expect((await node.directory.find(ONE))?.location).toMatchObject({ server: null, logoutAt });
  const gone = await two.ask('Locate', ONE);
  expect([gone.verb, gone.headers.get('last-seen')]).toEqual(['Offline', new Date(logoutAt).toISOString()]);
  expect(await one.ask('Heartbeat')).toMatchObject({
    verb: 'Error',
    argument: expect.stringMatching(/^401/) as string,
  });
});

it('a session that fell silent while the node was stopped is not taken back, and its logout is written', async () => {
  const one = await client.welcome(node.udp, ONE);
  const lastMs = time.clock.now();
  await time.advance(3_000);
  const two = await client.welcome(node.udp, TWO);
  await node.stop(false);
  await time.advance(3_000);

  const again = { VSERVER_DATA: node.config.data, VSERVER_UDP_PORT: String(node.udp.port) };
  const second = await startNode({ ...SETTINGS, ...again }, time);
  expect(second.core.table.count).toBe(1);
  expect(await two.ask('Heartbeat')).toMatchObject({ verb: 'Ok' });
  await second.core.outbox.flush();
  const logoutAt = Math.floor(lastMs / 1000) * 1000;
  expect((await second.directory.find(ONE))?.location).toMatchObject({ server: null, logoutAt });
  expect(await one.ask('Heartbeat')).toMatchObject({
    verb: 'Error',
    argument: expect.stringMatching(/^401/) as string,
  });
});
