/** The real system calls of batches; on Linux they must be there. */
import { loadBatchCalls } from '../../src/base/batch-calls.ts';
import type { BatchCalls } from '../../src/base/batch-calls.ts';

export const isBatchPlatform = process.platform === 'linux';

export function batchCalls(): BatchCalls {
  const calls = loadBatchCalls();
  if (typeof calls === 'string') throw new Error(`no batches of datagrams (npm install koffi?): ${calls}`);
  return calls;
}
