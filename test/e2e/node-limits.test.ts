/** The limits of strangers on a whole node. */
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { manualTime } from '../support/clock.ts';
import type { TestClient } from './support-node.ts';
import { http, openClient, removeFolders, startNode, stopNodes } from './support-node.ts';

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

it('10 failed logins a minute of a source are never refused, over UDP and HTTP together; many more are', async () => {
  // Nothing is forgiven because the machine is slow.
  const node = await startNode({ VSERVER_RATE_LIMIT: '1' }, { clock: manualTime().clock });
  const wrong = { password: 'wrong' };
  const overUdp = async (): Promise<string> => {
    const reply = await client.login(node.udp, '10017676', wrong);
    return 'verb' in reply ? reply.argument.slice(0, 3) : 'welcome';
  };
  const overHttp = async (): Promise<string> =>
    String((await http(`${node.http}/v1/login`, { body: { uid: '10017676', ...wrong } })).status);
  for (let i = 0; i < 5; i++) expect([await overUdp(), await overHttp()]).toEqual(['403', '401']);
  const more = await Promise.all(Array.from({ length: 20 }, overHttp));
  expect(new Set(more).has('401')).toBe(true);
  expect([await overUdp(), await overHttp()]).toEqual(['429', '429']);
});
