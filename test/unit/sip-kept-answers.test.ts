/** Kept answers against a plain list of all that were ever kept. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createKeptAnswers } from '../../src/sip/kept-answers.ts';
import { RequestKey } from '../../src/sip/request-key.ts';

const LONG = 1_000;
const KEPT_MS = 32_000;
const COUNT = 8;
const TO = { host: '192.0.2.1', port: 5060 };

const text = fc.constantFrom('a', 'b', 'server MESSAGE z9hG4bK1 10.0.0.7:5060', 'x'.repeat(LONG), 'y'.repeat(LONG));
const step = fc.record({
  key: fc.oneof(text, fc.nat(40).map(String)),
  answer: fc.uint8Array({ maxLength: 400 }),
  isSent: fc.boolean(),
  waitMs: fc.oneof(fc.constant(0), fc.nat(20_000)),
});

describe('kept answers', () => {
  it('are the last ones, found by their key for as long as they are kept', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let nowMs = 0;
        const kept = createKeptAnswers(() => nowMs, KEPT_MS, { count: COUNT, bytes: 100_000 });
        const key = new RequestKey();
        const all: { key: string; answer: Uint8Array; isSent: boolean; atMs: number }[] = [];
        for (const one of steps) {
          nowMs += one.waitMs;
          const added = kept.add(key.set(one.key), one.answer, { host: '10.0.0.7', port: all.length + 1 });
          if (one.isSent) added.sent();
          all.push({ key: one.key, answer: one.answer, isSent: one.isSent, atMs: nowMs });
          for (const asked of new Set(all.map((other) => other.key))) {
            const index = all.findLastIndex((other) => other.key === asked);
            const last = all[index];
            const found = kept.find(key.set(asked));
            const isOver = last === undefined || nowMs - last.atMs >= KEPT_MS;
            if (isOver) expect(found).toBeNull();
            // Of the last ones none is missing; of older ones some are.
            else if (index >= all.length - COUNT) expect(found).not.toBeNull();
            if (found === null) continue;
            expect([found.bytes, found.isSent, found.to]).toEqual([
              Buffer.from(last?.answer ?? []),
              last?.isSent,
              { host: '10.0.0.7', port: index + 1 },
            ]);
          }
        }
      }),
    );
  });

  it('are bounded in bytes too', () => {
    const kept = createKeptAnswers(() => 0, KEPT_MS, { count: 1_000, bytes: 10_000 });
    const key = new RequestKey();
    for (let i = 0; i < 100; i++) kept.add(key.set(String(i)), Buffer.alloc(1_000), TO);
    const found = Array.from({ length: 100 }, (_, i) => kept.find(key.set(String(i))) !== null);
    expect(found.filter(Boolean).length).toBeLessThanOrEqual(20);
    expect(found.slice(-9)).toEqual(new Array(9).fill(true));
  });

  it('can be replaced, and one that was forgotten can still be sent', () => {
    const kept = createKeptAnswers(() => 0, KEPT_MS, { count: 2, bytes: 10_000 });
    const key = new RequestKey();
    const first = kept.add(key.set('first'), Buffer.from('200'), TO);
    for (let i = 0; i < 10; i++) kept.add(key.set(String(i)), Buffer.alloc(10), TO);
    expect([kept.find(key.set('first')), first.bytes.toString()]).toEqual([null, '200']);
    kept.replace(first, Buffer.from('503')).sent();
    const found = kept.find(key.set('first'));
    expect([found?.bytes.toString(), found?.isSent, found?.to]).toEqual(['503', true, TO]);
  });
});
