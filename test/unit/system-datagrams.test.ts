import { expect, test } from 'vitest';
import { systemDatagrams } from '../../src/base/system.ts';
import { silentLog } from '../support/silent-log.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

test('datagrams go to and fro; what is sent on a closed socket is lost and harms nobody', async () => {
  const datagrams = systemDatagrams(silentLog);
  const received: string[] = [];
  const one = await datagrams.bind(LOOPBACK, (bytes) => void received.push(bytes.toString()));
  const other = await datagrams.bind(LOOPBACK, () => undefined);
  other.send(Buffer.from('hello'), one.local);
  await expect.poll(() => received, { timeout: 15_000 }).toEqual(['hello']);
  await other.close();
  expect(() => {
    other.send(Buffer.from('too late'), one.local);
  }).not.toThrow();
  await one.close();
  expect(received).toEqual(['hello']);
});
