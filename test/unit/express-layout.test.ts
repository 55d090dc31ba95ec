/** The regions of the memory that the express lane of the client protocol shares with its WebAssembly. */
import { expect, it } from 'vitest';
import { DATAGRAM_BYTES_MAX } from '../../src/udp/message.ts';
import * as at from '../../src/udp/express-layout.ts';

/** SHA256_CTX of OpenSSL: eight words of state, the length, a block, two more words. */
const CONTEXT_BYTES = 112;
/** `[address]:port` of IPv6 at its longest. */
const ADDRESS_BYTES = 47;
/** One page (scripts/assembly.mjs). */
const MEMORY_BYTES = 65_536;
/** The padding of a hash, and 16 bytes that are looked at beyond the end. */
const BEHIND = 2 * at.BLOCK_BYTES + 16;

it('do not overlap, and have room in its memory', () => {
  const regions: readonly (readonly [name: string, begin: number, bytes: number])[] = [
    ['context', at.CONTEXT, CONTEXT_BYTES],
    ['states of the key', at.KEY_STATES, 2 * at.STATE_BYTES],
    ['key', at.KEY, at.KEY_BYTES],
    ['block', at.BLOCK, at.BLOCK_BYTES],
    ['places', at.PLACES, 4 * at.PLACES_MAX],
    ['classes', at.CLASSES, 256],
    ['request', at.REQUEST, DATAGRAM_BYTES_MAX + BEHIND],
    ['reply', at.REPLY, DATAGRAM_BYTES_MAX + at.USER_BYTES_MAX + BEHIND],
    ['user', at.USER_TEXT, at.USER_BYTES_MAX],
    ['device', at.DEVICE_TEXT, at.DEVICE_BYTES_MAX],
    ['outer address', at.WAN_TEXT, ADDRESS_BYTES],
    ['local address', at.LOCAL_TEXT, ADDRESS_BYTES],
    ['pieces', at.PIECES, at.PIECE_BYTES * (at.FIREWALL_IS + 16)],
  ];
  let end = 0;
  for (const [name, begin, bytes] of regions) {
    expect([name, begin >= end]).toEqual([name, true]);
    end = begin + bytes;
  }
  expect(end).toBeLessThanOrEqual(MEMORY_BYTES);
});
