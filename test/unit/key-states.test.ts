import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { REPLY } from '../../src/udp/express-layout.ts';
import { room } from '../../src/udp/express-room.ts';
import { KeyStates } from '../../src/udp/key-states.ts';

const KEY_BYTES = 32;
const MESSAGE = Buffer.from('Ok\r\nid: 1\r\n');
/** Rows whose states have the same place, and others. */
const ROWS = [0, 65_536, 3 * 65_536, 1, 65_537, 7];

/** The session of a row, which changes with its generation: cookie and key of each are its own. */
function keyOf(row: number, generation: number): Buffer {
  return Buffer.alloc(KEY_BYTES, `${row}.${generation};`);
}

it('makes each mac by the key of its session, in whatever order they are heard of and rows are used again', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...ROWS), fc.oneof(fc.constant(0), fc.nat(2))), { maxLength: 100 });
  fc.assert(
    fc.property(steps, (heard) => {
      const states = new KeyStates();
      for (const [row, generation] of heard) {
        room.cookie.set([row, generation, 1, 2]);
        const key = keyOf(row, generation);
        states.use({ bytes: key, keyAt: () => 0 }, row);
        room.bytes.set(MESSAGE, REPLY);
        room.makeMac(REPLY, REPLY + MESSAGE.length);
        const end = room.writeMacLine(REPLY);
        const mac = createHmac('sha256', key.toString('hex')).update(MESSAGE).digest('hex').slice(0, 32);
        expect(room.bytes.toString('latin1', REPLY, end)).toBe(`mac: ${mac}\r\n\r\n`);
      }
    }),
    { numRuns: 50 },
  );
});
