/** A stop goes through to its end, whatever fails or hangs meanwhile. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { fakeDirectory } from '../support/fake-directory.ts';
import type { TestClient } from './support-node.ts';
import { openClient, removeFolders, startNode, stopNodes } from './support-node.ts';

const [UID, OTHER] = ['10017676', '10043939'] as const;
const PATIENCE = { timeout: 20_000 };

let client: TestClient;
beforeEach(async () => {
  client = await openClient();
});
afterEach(async () => {
  await stopNodes();
  await client.close();
});
afterAll(removeFolders);

it('where the sessions can not be saved: the server leaves the list, and the folder is free for the next start', async () => {
  const directory = fakeDirectory();
  directory.put({ uid: UID });
  const node = await startNode({}, { directory });
  await client.welcome(node.udp, UID);
  // Nothing can be renamed to the name of a folder that holds something.
  const snapshot = join(node.config.data, 'sessions.snapshot');
  mkdirSync(snapshot);
  writeFileSync(join(snapshot, 'something'), '');
  await node.stop(false);
  expect(await directory.servers()).toMatchObject([{ name: 'here', state: 'off' }]);
  expect(existsSync(join(node.config.data, 'node.json'))).toBe(false);
});

it('while logins wait for the directory: what answers them afterwards finds no socket, and harms nobody', async () => {
  const directory = fakeDirectory();
  for (const uid of [UID, OTHER]) directory.put({ uid });
  const node = await startNode({}, { directory });
  directory.held = true;
  // Nobody will answer them.
  for (const uid of [UID, OTHER]) void client.login(node.udp, uid).catch(() => undefined);
  await expect.poll(() => directory.calls.filter((call) => call === 'find').length, PATIENCE).toBe(2);
  // Longer than the deadline of the directory.
  await node.stop(false);
  directory.release();
  expect(node.core.table.count).toBe(0);
  expect(node.core.counters.loginsFailed).toBe(2);
});
