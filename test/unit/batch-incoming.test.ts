/** How much of what waits in the system's buffer is read in one turn. */
import { describe, expect, it } from 'vitest';
import { BATCH, createArena } from '../../src/base/batch-arena.ts';
import { Incoming } from '../../src/base/batch-incoming.ts';
import { batchCalls, isBatchPlatform } from '../support/batch-calls.ts';

const FROM = { host: '192.0.2.1', port: 5060 };
/** Words of a mmsghdr, and where in it the length of the datagram stands. */
const HEADER_WORDS = 16;
const LENGTH_WORD = 14;
const READS_MAX = 2_000;

describe.runIf(isBatchPlatform)('a system buffer that is never empty', () => {
  it.each([100, 1_200])('is left alone when there is no more room in memory: datagrams of %i bytes', (size) => {
    let reads = 0;
    const incoming = new Incoming({
      ...{ arena: createArena(batchCalls()), readName: () => FROM },
      onDatagram: () => undefined,
      onComing: undefined,
      flush: () => undefined,
      receive: (headers) => {
        // Without a bound it would go on for ever.
        if (++reads === READS_MAX) return 0;
        const words = new Int32Array(headers.buffer, headers.byteOffset, BATCH * HEADER_WORDS);
        for (let slot = 0; slot < BATCH; slot++) words[slot * HEADER_WORDS + LENGTH_WORD] = size;
        return BATCH;
      },
    });
    incoming.turn();
    incoming.close();
    expect(reads).toBeLessThan(300);
  });
});

describe.runIf(isBatchPlatform)('a batch', () => {
  it('is told of as a whole before the first of it is delivered', () => {
    const told: string[] = [];
    const arena = createArena(batchCalls());
    let isEmpty = false;
    const incoming = new Incoming({
      ...{ arena, readName: () => FROM },
      onComing: (bytes) => told.push(`coming ${bytes.toString()}`),
      onDatagram: (bytes) => told.push(bytes.toString()),
      flush: () => undefined,
      receive: (headers) => {
        if (isEmpty) return 0;
        isEmpty = true;
        const words = new Int32Array(headers.buffer, headers.byteOffset, BATCH * HEADER_WORDS);
        for (let slot = 0; slot < 3; slot++) {
          words[slot * HEADER_WORDS + LENGTH_WORD] = arena.bytes.write(`${slot}`, arena.dataAt(slot));
        }
        return 3;
      },
    });
    incoming.turn();
    incoming.close();
    expect(told).toEqual(['coming 0', 'coming 1', 'coming 2', '0', '1', '2']);
  });
});
