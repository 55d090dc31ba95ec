/** The limits of strangers on a whole node, whose time stands still. */
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { manualTime } from '../support/clock.ts';
import type { TestClient } from './support-node.ts';
import { openClient, removeFolders, startNode, stopNodes } from './support-node.ts';

let client: TestClient;
beforeEach(async () => {
  client = await openClient();
});
afterEach(async () => {
  await stopNodes();
  await client.close();
});
afterAll(removeFolders);

it('50 requests a second of a source are answered however low VSERVER_RATE_LIMIT is; what is more is Error 429', async () => {
  const node = await startNode({ VSERVER_RATE_LIMIT: '1' }, manualTime());
  for (let i = 0; i < 50; i++) expect((await client.unsigned(node.udp, 'Hello', '')).verb).toBe('Hello');
  const refused = await client.unsigned(node.udp, 'Hello', '');
  expect([refused.verb, refused.argument.slice(0, 3)]).toEqual(['Error', '429']);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
});

it('0 is no limit', async () => {
  const node = await startNode({ VSERVER_RATE_LIMIT: '0' }, manualTime());
  for (let i = 0; i < 200; i++) expect((await client.unsigned(node.udp, 'Hello', '')).verb).toBe('Hello');
});
