import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LdifRecord } from '../../src/directory/directory.ts';
import { formatLdif, parseLdif } from '../../src/directory/ldif.ts';
import type { LdifProblem } from '../../src/directory/ldif.ts';

async function parse(bytes: Uint8Array, size: number): Promise<(LdifRecord | LdifProblem)[]> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
  }
  const all: (LdifRecord | LdifProblem)[] = [];
  for await (const item of parseLdif(chunks())) all.push(item);
  return all;
}

const name = fc
  .stringMatching(/^[a-z][a-z0-9-]{0,9}$/)
  .filter((text) => !['dn', 'changetype', 'control'].includes(text));
const text = fc.string({ unit: 'binary', maxLength: 200 }).filter((value) => !/\p{Cs}/u.test(value));
const bytes = fc.constant(Buffer.from([0xff, 0, 10]));
const value = fc.oneof(text, text, bytes);
const values = fc.array(value, { minLength: 1, maxLength: 4 });
const change: fc.Arbitrary<LdifRecord['change']> = fc.oneof(
  fc
    .array(fc.tuple(name, values), { minLength: 1, maxLength: 6 })
    .map((pairs) => ({ type: 'add' as const, attributes: new Map(pairs) })),
  fc.constant({ type: 'delete' as const }),
  fc.record({
    type: fc.constant('modify' as const),
    modifications: fc.array(
      fc.record({
        operation: fc.constantFrom('add' as const, 'replace' as const, 'delete' as const),
        attribute: name,
        values,
      }),
      { maxLength: 4 },
    ),
  }),
  fc.record({
    type: fc.constant('modrdn' as const),
    newRdn: text.filter((rdn) => rdn !== ''),
    deleteOldRdn: fc.boolean(),
    newSuperior: fc.option(text),
  }),
);

it('what formatLdif writes, parseLdif reads back, in chunks of any size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(text, change), { maxLength: 5 }),
      fc.integer({ min: 1, max: 300 }),
      async (all, size) => {
        const written = all.map(([dn, one]) => formatLdif({ line: 0, dn, change: one })).join('');
        for (const line of written.split('\n')) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(76);
        const read = await parse(Buffer.from(written), size);
        expect(read.map((record) => ({ ...record, line: 0 }))).toEqual(
          all.map(([dn, one]) => ({ line: 0, dn, change: one })),
        );
      },
    ),
    { numRuns: 300 },
  );
});

it('any bytes give records and problems, never a crash, however they are cut', async () => {
  const pieces = fc.constantFrom(
    'dn: uid=1\n',
    'dn:: ',
    '\n',
    '\r\n',
    ' ',
    '#',
    'uid: x\n',
    'a:< f\n',
    '-\n',
    '\0',
    'changetype: modify\n',
    'add: x\n',
    'x: y\n',
  );
  const input = fc.oneof(
    fc.uint8Array({ maxLength: 500 }),
    fc.array(pieces, { maxLength: 60 }).map((all) => Buffer.from(all.join(''))),
  );
  await fc.assert(
    fc.asyncProperty(input, fc.integer({ min: 1, max: 50 }), async (bytes, size) => {
      expect(await parse(bytes, size)).toEqual(await parse(bytes, 1_000));
    }),
    { numRuns: 1_000 },
  );
});
