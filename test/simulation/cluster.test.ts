/**
 * Many nodes, one directory, a bus and clients in one process, with a seeded clock and network in which everything fails.
 * SIM_SEED=n runs that seed alone, SIM_SEEDS=n so many.
 */
import { describe, expect, test } from 'vitest';
import { simulate } from './simulation.ts';

// Thousands of errors are made and looked at by nobody.
Error.stackTraceLimit = 0;

const BLOCK = 100;
const { SIM_SEED, SIM_SEEDS = '1000' } = process.env;
const seeds = SIM_SEED === undefined ? Array.from({ length: Number(SIM_SEEDS) }, (_, i) => i + 1) : [Number(SIM_SEED)];
const blocks = Array.from({ length: Math.ceil(seeds.length / BLOCK) }, (_, i) =>
  seeds.slice(i * BLOCK, (i + 1) * BLOCK),
);

describe('after everything has failed and healed, each user has one owner and it is who logged in last', () => {
  test.each(blocks.map((block) => [block[0], block.at(-1), block] as const))(
    'seeds %i to %i',
    async (_from, _to, block) => {
      const broken: Record<string, readonly string[]> = {};
      for (const seed of block) {
        const violations = await simulate(seed);
        if (violations.length > 0) broken[`SIM_SEED=${seed}`] = violations.slice(0, 5);
      }
      expect(broken).toEqual({});
    },
  );
});
