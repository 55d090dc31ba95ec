import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena, ARENA_ENTRY_BYTES_MAX } from '../../src/heartbeat/arena.ts';
import type { NewSession } from '../../src/heartbeat/session-rows.ts';
import { SessionRows } from '../../src/heartbeat/session-rows.ts';
import { SlotIndex } from '../../src/heartbeat/slot-index.ts';
import type { Address } from '../../src/base/model.ts';
import { ADDRESS_BYTES, formatAddress, parseAddress, readAddress, writeAddress } from '../../src/base/address.ts';

describe('arena', () => {
  it('gives back what was put in, whatever is put in and freed before', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.uint8Array({ maxLength: 3000 }), fc.boolean()), { maxLength: 80 }), (steps) => {
        const arena = new Arena();
        const live = new Map<number, Uint8Array>();
        for (const [bytes, freeOne] of steps) {
          const oldest = live.keys().next();
          if (freeOne && oldest.done !== true) {
            arena.free(oldest.value);
            live.delete(oldest.value);
          }
          const ref = arena.put(bytes);
          expect(live.has(ref)).toBe(false);
          live.set(ref, bytes);
        }
        for (const [ref, bytes] of live) expect(Buffer.compare(arena.get(ref), bytes)).toBe(0);
      }),
    );
  });

  it('uses a freed place again instead of growing', () => {
    const arena = new Arena();
    const first = arena.put(Buffer.alloc(200_000, 1));
    for (let i = 0; i < 100; i++) {
      const ref = arena.put(Buffer.alloc(190_000 + i, 2));
      arena.free(ref);
    }
    expect(arena.get(first)[199_999]).toBe(1);
    expect(arena.put(Buffer.alloc(190_000)) >>> 16).toBe(0);
  });

  it('takes the longest entry and refuses a longer one', () => {
    const arena = new Arena();
    const ref = arena.put(Buffer.alloc(ARENA_ENTRY_BYTES_MAX, 7));
    expect(arena.get(ref)).toHaveLength(ARENA_ENTRY_BYTES_MAX);
    arena.free(ref);
    expect(arena.put(Buffer.alloc(ARENA_ENTRY_BYTES_MAX, 8))).toBe(ref);
    expect(() => arena.put(Buffer.alloc(ARENA_ENTRY_BYTES_MAX + 1))).toThrow(RangeError);
  });
});

describe('slot index', () => {
  it('finds exactly the rows that are in it, also with equal hashes', () => {
    const action = fc.tuple(fc.nat(40), fc.boolean());
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (actions, spread) => {
        const index = new SlotIndex(2, (row) => row % spread);
        const rows = new Set<number>();
        for (const [row, add] of actions) {
          if (add && !rows.has(row)) {
            index.add(row);
            rows.add(row);
          } else if (!add && rows.delete(row)) index.remove(row);
        }
        for (let row = 0; row <= 40; row++) {
          let found = false;
          for (let at = index.seek(row % spread); index.row(at) >= 0; at = index.next(at, row % spread)) {
            if (index.row(at) === row) found = true;
          }
          expect(found).toBe(rows.has(row));
        }
      }),
    );
  });
});

describe('sessions', () => {
  it('keep their own address, of whatever family, also while the table grows and rows are used again', () => {
    const local = fc.option(
      fc.record({
        host: fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::1', '::1', 'fe80::1:2')),
        port: fc.nat(65_535),
      }),
      { nil: null },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(9), fc.boolean(), local), { maxLength: 60 }), (steps) => {
        const sessions = new SessionRows(1);
        const rows = new Map<number, readonly [row: number, local: Address | null]>();
        for (const [which, isRemoved, address] of steps) {
          const known = rows.get(which);
          if (known === undefined) rows.set(which, [sessions.add(sessionOf(which, address), 0, 0), address]);
          else if (isRemoved) {
            sessions.remove(known[0]);
            rows.delete(which);
          } else {
            sessions.setLocal(known[0], address);
            rows.set(which, [known[0], address]);
          }
        }
        for (const [row, address] of rows.values()) expect(sessions.local(row)).toEqual(address);
      }),
    );
  });
});

function sessionOf(which: number, local: Address | null): NewSession {
  return {
    ...{ cookie: String(which).padStart(32, '0'), key: new Uint8Array(32), wan: { host: '10.0.0.1', port: 1 }, local },
    ...{ network: 'lan', firewall: 'weak', status: 'online', lifetimeS: 60 },
    ...{ instance: '', note: '', device: '', contact: '', registration: '' },
  };
}

describe('addresses', () => {
  it.each([
    '1.2.3.4:5',
    '255.255.255.255:65535',
    '[::1]:4321',
    '[2001:db8::ff00:42:8329]:1',
    '[fe80::1]:0',
    '0.0.0.0:9',
  ])('keeps %s through text and bytes', (text) => {
    const address = parseAddress(text);
    expect(address).not.toBeNull();
    if (address === null) return;
    const bytes = new Uint8Array(ADDRESS_BYTES + 2);
    writeAddress(bytes, 1, address);
    expect(formatAddress(address)).toBe(text);
    expect(readAddress(bytes, 1)).toEqual(address);
  });

  it('spells an IPv4-mapped address as IPv4 and long IPv6 forms short', () => {
    expect(parseAddress('[::ffff:10.0.0.1]:7')).toEqual({ host: '10.0.0.1', port: 7 });
    expect(parseAddress('[2001:0DB8:0:0:0:0:0:1]:7')).toEqual({ host: '2001:db8::1', port: 7 });
  });

  it.each([
    '',
    '1.2.3.4',
    '1.2.3.4:70000',
    '1.2.3:5',
    '::1:5',
    '[::1]',
    '[1.2.3.4]:5',
    'host:5',
    '1.2.3.4:-1',
    '256.1.1.1:1',
  ])('refuses "%s"', (text) => {
    expect(parseAddress(text)).toBeNull();
  });
});
