/** Which adapter carries the datagrams of a node. */
import { loadBatchCalls } from './base/batch-calls.ts';
import { VserverError } from './base/errors.ts';
import type { Datagrams, Log } from './base/ports.ts';
import { batchDatagrams } from './base/system-batch.ts';
import { systemDatagrams } from './base/system-dgram.ts';
import type { Config } from './config.ts';
import { SETTINGS } from './settings.ts';

/** Throws SETTINGS where batches are asked for and can't be had. */
export function openDatagrams(io: Config['io'], log: Log, load = loadBatchCalls): Datagrams {
  const plain = systemDatagrams(log);
  if (io === 'dgram') return plain;
  const calls = load();
  if (typeof calls !== 'string') return batchDatagrams(calls, plain, log);
  if (io === 'batch') throw new VserverError('SETTINGS', `${SETTINGS.io.env}=batch can't be had here: ${calls}`);
  log.info({ reason: calls }, 'one system call a datagram');
  return plain;
}
